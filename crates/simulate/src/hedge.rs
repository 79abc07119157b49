//! A second try beside one that takes long: the first answer counts, and the other try ends. Another doer of the engine's
//! hedging (`crates/engine/src/proxy/hedge.rs`).

use std::time::Duration;

use fairlead_balance::{Action, Pass};

use crate::calendar::{Event, Limit};
use crate::request::{Beside, Phase};
use crate::server::Task;
use crate::telling::Blame;
use crate::world::World;

/// Tells the stamp of a second try from that of the first.
const SECOND: u32 = 1 << 31;

impl World<'_> {
    /// A request was sent that may be sent to another backend besides, after a while.
    pub(crate) fn expect_hedge(&mut self, request: u32) {
        let Some(policy) = self.subject.hedge else { return };
        let own = self.requests.of_mut(request);
        // What a breaker waits for is an answer of this very backend.
        if !own.safe || own.place.pass.is_some_and(Pass::is_trial) {
            return;
        }
        let hedging = self.subject.pool.live.hedging();
        let now = self.clock.instant();
        if own.attempts.tried().is_empty() {
            hedging.request(now);
        }
        own.hedgeable = true;
        if let Some(after) = hedging.delay(policy, now) {
            self.calendar.add(self.clock.after(after), Event::Hedge { request, stamp: own.stamp });
        }
    }

    /// No answer has come in the time that most take.
    pub(crate) fn hedge(&mut self, request: u32, stamp: u32) {
        let Some(policy) = self.subject.hedge else { return };
        let live = &self.subject.pool.live;
        let own = self.requests.of_mut(request);
        // What room there is belongs to those that have no try at all.
        if !own.is_awaited(stamp) || live.queue().waiting() > 0 {
            return;
        }
        let action = own.attempts.slow(own.place.member, policy, live.hedging(), self.clock.instant());
        if action != Action::Hedge {
            return;
        }
        let Ok(place) = self.pick(request) else { return };
        let own = self.requests.of_mut(request);
        own.attempts.beside(place.member);
        let stamp = own.stamp ^ SECOND;
        own.beside = Some(Beside { place, stamp, connecting: true });
        live.hedging().sent();
        self.count_try(place.server, true);
        match self.connect(place.server, false) {
            Some(true) => self.send_second(request),
            Some(false) => self.second_fails(request, Blame::NotConnected { timed_out: false }),
            None => {
                let due = self.clock.after(self.subject.pool.connect);
                self.calendar.limit(due, Limit::Connect, request, stamp);
            }
        }
    }

    fn send_second(&mut self, request: u32) {
        let now = self.clock.now();
        let own = self.requests.of_mut(request);
        let Some(beside) = &mut own.beside else { return };
        (beside.connecting, beside.place.sent) = (false, now);
        let task = Task { request, stamp: beside.stamp, work: own.work };
        let server = beside.place.server;
        if let Some(status) = self.hand_over(server, task) {
            self.second_answers(request, status);
        }
    }

    /// The second try was faster, or the first one has failed: it is the one that counts.
    pub(crate) fn second_answers(&mut self, request: u32, status: u16) {
        let own = self.requests.of_mut(request);
        let Some(beside) = own.beside.take() else { return };
        let first = std::mem::replace(&mut own.place, beside.place);
        let fallen = own.fallen.take();
        own.turn_to(Phase::Answering);
        let hedging = self.subject.pool.live.hedging();
        hedging.won();
        if fallen.is_none() {
            // It would have taken longer. Without it, only quick answers would be known, and ever more would seem slow.
            let waited = Duration::from_nanos(self.clock.now() - first.sent);
            self.observe(first.server, waited);
            hedging.observe(waited);
            self.leave(request, first, false);
        }
        self.answered(request, status);
    }

    /// The second try has failed: the first one goes on, or what became of it counts.
    pub(crate) fn second_fails(&mut self, request: u32, blame: Blame) {
        let own = self.requests.of_mut(request);
        let Some(beside) = own.beside.take() else { return };
        let fallen = own.fallen.take();
        self.lose(request, beside.place, blame);
        if let Some(outcome) = fallen {
            self.go_on(request, outcome);
        }
    }

    /// The first try was faster, or the request is over: that the second ends so is no failure of its backend.
    pub(crate) fn drop_second(&mut self, request: u32) {
        if let Some(beside) = self.requests.of_mut(request).beside.take() {
            self.leave(request, beside.place, false);
        }
    }
}
