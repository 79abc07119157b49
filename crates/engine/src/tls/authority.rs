//! Whom we believe that a certificate is somebody's: authorities, as the control process gives them.

use std::fmt;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;

use super::credential::pem_error;

/// Authorities of a pool or a listener, as PEM.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// Their certificates.
    pub ca: String,
}

impl fmt::Debug for Trust {
    /// Without megabytes of text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust").finish_non_exhaustive()
    }
}

/// Authorities that were read.
pub(crate) struct Authorities {
    /// What they were read from.
    trust: Trust,
    pub(super) roots: Arc<RootCertStore>,
}

impl Authorities {
    /// Those of a file that somebody wrote by hand: all of it has to be good.
    pub(super) fn read(trust: &Trust) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(trust.ca.as_bytes()) {
            let certificate = certificate.map_err(|error| format!("is no PEM: {}", pem_error(&error)))?;
            roots
                .add(certificate)
                .map_err(|error| format!("holds a certificate that can't be read ({error})"))?;
        }
        Self::of(trust, roots)
    }

    /// Those of the system, among which there may be some that nobody can read.
    pub(super) fn read_system(trust: &Trust) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        let all = CertificateDer::pem_slice_iter(trust.ca.as_bytes());
        roots.add_parsable_certificates(all.filter_map(Result::ok));
        Self::of(trust, roots)
    }

    fn of(trust: &Trust, roots: RootCertStore) -> Result<Self, String> {
        if roots.is_empty() {
            let hint = if trust.ca.contains("PRIVATE KEY-----") { ": it is a key" } else { "" };
            return Err(format!("holds no certificate in PEM{hint}"));
        }
        Ok(Self { trust: trust.clone(), roots: Arc::new(roots) })
    }

    /// Whether others were read from the same text.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.trust == other.trust
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorities").field("roots", &self.roots.len()).finish_non_exhaustive()
    }
}
