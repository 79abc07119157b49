//! Receiving a request's head: in bounded room, within `header`, however small the pieces are it comes in.

use std::time::Instant;

use fairlead_wire::http1::{self, Request, parse};

use super::connection::Client;
use super::downstream::Downstream;
use super::failure::Failure;
use crate::clock::{self, Phase};
use crate::io::Fault;
use crate::proxy::exchange::Exchange;
use crate::published::LocalListener;

/// Why there is no request.
pub(super) enum NoRequest {
    /// The client closed, or had nothing to say in time.
    Closed,
    /// It is idle again: what came was only the line end that some clients put after a body (RFC 9112 2.2).
    Idle,
    /// The connection is to be cut: its drain is over.
    Stopped,
    Refused(Failure),
}

/// Reads the next head into `exchange.request`, from what was received before and what comes.
pub(super) async fn read(
    client: &mut Client,
    listener: &LocalListener,
    exchange: &mut Exchange,
) -> Result<Request, NoRequest> {
    let limits = &listener.plan.http.limits;
    if let Downstream::Http2(call) = &client.downstream {
        exchange.account.begin(clock::now());
        let read = call.read(limits, &mut exchange.request);
        return read.map_err(|refusal| NoRequest::Refused(Failure::refused(refusal)));
    }
    let mut scan = http1::Scan::default();
    let mut started: Option<Instant> = None;
    loop {
        if !exchange.from_client.is_empty() {
            let now = clock::now();
            let first = *started.get_or_insert(now);
            exchange.account.begin(first);
            let empty = client.empty_lines.saturating_add(empty_lines(exchange.from_client.filled()));
            if empty > parse::MAX_LEADING_LINES {
                return Err(NoRequest::Refused(Failure::EMPTY_LINES));
            }
            let parsed =
                parse::request(exchange.from_client.filled(), &mut scan, limits, &mut exchange.request);
            match parsed {
                Ok(Some(request)) => {
                    client.fresh = false;
                    client.empty_lines = 0;
                    client.deadline.clear(Phase::Header);
                    exchange.from_client.consume(request.len);
                    return Ok(request);
                }
                Ok(None) if only_line_ends(exchange.from_client.filled()) => {
                    exchange.from_client.clear();
                    client.empty_lines = empty;
                    return Err(NoRequest::Idle);
                }
                // The limit runs from the first byte: a byte now and then doesn't move it.
                Ok(None) => {
                    let since = if client.fresh { None } else { Some(first) };
                    if let Some(first) = since {
                        client.deadline.set(Phase::Header, first + listener.plan.timeouts.header);
                    }
                }
                Err(refusal) => return Err(NoRequest::Refused(Failure::refused(refusal))),
            }
        }
        // The parser refuses at the limit itself; the room beyond it is for the empty lines it skips.
        if !exchange.from_client.make_room(limits.max_bytes.saturating_add(64)) {
            return Err(NoRequest::Refused(Failure::HEAD_TOO_LARGE));
        }
        let nothing_yet = exchange.from_client.is_empty();
        match client.downstream.socket().read(&client.deadline, &mut exchange.from_client).await {
            Ok(0) if nothing_yet => return Err(NoRequest::Closed),
            Ok(0) => return Err(NoRequest::Refused(Failure::HEAD_INCOMPLETE)),
            Ok(_) => {}
            Err(Fault::TimedOut(Phase::Stop)) => return Err(NoRequest::Stopped),
            Err(Fault::TimedOut(_)) if !nothing_yet => return Err(NoRequest::Refused(Failure::HEAD_TIMEOUT)),
            Err(_) => return Err(NoRequest::Closed),
        }
    }
}

/// How many empty lines the bytes begin with.
fn empty_lines(bytes: &[u8]) -> u8 {
    let lines = bytes.chunks_exact(2).take_while(|line| line == b"\r\n").count();
    u8::try_from(lines).unwrap_or(u8::MAX)
}

fn only_line_ends(bytes: &[u8]) -> bool {
    bytes.ends_with(b"\n") && bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n'))
}
