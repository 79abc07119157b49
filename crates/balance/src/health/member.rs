//! One backend of a ward: everything that is known of its health, and the standing that follows.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ejection::Ejection;
use super::passive::{Degradation, Heard, Sample, Window};
use super::slow_start::SlowStart;
use super::streak::{Cause, ejects};
use super::table::{Active, Operator, Passive, combine};
use super::verdict::{Thresholds, Verdict};
use super::ward::{Change, Judged, PassivePolicy, Terms};
use crate::breaker::BreakerState;
use crate::live::BackendLive;
use crate::standing::{Standing, State};

/// The most bytes of what a check says that are kept.
const LONGEST_WORDS: usize = 200;

#[derive(Debug)]
pub(super) struct Member {
    live: Arc<BackendLive>,
    /// Which of its addresses all of this is about.
    incarnation: u32,
    /// It isn't configured now, or not yet: it isn't judged, but what is known of it is kept while it is in use.
    pub(super) is_away: bool,
    pub(super) operator: Operator,
    terms: Terms,
    /// Since when its check has owed a first result.
    awaited: Instant,
    verdict: Verdict,
    /// What its check said when it failed last.
    complaint: Box<str>,
    window: Window,
    degradation: Degradation,
    ejection: Ejection,
    /// Of its last ejection.
    cause: Option<Cause>,
    /// Why that ended before its time.
    readmitted: Option<&'static str>,
    was_out: bool,
    slow_start: SlowStart,
    /// As it was judged last.
    pub(super) judged: Option<Judged>,
}

impl Member {
    /// Not configured yet.
    pub(super) fn new(live: Arc<BackendLive>, terms: Terms, now: Instant) -> Self {
        let window = Window::new(live.tally().read(), now);
        Self {
            incarnation: live.incarnation(),
            live,
            is_away: true,
            operator: Operator::None,
            terms,
            awaited: now,
            verdict: Verdict::default(),
            complaint: Box::default(),
            window,
            degradation: Degradation::default(),
            ejection: Ejection::default(),
            cause: None,
            readmitted: None,
            was_out: false,
            slow_start: SlowStart::default(),
            judged: None,
        }
    }

    pub(super) fn is(&self, live: &Arc<BackendLive>) -> bool {
        Arc::ptr_eq(&self.live, live)
    }

    /// Nobody else has it: no configuration, no request.
    pub(super) fn is_abandoned(&self) -> bool {
        self.is_away && Arc::strong_count(&self.live) == 1
    }

    /// Whether all of this is about another address than it has now.
    pub(super) fn has_moved(&self) -> bool {
        self.incarnation != self.live.incarnation()
    }

    /// Which of its addresses all of this is about.
    pub(super) const fn incarnation(&self) -> u32 {
        self.incarnation
    }

    /// It has moved: all but the operator's word begins anew, with the standing that follows.
    pub(super) fn begin_anew(&mut self, terms: Terms, slow_start: Duration, now: Instant) {
        self.live.tally().settle(false);
        let fresh = Self::new(Arc::clone(&self.live), terms, now);
        // What it was judged last stays, so that whoever is told hears of the change.
        let judged = self.judged.take();
        *self = Self { operator: self.operator, judged, is_away: self.is_away, ..fresh };
        self.slow_start.begin(now);
        let (state, _) = combine(self.operator, self.active(), Passive::Well);
        let share = if state == State::Up { self.slow_start.share(slow_start, now) } else { 0 };
        self.live.stand(Standing::new(state, share));
    }

    /// It is configured, perhaps not for the first time or with another check.
    pub(super) fn meet(&mut self, terms: Terms, now: Instant) {
        let was_away = std::mem::replace(&mut self.is_away, false);
        match (self.terms.check, terms.check) {
            (_, None) => self.verdict = Verdict::default(),
            // It serves already: that it is checked from now on is nothing against it.
            (None, Some(_)) => {
                self.verdict.assume(true);
                self.awaited = now;
            }
            (Some(before), Some(check)) if was_away || before.digest != check.digest => {
                self.verdict.renew();
                self.awaited = now;
            }
            _ => {}
        }
        self.terms = terms;
    }

    /// This was known of it elsewhere: it holds until its check's first result, which decides at once.
    pub(super) const fn restore(&mut self, up: bool) {
        if self.terms.check.is_some() {
            self.verdict.assume(up);
        }
    }

