//! What a backend is worth to a pick right now: one word that every pick reads beside the count it reads anyway.
//!
//! Health, slow start, panic, operators: whoever judges writes a share of the configured weight and a state. A pick
//! knows no reasons. A circuit breaker has bits of its own in the same word, which judging leaves alone, as it leaves
//! what was judged.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

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

    /// What it is said to be.
    #[must_use]
    pub fn state(self) -> State {
        // Only `new` writes these bits, so no eighth state is ever found.
        State::ALL.get(((self.0 & STATE) >> STATE_AT) as usize).copied().unwrap_or(State::Disabled)
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
    trial: bool,
}

impl Pass {
    /// Whether it is the one that a half-open breaker waits for.
    #[must_use]
    pub fn is_trial(self) -> bool {
        self.trial
    }
}

/// The same word, one phase on.
const fn next_phase(word: u32) -> u32 {
    word.wrapping_add(1 << PHASE_AT)
}

/// The word itself. Relaxed: it guards no other memory.
#[derive(Debug)]
pub(crate) struct StandingWord(AtomicU32);

impl Default for StandingWord {
    fn default() -> Self {
        Self(AtomicU32::new(Standing::UP.0))
    }
}

impl StandingWord {
    #[inline]
    pub(crate) fn read(&self) -> Standing {
        Standing(self.0.load(Relaxed))
    }

    /// Lets a request in: any while the breaker is closed, one at a time while it is half-open.
    #[inline]
    pub(crate) fn admit(&self) -> Option<Pass> {
        let word = self.0.load(Relaxed);
        if word & BREAKER == 0 {
            return Some(Pass { phase: Phase(word & PHASE), trial: false });
        }
        let free = |word| word & (BREAKER | TRIAL_TAKEN) == BREAKER_HALF_OPEN;
        let before = self.turn(|word| free(word).then_some(word | TRIAL_TAKEN))?;
        Some(Pass { phase: Phase(before & PHASE), trial: true })
    }

    /// Whether the state that let `pass` in still lasts.
    fn is_current(word: u32, pass: Pass) -> bool {
        let state = if pass.trial { BREAKER_HALF_OPEN | TRIAL_TAKEN } else { 0 };
        word & (BREAKER | TRIAL_TAKEN | PHASE) == state | pass.phase.0
    }

    /// Whether what became of `pass` is counted: it was let in by this very closed state.
    pub(crate) fn counts(&self, pass: Pass) -> bool {
        !pass.trial && Self::is_current(self.0.load(Relaxed), pass)
    }

    /// Opens the breaker, unless what let `pass` in is over. Begins a phase.
    pub(crate) fn open(&self, pass: Pass) -> Option<Phase> {
        let opened = |word| next_phase(word) & !(BREAKER | TRIAL_TAKEN) | BREAKER_OPEN;
        let before = self.turn(|word| Self::is_current(word, pass).then(|| opened(word)))?;
        Some(Phase(next_phase(before) & PHASE))
    }

    /// Half-opens a breaker that has been open since `phase` began.
    pub(crate) fn half_open(&self, phase: Phase) -> bool {
        let from = BREAKER_OPEN | phase.0;
        let turned = |word| word & !BREAKER | BREAKER_HALF_OPEN;
        self.turn(|word| (word & (BREAKER | PHASE) == from).then(|| turned(word))).is_some()
    }

    /// Closes a breaker whose trial `pass` is.
    pub(crate) fn close(&self, pass: Pass) -> bool {
        self.end_trial(pass, BREAKER | TRIAL_TAKEN)
    }

    /// The trial that `pass` is, is to be had again.
    pub(crate) fn give_back(&self, pass: Pass) -> bool {
        self.end_trial(pass, TRIAL_TAKEN)
    }

    fn end_trial(&self, pass: Pass, cleared: u32) -> bool {
        let is_trial = |word| pass.trial && Self::is_current(word, pass);
        self.turn(|word| is_trial(word).then_some(word & !cleared)).is_some()
    }

    /// Closes a breaker, whatever it was, and takes nothing more from those it had let in.
    pub(crate) fn renew(&self) {
        self.turn(|word| Some(next_phase(word) & !(BREAKER | TRIAL_TAKEN)));
    }

    /// The word before, if `next` says what comes after it.
    fn turn(&self, next: impl Fn(u32) -> Option<u32>) -> Option<u32> {
        self.0.fetch_update(Relaxed, Relaxed, next).ok()
    }

    /// Replaces what was judged and keeps the breaker's bits. Gives the standing before.
    pub(crate) fn judge(&self, standing: Standing) -> Standing {
        let judged = standing.0 & JUDGED;
        let before = self.0.fetch_update(Relaxed, Relaxed, |word| Some(word & !JUDGED | judged));
        Standing(before.unwrap_or_else(|word| word))
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
        word.0.fetch_or(BREAKER_OPEN, Relaxed);
        assert!(!word.read().is_open() && !word.read().admits_known());
        let before = word.judge(Standing::new(State::Degraded, 100));
        assert_eq!((before.state(), before.share()), (State::Up, Standing::WHOLE));
        assert!(!word.read().is_open());
        assert_eq!((word.read().state(), word.read().share()), (State::Degraded, 100));
        word.0.fetch_and(!BREAKER, Relaxed);
        assert!(word.read().is_open());
        word.0.fetch_or(TRIAL_TAKEN, Relaxed);
        assert!(!word.read().is_open());
    }

    #[test]
    fn known_clients_go_on_while_it_is_well_or_drains() {
        let admits = |state| Standing::new(state, 0).admits_known();
        assert!(admits(State::Up) && admits(State::Degraded) && admits(State::Draining));
        assert!(!admits(State::Ejected) && !admits(State::Down));
        assert!(!admits(State::Unproven) && !admits(State::Disabled));
    }
}
