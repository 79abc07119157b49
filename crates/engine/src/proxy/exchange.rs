//! One request to its answer. In order: [`connect`] picks a backend and gets a connection to it, [`sending`] sends the
//! request, [`awaiting`] waits for the head of the answer and passes interim ones on, [`hedge`] makes a second try beside
//! one that takes long, [`relay`] gives the answer to the client, [`upgrade`] what switches protocols. The one way back is
//! a further try, which [`Attempts`] decides on.
//!
//! [`connect`]: super::connect
//! [`sending`]: super::sending
//! [`awaiting`]: super::awaiting
//! [`hedge`]: super::hedge
//! [`relay`]: super::relay
//! [`upgrade`]: super::upgrade

use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use fairlead_balance::{Attempts, Outcome};
use fairlead_wire::http1::{Body, Scan};
use fairlead_wire::{Head, http1};

use super::account::Account;
use super::affinity::Mark;
use super::connect::Choice;
use super::key::Source;
use super::replay::Replay;
use super::retry::NextPlace;
use super::sending::Sending;
use super::slot::Slot;
use super::upgrade::Upgraded;
use crate::buffer::{Buffer, Buffers};
use crate::clock::Phase;
use crate::http::connection::{Client, Next};
use crate::http::failure::Failure;
use crate::published::{LocalListener, LocalRoute};
use crate::upstream::Connection;

/// Memory of a head or a text that is kept for the next request: most are below 2 KiB, cookies make some of them larger.
const KEPT: usize = 8 * 1024;

/// What an exchange works in: heads and texts that keep their memory from one request to the next.
pub(crate) struct Exchange {
    pub(crate) request: Head,
    pub(crate) answer: Head,
    /// Received from the client and not used yet; pipelined requests wait here.
    pub(crate) from_client: Buffer,
    /// The normalised path.
    pub(crate) path: Vec<u8>,
    /// For composing a field's value.
    pub(crate) scratch: Vec<u8>,
    pub(crate) id: Vec<u8>,
    pub(crate) account: Account,
    /// What a try that is over had used up of the body.
    pub(super) replay: Option<Box<Replay>>,
    /// The next try waits for room.
    pub(super) queues: bool,
    /// By what the client is known, in pools that ask.
    pub(super) mark: Mark,
}

/// A request that is to be forwarded, and what it has to keep to.
pub(crate) struct Order<'a> {
    pub(crate) client: &'a Client,
    pub(crate) listener: &'a LocalListener,
    pub(crate) route: &'a LocalRoute,
    pub(crate) request: http1::Request,
    /// It asks for another protocol, and may.
    pub(crate) upgrade: bool,
}

impl Order<'_> {
    /// Whether the client is to be watched for going away. While its body is read its end is seen there, and would be
    /// missed afterwards by who has watched too early; a reset is seen at any time.
    pub(super) fn watches_client(&self, request_is_read: bool) -> bool {
        request_is_read || !self.listener.plan.http.abort_on_close
    }

    /// Ready when waiting between tries is over, because a limit of the request has passed or its client is gone.
    pub(super) fn poll_interrupted(&self, cx: &mut Context<'_>, gone: &mut Gone<'_>) -> Poll<Failure> {
        if let Poll::Ready(phase) = self.client.deadline.poll_expired(cx) {
            return Poll::Ready(Failure::timed_out(phase));
        }
        gone.as_mut().poll(cx).map(|()| Failure::CLIENT_GONE)
    }
}

/// How an exchange ended that has begun to answer.
pub(crate) enum Ended {
    Answered(Next),
    Upgraded(Box<Upgraded>),
}

/// Ready when the client is gone, and nobody needs the answer.
pub(super) type Gone<'a> = Pin<&'a mut dyn Future<Output = ()>>;

/// Why a try gave no answer.
pub(super) enum Trouble {
    /// Another one may do better: [`Attempts`] decides.
    Try(Outcome),
    /// It gave an answer, [`Attempts`] has decided for another try, and this is where.
    Answered(Slot),
    /// None will.
    Final(Failure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Final(failure)
    }
}

/// One try under way.
pub(super) struct Trial {
    // The connection is closed before the backend's place is given back, lest somebody else is let in too early.
    pub(super) connection: Connection,
    pub(super) slot: Slot,
    pub(super) sending: Sending,
    /// How far its head was looked at.
    pub(super) scan: Scan,
    /// An interim answer went to the client.
    pub(super) interim: bool,
    /// The time it takes is one of those by which requests are hedged.
    pub(super) hedgeable: bool,
    /// Its answer has begun well, and is to end.
    pub(super) unsettled: bool,
}

impl Trial {
    pub(super) fn new(connection: Connection, slot: Slot, sending: Sending) -> Self {
        Self {
            connection,
            slot,
            sending,
            scan: Scan::default(),
            interim: false,
            hedgeable: false,
            unsettled: false,
        }
    }

    /// Something of an answer has come.
    pub(super) fn has_begun(&self) -> bool {
        self.interim || !self.connection.input.is_empty()
    }

