//! A backend for a request, and a connection to it: an idle one if there is one, else a new one.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use fairlead_balance::health::Report;
use fairlead_balance::{Ask, Attempts, Cursor, NoBackend, Outcome, Picker};
use fairlead_plan::{Bonds, Pool};

use super::account::Account;
use super::announce;
use super::breaking::{self, Became};
use super::exchange::{Gone, Order, Trouble};
use super::slot::Slot;
use crate::clock::{self, Deadline, Phase};
use crate::http::connection::Client;
use crate::http::failure::Failure;
use crate::published::LocalMembers;
use crate::tls;
use crate::upstream::{Connection, DialFailure, Way};
use crate::worker::Worker;

/// What a backend is picked by.
#[derive(Clone, Copy)]
pub(super) enum Choice {
    /// By the pool's algorithm, and the request's key if that goes by one.
    Algorithm(Option<u64>),
    /// By whom a value belongs to.
    Home(u64),
}

/// Takes a place at a backend that was not tried yet.
pub(super) fn pick(order: &Order<'_>, attempts: &Attempts<'_>, choice: Choice) -> Result<Slot, Trouble> {
    let members = order.route.pool.members();
    let (table, cursor) = match (choice, &members.shared.bonds, &members.homes) {
        (Choice::Home(_), Bonds::Homes(homes), Some(cursor)) => (homes, cursor),
        _ => (&members.shared.picker, &members.cursor),
    };
    let key = match choice {
        Choice::Algorithm(key) => key,
        Choice::Home(value) => Some(value),
    };
    let ask = Ask { tried: attempts.tried(), key };
    let picked = pick_from(&members, (table, cursor), &ask, &order.route.pool.plan, &order.client.worker);
    let slot = picked.map_err(|none| Trouble::Try(Outcome::NoneAvailable(none)))?;
    order.client.guard.uses(Some(&slot.backend().live));
    Ok(slot)
}

/// Takes a place by a picker of `members` and this worker's place in it, at a backend whose breaker lets it in.
pub(crate) fn pick_from(
    members: &Rc<LocalMembers>,
    (table, cursor): (&Picker, &RefCell<Cursor>),
    ask: &Ask<'_>,
    pool: &Pool,
    worker: &Worker,
) -> Result<Slot, NoBackend> {
    loop {
        let index =
            table.pick(ask, &mut cursor.borrow_mut(), &mut *worker.rng.borrow_mut(), clock::recently())?;
        let slot = Slot::picked(Rc::clone(members), index);
        // Whose trial another has taken meanwhile isn't picked again.
        if breaking::lets_in(pool, &slot) {
            return Ok(slot);
        }
    }
}

/// A connection to the backend of `slot`. While one is made the client is watched: nobody connects for a client that
/// is gone.
pub(super) async fn connect(
    order: &Order<'_>,
    slot: &Slot,
    attempts: &Attempts<'_>,
    account: &mut Account,
    mut gone: Gone<'_>,
) -> Result<Connection, Trouble> {
    let upstreams = &order.client.worker.upstreams;
    if !attempts.must_dial()
        && let Some(idle) = upstreams.take_idle(slot.backend())
    {
        return Ok(idle);
    }
    let before = clock::now();
    let mut making = pin!(make(order, slot, &order.client.deadline));
    let made = poll_fn(|cx| {
        if let Poll::Ready(made) = making.as_mut().poll(cx) {
            return Poll::Ready(Some(made));
        }
        gone.as_mut().poll(cx).map(|()| None)
    })
    .await;
    let connection = made.ok_or(Failure::CLIENT_GONE)?.map_err(|(trouble, tls)| {
        account.distrusted(tls);
        trouble
    })?;
    account.connect = Some(clock::now().saturating_duration_since(before));
    Ok(connection)
}

/// A new connection to the backend of `slot`, on which it is said who the client is where the pool wants that.
pub(super) async fn make(
    order: &Order<'_>,
    slot: &Slot,
    deadline: &Deadline,
) -> Result<Connection, (Trouble, Option<tls::Trouble>)> {
    let pool = &order.route.pool;
    let Client { downstream, told, worker, .. } = order.client;
    let mut header = Vec::new();
    if let Some(version) = pool.plan.send_proxy {
        announce::Client { stream: downstream.socket(), told: told.as_deref(), name: None }
            .announce(version, &mut header);
    }
    let tls = pool.tls();
    let way = Way { from: None, preface: &header, tls: tls.as_deref() };
    let dialed = worker.upstreams.dial_by(way, slot.backend(), pool.plan.connect, deadline).await;
    match dialed {
        Ok(connection) => {
            slot.counters().connects.add(1);
            if let Some(tls) = tls {
                tls.shook(slot, &connection);
            }
            Ok(connection)
        }
        Err(error) => {
            let trouble = error.failure.trouble();
            if let (Some(trouble), Some(tls)) = (trouble, tls) {
                tls.failed(slot, trouble, &pool.plan.name, worker);
            }
            Err((dial_failed(error.failure, order, slot), trouble))
        }
    }
}

/// What it means that a connection to the backend of `slot` wasn't made.
fn dial_failed(failure: DialFailure, order: &Order<'_>, slot: &Slot) -> Trouble {
    let timed_out = match failure {
        // Ours: another backend would do no better.
        DialFailure::Resource(_) => return Failure::NO_RESOURCES.into(),
        DialFailure::TimedOut
        | DialFailure::Expired(Phase::Try)
        | DialFailure::Tls(tls::Trouble::TimedOut) => true,
        DialFailure::Expired(phase) => return Failure::timed_out(phase).into(),
        DialFailure::Refused | DialFailure::Unreachable | DialFailure::Tls(_) | DialFailure::Other(_) => {
            false
        }
    };
    slot.counters().connect_failures.add(1);
    breaking::report(order, slot, Became::Failed);
    slot.failed();
    slot.report(order, if timed_out { Report::TimedOut } else { Report::Refused });
    Trouble::Try(Outcome::ConnectFailed { member: slot.index(), timed_out })
}
