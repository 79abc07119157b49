//! What a listener offers, put together from its Plan and the certificates that there are.

use std::collections::HashMap;
use std::sync::Arc;

use fairlead_plan as plan;
use fairlead_plan::Versions;
use fairlead_plan::spec::{Protocol, TlsVersion};
use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use rustls::version::{TLS12, TLS13};

use super::choice::Choice;
use super::credential::Keyring;
use super::provider;
use crate::error::{CallError, Problem};

/// As ALPN names them (RFC 7301, RFC 9113 3.2).
pub(super) const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// By the listener's name.
pub(crate) type ServerConfigs = HashMap<Arc<str>, Arc<ServerConfig>>;

/// What every listener of a Plan offers that terminates TLS, or which certificates there aren't.
pub(crate) fn server_configs(plan: &plan::Plan, keyring: &Keyring) -> Result<ServerConfigs, CallError> {
    let mut configs = HashMap::new();
    let mut missing = Vec::new();
    for listener in &plan.listeners {
        let Some(tls) = &listener.tls else { continue };
        let mut credentials = Vec::with_capacity(tls.certificates.len());
        for (index, name) in tls.certificates.iter().enumerate() {
            match keyring.certificates.get(name) {
                Some(credential) => credentials.push(Arc::clone(credential)),
                None => missing.push(absent(listener, index, name)),
            }
        }
        let config = server_config(listener, tls.min_version, Choice::new(&credentials));
        configs.insert(Arc::clone(&listener.name), Arc::new(config.map_err(CallError::internal)?));
    }
    if missing.is_empty() { Ok(configs) } else { Err(CallError::refused(missing)) }
}

fn server_config(
    listener: &plan::Listener,
    min_version: TlsVersion,
    choice: Choice,
) -> Result<ServerConfig, rustls::Error> {
    let versions: &[_] = match min_version {
        TlsVersion::Tls12 => &[&TLS13, &TLS12],
        TlsVersion::Tls13 => &[&TLS13],
    };
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(choice));
    config.session_storage = Arc::new(NoServerSessionStorage {});
    // What is relayed without being read has protocols of its own, which its two ends would have to agree on.
    if listener.protocol == Protocol::Http {
        let offered: &[&[u8]] = match listener.http.versions {
            Versions::Http1 => &[HTTP1],
            Versions::Http2 => &[HTTP2],
            Versions::Both => &[HTTP2, HTTP1],
        };
        config.alpn_protocols = offered.iter().map(|protocol| protocol.to_vec()).collect();
    }
    Ok(config)
}

fn absent(listener: &plan::Listener, index: usize, name: &str) -> Problem {
    let path = ["listeners", &listener.name, "tls", "certificates", &index.to_string()];
    Problem {
        path: path.map(str::to_owned).into(),
        message: format!("certificate {name:?} was not given to the engine"),
    }
}
