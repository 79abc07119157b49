//! How clients are kept at their backends, in a description.

use serde::{Deserialize, Serialize};

use super::{KeyPart, nullable};

/// How clients are kept at their backends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Affinity {
    /// By what a client is known.
    pub by: AffinityKey,
    /// What becomes of a client whose backend can't have it.
    pub on_failure: OnFailure,
}

/// By what a client is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AffinityKey {
    /// By a cookie of ours.
    Cookie(AffinityCookie),
    /// By the value of the first field of this name: equal ones go to the same backend.
    Header(String),
    /// By a cookie of the backends' own, whose values are learnt from their answers.
    Learn(AffinityLearn),
    /// By a key of the request: whom it went to first is remembered.
    Table(AffinityTable),
}

/// A cookie that backends set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AffinityLearn {
    /// A token.
    pub response_cookie: String,
    /// How long a value is remembered after its last use; at least a second.
    pub ttl_ms: u64,
    /// The most values that are remembered.
    pub max_entries: u64,
}

/// Keys and the backends that their first requests went to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AffinityTable {
    /// What the key is made of, one part at least.
    pub key: Vec<KeyPart>,
    /// How long a key is remembered after its last use; at least a second.
    pub ttl_ms: u64,
    /// The most keys that are remembered.
    pub max_entries: u64,
    /// What changes is told to the control process, which shares it with other nodes.
    pub shared: bool,
}

/// A cookie that names a backend.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AffinityCookie {
    /// A token.
    pub name: String,
    /// How long it lasts after the last answer; `null`: until the browser is closed.
    #[serde(deserialize_with = "nullable")]
    pub ttl_s: Option<u64>,
    /// When it is sent over encrypted connections only.
    pub secure: SecureCookie,
    /// With which requests from other sites it is sent.
    pub same_site: SameSite,
    /// Below which path it is sent.
    pub path: String,
    /// To which host and all below it; `null`: to the one that set it.
    #[serde(deserialize_with = "nullable")]
    pub domain: Option<String>,
    /// What its values are made with. `null`: with what is given to the [`Live`](fairlead_balance::Live) of the Plan.
    #[serde(deserialize_with = "nullable")]
    pub secret: Option<String>,
}

impl std::fmt::Debug for AffinityCookie {
    /// Without the secret.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("AffinityCookie").field("name", &self.name).finish_non_exhaustive()
    }
}

/// When a cookie is sent over encrypted connections only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecureCookie {
    /// When it was set over one.
    Auto,
    /// Ever.
    Always,
    /// Not at all.
    Never,
}

/// With which requests from other sites a cookie is sent (RFC 6265bis 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SameSite {
    /// With those that open a page.
    Lax,
    /// With none.
    Strict,
    /// With all.
    None,
}

/// What becomes of a client whose backend can't have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// It goes to another one, and stays there.
    Rebalance,
    /// Its request is answered with 503.
    Fail,
}
