//! What a backend is worth to a pick right now: one word that every pick reads beside the count it reads anyway.
//!
//! Health, slow start, panic, operators: whoever judges writes a share of the configured weight and a state. A pick
//! knows no reasons. A circuit breaker has bits of its own in the same word, which judging leaves alone, as it leaves
//! what was judged.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::breaker::BreakerState;

/// What a backend is said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum State {
    /// Well.
    Up,
    /// Worse than the others of its pool: its weight is reduced.
    Degraded,
    /// Left out for a while because of what traffic showed.
    Ejected,
    /// Its check failed.
    Down,
    /// Its check has said nothing yet.
    Unproven,
    /// An operator lets it finish, or it left the configuration.
    Draining,
    /// An operator cut it off.
    Disabled,
}

impl State {
    const ALL: [Self; 7] =
        [Self::Up, Self::Degraded, Self::Ejected, Self::Down, Self::Unproven, Self::Draining, Self::Disabled];
}

/// A backend's state and share, with its circuit breaker.
///
/// Bits: 0 to 16 the share, 17 to 19 the state, 20 and 21 the breaker (0 closed, 1 half-open, 2 open), 22 whether a
/// half-open breaker's trial is taken, 23 to 31 the breaker's phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Standing(u32);

const SHARE: u32 = (1 << 17) - 1;
const STATE_AT: u32 = 17;
const STATE: u32 = 0b111 << STATE_AT;
const BREAKER: u32 = 0b11 << 20;
const BREAKER_HALF_OPEN: u32 = 0b01 << 20;
const BREAKER_OPEN: u32 = 0b10 << 20;
const TRIAL_TAKEN: u32 = 1 << 22;
const ON_TRIAL: u32 = BREAKER_HALF_OPEN | TRIAL_TAKEN;
const PHASE_AT: u32 = 23;
const PHASE: u32 = !0 << PHASE_AT;
/// What is judged, as opposed to the breaker's.
const JUDGED: u32 = SHARE | STATE;

impl Standing {
    /// The share that is all of the configured weight.
    pub const WHOLE: u32 = 65_536;

    /// Well, with all of its weight: what a backend is before anybody has judged it.
    pub const UP: Self = Self::new(State::Up, Self::WHOLE);

    /// `share` of 65,536; what is above counts as that. The breaker is closed.
    #[must_use]
    pub const fn new(state: State, share: u32) -> Self {
        let share = if share > Self::WHOLE { Self::WHOLE } else { share };
        Self(share | (state as u32) << STATE_AT)
    }

    /// The share of its configured weight, of 65,536.
    #[must_use]
    #[inline]
    pub const fn share(self) -> u32 {
        self.0 & SHARE
    }

    /// What of its weight, of 65,536, isn't lost to illness. One that is well has all of it, also while its share still grows.
    #[must_use]
    pub fn health(self) -> u32 {
        if !self.is_open() {
            0
        } else if self.state() == State::Up {
            Self::WHOLE
        } else {
            self.share()
        }
    }

    /// What it is said to be.
    #[must_use]
    pub fn state(self) -> State {
        // Only `new` writes these bits, so no eighth state is ever found.
        State::ALL.get(((self.0 & STATE) >> STATE_AT) as usize).copied().unwrap_or(State::Disabled)
    }

    /// Whether nothing at all is in the way: it has all of its weight, and its breaker is closed.
    #[must_use]
    #[inline]
    pub const fn is_whole(self) -> bool {
        self.0 & (SHARE | BREAKER | TRIAL_TAKEN) == Self::WHOLE
    }

    /// Whether new clients may be sent to it: it has a share, its breaker isn't open, and if that is half-open its trial is
    /// still to be had.
    #[must_use]
    #[inline]
    pub const fn is_open(self) -> bool {
        self.0 & SHARE != 0 && self.breaker_admits()
    }

    /// Whether clients that affinity sends may go on with it: it is well enough or drains, whatever its weight.
    #[must_use]
    pub fn admits_known(self) -> bool {
        matches!(self.state(), State::Up | State::Degraded | State::Draining) && self.breaker_admits()
    }

    /// What its circuit breaker is.
    #[must_use]
    pub const fn breaker(self) -> BreakerState {
        match self.0 & BREAKER {
            0 => BreakerState::Closed,
            BREAKER_OPEN => BreakerState::Open,
            _ => BreakerState::HalfOpen,
        }
    }

