//! The backends of one pool, judged together: what they are, and what they are worth to a pick.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ejection::Ejection;
use super::passive::{Degradation, Sample, Window};
use super::slow_start::SlowStart;
use super::table::{Active, Operator, Passive, combine};
use super::verdict::{Thresholds, Verdict};
use crate::live::BackendLive;
use crate::standing::{Standing, State};

/// By what a pool's backends are judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// By what the results of checks are.
    pub thresholds: Thresholds,
    /// `None`: traffic isn't judged.
    pub passive: Option<PassivePolicy>,
    /// Where fewer of the pool are usable than this part, those that fail are sent to as well. Nothing: never.
    pub panic_threshold: f64,
    /// Over what time the share of one that joined or recovered grows. Nothing: at once.
    pub slow_start: Duration,
}

/// By what traffic is judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PassivePolicy {
    /// How far an error rate may be above that of the others, of 1.
    pub error_rate: f64,
    /// Failures in a row that eject.
    pub consecutive_failures: u32,
    /// How long the first ejection lasts.
    pub cooldown: Duration,
    /// The part of the pool, of 1, that may be ejected at once for anything but refused connections.
    pub max_ejected: f64,
}

/// What is to be known of a backend's check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// What defines it: another one is another check.
    pub digest: u64,
    /// Whether the backend counts as up before its first result.
    pub initially_up: bool,
}

/// A backend that has become something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its id.
    pub backend: Box<str>,
    /// What it was.
    pub from: State,
    /// What it is.
    pub to: State,
    /// Why, in words for an operator.
    pub reason: &'static str,
}

/// What a backend is, for whoever shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// What it is.
    pub state: State,
    /// Why it is that.
    pub reason: &'static str,
    /// Of 65,536.
    pub share: u32,
}

#[derive(Debug)]
struct Member {
    live: Arc<BackendLive>,
    /// Which of its addresses all of this is about.
    incarnation: u32,
    operator: Operator,
    check: Option<Check>,
    verdict: Verdict,
    window: Window,
    degradation: Degradation,
    ejection: Ejection,
    /// It is out because nobody accepted its connections.
    is_refused: bool,
    was_out: bool,
    slow_start: SlowStart,
    /// As it was judged last.
    judged: Option<Judged>,
}

/// The backends of one pool by id.
#[derive(Debug)]
pub struct Ward {
    policy: Policy,
    members: BTreeMap<Box<str>, Member>,
}

impl Ward {
    /// Nobody is in it yet.
    #[must_use]
    pub const fn new(policy: Policy) -> Self {
        Self { policy, members: BTreeMap::new() }
    }

    /// Judges by another policy from now on. What is known of the backends stays.
    pub const fn follow(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// Judges `backend` too. One that is judged already stays as it is, but another check's first result decides at once, and
    /// under another address all but the operator's word begins anew.
    pub fn watch(&mut self, backend: &str, live: Arc<BackendLive>, check: Option<Check>, now: Instant) {
        match self.members.get_mut(backend) {
            Some(member) if Arc::ptr_eq(&member.live, &live) => member.meet(check, now),
            _ => {
                self.members.insert(backend.into(), Member::new(live, check, now));
            }
        }
    }

    /// Judges only those that `keep` says to keep.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.members.retain(|backend, _| keep(backend));
    }

    /// An operator says this of `backend`.
    pub fn operate(&mut self, backend: &str, operator: Operator) {
        if let Some(member) = self.members.get_mut(backend) {
            member.operator = operator;
        }
    }

    /// A check of `backend` has a result. `true` if more results are wanted soon.
    pub fn checked(&mut self, backend: &str, good: bool, now: Instant) -> bool {
        let Some(member) = self.members.get_mut(backend) else { return false };
        member.verdict.take(good, now, &self.policy.thresholds);
        member.verdict.is_changing()
    }

    /// What `backend` was judged last.
    #[must_use]
    pub fn judged(&self, backend: &str) -> Option<Judged> {
        self.members.get(backend)?.judged
    }

