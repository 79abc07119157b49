//! A backend for a request, and a connection to it: an idle one if there is one, else a new one.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use fairlead_balance::health::Report;
use fairlead_balance::{Ask, Attempts, Outcome};
use fairlead_plan::Bonds;
use fairlead_plan::spec::SendProxy;

use super::account::Account;
use super::announce;
use super::breaking;
use super::exchange::{Gone, Order, Trouble};
use super::slot::Slot;
use crate::clock::{self, Phase};
use crate::http::connection::Client;
use crate::http::failure::Failure;
use crate::io::Fault;
use crate::upstream::{Connection, DialFailure};

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
    loop {
        let picked = table.pick(
            &ask,
            &mut cursor.borrow_mut(),
            &mut *order.client.worker.rng.borrow_mut(),
            clock::recently(),
        );
        let index = picked.map_err(|none| Trouble::Try(Outcome::NoneAvailable(none)))?;
        let slot = Slot::picked(Rc::clone(&members), index);
        // Whose trial another request has taken meanwhile isn't picked again.
        if !breaking::admits(order, &slot) {
            continue;
        }
        order.client.guard.uses(Some(&slot.backend().live));
        return Ok(slot);
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
    let mut dialing =
        pin!(upstreams.dial(slot.backend(), order.route.pool.plan.connect, &order.client.deadline));
    let dialed = poll_fn(|cx| {
        if let Poll::Ready(dialed) = dialing.as_mut().poll(cx) {
            return Poll::Ready(Some(dialed));
        }
        gone.as_mut().poll(cx).map(|()| None)
    })
    .await;
    match dialed {
        None => Err(Failure::CLIENT_GONE.into()),
        Some(Ok(connection)) => {
            account.connect = Some(clock::now().saturating_duration_since(before));
            slot.counters().connects.add(1);
            if let Some(version) = order.route.pool.plan.send_proxy {
                announce(order, version, &connection, slot).await?;
            }
            Ok(connection)
        }
        Some(Err(error)) => Err(dial_failed(error.failure, order, slot)),
    }
}

/// Says who the client is, before everything else.
async fn announce(
    order: &Order<'_>,
    version: SendProxy,
    connection: &Connection,
    slot: &Slot,
) -> Result<(), Trouble> {
    let Client { stream, told, deadline, .. } = order.client;
    let mut header = connection.input.sibling();
    announce::Client { stream, told: told.as_deref(), name: None }.announce(version, header.tail());
    match connection.stream.write_all(deadline, header.filled()).await {
        Ok(()) => Ok(()),
        Err(Fault::TimedOut(phase)) => Err(Failure::timed_out(phase).into()),
        // Nothing of the request was sent yet.
        Err(_) => Err(dial_failed(DialFailure::Refused, order, slot)),
    }
}

/// What it means that a connection to the backend of `slot` wasn't made.
pub(super) fn dial_failed(failure: DialFailure, order: &Order<'_>, slot: &Slot) -> Trouble {
    let timed_out = match failure {
        // Ours: another backend would do no better.
        DialFailure::Resource(_) => return Failure::NO_RESOURCES.into(),
        DialFailure::TimedOut | DialFailure::Expired(Phase::Try) => true,
        DialFailure::Expired(phase) => return Failure::timed_out(phase).into(),
        DialFailure::Refused | DialFailure::Unreachable | DialFailure::Other(_) => false,
    };
    slot.counters().connect_failures.add(1);
    breaking::report(order, slot, true);
    slot.failed();
    slot.report(order, if timed_out { Report::TimedOut } else { Report::Refused });
    Trouble::Try(Outcome::ConnectFailed { member: slot.index(), timed_out })
}
