//! A connection's requests, one after the other: those of a pipeline wait in the buffer for their turn.

use std::rc::Rc;

use fairlead_wire::http1::{Body, Decoder, Limits, Request};

use super::admission::{self, Refused, Verdict};
use super::answer::{self, Persistence};
use super::connection::{Client, Next};
use super::downstream::Downstream;
use super::failure::Failure;
use super::head::{self, NoRequest};
use crate::buffer::Buffer;
use crate::clock::{self, Phase};
use crate::proxy::exchange::{Ended, Exchange, Order};
use crate::proxy::upgrade::Upgraded;
use crate::published::{LocalListener, LocalRoute};

/// Limits that belong to one request.
const OF_A_REQUEST: [Phase; 7] = [
    Phase::Header,
    Phase::Body,
    Phase::Write,
    Phase::Connect,
    Phase::Response,
    Phase::Request,
    Phase::StreamIdle,
];

/// Serves requests until none is waiting, or the connection is over.
pub(super) async fn serve(client: &mut Client, exchange: &mut Exchange) -> Next {
    loop {
        let next = one(client, exchange).await;
        let over = !matches!(next, Next::Idle);
        if over {
            exchange.from_client.clear();
        }
        if exchange.from_client.is_empty() {
            exchange.rest();
            return next;
        }
    }
}

async fn one(client: &mut Client, exchange: &mut Exchange) -> Next {
    let listener = client.guard.listener().current();
    exchange.id.clear();
    let request = match head::read(client, &listener, exchange).await {
        Ok(request) => request,
        Err(NoRequest::Closed) => return Next::Close,
        Err(NoRequest::Idle) => return Next::Idle,
        Err(NoRequest::Stopped) => return Next::Cut,
        Err(NoRequest::Refused(failure)) => {
            exchange.account.client = client.address;
            let next = refuse(client, &listener, exchange, None, failure).await;
            report(client, &listener, None, exchange);
            return next;
        }
    };
    #[cfg(test)]
    assert!(exchange.request.named(b"x-test-panic").is_none(), "a test asked this request to panic");
    exchange.account.client = admission::client_address(client, &listener, &exchange.request);
    let route = match admission::judge(&listener, &request, exchange) {
        Ok(Verdict::Forward(route)) => route,
        Ok(Verdict::LastHop) => {
            let next = last_hop(client, &listener, exchange, &request).await;
            report(client, &listener, None, exchange);
            return next;
        }
        Err(Refused { failure, route }) => {
            let next = refuse(client, &listener, exchange, Some(&request), failure).await;
            report(client, &listener, route, exchange);
            return next;
        }
    };
    let upgrade = admission::prepare(client, &listener, route, &request, exchange);
    let order = Order { client, listener: &listener, route, request, upgrade };
    let next = match exchange.forward(&order).await {
        Ok(Ended::Answered(next)) => {
            client.deadline.clear(Phase::Request);
            next
        }
        Ok(Ended::Upgraded(upgraded)) => {
            let route = route.clone();
            return tunnel(client, listener, route, exchange, upgraded).await;
        }
        Err(failure) => refuse(client, &listener, exchange, Some(&request), failure).await,
    };
    report(client, &listener, Some(route), exchange);
    next
}

/// Relays an upgraded connection to its end. The listener's handle goes first: a tunnel may outlive many Plans.
async fn tunnel(
    client: &Client,
    listener: Rc<LocalListener>,
    route: LocalRoute,
    exchange: &mut Exchange,
    upgraded: Box<Upgraded>,
) -> Next {
    drop(listener);
    let next = exchange.tunnel(client, &route, *upgraded).await;
    report(client, &client.guard.listener().current(), Some(&route), exchange);
    next
}

/// Tells the client that its request failed, if it is there to be told. `request` is its head, if it was whole.
async fn refuse(
    client: &Client,
    listener: &LocalListener,
    exchange: &mut Exchange,
    request: Option<&Request>,
    failure: Failure,
) -> Next {
    exchange.account.refused(failure);
    for phase in OF_A_REQUEST {
        client.deadline.clear(phase);
    }
    if failure.is_silent() {
        return Next::Cut;
    }
    // Who sends what is malformed is not believed about where the next request begins.
    let reusable =
        failure.status != 400 && request.is_some_and(|request| skip_body(request, exchange, listener));
    let persistence = match request {
        Some(request) => client.persistence(request, exchange.request.version(), reusable),
        None => Persistence::Close,
    };
    let date = client.worker.sessions.date.text(clock::now());
    let mut out = exchange.from_client.sibling();
    let to_head = exchange.request.method() == b"HEAD";
    exchange.account.response_bytes = answer::failure(&failure, persistence, to_head, &date, out.tail());
    let next = give(client, listener, out, persistence).await;
    if matches!(next, Next::Cut) {
        exchange.account.undelivered();
    }
    next
}

/// Answers a request whose last hop is here (RFC 9110 7.6.2).
async fn last_hop(
    client: &Client,
    listener: &LocalListener,
    exchange: &mut Exchange,
    request: &Request,
) -> Next {
    let reusable = skip_body(request, exchange, listener);
    let persistence = client.persistence(request, exchange.request.version(), reusable);
    let now = clock::now();
    let date = client.worker.sessions.date.text(now);
    let mut out = exchange.from_client.sibling();
    if exchange.request.method() == b"TRACE" {
        answer::trace(&exchange.request, persistence, &date, out.tail());
    } else {
        answer::options(persistence, &date, out.tail());
    }
    exchange.account.answered(200, now);
    let next = give(client, listener, out, persistence).await;
    if matches!(next, Next::Cut) {
        exchange.account.undelivered();
    }
    next
}

/// Sends an answer of our own.
async fn give(client: &Client, listener: &LocalListener, out: Buffer, persistence: Persistence) -> Next {
    let socket = match &client.downstream {
        Downstream::Http1(socket) => socket,
        Downstream::Http2(call) => return call.give(out.filled()).map_or(Next::Cut, |()| Next::Close),
    };
    client.deadline.set(Phase::Write, clock::now() + listener.plan.timeouts.write);
    let given = socket.write_all(&client.deadline, out.filled()).await;
    client.deadline.clear(Phase::Write);
    match given {
        Err(_) => Next::Cut,
        Ok(()) if persistence.keeps() => Next::Idle,
        Ok(()) => Next::Linger,
    }
}

/// Passes over the body of a request that goes nowhere, if all of it is here; what is not here yet isn't waited for.
fn skip_body(request: &Request, exchange: &mut Exchange, listener: &LocalListener) -> bool {
    if request.body == Body::None {
        return true;
    }
    // Where a part of it was given to a backend, its beginning isn't in the buffer any more.
    !exchange.account.was_sent() && skip(&mut exchange.from_client, request.body, listener.plan.http.limits)
}

fn skip(buffer: &mut Buffer, body: Body, limits: Limits) -> bool {
    let mut decoder = Decoder::new(body, limits);
    while !decoder.is_done() {
        match decoder.decode(buffer.filled()) {
            Ok(step) if step.consumed > 0 => buffer.consume(step.consumed),
            _ => return decoder.is_done(),
        }
    }
    true
}

fn report(client: &Client, listener: &LocalListener, route: Option<&LocalRoute>, exchange: &mut Exchange) {
    let Exchange { request, id, account, .. } = exchange;
    account.close(&client.worker.telemetry, listener, route, request, id);
}
