//! TLS: handshakes, records, and the certificates and keys that they need. The only module that knows rustls.
//!
//! In the order of a connection: [`accept`] makes the handshake, [`choice`] picks the certificate, [`stream`] is what the
//! rest of the engine reads and writes, by [`session`]; before all that, [`credential`] reads certificates and keys as
//! they come from the control process and [`config`] puts together what a listener offers.
//!
//! Towards backends: [`client`] is what handshakes are made with, by [`authority`]'s word, and [`trouble`] why they fail.

mod accept;
mod authority;
mod choice;
mod client;
mod config;
mod credential;
mod facts;
mod session;
mod stream;
#[cfg(test)]
mod tests;
mod trouble;
mod unverified;

pub(crate) use accept::accept;
pub use authority::Trust;
pub(crate) use client::{ClientConfigs, ClientTls, LocalTls, client_configs, explained};
pub(crate) use config::{ServerConfigs, server_configs};
pub use credential::{CertificateFacts, Pair, Secrets, inspect, inspect_authorities};
pub(crate) use credential::{Keyring, read as read_secrets};
pub(crate) use facts::{Facts, Failed, Kind};
pub(crate) use stream::{TlsStream, connect};
pub(crate) use trouble::Trouble;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};

/// The cryptography, and with it cipher suites and key exchanges in the order in which they are liked.
fn provider() -> Arc<CryptoProvider> {
    use std::sync::LazyLock;
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(aws_lc_rs::default_provider()));
    Arc::clone(&PROVIDER)
}
