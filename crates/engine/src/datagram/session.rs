//! One session: a client's datagrams go to its backend, and what comes back is the client's. Its task waits for that, and for
//! the time at which it is over.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use fairlead_balance::health::Report;
use fairlead_plan::spec::UdpOptions;

use super::end;
use super::path::Path;
use super::receiver::{Message, Receiver, Terms};
use super::replies::Came;
use super::upstream::{Search, Trouble, Upstream, refused};
use crate::clock::{self, Deadline, Phase};
use crate::io::Peer;
use crate::listener::ConnectionGuard;
use crate::published::{ListenerCell, LocalRoute};
use crate::stream::judge;
use crate::telemetry::{Dropped, End, Record};
use crate::unix::datagrams;
use crate::worker::Worker;

/// Calls for replies in one turn, before others have theirs.
const CALLS: usize = 4;
/// How often one datagram is sent: each time its backend refused, another is asked.
const TRIES: usize = 4;

/// A session of a client with a backend.
pub(super) struct Session {
    worker: Rc<Worker>,
    receiver: Rc<Receiver>,
    path: Path,
    deadline: Rc<Deadline>,
    /// Nothing when it is over.
    life: RefCell<Option<Life>>,
    /// Of its task, which has to look at another socket, or to end.
    waker: RefCell<Option<Waker>>,
}

/// What lives as long as the session.
struct Life {
    upstream: Upstream,
    route: LocalRoute,
    figures: Figures,
    guard: ConnectionGuard,
}

/// What is reported of it when it is over.
struct Figures {
    began: Instant,
    first_reply: Option<Duration>,
    /// Backends it had.
    tries: u32,
    up: u64,
    down: u64,
    count: Count,
}

/// Who still waits for whom.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    asked: u64,
    answered: u64,
}

impl Count {
    /// Whether every datagram has had its replies, where that ends a session.
    fn is_complete(self, udp: UdpOptions) -> bool {
        let wanted = udp.responses.map(|responses| self.asked.saturating_mul(responses.into()));
        wanted.is_some_and(|wanted| self.answered >= wanted)
    }
}

impl Session {
    /// A new session, if there may be one more and a backend takes it.
    pub(super) fn begin(
        worker: &Rc<Worker>,
        receiver: &Rc<Receiver>,
        terms: &Terms,
        path: Path,
    ) -> Result<Rc<Self>, Dropped> {
        if worker.shared.is_short_of_memory() {
            return Err(Dropped::Memory);
        }
        let peer = path.peer();
        let guard = ConnectionGuard::begin_session(&terms.cell, &terms.listener.plan, peer.ip())?;
        let route = terms.route().clone();
        let upstream = search(worker, &path, &route, terms.udp).find(None)?;
        let deadline = Rc::new(worker.wheel.deadline());
        guard.watch(&deadline, Peer::Ip(peer), worker.shared.began);
        guard.uses(Some(&upstream.slot.backend().live));
        terms.counters().accepted.add(1);
        let figures = Figures {
            began: terms.now,
            first_reply: None,
            tries: 1,
            up: 0,
            down: 0,
            count: Count::default(),
        };
        let session = Rc::new(Self {
            worker: Rc::clone(worker),
            receiver: Rc::clone(receiver),
            path,
            deadline,
            life: RefCell::new(Some(Life { upstream, route, figures, guard })),
            waker: RefCell::new(None),
        });
        // Dropping the handle detaches the task: it ends with its session, or with the worker.
        drop(tokio::task::spawn_local(Task(Rc::clone(&session))));
        Ok(session)
    }

    /// Whether it came by this listener.
    pub(super) fn is_of(&self, cell: &Rc<ListenerCell>) -> bool {
        self.life.borrow().as_ref().is_some_and(|life| Rc::ptr_eq(life.guard.listener(), cell))
    }