    /// Judges all: once a second, after a check's result that changed something, and when a streak is reported. Gives each
    /// backend its standing and returns whose state is another now.
    pub fn judge(&mut self, now: Instant) -> Vec<Change> {
        self.hear(now);
        self.eject(now);
        self.release(now);
        let panics = self.panics(now);
        let slow_start = self.policy.slow_start;
        let mut changes = Vec::new();
        for (backend, member) in &mut self.members {
            if let Some((from, judged)) = member.stand(panics, slow_start, now) {
                changes.push(Change {
                    backend: backend.clone(),
                    from,
                    to: judged.state,
                    reason: judged.reason,
                });
            }
        }
        changes
    }

    /// Takes in what traffic showed since the last time.
    fn hear(&mut self, now: Instant) {
        let mut all = Sample::default();
        for member in self.members.values_mut() {
            member.window.take(member.live.tally().read(), now);
            all = all.and(member.window.sum());
        }
        let Some(policy) = self.policy.passive else {
            for member in self.members.values_mut() {
                member.degradation = Degradation::default();
                member.ejection = Ejection::default();
            }
            return;
        };
        for member in self.members.values_mut() {
            let is_out = member.ejection.is_out(now);
            if member.was_out {
                // Failures of tries that were under way when it was ejected say nothing new.
                member.live.tally().settle();
                member.window.forget();
            }
            member.was_out = is_out;
            if !is_out {
                let own = member.window.sum();
                member.degradation.judge(own, all.without(own), policy.error_rate, now);
            }
        }
    }

    fn eject(&mut self, now: Instant) {
        let Some(policy) = self.policy.passive else { return };
        let mut usable = self.members.values().filter(|member| member.is_usable(now)).count();
        let mut out =
            self.members.values().filter(|member| member.ejection.is_out(now) && !member.is_refused).count();
        let most = part_of(policy.max_ejected, self.members.len());
        for member in self.members.values_mut().filter(|member| !member.ejection.is_out(now)) {
            let Some(refused) = member.failed(policy.consecutive_failures, now) else { continue };
            let is_last = usable == usize::from(member.is_usable(now));
            if is_last || !refused && out >= most {
                continue;
            }
            usable -= usize::from(member.is_usable(now));
            out += usize::from(!refused);
            member.is_refused = refused;
            member.was_out = true;
            member.ejection.eject(policy.cooldown, now);
            member.live.tally().settle();
            member.window.forget();
        }
    }

    /// Where nobody is usable any more, the ejected one that would come back first is the last usable one.
    fn release(&mut self, now: Instant) {
        if self.members.values().any(|member| member.is_usable(now)) {
            return;
        }
        let could = |member: &&mut Member| {
            let (state, _) = combine(member.operator, member.active(), Passive::Well);
            state == State::Up && member.ejection.is_out(now)
        };
        if let Some(member) =
            self.members.values_mut().filter(could).min_by_key(|member| member.ejection.until(now))
        {
            member.ejection = Ejection::default();
            member.live.tally().settle();
        }
    }

    fn panics(&self, now: Instant) -> bool {
        let counted = self.members.values().filter(|member| member.operator == Operator::None);
        let (all, usable) = counted
            .fold((0, 0), |(all, usable), member| (all + 1, usable + usize::from(member.is_usable(now))));
        usable < all && {
            let part = |count: u32| f64::from(count);
            let (all, usable) =
                (u32::try_from(all).unwrap_or(u32::MAX), u32::try_from(usable).unwrap_or(u32::MAX));
            part(usable) < self.policy.panic_threshold * part(all)
        }
    }
}

/// The most members that are no more than `part` of `all`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to between nothing and all"
)]
fn part_of(part: f64, all: usize) -> usize {
    let whole = f64::from(u32::try_from(all).unwrap_or(u32::MAX));
    // A part such as 0.3 of 10 must not come to 2 by rounding.
    (part.clamp(0.0, 1.0) * whole + 1e-9).floor() as usize
}

