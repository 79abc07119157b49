//! A backend that takes the session: picked, connected to, and another one asked where that fails.

use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use fairlead_balance::health::Report;
use fairlead_balance::{Action, Ask, Attempts, Means, NoBackend, Outcome, Random};
use fairlead_plan::Backend;
use fairlead_plan::spec::{BackendAddress, Protocol};

use super::account::{Account, judge};
use super::end;
use super::session::Client;
use super::sni;
use crate::clock::{self, Phase};
use crate::proxy::connect::pick_from;
use crate::proxy::key;
use crate::proxy::slot::Slot;
use crate::proxy::waiting::{QueueFull, in_line};
use crate::published::LocalRoute;
use crate::telemetry::End;
use crate::tls;
use crate::upstream::{Connection, DialFailure, Way};

/// A session that has its backend.
pub(super) struct Opened {
    pub(super) route: LocalRoute,
    // The connection is closed before the backend's place is given back, lest somebody else is let in too early.
    pub(super) connection: Connection,
    pub(super) slot: Slot,
}

/// Ready when the client is gone, and nobody needs a backend.
type Gone<'a> = Pin<&'a mut dyn Future<Output = ()>>;

/// Why a try gave no backend.
enum Trouble {
    /// Another one may take it.
    Try(Outcome),
    /// None will.
    Final(End),
}

impl From<QueueFull> for Trouble {
    fn from(_: QueueFull) -> Self {
        Self::Final(end::QUEUE_FULL)
    }
}

/// Finds the session's route and a backend there.
pub(super) async fn open(client: &mut Client, account: &mut Account) -> Result<Opened, End> {
    let listener = client.guard.listener().current();
    let route = match listener.plan.protocol {
        Protocol::Tcp { sni: true } => sni::route(client, &listener).await?,
        _ => listener.routes.first().ok_or(end::NO_BACKEND)?,
    };
    let route = route.clone();
    let from = client.address().filter(|_| listener.plan.socket.transparent);
    drop(listener);
    account.route = Some(route.clone());
    let key = key::of_client(&route.pool.plan.key, client.address());
    let seek = Seek { client, route: &route, key, from };
    let (connection, slot) = seek.backend(account).await?;
    Ok(Opened { route, connection, slot })
}

/// The search for a backend.
struct Seek<'a> {
    client: &'a Client,
    route: &'a LocalRoute,
    key: Option<u64>,
    /// The address that backends are to see.
    from: Option<IpAddr>,
}

