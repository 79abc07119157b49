//! One open connection: counted while it lives, and reachable when it has to end.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fairlead_balance::BackendLive;
use fairlead_balance::limit::{Held, Refused};
use fairlead_plan as plan;

use super::limits::Full;
use crate::clock::{self, Deadline, Phase};
use crate::io::Peer;
use crate::published::ListenerCell;
use crate::telemetry::Dropped;

/// The open connections of one listener on one worker.
#[derive(Default)]
pub(crate) struct Connections(RefCell<Slab>);

#[derive(Default)]
struct Slab {
    entries: Vec<Entry>,
    free: Vec<u32>,
}

/// 48 bytes: there may be very many.
#[derive(Default)]
struct Entry {
    deadline: Option<Rc<Deadline>>,
    /// Address of the `BackendLive` it uses now, 0 for none: identity only, never followed.
    backend: usize,
    client: Option<(IpAddr, u16)>,
    /// Seconds from the engine's start to the connection's.
    opened: u32,
    /// Tries of its requests, which is what there is to count at a place that is written anyway.
    requests: u32,
}

/// One open connection, as it is shown.
#[derive(Debug, Clone)]
pub(crate) struct Open {
    /// The client's address and port; one that came by a Unix socket has none.
    pub(crate) client: Option<(IpAddr, u16)>,
    /// How long it is open.
    pub(crate) age: Duration,
    /// What it sent to backends, tries included.
    pub(crate) requests: u32,
    /// What is waited for.
    pub(crate) phase: Option<Phase>,
    /// Address of the `BackendLive` it is with, 0 for none.
    pub(crate) backend: usize,
}

impl Connections {
    fn add(&self) -> u32 {
        let mut slab = self.0.borrow_mut();
        if let Some(slot) = slab.free.pop() {
            return slot;
        }
        slab.entries.push(Entry::default());
        slab.entries.len() as u32 - 1
    }

    fn remove(&self, slot: u32) {
        let mut slab = self.0.borrow_mut();
        slab.entries[slot as usize] = Entry::default();
        slab.free.push(slot);
        if slab.free.len() == slab.entries.len() {
            // A burst's slots are not kept for ever.
            *slab = Slab::default();
        }
    }

