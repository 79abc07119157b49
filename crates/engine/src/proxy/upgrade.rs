//! An answer that switches protocols (RFC 9110 7.8): from then on both sides are relayed without being read.

use fairlead_wire::http1::{Framing, encode};
use fairlead_wire::{Head, Known};

use super::exchange::{Ended, Exchange, Order, Trial};
use super::slot::Slot;
use super::tunnel::{self, End, Terms};
use crate::buffer::Buffer;
use crate::clock::Phase;
use crate::filter::{hop_by_hop, via};
use crate::http::connection::{Client, Next};
use crate::http::failure::Failure;
use crate::io::Fault;
use crate::published::LocalRoute;
use crate::upstream::Connection;

/// What a tunnel needs of the request it was: no Plan, no listener, since it may stay for days.
pub(crate) struct Upgraded {
    connection: Connection,
    slot: Slot,
    /// The head of the answer.
    first: Buffer,
}

impl Exchange {
    /// Accepts the switch, if it was asked for and the request is over.
    pub(super) fn upgrade(&mut self, order: &Order<'_>, mut trial: Trial) -> Result<Ended, Failure> {
        if !order.upgrade || !trial.sending.is_complete() || !was_offered(&self.request, &self.answer) {
            return Err(Failure::UNASKED_UPGRADE);
        }
        trial.sending.answer_begins(order);
        order.client.deadline.clear(Phase::Request);
        hop_by_hop::remove(&mut self.answer, true, &mut self.scratch);
        if let Some(pseudonym) = &order.listener.plan.http.via {
            via::append(&mut self.answer, pseudonym, &mut self.scratch);
        }
        let mut first = self.from_client.sibling();
        encode::response(&self.answer, Framing::AsIs, first.tail());
        let Trial { connection, slot, .. } = trial;
        Ok(Ended::Upgraded(Box::new(Upgraded { connection, slot, first })))
    }

    /// Relays until both sides have ended.
    pub(crate) async fn tunnel(&mut self, client: &Client, route: &LocalRoute, upgraded: Upgraded) -> Next {
        let Upgraded { mut connection, slot, first } = upgraded;
        let head = first.len() as u64;
        let terms =
            Terms { deadline: &client.deadline, idle: route.pool.plan.tunnel, pipes: &client.worker.pipes };
        let own = self.from_client.sibling();
        let summary = tunnel::run(
            End { stream: client.downstream.socket(), input: &mut self.from_client, first: own },
            End { stream: &connection.stream, input: &mut connection.input, first },
            &terms,
            |_| {},
        )
        .await;
        self.account.request_bytes = summary.moved.up;
        self.account.response_bytes = summary.moved.down.saturating_sub(head);
        slot.counters().bytes_out.add(summary.moved.up);
        slot.counters().bytes_in.add(self.account.response_bytes);
        match summary.result {
            Ok(()) => Next::Close,
            Err(error) => {
                let failure = match error.fault {
                    Fault::TimedOut(phase) => Failure::timed_out(phase),
                    _ if error.side == super::pump::Side::From => Failure::CLIENT_GONE,
                    _ => Failure::TUNNEL_BROKEN,
                };
                self.account.cut(failure);
                // Neither side may take a break for an orderly end.
                connection.stream.reset_on_close();
                Next::Cut
            }
        }
    }
}

/// Whether the answer switches to protocols that the request named (RFC 9110 7.8: to no other).
fn was_offered(request: &Head, answer: &Head) -> bool {
    let mut chosen = protocols(answer).peekable();
    chosen.peek().is_some()
        && chosen.all(|protocol| protocols(request).any(|offered| offered.eq_ignore_ascii_case(protocol)))
}

fn protocols(head: &Head) -> impl Iterator<Item = &[u8]> {
    let listed = head.known_all(Known::Upgrade).flat_map(|value| value.split(|byte| *byte == b','));
    listed.map(<[u8]>::trim_ascii).filter(|protocol| !protocol.is_empty())
}
