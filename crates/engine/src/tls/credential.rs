//! Certificates and keys as the control process gives them: text in, what signs out, or what is wrong with them.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use fairlead_wire::certificate::{self, Validity};
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, SignatureAlgorithm};
use serde::{Deserialize, Serialize};

use super::authority::{Authorities, Trust};
use super::provider;
use crate::error::{CallError, Problem};

/// Everything secret that listeners need. Never part of a Plan, and never shown.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    /// By the names under which listeners ask for them.
    pub certificates: BTreeMap<String, Pair>,
    /// Authorities by the pool whose backends they vouch for.
    pub pools: BTreeMap<String, Trust>,
    /// Those of the system, if a pool needs them and it has some.
    #[serde(deserialize_with = "fairlead_plan::spec::nullable")]
    pub system: Option<Trust>,
}

/// A certificate and its key, both as PEM.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// The certificate, then those of the authorities between it and a root.
    pub cert: String,
    /// The private key.
    pub key: String,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").field("certificates", &self.certificates.keys()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair").finish_non_exhaustive()
    }
}

/// A certificate that can be served.
#[derive(Debug)]
pub(crate) struct Credential {
    pub(super) key: Arc<CertifiedKey>,
    /// The names that it holds for, in lower case, wildcards as they are written.
    pub(super) names: Vec<String>,
    pub(crate) validity: Validity,
}

/// Everything that handshakes are made with, ready to be used.
#[derive(Debug, Default)]
pub(crate) struct Keyring {
    /// By name.
    pub(crate) certificates: HashMap<String, Arc<Credential>>,
    /// Authorities by the pool whose backends they vouch for.
    pub(crate) pools: HashMap<String, Arc<Authorities>>,
    /// Those of the system, for pools that have none of their own.
    pub(crate) system: Option<Arc<Authorities>>,
}

/// What a certificate says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CertificateFacts {
    /// The names that it holds for.
    pub names: Vec<String>,
    /// From when on it is valid, in seconds since 1970.
    pub not_before: i64,
    /// Until when.
    pub not_after: i64,
    /// The kind of its key.
    pub algorithm: &'static str,
}

/// Reads all of them, or says everything that is wrong.
pub(crate) fn read(secrets: &Secrets) -> Result<Keyring, CallError> {
    let mut keyring = Keyring::default();
    let mut problems = Vec::new();
    for (name, pair) in &secrets.certificates {
        match Credential::read(pair) {
            Ok(credential) => _ = keyring.certificates.insert(name.clone(), Arc::new(credential)),
            Err(flaw) => problems.push(flaw.problem(name)),
        }
    }
    for (pool, trust) in &secrets.pools {
        match Authorities::read(trust) {
            Ok(authorities) => _ = keyring.pools.insert(pool.clone(), Arc::new(authorities)),
            Err(message) => problems.push(ca_problem(pool, message)),
        }
    }
    // What is wrong with the system's is nothing that this configuration could mend; who needs them is told.
    keyring.system = secrets.system.as_ref().and_then(|all| Authorities::read_system(all).ok()).map(Arc::new);
    if problems.is_empty() { Ok(keyring) } else { Err(CallError::refused(problems)) }
}

/// What each of them says of itself, or what is wrong with it. Needs no engine.
#[must_use]
pub fn inspect(secrets: &Secrets) -> BTreeMap<String, Result<CertificateFacts, Problem>> {
    let look = |name: &String, pair: &Pair| {
        Credential::read(pair).map(|credential| credential.facts()).map_err(|flaw| flaw.problem(name))
    };
    secrets.certificates.iter().map(|(name, pair)| (name.clone(), look(name, pair))).collect()
}

/// What is wrong with the authorities of pools. Needs no engine.
#[must_use]
pub fn inspect_authorities(secrets: &Secrets) -> Vec<Problem> {
    let wrong = |(pool, trust): (&String, &Trust)| {
        Authorities::read(trust).err().map(|message| ca_problem(pool, message))
    };
    secrets.pools.iter().filter_map(wrong).collect()
}

