//! What pools remember of their clients and other nodes are to know: told to the control process, and taken from it.
//!
//! Nothing here is waited for by a request: pools serve by what they remember themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::Instant;

use fairlead_balance::affinity::Told;
use fairlead_plan::{Affinity, Book, Pool};
use serde::{Deserialize, Serialize};

use super::shared::Shared;
use crate::clock;
use crate::telemetry::What;

/// Changes of one pool in a frame.
const MOST_TOLD: usize = 4_096;

/// What a pool has to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// The pool.
    pub pool: String,
    /// Key, whom it belonged to before, whom it belongs to now (the same: it was used again).
    pub changes: Vec<(Key, Option<Box<str>>, Box<str>)>,
}

/// What others say.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// Whom clients belong to, by pool.
    #[serde(default)]
    pub pools: Vec<Entries>,
    /// Whether the store is there in which nodes share this.
    pub store: Option<StoreState>,
}

/// Entries of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entries {
    /// The pool.
    pub pool: String,
    /// Key, and whom it belongs to.
    pub entries: Vec<(Key, String)>,
}

/// Whether the store is there.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreState {
    /// It is.
    pub connected: bool,
    /// Why not.
    #[serde(default)]
    pub reason: String,
}

/// A key in hexadecimal: JSON's numbers don't hold 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key(pub u64);

impl Serialize for Key {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:016x}", self.0))
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16).map(Self).map_err(serde::de::Error::custom)
    }
}

/// What is known of the store.
#[derive(Debug, Default)]
pub(crate) struct Store(AtomicU8);

impl Store {
    const AWAY: u8 = 1;
    const CONNECTED: u8 = 2;

    /// Whether it is there; `None` while nobody has said anything.
    pub(crate) fn is_connected(&self) -> Option<bool> {
        match self.0.load(Relaxed) {
            Self::AWAY => Some(false),
            Self::CONNECTED => Some(true),
            _ => None,
        }
    }

    /// Returns whether that is news.
    fn turn(&self, connected: bool) -> bool {
        let state = if connected { Self::CONNECTED } else { Self::AWAY };
        self.0.swap(state, Relaxed) != state
    }
}

impl Shared {
    /// What changed since this was asked last, a part of it if it is much.
    pub(crate) fn affinity_changes(&self) -> Vec<Changes> {
        let told = |pool: &Arc<Pool>| {
            let changes = shared_book(pool)?.memory.told(MOST_TOLD);
            let changes: Vec<_> =
                changes.into_iter().map(|Told { key, from, to }| (Key(key), from, to)).collect();
            (!changes.is_empty()).then(|| Changes { pool: pool.name.to_string(), changes })
        };
        let plan = self.state().plan.clone();
        plan.iter().flat_map(|plan| &plan.pools).filter_map(told).collect()
    }

    /// Frees places of clients whose time is over, a part of each table at a time.
    pub(crate) fn forget_clients(&self, now: Instant) {
        let Some(plan) = self.state().plan.clone() else { return };
        for book in plan.pools.iter().filter_map(|pool| pool.affinity.as_ref()?.book()) {
            book.memory.sweep(now, book.ttl);
        }
    }

    /// Takes what others say. Pools that aren't there, or don't share, are left out.
    pub(crate) fn affinity(&self, said: &Said) {
        let Some(plan) = self.state().plan.clone() else { return };
        let now = clock::now();
        for Entries { pool, entries } in &said.pools {
            let known = plan.pools.iter().find(|known| *known.name == **pool);
            if let Some(book) = known.and_then(|pool| shared_book(pool)) {
                let entries = entries.iter().map(|(key, backend)| (key.0, backend.as_str()));
                book.memory.take(entries, now, book.ttl);
            }
        }
        let Some(StoreState { connected, reason }) = said.store.clone() else { return };
        if connected {
            // It may have lost what it was told, and was told nothing while it, or the control process, was away.
            let books = plan.pools.iter().filter_map(|pool| shared_book(pool));
            books.for_each(|book| book.memory.renew(now));
        }
        if self.affinity_store.turn(connected) {
            self.events.push(What::AffinityStore { connected, reason });
        }
    }
}

fn shared_book(pool: &Pool) -> Option<&Book> {
    pool.affinity.as_ref().and_then(Affinity::book).filter(|book| book.shared)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_are_hexadecimal_and_come_back() {
        let key = Key(0x0123_4567_89ab_cdef);
        assert_eq!(serde_json::to_value(key).unwrap(), json!("0123456789abcdef"));
        let said: Said = serde_json::from_value(json!({
            "pools": [{"pool": "app", "entries": [["0123456789abcdef", "b"]]}], "store": {"connected": true},
        }))
        .unwrap();
        assert_eq!(said.pools[0].entries, [(key, "b".to_owned())]);
        assert!(
            serde_json::from_value::<Said>(json!({"pools": [{"pool": "a", "entries": [["x", "b"]]}]}))
                .is_err()
        );
    }

    #[test]
    fn only_what_changes_is_news() {
        let store = Store::default();
        assert_eq!(store.is_connected(), None);
        assert!(store.turn(false) && !store.turn(false) && store.turn(true));
        assert_eq!(store.is_connected(), Some(true));
    }
}
