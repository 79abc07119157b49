//! What certificates say of themselves, before an engine has them.

use std::collections::BTreeMap;

use fairlead_engine::{CertificateFacts, Problem, Secrets, inspect_authorities, inspect_certificates};
use pyo3::prelude::*;
use serde::Serialize;

use crate::engine::{read, written};

/// One certificate: what it says, or what is wrong with it.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Finding {
    Good(CertificateFacts),
    Bad(Problem),
}

/// What is known of them all.
#[derive(Serialize)]
struct Findings {
    certificates: BTreeMap<String, Finding>,
    /// What is wrong with the authorities of pools.
    authorities: Vec<Problem>,
}

/// Every certificate by name, and what is wrong with authorities, as JSON.
#[pyfunction]
pub(crate) fn certificates(py: Python<'_>, secrets_json: &str) -> PyResult<String> {
    py.detach(|| {
        let secrets: Secrets = read(secrets_json)?;
        let certificates = inspect_certificates(&secrets)
            .into_iter()
            .map(|(name, found)| (name, found.map_or_else(Finding::Bad, Finding::Good)))
            .collect();
        Ok(written(&Findings { certificates, authorities: inspect_authorities(&secrets) }))
    })
}
