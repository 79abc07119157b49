//! Certificates made for a test, and a client that speaks TLS by rustls' own buffered interface.
#![allow(clippy::disallowed_methods, reason = "who sends while the test reads is a thread")]

mod choosing;
mod connections;
mod credentials;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};

use super::{Pair, Secrets, provider};
use crate::engine::{Engine, Settings};
use crate::http::tests::described;

/// Far above what anything here takes: who waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A certificate that signed itself.
pub(super) fn pair(names: &[&str]) -> Pair {
    signed(names, &KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap())
}

/// The same, with a key of RSA.
pub(super) fn rsa_pair(names: &[&str]) -> Pair {
    signed(names, &KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap())
}

fn signed(names: &[&str], key: &KeyPair) -> Pair {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let certificate = CertificateParams::new(names).unwrap().self_signed(key).unwrap();
    Pair { cert: certificate.pem(), key: key.serialize_pem() }
}

pub(super) fn secrets(certificates: impl IntoIterator<Item = (&'static str, Pair)>) -> Secrets {
    let certificates: BTreeMap<_, _> =
        certificates.into_iter().map(|(name, pair)| (name.to_owned(), pair)).collect();
    Secrets { certificates, pools: BTreeMap::new(), system: None }
}

/// An engine with one listener that terminates TLS before a backend in the test's hand.
struct Terminal {
    engine: Engine,
    address: SocketAddr,
    origin: TcpListener,
    /// Whom its clients trust.
    trusted: Vec<CertificateDer<'static>>,
    spec: Value,
}

impl Terminal {
    /// For `web.test`.
    fn start(change: impl FnOnce(&mut Value)) -> Self {
        let origin = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut spec = described(&[&origin.local_addr().unwrap().to_string()]);
        spec["listeners"][0]["tls"] = json!({"certificates": ["site"], "min_version": "1.2"});
        change(&mut spec);
        let engine = Engine::start(Settings::in_process(1)).unwrap();
        let pair = pair(&["web.test"]);
        let trusted = vec![CertificateDer::from_pem_slice(pair.cert.as_bytes()).unwrap()];
        engine.secrets(&secrets([("site", pair)])).unwrap();
        let applied = engine.apply(&serde_json::from_value(spec.clone()).unwrap()).unwrap();
        let address = applied.bound["web"]["127.0.0.1:0"].parse().unwrap();
        Self { engine, address, origin, trusted, spec }
    }

    fn client(&self) -> StreamOwned<ClientConnection, TcpStream> {
        self.client_with(|_| {})
    }

    fn client_with(
        &self,
        change: impl FnOnce(&mut ClientConfig),
    ) -> StreamOwned<ClientConnection, TcpStream> {
        let mut roots = RootCertStore::empty();
        for certificate in &self.trusted {
            roots.add(certificate.clone()).unwrap();
        }
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        change(&mut config);
        let name = ServerName::try_from("web.test").unwrap();
        StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), self.socket())
    }

    fn socket(&self) -> TcpStream {
        let socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_nodelay(true).unwrap();
        socket
    }

    /// The next connection to the backend, which has read what is to come.
    fn backend(&self, expected: usize) -> (TcpStream, Vec<u8>) {
        let (mut backend, _) = self.origin.accept().unwrap();
        backend.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut received = vec![0; expected];
        backend.read_exact(&mut received).unwrap();
        (backend, received)
    }

    /// Answers the next connection's first request.
    fn answer(&self, answer: &[u8]) -> TcpStream {
        let (mut backend, _) = self.origin.accept().unwrap();
        backend.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            backend.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        backend.write_all(answer).unwrap();
        backend
    }
}