    /// Sends what its client sent to its backend, or to another if that is to be left.
    pub(super) fn forward(&self, terms: &Terms, message: &Message<'_>) {
        let mut life = self.life.borrow_mut();
        let Some(alive) = life.as_mut() else { return };
        self.goes_on(terms.udp, terms.now);
        let drop_it = |why| terms.counters().datagrams().drop(why, message.datagrams);
        if !alive.upstream.holds(&terms.members)
            && let Err(why) = self.go_elsewhere(alive, terms)
        {
            drop_it(why);
            drop(life);
            return self.end(end::NO_BACKEND);
        }
        for _ in 0..TRIES {
            match datagrams::send(alive.upstream.socket.get_ref().as_fd(), message.bytes, message.segment) {
                Ok(()) => return alive.sent(message),
                Err(error) => match Trouble::from(&error) {
                    Trouble::Refused => self.refused(alive, terms),
                    Trouble::Drop(why) => return drop_it(why),
                },
            }
        }
        drop_it(Dropped::NoBackend);
    }

    /// Nobody is at its backend. If no other takes it, it stays: somebody may be there again soon.
    fn refused(&self, alive: &mut Life, terms: &Terms) {
        refused(&alive.upstream.slot, &self.worker, &alive.route);
        alive.upstream.spoke = false;
        let _ = self.go_elsewhere(alive, terms);
    }

    /// Has another backend from now on, by the listener's pool of now.
    fn go_elsewhere(&self, alive: &mut Life, terms: &Terms) -> Result<(), Dropped> {
        let route = terms.route().clone();
        let search = search(&self.worker, &self.path, &route, terms.udp);
        alive.upstream = search.find(Some(alive.upstream.slot.backend()))?;
        alive.route = route;
        alive.figures.tries += 1;
        alive.guard.uses(Some(&alive.upstream.slot.backend().live));
        terms.counters().datagrams().moved.add(1);
        self.wake();
        Ok(())
    }

