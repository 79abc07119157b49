//! One session, in a task of its own: from an accepted connection to its end.

use std::future::Future;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use fairlead_balance::health::Report;
use fairlead_plan::Pool;
use fairlead_wire::client_hello::ServerName;

use super::account::{Account, judge};
use super::end;
use super::open::{self, Opened};
use crate::buffer::Buffer;
use crate::clock::{self, Deadline};
use crate::io::{Peer, Stream};
use crate::listener::{Arrival, ConnectionGuard, Told};
use crate::proxy::announce;
use crate::proxy::tunnel::{self, Terms};
use crate::telemetry::{End, ListenerCounters};
use crate::worker::Worker;

/// What lives as long as the session.
pub(super) struct Client {
    pub(super) worker: Rc<Worker>,
    pub(super) stream: Stream,
    pub(super) deadline: Rc<Deadline>,
    peer: Peer,
    told: Option<Box<Told>>,
    /// The name it asked for.
    pub(super) name: Option<ServerName>,
    /// What was received of it and not passed on yet.
    pub(super) input: Buffer,
    pub(super) guard: ConnectionGuard,
}

/// Serves a connection until it ends.
pub(crate) fn serve(worker: Rc<Worker>, arrival: Arrival) {
    let Arrival { stream, peer, told, guard } = arrival;
    let deadline = Rc::new(worker.wheel.deadline());
    guard.watch(&deadline, peer, worker.shared.began);
    let input = worker.buffers.buffer();
    let known = Rc::clone(&worker);
    let client = Client { worker, stream, deadline, peer, told, name: None, input, guard };
    // Dropping the handle detaches the task: it ends with its session, or with the worker.
    drop(tokio::task::spawn_local(Session { worker: known, life: Some(Box::pin(live(client))) }));
}

/// A session as its task sees it.
struct Session {
    worker: Rc<Worker>,
    life: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl Future for Session {
    type Output = ();

    /// A panic is counted, and ends this session and nothing else.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let _turn = clock::begin_turn();
        let Some(life) = &mut self.life else { return Poll::Ready(()) };
        // The life isn't polled again after a panic; what it shared with others (cells of the worker) is never left
        // half-changed across a call that could panic.
        match catch_unwind(AssertUnwindSafe(|| life.as_mut().poll(cx))) {
            Ok(poll) => poll,
            Err(panic) => {
                self.worker.panicked(&*panic);
                self.life = None;
                Poll::Ready(())
            }
        }
    }
}

async fn live(mut client: Client) {
    let mut account = Account::begin(clock::now());
    // Boxed: what connecting needs would stay with the session for days.
    let opened = Box::pin(open::open(&mut client, &mut account)).await;
    let end = match opened {
        Ok(opened) => client.relay(&mut account, opened).await,
        Err(end) => end,
    };
    if end::is_cut(end) {
        client.stream.reset_on_close();
    }
    account.close(&client, end);
}

impl Client {
    /// The address; a Unix socket's peer has none.
    pub(super) fn address(&self) -> Option<IpAddr> {
        match self.peer {
            Peer::Ip(address) => Some(address.ip().to_canonical()),
            Peer::Unix => None,
        }
    }

    /// Who the client is, if its backend is told.
    pub(super) fn announcement(&self, pool: &Pool) -> Buffer {
        let mut header = self.worker.buffers.buffer();
        if let Some(version) = pool.send_proxy {
            let (told, name) = (self.told.as_deref(), self.name.as_ref());
            announce::Client { stream: &self.stream, told, name }.announce(version, header.tail());
        }
        header
    }

    /// Relays until both sides have ended. Holds no listener and no Plan: it may take days.
    async fn relay(&mut self, account: &mut Account, opened: Opened) -> End {
        let Opened { route, mut connection, slot } = opened;
        let pool = &route.pool.plan;
        // Where TLS is spoken it was said before the handshake.
        let is_clear = connection.stream.is_clear();
        let first = if is_clear { self.announcement(pool) } else { self.worker.buffers.buffer() };
        self.told = None;
        let said = first.len() as u64;
        let counters: Arc<ListenerCounters> = Arc::clone(&self.guard.listener().current().counters);
        let terms = Terms { deadline: &self.deadline, idle: pool.tunnel, pipes: &self.worker.pipes };
        let mut ours = said;
        let mut spoke = false;
        let worker = &self.worker;
        let summary = tunnel::run(
            tunnel::End { stream: &self.stream, input: &mut self.input, first },
            tunnel::End {
                stream: &connection.stream,
                input: &mut connection.input,
                first: self.worker.buffers.buffer(),
            },
            &terms,
            |moved| {
                slot.counters().bytes_out.add(moved.up);
                slot.counters().bytes_in.add(moved.down);
                if moved.down > 0 && !spoke {
                    // As soon as it is known: the session may go on for days.
                    spoke = true;
                    slot.goes_on();
                    judge(worker, &slot, Report::Answered, pool);
                }
                // The header that says who the client is isn't the client's.
                let theirs = moved.up.saturating_sub(ours);
                ours = ours.saturating_sub(moved.up);
                counters.bytes_in.add(theirs);
                counters.bytes_out.add(moved.down);
                if moved.spliced > 0 {
                    counters.sessions().spliced.add(moved.spliced);
                }
            },
        )
        .await;
        let end = end::of(&summary);
        if end == end::BACKEND_RESET {
            slot.counters().resets.add(1);
        }
        if !spoke && let Some(report) = end::says(end) {
            judge(&self.worker, &slot, report, pool);
        }
        if end::is_cut(end) {
            // Neither side may take a break for an orderly end.
            connection.stream.reset_on_close();
        }
        account.up = summary.moved.up.saturating_sub(said);
        account.down = summary.moved.down;
        account.route = Some(route);
        end
    }
}