    const fn breaker_admits(self) -> bool {
        self.0 & BREAKER != BREAKER_OPEN && self.0 & TRIAL_TAKEN == 0
    }
}

/// A breaker's time from one opening to the next. Phases come round after 512: who was let in so many openings ago and
/// is only now answered counts as of today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase(u32);

/// What a breaker has let in: in which phase, and whether as its trial. What is said of it later counts only while that
/// lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    phase: Phase,
    /// Since when it is on trial.
    trial: Option<u32>,
}

impl Pass {
    /// Whether it is one that a half-open breaker has let in.
    #[must_use]
    pub fn is_trial(self) -> bool {
        self.trial.is_some()
    }
}

/// The same bits, one phase on.
const fn next_phase(bits: u32) -> u32 {
    bits.wrapping_add(1 << PHASE_AT)
}

/// A standing, and in the upper half since when its breaker is open or its trial lasts: milliseconds from when its pool
/// began to count them. They come round after 49 days. Relaxed: the word guards no other memory.
#[derive(Debug)]
pub(crate) struct StandingWord(AtomicU64);

impl Default for StandingWord {
    fn default() -> Self {
        Self(AtomicU64::new(join(Standing::UP.0, 0)))
    }
}

const fn join(bits: u32, since: u32) -> u64 {
    (since as u64) << 32 | bits as u64
}

const fn split(word: u64) -> (u32, u32) {
    (word as u32, (word >> 32) as u32)
}

/// How much of `span` isn't over yet. Another thread's clock may be a little behind.
fn left(span: u32, since: u32, now: u32) -> u32 {
    let passed = now.wrapping_sub(since);
    if passed > u32::MAX / 2 { span } else { span.saturating_sub(passed) }
}

impl StandingWord {
    #[inline]
    pub(crate) fn read(&self) -> Standing {
        Standing(split(self.0.load(Relaxed)).0)
    }

    /// Lets a request in: any while the breaker is closed, one at a time while it is half-open.
    #[inline]
    pub(crate) fn admit(&self, now: impl FnOnce() -> u32) -> Option<Pass> {
        let (bits, _) = split(self.0.load(Relaxed));
        if bits & BREAKER == 0 {
            return Some(Pass { phase: Phase(bits & PHASE), trial: None });
        }
        let now = now();
        let is_free = |bits| bits & (BREAKER | TRIAL_TAKEN) == BREAKER_HALF_OPEN;
        let before = self.turn(|bits, _| is_free(bits).then_some((bits | TRIAL_TAKEN, now)))?;
        Some(Pass { phase: Phase(before & PHASE), trial: Some(now) })
    }

    /// Whether the state that let `pass` in still lasts. One on trial may have been given up for the next; it is as good
    /// a witness as that.
    fn is_current(bits: u32, pass: Pass) -> bool {
        let state = if pass.is_trial() { BREAKER_HALF_OPEN } else { 0 };
        bits & (BREAKER | PHASE) == state | pass.phase.0
    }

    /// Whether what became of `pass` is counted: it was let in by this very closed state.
    pub(crate) fn counts(&self, pass: Pass) -> bool {
        !pass.is_trial() && Self::is_current(self.read().0, pass)
    }

    /// Opens the breaker, unless what let `pass` in is over. Begins a phase.
    pub(crate) fn open(&self, pass: Pass, now: u32) -> Option<Phase> {
        let opened = |bits| next_phase(bits) & !(BREAKER | TRIAL_TAKEN) | BREAKER_OPEN;
        let before = self.turn(|bits, _| Self::is_current(bits, pass).then(|| (opened(bits), now)))?;
        Some(Phase(next_phase(before) & PHASE))
    }

    /// Does what is due in `phase` when its breaker stays open, and a trial lasts, for `span`: half-opens the one, and gives
    /// the other up for the next. Says whether it did, and when something may be due again; never in another phase.
    pub(crate) fn tend(&self, phase: Phase, span: u32, now: u32) -> (bool, Option<u32>) {
        let mut again = None;
        let look = |word| {
            let (bits, since) = split(word);
            let left = left(span, since, now);
            let state = bits & (BREAKER | TRIAL_TAKEN);
            let turned = match state {
                BREAKER_OPEN if left == 0 => Some(bits & !BREAKER | BREAKER_HALF_OPEN),
                ON_TRIAL if left == 0 => Some(bits & !TRIAL_TAKEN),
                _ => None,
            };
            let is_over = bits & PHASE != phase.0 || state & BREAKER == 0;
            // A trial that begins only now lasts at least as long.
            let wait = if turned.is_some() || state == BREAKER_HALF_OPEN { span } else { left };
            again = (!is_over).then_some(wait);
            turned.filter(|_| !is_over).map(|bits| join(bits, since))
        };
        (self.0.fetch_update(Relaxed, Relaxed, look).is_ok(), again)
    }