    /// Something moved: it isn't over before it has been silent for as long again.
    fn goes_on(&self, udp: UdpOptions, now: Instant) {
        self.deadline.set(Phase::Tunnel, now + Duration::from_millis(udp.session_timeout_ms));
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// It is over. Whatever its client sends from now on is another session.
    pub(super) fn end(&self, end: End) {
        let Some(life) = self.life.take() else { return };
        self.receiver.forget(&self.path);
        life.report(&self.worker, &self.path, end);
        drop(life);
        self.wake();
    }

    /// Ready when it is over.
    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        if let Poll::Ready(phase) = self.deadline.poll_expired(cx) {
            self.end(end::timed_out(phase));
            return Poll::Ready(());
        }
        self.waker.borrow_mut().replace(cx.waker().clone());
        for _ in 0..CALLS {
            match self.poll_replies(cx) {
                Poll::Ready(Some(end)) => {
                    self.end(end);
                    return Poll::Ready(());
                }
                Poll::Ready(None) if self.life.borrow().is_none() => return Poll::Ready(()),
                Poll::Ready(None) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes replies once; ready with why the session is over, if it is.
    fn poll_replies(&self, cx: &mut Context<'_>) -> Poll<Option<End>> {
        let mut life = self.life.borrow_mut();
        let Some(alive) = life.as_mut() else { return Poll::Ready(None) };
        let socket = &alive.upstream.socket;
        let ready = match socket.poll_read_ready(cx) {
            // What ICMP says makes a socket that is only read ready for writing, and nothing else does.
            Poll::Pending => socket.poll_write_ready(cx),
            ready @ Poll::Ready(_) => ready,
        };
        let Ok(mut ready) = std::task::ready!(ready) else { return Poll::Ready(Some(end::CLOSED)) };
        let taken = self.worker.datagrams.replies.borrow_mut().take(&self.receiver, socket, &self.path);
        if !matches!(taken, Ok(Came { all: false, .. })) {
            // What comes from now on, an error too, makes it ready again.
            ready.clear_ready();
        }
        drop(ready);
        let Some(terms) = Terms::of(alive.guard.listener(), clock::now()) else { return Poll::Ready(None) };
        match taken {
            Ok(came) => {
                self.goes_on(terms.udp, terms.now);
                self.worker.datagrams.will_send();
                Poll::Ready(alive.came(came, &self.worker, &terms))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Ready(None),
            Err(error) => {
                if Trouble::from(&error) == Trouble::Refused {
                    self.refused(alive, &terms);
                }
                Poll::Ready(None)
            }
        }
    }
}

impl Life {
    fn sent(&mut self, message: &Message<'_>) {
        let bytes = message.bytes.len() as u64;
        self.figures.up += bytes;
        self.figures.count.asked += message.datagrams;
        let counters = self.upstream.slot.counters();
        counters.bytes_out.add(bytes);
        counters.datagrams_out.add(message.datagrams);
    }

    /// Why the session is over now, if it is.
    fn came(&mut self, came: Came, worker: &Rc<Worker>, terms: &Terms) -> Option<End> {
        let Came { datagrams, bytes, .. } = came;
        self.figures.down += bytes;
        self.figures.count.answered += datagrams;
        let slot = &self.upstream.slot;
        slot.counters().bytes_in.add(bytes);
        slot.counters().datagrams_in.add(datagrams);
        if !self.upstream.spoke {
            self.upstream.spoke = true;
            let took = terms.now.saturating_duration_since(self.figures.began);
            if self.figures.first_reply.is_none() {
                self.figures.first_reply = Some(took);
                slot.took(took, terms.now);
            }
            judge(worker, slot, Report::Answered, &self.route.pool.plan);
        }
        self.figures.count.is_complete(terms.udp).then_some(end::ANSWERED)
    }

    fn report(&self, worker: &Worker, path: &Path, end: End) {
        let listener = self.guard.listener().current();
        let Figures { began, first_reply, tries, up, down, .. } = self.figures;
        let record = Record {
            listener: &listener,
            route: Some(&self.route),
            backend: Some(self.upstream.slot.backend()),
            client: Some(path.peer().ip()),
            method: b"",
            path: b"",
            protocol: "UDP",
            host: b"",
            status: 0,
            request_bytes: up,
            response_bytes: down,
            duration: clock::now().saturating_duration_since(began),
            ttfb: first_reply,
            upstream_connect: None,
            tries,
            request_id: b"",
            reason: end.reason,
            blame: end.blame,
            user_agent: b"",
            referer: b"",
            incomplete: false,
        };
        self.upstream.slot.counters().session(end.ended);
        worker.telemetry.session(&record, end.ended);
    }
}

fn search<'a>(worker: &'a Rc<Worker>, path: &Path, route: &'a LocalRoute, udp: UdpOptions) -> Search<'a> {
    // Who is answered so and so often hears no long trains, and has a session for each question.
    Search { worker, route, client: path.peer().ip(), trains: udp.responses.is_none() }
}

/// A session as its task sees it.
struct Task(Rc<Session>);

impl Future for Task {
    type Output = ();

    /// A panic is counted, and ends this session and nothing else.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let _turn = clock::begin_turn();
        let session = &self.0;
        match catch_unwind(AssertUnwindSafe(|| session.poll(cx))) {
            Ok(poll) => poll,
            Err(panic) => {
                session.worker.panicked(&*panic);
                session.life.take();
                session.receiver.forget(&session.path);
                Poll::Ready(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_is_complete_when_every_datagram_had_its_replies() {
        let udp = |responses| UdpOptions { session_timeout_ms: 1, max_sessions: 1, responses };
        let count = |asked, answered| Count { asked, answered };
        assert!(!count(5, 500).is_complete(udp(None)));
        assert!(!count(1, 0).is_complete(udp(Some(1))));
        assert!(count(1, 1).is_complete(udp(Some(1))));
        // Two questions by one socket, as resolvers ask for both kinds of addresses.
        assert!(!count(2, 1).is_complete(udp(Some(1))));
        assert!(count(2, 2).is_complete(udp(Some(1))) && count(2, 3).is_complete(udp(Some(1))));
        assert!(!count(2, 3).is_complete(udp(Some(2))));
    }
}
