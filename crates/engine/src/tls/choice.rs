//! Which certificate a client gets: by the name that it asks for, and of those the one it can check.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, SignatureAlgorithm, SignatureScheme};

use super::credential::Credential;

/// The certificates of a listener.
pub(super) struct Choice {
    /// In the order in which they are liked.
    keys: Vec<Arc<CertifiedKey>>,
    /// Indices into `keys`, by name; of a wildcard by what follows its star, with the dot.
    exact: HashMap<Box<str>, Vec<usize>>,
    wildcard: HashMap<Box<str>, Vec<usize>>,
    /// The one for everybody else, and others that hold for the same names.
    default: Vec<usize>,
}

impl Choice {
    /// `credentials` in the order in which the configuration names them; at least one.
    pub(super) fn new(credentials: &[Arc<Credential>]) -> Self {
        let mut order: Vec<&Arc<Credential>> = credentials.iter().collect();
        // Signing with RSA takes ten times as long: who can check another kind gets that.
        order.sort_by_key(|credential| credential.key.key.algorithm() == SignatureAlgorithm::RSA);
        let mut choice =
            Self { keys: Vec::new(), exact: HashMap::new(), wildcard: HashMap::new(), default: Vec::new() };
        let first = credentials.first();
        for (index, credential) in order.into_iter().enumerate() {
            choice.keys.push(Arc::clone(&credential.key));
            for name in &credential.names {
                let (names, name) = match name.strip_prefix('*') {
                    Some(rest) => (&mut choice.wildcard, rest),
                    None => (&mut choice.exact, name.as_str()),
                };
                names.entry(name.into()).or_default().push(index);
            }
            if first.is_some_and(|first| first.names == credential.names || Arc::ptr_eq(first, credential)) {
                choice.default.push(index);
            }
        }
        choice
    }

    /// `name` in lower case, as rustls gives it.
    pub(super) fn pick(&self, name: Option<&str>, client: &Client<'_>) -> Option<&Arc<CertifiedKey>> {
        let exact = name.and_then(|name| self.exact.get(name));
        // A wildcard stands for one label (RFC 9525 6.3).
        let parent = name.and_then(|name| name.find('.').map(|dot| &name[dot..]));
        let wildcard = parent.and_then(|parent| self.wildcard.get(parent));
        let ranked = || exact.into_iter().chain(wildcard).chain([&self.default]).flatten();
        let usable = ranked().find(|index| client.can_check(&self.keys[**index]));
        // If there is none, rustls says why.
        usable.or_else(|| ranked().next()).map(|index| &self.keys[*index])
    }
}

impl ResolvesServerCert for Choice {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let client = Client { schemes: hello.signature_schemes(), suites: hello.cipher_suites() };
        let name = hello.server_name().map(str::to_ascii_lowercase);
        self.pick(name.as_deref(), &client).cloned()
    }
}

impl fmt::Debug for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Choice").field("names", &self.exact.keys()).finish_non_exhaustive()
    }
}

/// What a client can check.
pub(super) struct Client<'a> {
    pub(super) schemes: &'a [SignatureScheme],
    pub(super) suites: &'a [CipherSuite],
}

impl Client<'_> {
    fn can_check(&self, key: &CertifiedKey) -> bool {
        key.key.choose_scheme(self.schemes).is_some() && self.has_suite(key.key.algorithm())
    }

    /// Up to TLS 1.2 the cipher suite says which kind of key signs.
    fn has_suite(&self, algorithm: SignatureAlgorithm) -> bool {
        use CipherSuite as Suite;
        let fits = |suite: &CipherSuite| match suite {
            Suite::TLS13_AES_128_GCM_SHA256
            | Suite::TLS13_AES_256_GCM_SHA384
            | Suite::TLS13_CHACHA20_POLY1305_SHA256 => true,
            Suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
            | Suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
            | Suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => algorithm == SignatureAlgorithm::RSA,
            Suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
            | Suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
            | Suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => algorithm != SignatureAlgorithm::RSA,
            _ => false,
        };
        self.suites.iter().any(fits)
    }
}
