//! The backends of one pool, judged together: what they are, and what they are worth to a pick.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::member::Member;
use super::passive::{Heard, Sample};
use super::streak::Cause;
use super::table::Operator;
use super::verdict::Thresholds;
use crate::live::BackendLive;
use crate::standing::State;

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
    /// The part of the pool, of 1, that may be ejected at once for anything but refused connections; one, if it is anything.
    pub max_ejected: f64,
}

/// What is to be known of a backend's check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// What defines it: another one is another check.
    pub digest: u64,
    /// Whether the backend counts as up before its first result.
    pub initially_up: bool,
    /// How long a result may take.
    pub timeout: Duration,
}

/// As what a backend is in the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What is asked of it, if anything is.
    pub check: Option<Check>,
    /// Whether it has a weight: without one it gets only clients that affinity sends, so it is nobody's last resort.
    pub weighs: bool,
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
    pub reason: Cow<'static, str>,
}

/// What a backend is, for whoever shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// What it is.
    pub state: State,
    /// Why it is that.
    pub reason: Cow<'static, str>,
    /// Of 65,536.
    pub share: u32,
    /// Since when it is that.
    pub since: Instant,
}

/// What became of a check's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noted {
    /// The backend is up or down now and wasn't: the pool is to be judged.
    pub changed: bool,
    /// Further results are wanted soon.
    pub wants_more: bool,
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

    /// `backend` is about to be configured: if it is new it gets the standing to begin with, by what an operator and perhaps an
    /// engine before this one said of it; if it has moved, by the operator's word alone. To be [watched](Self::watch) once it
    /// is configured.
    pub fn expect(
        &mut self,
        backend: &str,
        live: &Arc<BackendLive>,
        terms: Terms,
        (operator, was_up): (Operator, Option<bool>),
        now: Instant,
    ) {
        if let Some(member) = self.members.get_mut(backend).filter(|member| member.is(live)) {
            if member.has_moved() {
                member.begin_anew(terms, self.policy.slow_start, now);
            }
            return;
        }
        let mut member = Member::new(Arc::clone(live), terms, now);
        member.operator = operator;
        if let Some(up) = was_up {
            member.restore(up);
        }
        member.stand(backend, false, self.policy.slow_start, now);
        self.members.insert(backend.into(), member);
    }

    /// Judges `backend` too. Of one that is known already, what is known stays, also if it left and is back, but the first
    /// result of another check decides at once, and under another address all but the operator's word begins anew.
    pub fn watch(&mut self, backend: &str, live: &Arc<BackendLive>, terms: Terms, now: Instant) {
        self.expect(backend, live, terms, (Operator::None, None), now);
        if let Some(member) = self.members.get_mut(backend) {
            member.meet(terms, now);
        }
    }

    /// Judges only those that `keep` says to keep. The others are known for as long as they are in use.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        for (backend, member) in &mut self.members {
            member.is_away |= !keep(backend);
        }
        self.forget_abandoned();
    }

    /// Whether `backend` is known, be it one that left.
    #[must_use]
    pub fn knows(&self, backend: &str) -> bool {
        self.members.contains_key(backend)
    }

    /// Whether nobody is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// An operator says this of `backend`. `false` if that isn't known.
    pub fn operate(&mut self, backend: &str, operator: Operator) -> bool {
        let Some(member) = self.members.get_mut(backend) else { return false };
        member.operator = operator;
        true
    }

    /// A check of `backend` has a result; `words` say why a bad one is bad. `None` if it isn't checked.
    pub fn checked(&mut self, backend: &str, good: bool, words: &str, now: Instant) -> Option<Noted> {
        let member = self.members.get_mut(backend).filter(|member| member.is_checked())?;
        let changed = member.checked(good, words, &self.policy.thresholds, now).is_some();
        Some(Noted { changed, wants_more: member.is_changing() })
    }

    /// Which of the addresses of `backend` everything here is about.
    #[must_use]
    pub fn incarnation(&self, backend: &str) -> Option<u32> {
        self.members.get(backend).map(Member::incarnation)
    }

    /// What `backend` was judged last.
    #[must_use]
    pub fn judged(&self, backend: &str) -> Option<&Judged> {
        self.members.get(backend)?.judged.as_ref()
    }

    /// What the check of `backend` says; `None`: it has none, or that has said nothing.
    #[must_use]
    pub fn is_checked_up(&self, backend: &str) -> Option<bool> {
        self.members.get(backend)?.is_checked_up()
    }

    /// Whether every backend that is checked has a result, or its check has had the time it may take.
    #[must_use]
    pub fn is_known(&self, now: Instant) -> bool {
        self.present().all(|member| member.is_known(now))
    }

    /// How many are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Has it judged with whatever else comes soon, where [`take_alarm`](Self::take_alarm) is asked.
    pub fn raise_alarm(&self) {
        if let Some(member) = self.members.values().next() {
            member.raise_pool_alarm();
        }
    }

    /// Whether a streak was reported since the last time this was asked.
    #[must_use]
    pub fn take_alarm(&self) -> bool {
        self.members.values().next().is_some_and(Member::take_pool_alarm)
    }

    /// Judges all: once a second, after a check's result that changed something, and when a streak is reported. Gives each
    /// backend its standing and returns whose state is another now.
    pub fn judge(&mut self, now: Instant) -> Vec<Change> {
        self.forget_abandoned();
        let all = self.hear(now);
        self.eject(all.just_now, now);
        self.release(now);
        let panics = self.panics(now);
        let slow_start = self.policy.slow_start;
        let present = self.members.iter_mut().filter(|(_, member)| !member.is_away);
        present.filter_map(|(backend, member)| member.stand(backend, panics, slow_start, now)).collect()
    }

    fn present(&self) -> impl Iterator<Item = &Member> {
        self.members.values().filter(|member| !member.is_away)
    }

    fn present_mut(&mut self) -> impl Iterator<Item = &mut Member> {
        self.members.values_mut().filter(|member| !member.is_away)
    }

    fn forget_abandoned(&mut self) {
        self.members.retain(|_, member| !member.is_abandoned());
    }

    /// Takes in what traffic showed since the last time. Gives what it showed of all together.
    fn hear(&mut self, now: Instant) -> Heard {
        let all = self.present_mut().fold(Heard::default(), |sum, member| sum.and(member.hear(now)));
        let passive = self.policy.passive;
        for member in self.present_mut() {
            match passive {
                None => member.absolve(),
                Some(policy) => member.compare(all, policy.error_rate, now),
            }
        }
        all
    }

    /// By failures in a row, beside what `all` did just now. Whoever is out already did nothing.
    fn eject(&mut self, all: Sample, now: Instant) {
        let Some(policy) = self.policy.passive else { return };
        self.present_mut().for_each(|member| member.excuse(all, now));
        let mut serving = self.present().filter(|member| member.serves(now)).count();
        let mut out = self.present().filter(|member| member.is_statistically_out(now)).count();
        let most = part_of(policy.max_ejected, self.present().count());
        let mut last_fails = false;
        for member in self.present_mut().filter(|member| !member.is_out(now)) {
            let others = all.without(member.heard().just_now);
            let Some(cause) = member.failed(others, policy.consecutive_failures) else { continue };
            let is_last = serving == usize::from(member.serves(now));
            let is_statistical = cause != Cause::Refused;
            last_fails |= is_last && member.serves(now);
            if is_last || is_statistical && out >= most {
                continue;
            }
            serving -= usize::from(member.serves(now));
            out += usize::from(is_statistical);
            member.eject(policy, cause, now);
        }
        if last_fails {
            self.present_mut().for_each(|member| member.hasten(policy.cooldown));
        }
    }

    /// Where nobody serves any more, the ejected one that would come back first is the last usable one.
    fn release(&mut self, now: Instant) {
        if self.present().any(|member| member.serves(now)) {
            return;
        }
        let first = self
            .present_mut()
            .filter_map(|member| Some((member.comes_back(now)?, member)))
            .min_by_key(|(at, _)| *at);
        if let Some((_, member)) = first {
            member.release();
        }
    }

    fn panics(&self, now: Instant) -> bool {
        let counted = self.present().filter(|member| member.operator == Operator::None);
        let (all, usable) = counted.fold((0_u32, 0_u32), |(all, usable), member| {
            (all.saturating_add(1), usable + u32::from(member.is_usable(now)))
        });
        usable < all && f64::from(usable) < self.policy.panic_threshold * f64::from(all)
    }
}

/// The most members that are no more than `part` of `all`; one, if the part is anything: else in a small pool a small part
/// would say that nobody is ever ejected.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to between nothing and all"
)]
fn part_of(part: f64, all: usize) -> usize {
    let whole = f64::from(u32::try_from(all).unwrap_or(u32::MAX));
    // A part such as 0.3 of 10 must not come to 2 by rounding.
    let most = (part.clamp(0.0, 1.0) * whole + 1e-9).floor() as usize;
    most.max(usize::from(part > 0.0))
}
