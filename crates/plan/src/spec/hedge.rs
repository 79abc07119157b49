//! Which requests get a second try beside the first, in a description.

use serde::{Deserialize, Serialize};

/// When a second try is made beside the first. Only requests with a safe method and without a body have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hedge {
    /// After what time.
    pub after: HedgeAfter,
    /// Second tries, in thousandths of the requests that could have one, 0 to 1000.
    pub budget_thousandths: u32,
}

/// After what time a second try is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HedgeAfter {
    /// That of the pool's answers, 50 to 99.
    Percentile(u8),
    /// At least 1.
    Ms(u64),
}