impl Member {
    fn new(live: Arc<BackendLive>, check: Option<Check>, now: Instant) -> Self {
        let window = Window::new(live.tally().read(), now);
        Self {
            incarnation: live.incarnation(),
            live,
            operator: Operator::None,
            check,
            verdict: Verdict::default(),
            window,
            degradation: Degradation::default(),
            ejection: Ejection::default(),
            is_refused: false,
            was_out: false,
            slow_start: SlowStart::default(),
            judged: None,
        }
    }

    /// It is configured once more, perhaps with another check or at another address.
    fn meet(&mut self, check: Option<Check>, now: Instant) {
        if self.incarnation != self.live.incarnation() {
            self.live.tally().settle();
            let fresh = Self::new(Arc::clone(&self.live), check, now);
            *self = Self { operator: self.operator, judged: self.judged, ..fresh };
            self.slow_start.begin(now);
            return;
        }
        match (self.check, check) {
            (_, None) => self.verdict = Verdict::default(),
            (Some(before), Some(check)) if before.digest != check.digest => self.verdict.renew(),
            _ => {}
        }
        self.check = check;
    }

    fn active(&self) -> Active {
        match (self.check.map(|check| check.initially_up), self.verdict.is_up()) {
            (None | Some(true), None) | (_, Some(true)) => Active::Up,
            (Some(false), None) => Active::Unproven,
            (_, Some(false)) => Active::Down,
        }
    }

    fn passive(&self, now: Instant) -> Passive {
        if self.ejection.is_out(now) {
            if self.is_refused { Passive::Refused } else { Passive::Ejected }
        } else if self.degradation.share().is_some() {
            Passive::Degraded
        } else {
            Passive::Well
        }
    }

    fn is_usable(&self, now: Instant) -> bool {
        is_usable(combine(self.operator, self.active(), self.passive(now)).0)
    }

    /// Whether it failed too often in a row; then, whether mostly because nobody accepted its connections.
    fn failed(&self, limit: u32, now: Instant) -> Option<bool> {
        let reading = self.live.tally().read();
        let sum = self.window.sum();
        let mostly_errored = sum.errored.saturating_mul(2) > sum.tries;
        let streak = reading.streak.saturating_add(if mostly_errored { reading.errored_streak } else { 0 });
        let limit = if self.ejection.is_on_trial(now) { 1 } else { limit.max(1) };
        (streak >= limit).then(|| reading.refused_streak.saturating_mul(2) > streak)
    }

    /// Gives it its standing. The state before and what it is now, if that is another.
    fn stand(&mut self, panics: bool, slow_start: Duration, now: Instant) -> Option<(State, Judged)> {
        let (state, readmitted) = combine(self.operator, self.active(), self.passive(now));
        let before = self.judged.map(|judged| judged.state);
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
        if before == Some(state) {
            self.judged = self.judged.map(|judged| Judged { share, ..judged });
            return None;
        }
        let from = before.unwrap_or(State::Up);
        let judged = Judged { state, reason: self.reason(from, state), share };
        self.judged = Some(judged);
        (from != state).then_some((from, judged))
    }

    const fn reason(&self, from: State, to: State) -> &'static str {
        match (from, to) {
            (_, State::Draining | State::Disabled) | (State::Draining | State::Disabled, State::Up) => {
                "operator"
            }
            (_, State::Unproven) => "no result of its check yet",
            (_, State::Down) => "its check failed",
            (_, State::Ejected) if self.is_refused => "connections refused",
            (_, State::Ejected) => "failures in a row",
            (_, State::Degraded) => "more errors than the others",
            (State::Down | State::Unproven, State::Up) => "its check passed",
            (State::Ejected, State::Up) => "its cooldown is over",
            (State::Degraded, State::Up) => "no more errors than the others",
            (State::Up, State::Up) => "nothing is against it",
        }
    }
}

const fn is_usable(state: State) -> bool {
    matches!(state, State::Up | State::Degraded)
}