    /// Results of its check are wanted.
    pub(super) const fn is_checked(&self) -> bool {
        !self.is_away && self.terms.check.is_some()
    }

    /// Takes a result of its check. `Some` if it is up or down now and wasn't.
    pub(super) fn checked(
        &mut self,
        good: bool,
        words: &str,
        thresholds: &Thresholds,
        now: Instant,
    ) -> Option<bool> {
        if !good {
            let words = &words[..words.floor_char_boundary(LONGEST_WORDS)];
            if *self.complaint != *words {
                self.complaint = words.into();
            }
        }
        self.verdict.take(good, now, thresholds)
    }

    /// What its check says; `None`: it has none, or that has said nothing.
    pub(super) fn is_checked_up(&self) -> Option<bool> {
        self.terms.check.and(self.verdict.is_up())
    }

    /// Results of its check disagree with what it says.
    pub(super) const fn is_changing(&self) -> bool {
        self.verdict.is_changing()
    }

    /// It has no check, or a result of it, or that has had the time it may take.
    pub(super) fn is_known(&self, now: Instant) -> bool {
        self.terms.check.is_none_or(|check| {
            self.verdict.is_up().is_some() || now.saturating_duration_since(self.awaited) >= check.timeout
        })
    }

    /// Takes in what traffic showed since the last time; all of what is remembered.
    pub(super) fn hear(&mut self, now: Instant) -> Heard {
        self.window.take(self.live.tally().read(), now);
        if self.was_out {
            // Failures of tries that were under way when it was ejected say nothing new.
            self.live.tally().settle(true);
            self.window.forget();
        }
        self.was_out = self.is_out(now);
        self.window.sum()
    }

    /// Traffic isn't judged.
    pub(super) fn absolve(&mut self) {
        self.degradation = Degradation::default();
        self.ejection = Ejection::default();
        self.was_out = false;
    }

    /// Compares it with `all` of the pool, itself included.
    pub(super) fn compare(&mut self, all: Heard, margin: f64, now: Instant) {
        if !self.is_out(now) {
            let own = self.window.sum();
            self.degradation.judge(own, all.without(own), margin, now);
        }
    }

    /// What it did lately and just now, as of when it was last [heard](Self::hear).
    pub(super) fn heard(&self) -> Heard {
        self.window.sum()
    }

    /// Whether and why it failed too often in a row, beside what the `others` did just now.
    pub(super) fn failed(&self, others: Sample, limit: u32) -> Option<Cause> {
        let reading = self.live.tally().read();
        ejects(reading, self.live.awaited(), self.window.sum(), others, limit)
    }

    /// Nobody who is left is any better: it isn't out for longer than after a first ejection.
    pub(super) fn hasten(&mut self, cooldown: Duration) {
        self.ejection.hasten(cooldown);
    }

    /// Out from now.
    pub(super) fn eject(&mut self, policy: PassivePolicy, cause: Cause, now: Instant) {
        self.cause = Some(cause);
        self.readmitted = None;
        self.was_out = true;
        self.ejection.eject(policy.cooldown, now);
        self.live.tally().settle(true);
        self.window.forget();
    }

    /// In again if it is out for what the `others` do now, too.
    pub(super) fn excuse(&mut self, others: Sample, now: Instant) {
        if self.is_out(now) && self.cause.is_some_and(|cause| cause.is_common(others)) {
            self.ejection.end(now);
            self.readmit("the others fail as well");
        }
    }

    /// In again, whatever it did.
    pub(super) fn release(&mut self) {
        self.ejection = Ejection::default();
        self.readmit("nobody else is left");
    }

    fn readmit(&mut self, why: &'static str) {
        self.readmitted = Some(why);
        self.was_out = false;
        self.degradation = Degradation::default();
        self.live.tally().settle(true);
        self.window.forget();
    }

    /// When it comes back, if traffic is all that is against it.
    pub(super) fn comes_back(&self, now: Instant) -> Option<Instant> {
        let (state, _) = combine(self.operator, self.active(), Passive::Well);
        self.ejection.until(now).filter(|_| state == State::Up && self.terms.weighs)
    }

    pub(super) fn is_out(&self, now: Instant) -> bool {
        self.ejection.is_out(now)
    }

