//! How many connections may be open, in all, by listener, by client. What outlives a Plan hangs on the listener's name.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fairlead_balance::limit::{Held, PerClient, Refused, Slots};
use fairlead_plan as plan;
use tokio::sync::Notify;

/// A paused acceptor looks again after this, whatever it was told: 100 ms is the granularity of every limit.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Different clients that a listener with a limit for each counts at once: 8 MiB of memory at the most, whatever the
/// limit of descriptors is. Where connections can't be as many, their number is enough.
const MOST_CLIENTS: u32 = 262_144;

/// A count with a maximum, and those who wait for it to fall.
#[derive(Debug, Default)]
struct Capacity {
    slots: Slots,
    waiting: AtomicU32,
    freed: Notify,
}

impl Capacity {
    fn give(&self) {
        self.slots.give();
        // Nobody waits in the ordinary case: one load of a line that was just written.
        if self.waiting.load(Relaxed) > 0 {
            self.freed.notify_waiters();
        }
    }

    async fn wait(&self) {
        self.waiting.fetch_add(1, Relaxed);
        let _ = tokio::time::timeout(LOOK_AGAIN, self.freed.notified()).await;
        self.waiting.fetch_sub(1, Relaxed);
    }
}

/// Connections and sessions of the whole process. A session of datagrams needs a descriptor only towards its backend, so
/// two of them take the place of one connection.
#[derive(Debug)]
pub(crate) struct ProcessLimit {
    capacity: Capacity,
    sessions: Slots,
    max: u32,
}

impl ProcessLimit {
    pub(crate) fn new(max: u32) -> Arc<Self> {
        Arc::new(Self { capacity: Capacity::default(), sessions: Slots::default(), max })
    }

    /// Client connections now, and sessions of datagrams.
    pub(crate) fn open(&self) -> u32 {
        self.capacity.slots.taken().saturating_add(self.sessions.taken())
    }

    fn try_take(&self) -> bool {
        self.capacity.slots.try_take(self.max.saturating_sub(self.sessions.taken() / 2))
    }

    /// Kinds may overshoot by what others take at this moment, which the descriptors kept aside are for.
    fn try_take_session(&self) -> bool {
        let left = self.max.saturating_sub(self.capacity.slots.taken());
        self.sessions.try_take(left.saturating_mul(2))
    }

    /// Client connections at the most.
    pub(crate) fn max(&self) -> u32 {
        self.max
    }
}

/// What is known about a listener over its Plans: how many connections it has, and of whom.
#[derive(Debug)]
pub(crate) struct ListenerLive {
    pub(crate) name: Arc<str>,
    process: Arc<ProcessLimit>,
    capacity: Capacity,
    clients: OnceLock<PerClient>,
}

/// Which limit a new connection has to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    Process,
    Listener,
}

impl ListenerLive {
    pub(crate) fn new(name: Arc<str>, process: Arc<ProcessLimit>) -> Arc<Self> {
        Arc::new(Self { name, process, capacity: Capacity::default(), clients: OnceLock::new() })
    }

    /// Open connections, or sessions, of this listener.
    pub(crate) fn connections(&self) -> u32 {
        self.capacity.slots.taken()
    }

    /// Takes a place for a connection that is about to be accepted.
    pub(super) fn enter(&self, listener: &plan::Listener) -> Result<(), Full> {
        if !self.process.try_take() {
            return Err(Full::Process);
        }
        if !self.take_own(listener) {
            self.process.capacity.give();
            return Err(Full::Listener);
        }
        Ok(())
    }

    /// Takes a place for a session of datagrams.
    pub(super) fn enter_session(&self, listener: &plan::Listener) -> Result<(), Full> {
        if !self.process.try_take_session() {
            return Err(Full::Process);
        }
        if !self.take_own(listener) {
            self.process.sessions.give();
            return Err(Full::Listener);
        }
        Ok(())
    }

    fn take_own(&self, listener: &plan::Listener) -> bool {
        let max = listener.max_connections.map_or(u32::MAX, |max| u32::try_from(max).unwrap_or(u32::MAX));
        self.capacity.slots.try_take(max)
    }

    /// Gives the place back.
    pub(super) fn leave(&self) {
        self.capacity.give();
        self.process.capacity.give();
    }

    /// Gives a session's place back.
    pub(super) fn leave_session(&self) {
        self.capacity.give();
        self.process.sessions.give();
    }

    /// Waits until a place may be free.
    pub(super) async fn wait(&self, full: Full) {
        match full {
            Full::Process => self.process.capacity.wait().await,
            Full::Listener => self.capacity.wait().await,
        }
    }

    /// Counts a connection of `client`, if there is a limit.
    pub(super) fn client(&self, listener: &plan::Listener, client: IpAddr) -> Result<Option<Held>, Refused> {
        let Some(max) = listener.max_connections_per_client else { return Ok(None) };
        let clients = self.process.max.min(MOST_CLIENTS) as usize;
        let table = self.clients.get_or_init(|| PerClient::new(clients, fastrand::u64(..)));
        table.try_take(client, u32::try_from(max).unwrap_or(u32::MAX)).map(Some)
    }

    pub(super) fn client_left(&self, held: Held) {
        if let Some(table) = self.clients.get() {
            table.give(held);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sessions_of_datagrams_take_the_place_of_a_connection() {
        let limit = ProcessLimit::new(2);
        assert!(limit.try_take());
        assert!(limit.try_take_session() && limit.try_take_session());
        assert!(!limit.try_take_session() && !limit.try_take());
        limit.sessions.give();
        assert!(limit.try_take_session());
        assert_eq!(limit.open(), 3);
    }
}
