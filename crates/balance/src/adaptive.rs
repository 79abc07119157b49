//! `max_in_flight` that finds itself: as many requests at a time as a backend answers without making them wait.
//!
//! A gradient limit, as Envoy's adaptive concurrency and Netflix's concurrency-limits have it. Requests beyond what a
//! backend works on at a time only wait in it, so their answers take longer. The time that answers take now is
//! compared with the time they take when none waits (the *base*):
//!
//! ```text
//! limit ← limit × min(1, base × 1.25 / time) + √limit
//! ```
//!
//! With `c` at work and the rest waiting, time is base × limit / c, so this settles at 1.25 c + √limit: the backend is never
//! idle, and a request waits for a third of its own time where c is 100, for about all of it where c is 5. Vegas, which also goes by a base, allows a
//! fixed number of waiting requests, which is too many for small backends and too few for large ones.
//!
//! The base is what makes or breaks it. If it only ever fell, a backend that has become slower for good would be throttled for
//! ever; if it followed the times, it would take waiting for normal and the limit would drift upwards (Gradient2's known
//! weakness). So it follows while the limit isn't reached, for then nobody waits because of it; and where the limit is
//! reached for long it is measured anew, as Envoy and BBR do: with a quarter of the limit for two windows, one for what
//! was waiting to drain and one to measure.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::hash::mix;

/// The most requests a backend has at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxInFlight {
    /// So many.
    Fixed(u32),
    /// As many as it bears, within these.
    Adaptive(Bounds),
}

/// What a limit that adapts never leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// At least 1.
    pub min: u32,
    /// At least as much.
    pub max: u32,
}

impl Bounds {
    /// Where a limit begins of whose backend nothing is known.
    const INITIAL: u32 = 20;

    /// What a limit that was found, or 0 for none, comes to.
    #[inline]
    pub(crate) fn hold(self, limit: u32) -> u32 {
        let limit = if limit == 0 { Self::INITIAL } else { limit };
        limit.min(self.max).max(self.min)
    }
}

/// The shortest time that is judged at once: a loop through several requests of most applications.
const WINDOW: Duration = Duration::from_millis(250);

/// With fewer answers a window goes on: the mean of 25 is off by a fifth where times are exponential.
const ENOUGH: u64 = 25;

/// Times are as good as the base up to so many times the base.
const TOLERANCE: f64 = 1.25;

/// The most that one window takes off.
const STEEPEST: f64 = 0.5;

/// What a window leaves in which the backend said or showed that it is overloaded.
const OVERLOADED: f64 = 0.9;

/// What part of the way to a new limit, and of a base to what was just measured, a window goes.
const PACE: f64 = 0.5;
const BASE_PACE: f64 = 0.125;

/// The base is measured anew after the limit was reached for so long: soon at first, when it may have been taken from a
/// backend that was overloaded already.
const FIRST_PROBE: Duration = Duration::from_secs(5);
const PROBE: Duration = Duration::from_secs(30);

/// The part of the limit it is measured with.
const PROBING: f64 = 0.25;

/// How a backend's limit is found. Workers count, and one of them judges a window that is over: whoever finds the state
/// free, since nobody waits for it.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    /// Answers of this window: their microseconds (40 bits) and their number (24 bits).
    answers: AtomicU64,
    overloads: AtomicU32,
    /// The most in flight, seen at the ends of requests.
    most: AtomicU32,
    state: Mutex<State>,
}

const NUMBER_BITS: u32 = 24;

#[derive(Debug, Default)]
struct State {
    began: Option<Instant>,
    control: Option<Control>,
}

