//! Limits that find themselves, before backends that make requests wait.
#![expect(clippy::disallowed_methods, reason = "time has to start somewhere")]
#![expect(clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "microseconds of some minutes")]

mod support;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

use fairlead_balance::{
    Algorithm, Ask, Bounds, Cursor, Live, MaxInFlight, Member, Options, Picker, Pool, Random, Tried,
};
use proptest::prelude::*;
use support::{SplitMix, member};

const BOUNDS: Bounds = Bounds { min: 1, max: 1_000 };

fn pool(bounds: Bounds) -> Picker {
    let only = Member { max_in_flight: Some(MaxInFlight::Adaptive(bounds)), ..member(&Live::new(), "a") };
    Pool::build(Algorithm::RoundRobin, vec![only], &Options::default())
}

/// A backend that works on `slots` requests at a time, each for an exponential time of `work` in the mean, the others
/// waiting in it, first come first served.
struct Simulation {
    picker: Picker,
    cursor: Cursor,
    random: SplitMix,
    begin: Instant,
    /// Microseconds since.
    now: u64,
    slots: usize,
    work: f64,
    waiting: VecDeque<u64>,
    /// When they end and when they came.
    working: BinaryHeap<Reverse<(u64, u64)>>,
}

/// What came of a stretch of time.
struct Stretch {
    answered: f64,
    refused: u32,
    /// In units of the work.
    time: f64,
}

impl Simulation {
    fn new(slots: usize, work: Duration, seed: u64) -> Self {
        let picker = pool(BOUNDS);
        Self {
            cursor: Cursor::new(&picker, 0, 1),
            picker,
            random: SplitMix(seed),
            begin: Instant::now(),
            now: 0,
            slots,
            work: work.as_secs_f64() * 1e6,
            waiting: VecDeque::new(),
            working: BinaryHeap::new(),
        }
    }

    fn exponential(&mut self, mean: f64) -> u64 {
        let uniform = (self.random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        (-(1.0 - uniform).ln() * mean) as u64 + 1
    }

    fn limit(&self) -> u32 {
        self.picker.limit(0).expect("it has one")
    }

    fn instant(&self) -> Instant {
        self.begin + Duration::from_micros(self.now)
    }

    /// Lets requests come at `load` times what the backend can do.
    fn run(&mut self, seconds: u64, load: f64) -> Stretch {
        let end = self.now + seconds * 1_000_000;
        let gap = self.work / self.slots as f64 / load;
        let mut next = self.now + self.exponential(gap);
        let (mut answered, mut refused, mut times) = (0_u32, 0, 0.0);
        while self.now < end {
            match self.working.peek() {
                Some(&Reverse((ends, came))) if ends <= next => {
                    self.now = ends;
                    self.working.pop();
                    let took = ends - came;
                    answered += 1;
                    times += took as f64;
                    self.picker.adapt(0, Some(Duration::from_micros(took)), self.instant());
                    self.picker.members()[0].live.end();
                }
                _ => {
                    self.now = next;
                    next += self.exponential(gap);
                    let ask = Ask { tried: &Tried::new(), key: None };
                    let now = self.instant();
                    match self.picker.pick(&ask, &mut self.cursor, &mut self.random, now) {
                        Ok(_) => self.waiting.push_back(self.now),
                        Err(_) => refused += 1,
                    }
                }
            }
            while self.working.len() < self.slots
                && let Some(came) = self.waiting.pop_front()
            {
                let ends = self.now + self.exponential(self.work);
                self.working.push(Reverse((ends, came)));
            }
        }
        let able = seconds as f64 * 1e6 / self.work * self.slots as f64;
        Stretch {
            answered: f64::from(answered) / able,
            refused,
            time: times / f64::from(answered) / self.work,
        }
    }
}

#[test]
fn under_twice_the_load_it_settles_near_what_the_backend_works_on() {
    for slots in [5, 20, 100] {
        for seed in 1..=3 {
            let mut simulation = Simulation::new(slots, Duration::from_millis(20), seed);
            simulation.run(60, 2.0);
            let settled = simulation.run(120, 2.0);
            assert!(settled.answered > 0.93, "{slots} slots: only {} of the work is done", settled.answered);
            assert!(settled.time < 2.3, "{slots} slots: answers take {} times the work", settled.time);
        }
    }
}

#[test]
fn without_a_limit_the_same_load_makes_everybody_wait() {
    let mut simulation = Simulation::new(20, Duration::from_millis(20), 1);
    simulation.picker = pool(Bounds { min: 1_000, max: 1_000 });
    assert!(simulation.run(20, 2.0).time > 20.0);
}

#[test]
fn what_the_backend_bears_is_let_in() {
    for seed in 1..=3 {
        let mut simulation = Simulation::new(40, Duration::from_millis(20), seed);
        simulation.run(10, 0.6);
        assert_eq!(simulation.run(60, 0.6).refused, 0);
    }
}

#[test]
fn it_follows_a_backend_that_loses_half_its_strength_and_gets_it_back() {
    let mut simulation = Simulation::new(40, Duration::from_millis(20), 1);
    simulation.run(60, 1.5);
    let whole = simulation.limit();
    simulation.slots = 20;
    simulation.run(90, 3.0);
    let half = simulation.run(60, 3.0);
    assert!(half.answered > 0.9 && half.time < 2.2, "{} {}", half.answered, half.time);
    simulation.slots = 40;
    simulation.run(60, 1.5);
    let again = simulation.run(60, 1.5);
    assert!(again.answered > 0.93, "{} at {} after {whole}", again.answered, simulation.limit());
}

#[test]
fn work_that_takes_longer_for_good_becomes_the_new_measure() {
    let mut simulation = Simulation::new(20, Duration::from_millis(10), 1);
    simulation.run(60, 1.5);
    simulation.work *= 4.0;
    simulation.run(120, 1.5);
    let settled = simulation.run(120, 1.5);
    assert!(settled.answered > 0.93, "{} at {}", settled.answered, simulation.limit());
}

#[test]
fn nothing_is_known_of_another_address() {
    let known = Live::new();
    let build = |address| {
        let live = known.backend("app", "a");
        live.move_to(address);
        let max_in_flight = Some(MaxInFlight::Adaptive(BOUNDS));
        let only = Member { max_in_flight, live, ..member(&known, "b") };
        Pool::build(Algorithm::RoundRobin, vec![only], &Options::default())
    };
    let before = build("127.0.0.1:1");
    let mut now = Instant::now();
    for _ in 0..10 {
        before.adapt(0, None, now);
        now += Duration::from_secs(1);
    }
    assert!(before.limit(0) < Some(20), "{:?}", before.limit(0));
    assert_eq!(build("127.0.0.1:2").limit(0), Some(20));
}

proptest! {
    #[test]
    fn whatever_comes_it_stays_within_its_bounds(
        min in 1_u32..50,
        more in 0_u32..200,
        ends in prop::collection::vec((0_u64..100, prop::option::of(0_u64..10_000_000), 0_u32..300), 1..2_000),
    ) {
        let bounds = Bounds { min, max: min + more };
        let picker = pool(bounds);
        let live = &picker.members()[0].live;
        let mut now = Instant::now();
        for (pause, took, in_flight) in ends {
            now += Duration::from_millis(pause);
            (0..in_flight).for_each(|_| live.begin());
            picker.adapt(0, took.map(Duration::from_micros), now);
            (0..in_flight).for_each(|_| live.end());
            let limit = picker.limit(0).expect("it has one");
            prop_assert!((bounds.min..=bounds.max).contains(&limit), "{limit}");
        }
    }
}