    /// Closes a breaker that has let `pass` in as its trial.
    pub(crate) fn close(&self, pass: Pass) -> bool {
        let is_it = |bits| pass.is_trial() && Self::is_current(bits, pass);
        self.turn(|bits, since| is_it(bits).then_some((bits & !(BREAKER | TRIAL_TAKEN), since))).is_some()
    }

    /// The trial that `pass` is, is to be had again, if it wasn't given up yet.
    pub(crate) fn give_back(&self, pass: Pass) -> bool {
        let state = ON_TRIAL | pass.phase.0;
        let is_it =
            |bits, since| bits & (BREAKER | TRIAL_TAKEN | PHASE) == state && pass.trial == Some(since);
        self.turn(|bits, since| is_it(bits, since).then_some((bits & !TRIAL_TAKEN, since))).is_some()
    }

    /// Closes a breaker, whatever it was, and takes nothing more from those it had let in.
    pub(crate) fn renew(&self) {
        self.turn(|bits, since| Some((next_phase(bits) & !(BREAKER | TRIAL_TAKEN), since)));
    }

    /// The bits before, if `next` says what comes after them and when that began.
    fn turn(&self, next: impl Fn(u32, u32) -> Option<(u32, u32)>) -> Option<u32> {
        let turned = |word| {
            let (bits, since) = split(word);
            next(bits, since).map(|(bits, since)| join(bits, since))
        };
        self.0.fetch_update(Relaxed, Relaxed, turned).ok().map(|word| split(word).0)
    }

    /// Replaces what was judged and keeps the breaker's bits. Gives the standing before.
    pub(crate) fn judge(&self, standing: Standing) -> Standing {
        let judged = standing.0 & JUDGED;
        let before = self.turn(|bits, since| Some((bits & !JUDGED | judged, since)));
        Standing(before.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn share_and_state_come_back_as_they_were_given() {
        for state in State::ALL {
            for share in [0, 1, 32_768, Standing::WHOLE] {
                let standing = Standing::new(state, share);
                assert_eq!((standing.state(), standing.share()), (state, share));
                assert_eq!(standing.is_open(), share > 0);
            }
        }
        assert_eq!(Standing::new(State::Up, u32::MAX), Standing::UP);
    }

    #[test]
    fn judging_leaves_the_breaker_alone() {
        let word = StandingWord::default();
        word.0.fetch_or(join(BREAKER_OPEN, 0), Relaxed);
        assert!(!word.read().is_open() && !word.read().admits_known());
        let before = word.judge(Standing::new(State::Degraded, 100));
        assert_eq!((before.state(), before.share()), (State::Up, Standing::WHOLE));
        assert!(!word.read().is_open());
        assert_eq!((word.read().state(), word.read().share()), (State::Degraded, 100));
        word.0.fetch_and(!join(BREAKER, 0), Relaxed);
        assert!(word.read().is_open());
        word.0.fetch_or(join(TRIAL_TAKEN, 0), Relaxed);
        assert!(!word.read().is_open());
    }

    #[test]
    fn times_come_round_and_a_clock_that_is_behind_ends_nothing() {
        assert_eq!((left(500, 100, 100), left(500, 100, 599), left(500, 100, 600)), (500, 1, 0));
        assert_eq!(left(500, u32::MAX - 99, 300), 100);
        assert_eq!(left(500, 100, 99), 500);
    }

    #[test]
    fn known_clients_go_on_while_it_is_well_or_drains() {
        let admits = |state| Standing::new(state, 0).admits_known();
        assert!(admits(State::Up) && admits(State::Degraded) && admits(State::Draining));
        assert!(!admits(State::Ejected) && !admits(State::Down));
        assert!(!admits(State::Unproven) && !admits(State::Disabled));
    }
}
