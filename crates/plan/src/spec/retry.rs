//! Which requests are tried again, in a description.

use serde::{Deserialize, Serialize};

use super::nullable;

/// Which requests are tried again, and how often.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// After a connection that was not made; for any request.
    pub connect_failure: bool,
    /// After a connection that broke before the answer.
    pub reset: bool,
    /// After answers with these statuses, 400 to 599.
    pub statuses: Vec<u16>,
    /// All tries together, 1 to 32.
    pub attempts: u8,
    /// The longest that one try may take until the head of its answer.
    #[serde(deserialize_with = "nullable")]
    pub per_try_timeout_ms: Option<u64>,
    /// Tries again, in thousandths of the pool's requests, 0 to 1000.
    pub budget_thousandths: u32,
    /// The first ceiling of the wait before a try again; 0 is at once.
    pub backoff_ms: u64,
    /// Which requests may be done twice.
    pub methods: RetryMethods,
    /// Bytes of a request's body, as received, that are kept for a further try.
    pub replay_bytes: u64,
}

/// Which requests may be done twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryMethods {
    /// GET, HEAD, OPTIONS and TRACE (RFC 9110 9.2.1).
    Safe,
    /// PUT and DELETE too (RFC 9110 9.2.2).
    Idempotent,
}
