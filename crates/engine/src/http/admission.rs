//! From a head to a decision: which route, within which limits, and what the backend will see of it.

use std::net::IpAddr;

use fairlead_balance::Random as _;
use fairlead_wire::http1::{Body, Decoder, Request};
use fairlead_wire::{Head, Known, Version, path};

use super::connection::Client;
use super::failure::Failure;
use crate::filter::forwarding::{self, Hop};
use crate::filter::{hop_by_hop, request_id, via};
use crate::proxy::exchange::Exchange;
use crate::published::{LocalListener, LocalRoute};

/// What becomes of a request that is well-formed.
pub(super) enum Verdict<'a> {
    Forward(&'a LocalRoute),
    /// Its last hop is here (RFC 9110 7.6.2).
    LastHop,
}

/// Why a request goes nowhere, and the route that it would have taken, if it came so far.
pub(super) struct Refused<'a> {
    pub(super) failure: Failure,
    pub(super) route: Option<&'a LocalRoute>,
}

impl From<Failure> for Refused<'_> {
    fn from(failure: Failure) -> Self {
        Self { failure, route: None }
    }
}

/// Decides on the request in `exchange`.
pub(super) fn judge<'a>(
    listener: &'a LocalListener,
    request: &Request,
    exchange: &mut Exchange,
) -> Result<Verdict<'a>, Refused<'a>> {
    let head = &mut exchange.request;
    if is_last_hop(head)? {
        return Ok(Verdict::LastHop);
    }
    if head.path() == b"*" {
        // Asterisk-form is about the server, not a resource: only routes without a path can mean it.
        exchange.path.clear();
        exchange.path.push(b'*');
    } else {
        path::normalise(head.path(), listener.plan.http.encoded_slashes, &mut exchange.path)
            .map_err(Failure::refused)?;
    }
    let found = listener.plan.router.route(head.authority(), &exchange.path).ok_or(Failure::NO_ROUTE)?;
    let route = &listener.routes[found];
    check_body(request.body, exchange.from_client.filled(), listener, route.plan.max_body)
        .map_err(|failure| Refused { failure, route: Some(route) })?;
    Ok(Verdict::Forward(route))
}

/// What of a body can be known before it is relayed.
fn check_body(
    body: Body,
    received: &[u8],
    listener: &LocalListener,
    most: Option<u64>,
) -> Result<(), Failure> {
    match (body, most) {
        (Body::Length(length), Some(most)) if length > most => Err(Failure::BODY_TOO_LARGE),
        (Body::Chunked, most) => check_chunks(received, listener, most),
        _ => Ok(()),
    }
}

/// Reads what came of a chunked body with its head, so that a request which is bad so early reaches no backend.
fn check_chunks(mut received: &[u8], listener: &LocalListener, most: Option<u64>) -> Result<(), Failure> {
    let mut decoder = Decoder::new(Body::Chunked, listener.plan.http.limits);
    let mut payload = 0;
    while !decoder.is_done() {
        let step = decoder.decode(received).map_err(Failure::refused)?;
        payload += step.data.len() as u64;
        if most.is_some_and(|most| payload > most) {
            return Err(Failure::BODY_TOO_LARGE);
        }
        if step.consumed == 0 {
            break;
        }
        received = &received[step.consumed..];
    }
    Ok(())
}

/// Edits the head for the backend: what is left of it is all that a backend sees. Says whether an upgrade is asked for.
pub(super) fn prepare(
    client: &Client,
    listener: &LocalListener,
    route: &LocalRoute,
    request: &Request,
    exchange: &mut Exchange,
) -> bool {
    let Exchange { request: head, scratch, id, .. } = exchange;
    let upgrade = request.upgrade && hop_by_hop::may_upgrade(head);
    hop_by_hop::remove(head, upgrade, scratch);
    if !request.expect_continue {
        // Of an HTTP/1.0 client it is ignored (RFC 9110 10.1.1), and without a body there is nothing to wait with.
        head.remove_known(Known::Expect);
    }
    if head.version() == Version::Http10 && head.known(Known::Host).is_none() {
        // What goes on is HTTP/1.1, which has a Host, be it an empty one (RFC 9112 3.2).
        head.append(b"Host", b"");
    }

    let trusted = client.address.is_some_and(|address| listener.plan.trusted.contains(address));
    let route = &*route.plan;
    if !trusted {
        forwarding::remove_claims(head, route.request_id.as_deref());
    }
    let hop = Hop {
        peer: client.address_text.as_ref().map(forwarding::AddressText::as_bytes),
        ipv6: client.address.is_some_and(|address| address.is_ipv6()),
        trusted,
        tls: client.downstream.socket().tls().is_some(),
    };
    forwarding::add(head, route.forwarded, &hop, scratch);
    id.clear();
    if let Some(name) = &route.request_id {
        request_id::ensure(head, name, trusted, || random(client), id);
    }
    if let Some(pseudonym) = &listener.plan.http.via {
        via::append(head, pseudonym, scratch);
    }
    upgrade
}

fn random(client: &Client) -> u128 {
    let mut rng = client.worker.rng.borrow_mut();
    u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64())
}

/// Who the client is, for the log; before [`prepare`] takes away what others say.
pub(super) fn client_address(client: &Client, listener: &LocalListener, head: &Head) -> Option<IpAddr> {
    client
        .address
        .map(|peer| forwarding::client(head, peer, |address| listener.plan.trusted.contains(address)))
}

/// Whether TRACE or OPTIONS may go no further; one that may has a hop less to go then.
fn is_last_hop(head: &mut Head) -> Result<bool, Failure> {
    if !matches!(head.method(), b"TRACE" | b"OPTIONS") {
        return Ok(false);
    }
    let Some(hops) = hops(head)? else { return Ok(false) };
    if hops == 0 {
        return Ok(true);
    }
    let mut digits = itoa::Buffer::new();
    head.set(b"Max-Forwards", digits.format(hops - 1).as_bytes());
    Ok(false)
}

/// RFC 9110 7.6.2: one decimal integer. Whatever else it is, the next one may read another number in it.
fn hops(head: &Head) -> Result<Option<u64>, Failure> {
    let mut given = head.known_all(Known::MaxForwards);
    let Some(value) = given.next() else { return Ok(None) };
    if given.next().is_some() || value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(Failure::MAX_FORWARDS);
    }
    // Of a larger one "the recipient's maximum supported value" goes on.
    let hops = str::from_utf8(value).ok().and_then(|digits| digits.parse().ok());
    Ok(Some(hops.unwrap_or(u64::MAX)))
}