    /// It is out, and its place counts against the limit.
    pub(super) fn is_statistically_out(&self, now: Instant) -> bool {
        self.is_out(now) && self.cause != Some(Cause::Refused)
    }

    /// New clients are sent to it.
    pub(super) fn is_usable(&self, now: Instant) -> bool {
        self.terms.weighs && is_usable(combine(self.operator, self.active(), self.passive(now)).0)
    }

    /// They really are: its circuit breaker is closed, too.
    pub(super) fn serves(&self, now: Instant) -> bool {
        self.is_usable(now) && self.live.standing().breaker() == BreakerState::Closed
    }

    /// See [`Ward::raise_alarm`](super::Ward::raise_alarm).
    pub(super) fn raise_pool_alarm(&self) {
        self.live.pool().raise_alarm();
    }

    /// See [`Ward::take_alarm`](super::Ward::take_alarm): all of a ward are of one pool.
    pub(super) fn take_pool_alarm(&self) -> bool {
        self.live.pool().take_alarm()
    }

    fn active(&self) -> Active {
        match (self.terms.check.map(|check| check.initially_up), self.verdict.is_up()) {
            (None | Some(true), None) | (_, Some(true)) => Active::Up,
            (Some(false), None) => Active::Unproven,
            (_, Some(false)) => Active::Down,
        }
    }

    fn passive(&self, now: Instant) -> Passive {
        if self.ejection.is_out(now) {
            if self.cause == Some(Cause::Refused) { Passive::Refused } else { Passive::Ejected }
        } else if self.degradation.share().is_some() {
            Passive::Degraded
        } else {
            Passive::Well
        }
    }

    /// Gives it its standing. What changed, if its state is another now.
    pub(super) fn stand(
        &mut self,
        backend: &str,
        panics: bool,
        slow_start: Duration,
        now: Instant,
    ) -> Option<Change> {
        let (state, readmitted) = combine(self.operator, self.active(), self.passive(now));
        let before = self.judged.as_ref().map(|judged| judged.state);
        if is_usable(state) && !before.is_some_and(is_usable) {
            self.slow_start.begin(now);
        }
        let share = match state {
            State::Up => self.slow_start.share(slow_start, now),
            State::Degraded => {
                let most = self.slow_start.share(slow_start, now);
                self.degradation.share().map_or(most, |share| share.min(most))
            }
            _ if panics && readmitted => Standing::WHOLE,
            _ => 0,
        };
        let standing = self.live.standing();
        if (standing.state(), standing.share()) != (state, share) {
            self.live.stand(Standing::new(state, share));
        }
        match &mut self.judged {
            Some(judged) if judged.state == state => {
                judged.share = share;
                return None;
            }
            _ => {}
        }
        // What nobody was told yet begins as what it is before its first result.
        let from = before.unwrap_or(if state == State::Unproven { state } else { State::Up });
        let reason = self.reason(from, state);
        self.judged = Some(Judged { state, reason: reason.clone(), share, since: now });
        (from != state).then(|| Change { backend: backend.into(), from, to: state, reason })
    }

    fn reason(&self, from: State, to: State) -> Cow<'static, str> {
        let reason = match (from, to) {
            (_, State::Draining | State::Disabled) | (State::Draining | State::Disabled, State::Up) => {
                "operator"
            }
            (_, State::Unproven) => "no result of its check yet",
            (_, State::Down) if self.complaint.is_empty() => "its check failed",
            (_, State::Down) => return format!("its check failed: {}", self.complaint).into(),
            (_, State::Ejected) if self.cause == Some(Cause::Refused) => "connections refused",
            (_, State::Ejected) if self.cause == Some(Cause::TimedOut) => "timeouts in a row",
            (_, State::Ejected) => "failures in a row",
            (_, State::Degraded) => "more errors than the others",
            (State::Down | State::Unproven, State::Up) => "its check passed",
            (State::Ejected, State::Up) => self.readmitted.unwrap_or("its cooldown is over"),
            (State::Degraded, State::Up) => "no more errors than the others",
            (State::Up, State::Up) => "nothing is against it",
        };
        reason.into()
    }
}

const fn is_usable(state: State) -> bool {
    matches!(state, State::Up | State::Degraded)
}
