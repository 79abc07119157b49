//! What happened that somebody may want to know at once. A bounded queue with one reader; while nobody reads, the
//! oldest are dropped and counted.
#![allow(missing_docs, reason = "a field is named as it is read in the JSON")]

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::Notify;

use super::stats::Condition;
use super::timestamp::unix_millis;
use crate::clock;

/// Enough for a reload of a thousand backends; 100 KiB or so.
const CAPACITY: usize = 1024;

/// Something that happened, with the time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    #[serde(flatten)]
    pub what: What,
    /// Milliseconds since 1970.
    pub at_ms: u64,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    /// A Plan is served, and the health of all its backends is known, for the first time.
    Ready {},
    /// A Plan is served by every worker.
    Applied { version: u64 },
    /// A backend takes requests.
    BackendJoined { pool: String, backend: String },
    /// A backend that was removed has no requests any more; `cut` of them were ended by its pool's drain time.
    BackendLeft { pool: String, backend: String, cut: u64 },
    /// Its check, its traffic or an operator has made a backend something else.
    BackendState { pool: String, backend: String, from: Condition, to: Condition, reason: Cow<'static, str> },
    /// The store in which nodes share whom clients belong to is there, or isn't; pools serve by what they remember
    /// themselves.
    AffinityStore { connected: bool, reason: String },
    /// A backend that an operator drains or disabled has no requests any more; `cut` of them were ended.
    BackendDrained { pool: String, backend: String, cut: u64 },
    /// A listener that was removed has no connections any more; `cut` of them were ended by the drain time.
    ListenerDrained { listener: String, cut: u64 },
    /// A connection's task panicked; its connection was closed, the worker goes on.
    WorkerPanic { worker: usize, message: String },
    /// New connections wait in the kernel's queue.
    AcceptPaused { listener: String, bind: String, reason: String },
    /// They are accepted again.
    AcceptResumed { listener: String, bind: String },
    /// New connections are answered with 503: the process is above its `max_memory`.
    MemoryPressure { rss_bytes: u64, max_bytes: u64 },
    /// It is below again.
    MemoryRelieved { rss_bytes: u64, max_bytes: u64 },
    /// The access log can't be written; its lines are dropped and counted until it can.
    LogError { message: String },
    /// There is no handshake with a backend, or for another reason than before.
    BackendTlsFailed { pool: String, backend: String, reason: String },
    /// A backend's circuit breaker opened: it gets nothing for its pool's `circuit_breaker.open`.
    BreakerOpened { pool: String, backend: String },
    /// Its trial was answered well.
    BreakerClosed { pool: String, backend: String },
    /// Something that was not asked for now failed; the message says what to do.
    Trouble { message: String },
}

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct Events {
    queue: Mutex<VecDeque<Event>>,
    dropped: AtomicU64,
    arrived: Condvar,
    arrived_async: Notify,
}

impl Events {
    fn queue(&self) -> MutexGuard<'_, VecDeque<Event>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues an event; never waits for its reader.
    pub(crate) fn push(&self, what: What) {
        let event = Event { what, at_ms: unix_millis(clock::wall()) };
        let mut queue = self.queue();
        if queue.len() == CAPACITY {
            queue.pop_front();
            self.dropped.fetch_add(1, Relaxed);
        }
        queue.push_back(event);
        drop(queue);
        self.arrived.notify_one();
        self.arrived_async.notify_one();
    }

    /// The next one, waiting for it up to `timeout`.
    pub(crate) fn next(&self, timeout: Duration) -> Option<Event> {
        let until: Option<Instant> = clock::now().checked_add(timeout);
        let mut queue = self.queue();
        loop {
            if let Some(event) = queue.pop_front() {
                return Some(event);
            }
            let left = until.map_or(timeout, |until| until.saturating_duration_since(clock::now()));
            if left.is_zero() {
                return None;
            }
            queue = self.arrived.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The next one, whenever it comes.
    pub(crate) async fn recv(&self) -> Event {
        loop {
            let arrived = self.arrived_async.notified();
            let event = self.queue().pop_front();
            if let Some(event) = event {
                return event;
            }
            arrived.await;
        }
    }

    /// How many were dropped because nobody read them.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unread_events_are_dropped_oldest_first_and_counted() {
        let events = Events::default();
        for version in 0..CAPACITY as u64 + 3 {
            events.push(What::Applied { version });
        }
        assert_eq!(events.dropped(), 3);
        assert_eq!(events.next(Duration::ZERO).unwrap().what, What::Applied { version: 3 });
    }

    #[test]
    fn no_event_is_none_when_the_time_is_over() {
        assert_eq!(Events::default().next(Duration::from_millis(1)), None);
    }

    #[test]
    fn an_event_is_flat_json_with_its_kind() {
        let event = Event { what: What::ListenerDrained { listener: "web".into(), cut: 0 }, at_ms: 5 };
        let expected =
            serde_json::json!({"kind": "listener_drained", "listener": "web", "cut": 0, "at_ms": 5});
        assert_eq!(serde_json::to_value(event).unwrap(), expected);
    }
}