impl Seek<'_> {
    async fn backend(&self, account: &mut Account) -> Result<(Connection, Slot), End> {
        // A client may have said all it has to say and still wait for an answer: its end isn't its going away.
        let mut gone = pin!(self.client.stream.gone(false));
        let mut attempts = Attempts::new(&self.route.plan.retry.policy, false);
        let mut queues = false;
        loop {
            let outcome = match self.attempt(account, &attempts, queues, gone.as_mut()).await {
                Ok(found) => return Ok(found),
                Err(Trouble::Final(end)) => return Err(end),
                Err(Trouble::Try(outcome)) => outcome,
            };
            match self.decide(&mut attempts, outcome) {
                Action::Send => queues = false,
                Action::Queue => queues = true,
                Action::Answer(failure) => {
                    let why = account.trouble.map(|trouble| end::no_backend(trouble.reason()));
                    return Err(why.unwrap_or_else(|| end::untaken(failure)));
                }
                // Said only of connections that were made.
                _ => return Err(end::NO_BACKEND),
            }
        }
    }

    fn decide(&self, attempts: &mut Attempts<'_>, outcome: Outcome) -> Action {
        let pool = &self.route.pool.plan;
        let means = Means {
            budget: pool.live.retries(),
            now: clock::now(),
            random: self.client.worker.rng.borrow_mut().next_u64(),
            queues: pool.queue.is_some(),
        };
        attempts.next(outcome, &means)
    }

    async fn attempt(
        &self,
        account: &mut Account,
        attempts: &Attempts<'_>,
        queues: bool,
        mut gone: Gone<'_>,
    ) -> Result<(Connection, Slot), Trouble> {
        let slot = if queues { self.wait(attempts, gone.as_mut()).await? } else { self.pick(attempts)? };
        account.tried(&slot);
        let connection = self.connect(&slot, account, gone).await?;
        Ok((connection, slot))
    }

    /// Takes a place at a backend that was not tried yet.
    fn pick(&self, attempts: &Attempts<'_>) -> Result<Slot, Trouble> {
        let members = self.route.pool.members();
        let table = (&members.shared.picker, &members.cursor);
        let ask = Ask { tried: attempts.tried(), key: self.key };
        let picked = pick_from(&members, table, &ask, &self.route.pool.plan, &self.client.worker);
        let slot = picked.map_err(|none| Trouble::Try(Outcome::NoneAvailable(none)))?;
        self.client.guard.uses(Some(&slot.backend().live));
        Ok(slot)
    }

    /// The same, as soon as there is one.
    async fn wait(&self, attempts: &Attempts<'_>, mut gone: Gone<'_>) -> Result<Slot, Trouble> {
        let pool = &self.route.pool.plan;
        let Some(options) = &pool.queue else { return self.pick(attempts) };
        let look = |may_pick: bool, cx: &mut Context<'_>| {
            if may_pick {
                match self.pick(attempts) {
                    Err(Trouble::Try(Outcome::NoneAvailable(NoBackend::AllFull))) => {}
                    found => return Poll::Ready(found),
                }
            }
            if let Poll::Ready(phase) = self.client.deadline.poll_expired(cx) {
                return Poll::Ready(Err(Trouble::Final(end::timed_out(phase))));
            }
            gone.as_mut().poll(cx).map(|()| Err(Trouble::Final(end::CLIENT_GONE)))
        };
        // A session has nothing to say of its priority.
        let found = in_line(pool.live.queue(), options, (self.client.worker.index, 0), look).await?;
        found.ok_or(Trouble::Final(end::QUEUE_TIMEOUT))
    }

    /// Connects to the backend of `slot`. Meanwhile the client is watched: nobody connects for one that is gone.
    async fn connect(
        &self,
        slot: &Slot,
        account: &mut Account,
        mut gone: Gone<'_>,
    ) -> Result<Connection, Trouble> {
        let from = self.source(slot.backend())?;
        let before = clock::now();
        let Client { worker, deadline, .. } = self.client;
        let limit = self.route.pool.plan.connect;
        let tls = self.route.pool.tls();
        // Without TLS it leaves with what the client says first.
        let header = tls.is_some().then(|| self.client.announcement(&self.route.pool.plan));
        let preface = header.as_ref().map_or(&[][..], |header| header.filled());
        let way = Way { from, preface, tls: tls.as_deref() };
        let mut dialing = pin!(worker.upstreams.dial_by(way, slot.backend(), limit, deadline));
        let dialed = poll_fn(|cx| match dialing.as_mut().poll(cx) {
            Poll::Ready(dialed) => Poll::Ready(Some(dialed)),
            Poll::Pending => gone.as_mut().poll(cx).map(|()| None),
        })
        .await;
        match dialed {
            None => Err(Trouble::Final(end::CLIENT_GONE)),
            Some(Ok(connection)) => {
                let now = clock::now();
                let took = now.saturating_duration_since(before);
                account.connected(took);
                slot.counters().connects.add(1);
                slot.counters().requests.add(1);
                // There is no answer whose time could be taken.
                slot.took(took, now);
                if let Some(tls) = &tls {
                    tls.shook(slot, &connection);
                }
                Ok(connection)
            }
            Some(Err(error)) => {
                account.trouble = error.failure.trouble();
                if let (Some(trouble), Some(tls)) = (account.trouble, &tls) {
                    tls.failed(slot, trouble, &self.route.pool.plan.name, worker);
                }
                Err(self.dial_failed(error.failure, slot))
            }
        }
    }

    /// The address that this backend is to be connected to from.
    fn source(&self, backend: &Backend) -> Result<Option<IpAddr>, Trouble> {
        match (self.from, &backend.address) {
            // From an address of ours it might let in whom it wouldn't.
            (Some(from), BackendAddress::Ip(address)) if from.is_ipv4() != address.is_ipv4() => {
                Err(Trouble::Final(end::OTHER_FAMILY))
            }
            (Some(from), BackendAddress::Ip(_)) => Ok(Some(from)),
            _ => Ok(None),
        }
    }

    fn dial_failed(&self, failure: DialFailure, slot: &Slot) -> Trouble {
        let timed_out = match failure {
            // Ours: another backend would do no better.
            DialFailure::Resource(_) => return Trouble::Final(end::NO_RESOURCES),
            DialFailure::Expired(phase) if phase != Phase::Connect => {
                return Trouble::Final(end::timed_out(phase));
            }
            DialFailure::TimedOut | DialFailure::Expired(_) => true,
            DialFailure::Tls(tls) => tls == tls::Trouble::TimedOut,
            DialFailure::Refused | DialFailure::Unreachable | DialFailure::Other(_) => false,
        };
        slot.counters().connect_failures.add(1);
        slot.failed();
        let report = if timed_out { Report::TimedOut } else { Report::Refused };
        judge(&self.client.worker, slot, report, &self.route.pool.plan);
        Trouble::Try(Outcome::ConnectFailed { member: slot.index(), timed_out })
    }
}