    /// All of a body is here that nothing was taken of.
    pub(super) fn has_whole(&self, body: Body) -> bool {
        match body {
            Body::None => true,
            Body::Length(length) => length <= self.connection.input.len() as u64,
            Body::Chunked | Body::Close => false,
        }
    }
}

impl Exchange {
    pub(crate) fn new(buffers: &Rc<Buffers>) -> Self {
        Self {
            request: Head::new(),
            answer: Head::new(),
            from_client: buffers.buffer(),
            path: Vec::new(),
            scratch: Vec::new(),
            id: Vec::new(),
            account: Account::default(),
            replay: None,
            queues: false,
            mark: Mark::None,
        }
    }

    /// The spell is over: what the pool of buffers lent goes back, and what an exceptional request made grow is let go.
    pub(crate) fn rest(&mut self) {
        self.from_client.release();
        for head in [&mut self.request, &mut self.answer] {
            if head.capacity() > KEPT {
                *head = Head::new();
            }
        }
        for text in [&mut self.path, &mut self.scratch] {
            if text.capacity() > KEPT {
                *text = Vec::new();
            }
        }
    }

    /// Forwards the request in `self.request`, whose body follows in `self.from_client`. A failure is one of which the
    /// client has seen nothing yet, unless it is [silent](Failure::is_silent).
    pub(crate) async fn forward(&mut self, order: &Order<'_>) -> Result<Ended, Failure> {
        let Order { client, listener, route, .. } = order;
        if let (Some(limit), Some(started)) = (route.plan.timeouts.request, self.account.started()) {
            client.deadline.set(Phase::Request, started + limit);
        }
        if let Some(affinity) = &route.pool.plan.affinity {
            self.recognise(affinity);
        }
        let mut gone = pin!(client.downstream.gone(listener.plan.http.abort_on_close));
        let mut attempts = super::retry::attempts(order, self.request.method());
        let mut found = None;
        loop {
            match self.attempt(order, &mut attempts, found, gone.as_mut()).await {
                Ok(ended) => return Ok(ended),
                Err(trouble) => {
                    found = self.try_again(order, &mut attempts, trouble, gone.as_mut()).await?;
                }
            }
        }
    }

    /// What the pool balances by. A key is read anew for a further try, which few requests have.
    pub(super) fn choice(&self, order: &Order<'_>) -> Choice {
        let pool = &order.route.pool.plan;
        if let (Some(_), Mark::Value(value)) = (&pool.affinity, self.mark) {
            return Choice::Home(value);
        }
        let source = Source { head: &self.request, path: &self.path, client: self.account.client };
        Choice::Algorithm(source.key(&pool.key))
    }

    /// A place at a backend that is picked.
    pub(super) async fn free_slot(
        &mut self,
        order: &Order<'_>,
        attempts: &Attempts<'_>,
        gone: Gone<'_>,
    ) -> Result<Slot, Trouble> {
        let choice = self.choice(order);
        if std::mem::take(&mut self.queues) {
            super::waiting::wait_for_slot(order, attempts, choice, &self.request, gone).await
        } else {
            super::connect::pick(order, attempts, choice)
        }
    }

    /// A try, at the place that was `found` already or else at one that is picked.
    async fn attempt(
        &mut self,
        order: &Order<'_>,
        attempts: &mut Attempts<'_>,
        found: Option<Slot>,
        mut gone: Gone<'_>,
    ) -> Result<Ended, Trouble> {
        let slot = match (found, &order.route.pool.plan.affinity) {
            (Some(slot), _) => slot,
            (None, None) => self.free_slot(order, attempts, gone.as_mut()).await?,
            (None, Some(affinity)) => self.bound_slot(order, affinity, attempts, gone.as_mut()).await?,
        };
        super::retry::begin_try(order);
        let connection =
            super::connect::connect(order, &slot, attempts, &mut self.account, gone.as_mut()).await?;
        self.account.sent_to(&slot);
        let sending = Sending::new(order, &self.request, &self.from_client);
        let mut trial = Trial::new(connection, slot, sending);
        let response = match super::hedge::delay(order, &self.request, attempts, &mut trial) {
            None => self.await_answer(order, &mut trial, gone.as_mut()).await?,
            Some(after) => self.await_hedged(order, attempts, &mut trial, after, gone.as_mut()).await?,
        };
        if let Some(action) = self.repeats(order, attempts, &trial) {
            match self.next_place(order, attempts, &mut trial, action, gone.as_mut()).await? {
                NextPlace::Other(slot) => {
                    drop(super::retry::discard(order, trial, &response));
                    return Err(Trouble::Answered(slot));
                }
                NextPlace::Same => {
                    return Err(Trouble::Answered(super::retry::discard(order, trial, &response)));
                }
                NextPlace::None => {}
            }
        }
        if let Some(affinity) = &order.route.pool.plan.affinity {
            self.tell(affinity, &trial.slot, order.client.downstream.socket().tls().is_some());
        }
        if response.upgrade {
            return Ok(self.upgrade(order, trial)?);
        }
        Ok(self.relay(order, trial, response, gone).await?)
    }
}
