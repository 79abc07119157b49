//! What a pool remembers of its clients: a table, the names of the backends in it, and what others are to be told of it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::names::Names;
use super::table::{Entry, Settled, Table};

/// What a pool remembers of its clients, over reloads.
#[derive(Debug)]
pub struct Memory {
    table: Table,
    names: Mutex<Names>,
    outbox: Option<Outbox>,
}

/// Something that happened to an entry.
#[derive(Clone, Copy, Debug)]
struct Change {
    key: u64,
    from: Option<u16>,
    to: u16,
}

/// Something that happened to an entry, by the ids of backends, as everybody knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Of the client.
    pub key: u64,
    /// Whom it was known to belong to, if it was.
    pub from: Option<Box<str>>,
    /// Whom it belongs to now; the same: it was used again.
    pub to: Box<str>,
}

/// A bounded queue that is written by all workers and read by one other thread. Nobody waits to write into it.
#[derive(Debug)]
struct Outbox {
    send: SyncSender<Change>,
    receive: Mutex<Receiver<Change>>,
    dropped: AtomicU64,
}

/// Changes that wait to be told. At 24 bytes each, and made at once.
const OUTBOX: usize = 16_384;

impl Memory {
    /// For at most `entries`; where it is `shared`, what happens to them is kept to be told.
    #[must_use]
    pub fn new(entries: usize, shared: bool) -> Self {
        let outbox = || {
            let (send, receive) = sync_channel(OUTBOX);
            Outbox { send, receive: Mutex::new(receive), dropped: AtomicU64::new(0) }
        };
        Self { table: Table::new(entries), names: Mutex::default(), outbox: shared.then(outbox) }
    }

    /// The numbers of backends, as entries have them. Of those that are new it is the one that they will have once they are
    /// [entered](Self::enter), until which nothing changes.
    #[must_use]
    pub fn ordinals<'a>(&self, ids: impl Iterator<Item = &'a str> + Clone) -> Vec<u16> {
        self.names().ordinals(ids)
    }

    /// These serve from now on, under the numbers that were said to be theirs.
    pub fn enter<'a>(&self, backends: impl Iterator<Item = (&'a str, u16)>) {
        let mut names = self.names();
        backends.for_each(|(id, ordinal)| names.enter(id, ordinal));
    }

    /// Whom a client belongs to.
    #[must_use]
    pub fn find(&self, key: u64, now: Instant, ttl: Duration) -> Option<u16> {
        let Entry { ordinal, due } = self.table.find(key, now, ttl)?;
        if due {
            self.tell(Change { key, from: Some(ordinal), to: ordinal });
        }
        Some(ordinal)
    }

    /// A client that was known to belong to `from`, or to nobody, was served by `to` and stays there, unless by now it
    /// belongs to somebody else.
    pub fn settle(&self, key: u64, from: Option<u16>, to: u16, now: Instant, ttl: Duration) {
        if self.table.settle(key, from, to, now, ttl) == Settled::Written {
            self.tell(Change { key, from, to });
        }
    }

    /// The backend `to` says itself that a client belongs to it.
    pub fn learn(&self, key: u64, to: u16, now: Instant, ttl: Duration) {
        // One that sets its cookie with every answer tells nothing new.
        if self.find(key, now, ttl) != Some(to) {
            self.table.set(key, to, now, ttl);
            self.tell(Change { key, from: None, to });
        }
    }

    /// Somebody who knows better says whom clients belong to: those of unknown backends are left out.
    pub fn take<'a>(&self, said: impl Iterator<Item = (u64, &'a str)>, now: Instant, ttl: Duration) {
        let names = self.names();
        for (key, id) in said {
            if let Some(ordinal) = names.ordinal(id) {
                self.table.set(key, ordinal, now, ttl);
            }
        }
    }

    /// Whoever is told has forgotten everything: what is used from now on is told once more.
    pub fn renew(&self, now: Instant) {
        self.table.renew(now);
    }

    /// Frees a part of the places of those whose time is over; to be called once a second.
    pub fn sweep(&self, now: Instant, ttl: Duration) {
        self.table.sweep(now, ttl);
    }

    /// The next changes that wait to be told, up to `most`.
    #[must_use]
    pub fn told(&self, most: usize) -> Vec<Told> {
        let Some(outbox) = &self.outbox else { return Vec::new() };
        let receive = outbox.receive.lock().unwrap_or_else(PoisonError::into_inner);
        let names = self.names();
        let name = |ordinal| names.id(ordinal).map(Box::from);
        let changes = receive.try_iter().take(most);
        changes
            .filter_map(|Change { key, from, to }| {
                Some(Told { key, from: from.and_then(name), to: name(to)? })
            })
            .collect()
    }

    /// Changes that nobody was told of, because there were too many.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.outbox.as_ref().map_or(0, |outbox| outbox.dropped.load(Relaxed))
    }

    /// Its entries.
    #[must_use]
    pub fn table(&self) -> &Table {
        &self.table
    }

    #[inline]
    fn tell(&self, change: Change) {
        if let Some(outbox) = &self.outbox
            && outbox.send.try_send(change).is_err()
        {
            outbox.dropped.fetch_add(1, Relaxed);
        }
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_mins(1);

    #[expect(clippy::disallowed_methods, reason = "time has to start somewhere")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn what_changes_is_told_once_and_by_name() {
        let now = start();
        let memory = Memory::new(1_000, true);
        memory.enter([("a", 0), ("b", 1)].into_iter());
        memory.settle(7, None, 0, now, TTL);
        memory.settle(7, None, 1, now, TTL);
        memory.settle(7, Some(0), 1, now, TTL);
        memory.learn(8, 0, now, TTL);
        memory.learn(8, 0, now, TTL);
        let told =
            |key, from: Option<&str>, to: &str| Told { key, from: from.map(Into::into), to: to.into() };
        assert_eq!(memory.told(2), [told(7, None, "a"), told(7, Some("a"), "b")]);
        assert_eq!(memory.told(10), [told(8, None, "a")]);
        let later = now + TTL / 2;
        assert_eq!((memory.find(7, later, TTL), memory.find(7, later, TTL)), (Some(1), Some(1)));
        assert_eq!(memory.told(10), [told(7, Some("b"), "b")]);
    }

    #[test]
    fn what_others_say_holds_and_is_not_told_again() {
        let now = start();
        let memory = Memory::new(1_000, true);
        memory.enter([("a", 0), ("b", 1)].into_iter());
        memory.settle(7, None, 0, now, TTL);
        let _ = memory.told(1);
        memory.take([(7, "b"), (8, "a"), (9, "nobody")].into_iter(), now, TTL);
        assert_eq!([7, 8, 9].map(|key| memory.find(key, now, TTL)), [Some(1), Some(0), None]);
        assert_eq!(memory.told(10), []);
    }

    #[test]
    fn what_is_too_much_to_be_told_is_dropped_and_counted() {
        let now = start();
        let memory = Memory::new(100_000, true);
        memory.enter([("a", 0)].into_iter());
        for key in 0..OUTBOX as u64 + 3 {
            memory.settle(key, None, 0, now, TTL);
        }
        assert_eq!((memory.dropped(), memory.told(usize::MAX).len()), (3, OUTBOX));
    }
}