impl Limiter {
    /// A request ended that was answered after this time, or as one of too many. `in_flight` counts it. Returns
    /// the limit if that was judged anew.
    pub(crate) fn take(
        &self,
        answered: Option<Duration>,
        in_flight: u32,
        bounds: Bounds,
        now: Instant,
    ) -> Option<u32> {
        self.most.fetch_max(in_flight, Relaxed);
        let is_enough = if let Some(time) = answered {
            let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).min(u64::from(u32::MAX));
            let number = self.answers.fetch_add(micros << NUMBER_BITS | 1, Relaxed) + 1;
            number & ((1 << NUMBER_BITS) - 1) >= ENOUGH
        } else {
            self.overloads.fetch_add(1, Relaxed);
            true
        };
        if !is_enough {
            return None;
        }
        let mut state = self.state.try_lock().ok()?;
        let began = *state.began.get_or_insert(now);
        if now.saturating_duration_since(began) < WINDOW {
            return None;
        }
        state.began = Some(now);
        let window = self.close_window();
        let control = state.control.get_or_insert_with(|| Control::new(bounds, now));
        Some(control.judge(window, bounds, now))
    }

    fn close_window(&self) -> Window {
        let answers = self.answers.swap(0, Relaxed);
        let number = answers & ((1 << NUMBER_BITS) - 1);
        #[expect(clippy::cast_precision_loss, reason = "40 and 24 bits")]
        let mean = (number > 0).then(|| (answers >> NUMBER_BITS) as f64 / number as f64);
        Window { mean, overloaded: self.overloads.swap(0, Relaxed) > 0, most: self.most.swap(0, Relaxed) }
    }

    /// Another address: what was learnt is void.
    pub(crate) fn forget(&self) {
        if let Ok(mut state) = self.state.lock() {
            *state = State::default();
            self.close_window();
        }
    }
}

/// What came of a window.
#[derive(Clone, Copy, Debug)]
struct Window {
    /// Microseconds of an answer.
    mean: Option<f64>,
    overloaded: bool,
    most: u32,
}

/// The limit and what it is found by.
#[derive(Debug)]
struct Control {
    limit: f64,
    /// Microseconds of an answer when nobody waits.
    base: Option<f64>,
    probe: Probe,
}

#[derive(Clone, Copy, Debug)]
enum Probe {
    /// The next one is due then, if the limit is reached all the time until then.
    Due(Instant),
    /// What was waiting drains.
    Drains,
    /// What comes now is the base.
    Measures,
}

impl Control {
    fn new(bounds: Bounds, now: Instant) -> Self {
        Self { limit: f64::from(bounds.hold(0)), base: None, probe: Probe::Due(now + FIRST_PROBE) }
    }

    /// The limit for the next window.
    fn judge(&mut self, window: Window, bounds: Bounds, now: Instant) -> u32 {
        match (self.probe, window.mean) {
            (Probe::Drains, _) => self.probe = Probe::Measures,
            (Probe::Measures, Some(mean)) => {
                self.base = Some(mean);
                self.probe = Probe::Due(now + self.until_probe(mean));
            }
            // Nothing was to be measured: with the limit as it was, something may be.
            (Probe::Measures, None) => self.probe = Probe::Due(now + PROBE),
            (Probe::Due(at), _) => self.step(window, at, now),
        }
        self.limit = self.limit.clamp(f64::from(bounds.min), f64::from(bounds.max));
        let part = if matches!(self.probe, Probe::Due(_)) { 1.0 } else { PROBING };
        #[expect(clippy::cast_sign_loss, reason = "it is at least its lower bound")]
        let limit = (self.limit * part).round() as u32;
        bounds.hold(limit.max(1))
    }

    fn step(&mut self, window: Window, probe_at: Instant, now: Instant) {
        let base = self.learn(window.mean);
        if window.overloaded {
            self.limit *= OVERLOADED;
        }
        // Where few of the allowed are there, their times say nothing about how many there may be.
        if f64::from(window.most) * 2.0 < self.limit {
            if let (Some(mean), Some(base)) = (window.mean, base) {
                self.base = Some(base + (mean - base) * BASE_PACE);
            }
            self.probe = Probe::Due(probe_at.max(now + FIRST_PROBE));
            return;
        }
        if let (Some(mean), Some(base), false) = (window.mean, base, window.overloaded) {
            let gradient = (base * TOLERANCE / mean.max(1.0)).clamp(STEEPEST, 1.0);
            let wanted = self.limit * gradient + self.limit.sqrt();
            self.limit += (wanted - self.limit) * PACE;
        }
        if now >= probe_at {
            self.probe = Probe::Drains;
        }
    }

    /// A mean below the base is nearer to what it is taken for.
    fn learn(&mut self, mean: Option<f64>) -> Option<f64> {
        self.base = match (self.base, mean) {
            (Some(base), Some(mean)) if mean < base => Some(base + (mean - base) * PACE),
            (None, mean) => mean,
            (base, _) => base,
        };
        self.base
    }

    /// Three quarters to five quarters of the usual time, so that a pool's backends aren't all measured at once.
    fn until_probe(&self, mean: f64) -> Duration {
        let drawn = mix(self.limit.to_bits(), mean.to_bits()) as u32;
        PROBE.mul_f64(0.75 + f64::from(drawn) / f64::from(u32::MAX) / 2.0)
    }
}
