//! How backends are checked, in a description.

use serde::{Deserialize, Serialize};

use super::nullable;

/// A check of each backend of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// From one check of a backend to its next; at least 1.
    pub interval_ms: u64,
    /// The same while a state is changing; at least 1.
    pub fast_interval_ms: u64,
    /// What a whole check may take; at least 1.
    pub timeout_ms: u64,
    /// Good results in a row, to be up again; at least 1.
    pub healthy_threshold: u32,
    /// Bad results in a row, to be down; at least 1.
    pub unhealthy_threshold: u32,
    /// Whether a backend counts as up before its first result.
    pub initially_up: bool,
    /// `null`: the backend's.
    #[serde(deserialize_with = "nullable")]
    pub port: Option<u16>,
    /// What is done.
    pub probe: Probe,
}

/// What a check does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// A request, and what its answer has to be.
    Http(HttpProbe),
    /// A connection.
    Tcp {},
    /// A TLS handshake.
    Tls {},
    /// A program that the control process runs; only its results come here.
    Exec {
        /// The program and its arguments.
        command: Vec<String>,
    },
}

/// A request, and what its answer has to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpProbe {
    /// Its method.
    pub method: ProbeMethod,
    /// Path and query.
    pub path: String,
    /// `null`: the backend's address.
    #[serde(deserialize_with = "nullable")]
    pub host: Option<String>,
    /// Further fields: names and values.
    pub headers: Vec<(String, String)>,
    /// Statuses from the first to the second one, any of them.
    pub expect_statuses: Vec<(u16, u16)>,
    /// `null`: the body isn't looked at.
    #[serde(deserialize_with = "nullable")]
    pub expect_body: Option<BodyTest>,
    /// Fields of the answer; all must hold.
    pub expect_headers: Vec<(String, HeaderTest)>,
}

/// How the backend is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ProbeMethod {
    /// With a body in the answer.
    Get,
    /// Without.
    Head,
}

/// What is in a body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyTest {
    /// This text, somewhere.
    Text(String),
    /// A match of this, in Rust's syntax.
    Regex(String),
}

/// What holds of a field; of several with the name, of one of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeaderTest {
    /// It is there, or isn't.
    Present(bool),
    /// Its value is this; `*` is anything.
    Pattern(String),
    /// Its value has a match of this, in Rust's syntax.
    Regex(String),
}
