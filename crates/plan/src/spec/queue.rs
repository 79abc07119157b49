//! Requests that wait for room, in a description.

use serde::{Deserialize, Serialize};

use super::nullable;

/// How many requests wait while every backend is full, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    /// Over all workers; at least 1.
    pub size: u32,
    /// The longest wait of one.
    pub timeout_ms: u64,
    /// The name of the field whose number says who comes first; `null`: first come, first served.
    #[serde(deserialize_with = "nullable")]
    pub priority: Option<String>,
}
