//! Idle connections of one worker: newest first, so that the surplus of a peak grows old and is closed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use fairlead_balance::BackendLive;
use fairlead_plan::{Backend, IdleOptions};

use crate::upstream::Connection;

/// By the backend's connection key.
#[derive(Default)]
pub(super) struct Idle {
    shelves: HashMap<u64, Shelf, foldhash::fast::RandomState>,
}

/// What is kept for one key; in the order in which it became idle.
struct Shelf {
    live: Arc<BackendLive>,
    connections: Vec<Kept>,
}

struct Kept {
    connection: Connection,
    until: Instant,
}

impl Idle {
    pub(super) fn take(&mut self, backend: &Backend, now: Instant) -> Option<Connection> {
        let Shelf { live, connections } = self.shelves.get_mut(&backend.key)?;
        while let Some(kept) = connections.pop() {
            live.drop_idle();
            if kept.is_good(now) {
                return Some(kept.connection);
            }
        }
        None
    }

    /// Whether it was kept.
    pub(super) fn keep(
        &mut self,
        backend: &Backend,
        mut connection: Connection,
        options: &IdleOptions,
        now: Instant,
    ) -> bool {
        connection.count_use();
        let worn = options.max_uses.is_some_and(|most| connection.uses() >= most);
        if worn
            || !connection.input.is_empty()
            || !connection.stream.is_quiet()
            || !backend.live.try_keep_idle(options.max)
        {
            return false;
        }
        connection.input.release();
        self.shelves
            .entry(backend.key)
            .or_insert_with(|| Shelf { live: Arc::clone(&backend.live), connections: Vec::new() })
            .connections
            .push(Kept { connection, until: now + options.timeout });
        true
    }

    pub(super) fn retain(&mut self, valid: impl Fn(u64) -> bool) {
        self.shelves.retain(|key, _| valid(*key));
    }

    pub(super) fn keep_newest(&mut self, most: usize) {
        let mut surplus = self.len().saturating_sub(most);
        for shelf in self.shelves.values_mut() {
            let closed = surplus.min(shelf.connections.len());
            surplus -= closed;
            for _ in shelf.connections.drain(..closed) {
                shelf.live.drop_idle();
            }
        }
    }

    /// Closes what isn't good any more; returns when the next of the rest is over.
    pub(super) fn sweep(&mut self, now: Instant) -> Option<Instant> {
        self.shelves.values_mut().filter_map(|shelf| shelf.sweep(now)).min()
    }

    pub(super) fn len(&self) -> usize {
        self.shelves.values().map(|shelf| shelf.connections.len()).sum()
    }
}

impl Shelf {
    fn sweep(&mut self, now: Instant) -> Option<Instant> {
        let live = &self.live;
        self.connections.retain(|kept| {
            let good = kept.is_good(now);
            if !good {
                live.drop_idle();
            }
            good
        });
        self.connections.iter().map(|kept| kept.until).min()
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        for _ in &self.connections {
            self.live.drop_idle();
        }
    }
}

impl Kept {
    fn is_good(&self, now: Instant) -> bool {
        now < self.until && !self.connection.stream.is_stale()
    }
}