    pub(crate) fn len(&self) -> usize {
        let slab = self.0.borrow();
        slab.entries.len() - slab.free.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Those that `wanted` holds for, cloned: a deadline that fires may end a connection and so come back here.
    fn deadlines(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<Rc<Deadline>> {
        let slab = self.0.borrow();
        slab.entries.iter().filter(|entry| wanted(entry)).filter_map(|entry| entry.deadline.clone()).collect()
    }

    /// Has every connection look whether its listener closes: one of HTTP/2 tells its client.
    pub(crate) fn look(&self, now: Instant) {
        for deadline in self.deadlines(|_| true) {
            deadline.look_at(now);
        }
    }

    /// Connections that wait for a request have until `at` at the most.
    pub(crate) fn shorten_idle(&self, at: Instant) {
        for deadline in self.deadlines(|_| true) {
            deadline.bring_forward(Phase::Idle, at);
        }
    }

    /// Cuts every connection.
    pub(crate) fn cut(&self, now: Instant) {
        for deadline in self.deadlines(|_| true) {
            deadline.set(Phase::Stop, now);
        }
    }

    /// Adds those that `wanted` holds for to `into`, until that has `limit`.
    pub(crate) fn show(
        &self,
        (started, now): (Instant, Instant),
        wanted: impl Fn(Option<IpAddr>) -> bool,
        limit: usize,
        mut into: impl FnMut(Open) -> usize,
    ) {
        let running = now.saturating_duration_since(started);
        for entry in &self.0.borrow().entries {
            let Some(deadline) = &entry.deadline else { continue };
            if !wanted(entry.client.map(|(address, _)| address)) {
                continue;
            }
            let listed = into(Open {
                client: entry.client,
                age: running.saturating_sub(Duration::from_secs(entry.opened.into())),
                requests: entry.requests,
                phase: deadline.waits_for(),
                backend: entry.backend,
            });
            if listed >= limit {
                return;
            }
        }
    }

    /// Cuts every connection whose request or tunnel is with `backend`.
    pub(crate) fn cut_backend(&self, backend: &Arc<BackendLive>, now: Instant) {
        let identity = Arc::as_ptr(backend) as usize;
        for deadline in self.deadlines(|entry| entry.backend == identity) {
            deadline.set(Phase::Stop, now);
        }
    }
}

/// Keeps one connection counted, by process, listener and client; dropped with the connection.
pub(crate) struct ConnectionGuard {
    cell: Rc<ListenerCell>,
    slot: u32,
    /// Its place in its client's count.
    client: Option<Held>,
    counts: Counts,
}

/// What a guard is counted as.
#[derive(Clone, Copy)]
enum Counts {
    Connection,
    /// A session of datagrams.
    Session,
    /// A stream of a connection, which is counted itself.
    Nothing,
}

impl ConnectionGuard {
    /// Takes a place for a session of datagrams of `client`, which doesn't wait for one.
    pub(crate) fn begin_session(
        cell: &Rc<ListenerCell>,
        listener: &plan::Listener,
        client: IpAddr,
    ) -> Result<Self, Dropped> {
        cell.live.enter_session(listener).map_err(|full| match full {
            Full::Process => Dropped::Resources,
            Full::Listener => Dropped::MaxSessions,
        })?;
        let mut guard = Self::new(cell);
        guard.counts = Counts::Session;
        guard.is_of(listener, client).map_err(|refused| match refused {
            Refused::ClientLimit => Dropped::ClientLimit,
            Refused::TableFull => Dropped::Clients,
        })?;
        Ok(guard)
    }

    /// Takes over the place that was taken of the listener's.
    pub(super) fn new(cell: &Rc<ListenerCell>) -> Self {
        let slot = cell.connections().add();
        Self { cell: Rc::clone(cell), slot, client: None, counts: Counts::Connection }
    }

    /// For a stream of this connection: reachable by itself, and not counted.
    pub(crate) fn beside(&self) -> Self {
        let slot = self.cell.connections().add();
        Self { cell: Rc::clone(&self.cell), slot, client: None, counts: Counts::Nothing }
    }

    /// Counts it as `client`'s too, if that one may have one more.
    pub(super) fn is_of(&mut self, listener: &plan::Listener, client: IpAddr) -> Result<(), Refused> {
        self.client = self.cell.live.client(listener, client)?;
        Ok(())
    }

    /// By which it came.
    #[inline]
    pub(crate) fn listener(&self) -> &Rc<ListenerCell> {
        &self.cell
    }

    /// Makes the connection's deadline reachable, so that a drain can shorten its waiting and cut it at the end
    /// (by [`Phase::Stop`]), and says whose it is. To be called before the connection first waits.
    pub(crate) fn watch(&self, deadline: &Rc<Deadline>, peer: Peer, started: Instant) {
        let opened = clock::now().saturating_duration_since(started).as_secs();
        self.entry(|entry| {
            entry.deadline = Some(Rc::clone(deadline));
            entry.opened = u32::try_from(opened).unwrap_or(u32::MAX);
            entry.client = match peer {
                Peer::Ip(address) => Some((address.ip(), address.port())),
                Peer::Unix => None,
            };
        });
    }

    /// Says which backend the connection's request or tunnel is with now, so that a removed backend's last requests
    /// can be cut at its drain's end; `None` between requests.
    #[inline]
    pub(crate) fn uses(&self, backend: Option<&Arc<BackendLive>>) {
        self.entry(|entry| {
            entry.backend = backend.map_or(0, |live| Arc::as_ptr(live) as usize);
            entry.requests = entry.requests.wrapping_add(u32::from(backend.is_some()));
        });
    }

    fn entry(&self, change: impl FnOnce(&mut Entry)) {
        let mut slab = self.cell.connections().0.borrow_mut();
        change(&mut slab.entries[self.slot as usize]);
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.cell.connections().remove(self.slot);
        if let Some(held) = self.client.take() {
            self.cell.live.client_left(held);
        }
        match self.counts {
            Counts::Connection => self.cell.live.leave(),
            Counts::Session => self.cell.live.leave_session(),
            Counts::Nothing => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_connection_for_others_is_small() {
        assert!(size_of::<Entry>() <= 48, "an entry takes {} B", size_of::<Entry>());
    }
}