fn ca_problem(pool: &str, message: String) -> Problem {
    Problem { path: ["pools", pool, "tls", "ca"].map(str::to_owned).into(), message }
}

/// What is wrong with a pair: with which half of it, and why.
pub(super) struct Flaw(&'static str, String);

impl Flaw {
    fn of_cert(message: impl Into<String>) -> Self {
        Self("cert", message.into())
    }

    fn of_key(message: impl Into<String>) -> Self {
        Self("key", message.into())
    }

    fn problem(self, name: &str) -> Problem {
        Problem { path: ["certificates", name, self.0].map(str::to_owned).into(), message: self.1 }
    }
}

impl Credential {
    pub(super) fn read(pair: &Pair) -> Result<Self, Flaw> {
        let chain = read_chain(&pair.cert)?;
        let key = read_key(&pair.key)?;
        let leaf = chain.first().ok_or_else(|| Flaw::of_cert("holds no certificate"))?;
        let validity =
            certificate::validity(leaf).ok_or_else(|| Flaw::of_cert("is no certificate that can be read"))?;
        let names = names(leaf)?;
        let key = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                Flaw::of_key("is the key of another certificate")
            }
            Error::InvalidCertificate(error) => {
                Flaw::of_cert(format!("is no certificate that can be read ({error:?})"))
            }
            error => Flaw::of_key(format!("is no key that can be used ({error})")),
        })?;
        Ok(Self { key: Arc::new(key), names, validity })
    }

    /// Whether another one is the same certificate.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.key.cert == other.key.cert
    }

    fn facts(&self) -> CertificateFacts {
        let Validity { not_before, not_after } = self.validity;
        let algorithm = match self.key.key.algorithm() {
            SignatureAlgorithm::RSA => "rsa",
            SignatureAlgorithm::ECDSA => "ecdsa",
            SignatureAlgorithm::ED25519 | SignatureAlgorithm::ED448 => "eddsa",
            _ => "other",
        };
        CertificateFacts { names: self.names.clone(), not_before, not_after, algorithm }
    }
}

fn read_chain(text: &str) -> Result<Vec<CertificateDer<'static>>, Flaw> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let chain = chain.map_err(|error| Flaw::of_cert(format!("is no PEM: {}", pem_error(&error))))?;
    if chain.is_empty() {
        let hint = if text.contains("PRIVATE KEY-----") { ": it is a key" } else { "" };
        return Err(Flaw::of_cert(format!("holds no certificate in PEM{hint}")));
    }
    Ok(chain)
}

fn read_key(text: &str) -> Result<PrivateKeyDer<'static>, Flaw> {
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| match error {
        PemError::NoItemsFound if text.contains("BEGIN ENCRYPTED PRIVATE KEY") => {
            Flaw::of_key("is encrypted, and nobody is there to say the password: store it without one")
        }
        PemError::NoItemsFound if text.contains("BEGIN CERTIFICATE") => {
            Flaw::of_key("holds no private key in PEM: it is a certificate")
        }
        PemError::NoItemsFound => Flaw::of_key("holds no private key in PEM"),
        error => Flaw::of_key(format!("is no PEM: {}", pem_error(&error))),
    })
}

/// Without the text itself: it may be a secret.
pub(super) fn pem_error(error: &PemError) -> &'static str {
    match error {
        PemError::MissingSectionEnd { .. } => "an END line is missing",
        PemError::IllegalSectionStart { .. } => "a BEGIN line is malformed",
        PemError::Base64Decode(_) => "what is between its lines is no base64",
        _ => "it is malformed",
    }
}

fn names(leaf: &CertificateDer<'_>) -> Result<Vec<String>, Flaw> {
    let parsed = webpki::EndEntityCert::try_from(leaf)
        .map_err(|error| Flaw::of_cert(format!("is no certificate that can be read ({error})")))?;
    let mut names: Vec<String> = parsed.valid_dns_names().map(str::to_ascii_lowercase).collect();
    names.sort();
    names.dedup();
    Ok(names)
}
