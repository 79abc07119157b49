use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::wheel::GRANULARITY;
use super::{Deadline, Phase, Wheel, now};

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn wheel() -> (Rc<Wheel>, Instant) {
    let started = now();
    (Wheel::new(started), started)
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_limit_passes_at_its_time_and_not_before() {
    let (wheel, start) = wheel();
    let deadline = wheel.deadline();
    deadline.set(Phase::Header, start + ms(1_050));
    wheel.advance(start + ms(1_049));
    assert_eq!(deadline.expired(), None);
    wheel.advance(start + ms(1_100));
    assert_eq!(deadline.expired(), Some(Phase::Header));
}

#[test]
fn the_earliest_of_several_phases_counts() {
    let (wheel, start) = wheel();
    let deadline = wheel.deadline();
    deadline.set(Phase::Request, start + ms(5_000));
    deadline.set(Phase::Body, start + ms(700));
    deadline.set(Phase::Response, start + ms(900));
    wheel.advance(start + ms(2_000));
    assert_eq!(deadline.expired(), Some(Phase::Body));
}

#[test]
fn the_other_limits_go_on_after_one_passed() {
    let (wheel, start) = wheel();
    let deadline = wheel.deadline();
    deadline.set(Phase::Body, start + ms(100));
    deadline.set(Phase::Request, start + ms(1_000));
    wheel.advance(start + ms(100));
    deadline.rearm();
    assert_eq!(deadline.expired(), None);
    wheel.advance(start + ms(1_000));
    assert_eq!(deadline.expired(), Some(Phase::Request));
}

#[test]
fn a_phase_that_is_over_hasnt_expired_even_if_its_time_had_come() {
    let (wheel, start) = wheel();
    let deadline = wheel.deadline();
    for over in [Deadline::clear, |deadline: &Deadline, phase| deadline.set(phase, now() + ms(9_000))] {
        deadline.set(Phase::Header, start + ms(100));
        wheel.advance(start + ms(200));
        over(&deadline, Phase::Header);
        assert_eq!(deadline.expired(), None);
    }
}

#[test]
fn what_waits_is_woken_once() {
    let (wheel, start) = wheel();
    let deadline = wheel.deadline();
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    deadline.set(Phase::Write, start + ms(300));
    assert_eq!(deadline.poll_expired(&Context::from_waker(&waker)), Poll::Pending);
    wheel.advance(start + ms(299));
    assert_eq!(woken.0.load(Ordering::Relaxed), 0);
    wheel.advance(start + ms(300));
    wheel.advance(start + ms(900));
    assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    assert_eq!(deadline.poll_expired(&Context::from_waker(&waker)), Poll::Ready(Phase::Write));
}

#[test]
fn a_look_wakes_and_ends_nothing() {
    let (wheel, start) = wheel();
    let deadline = wheel.deadline();
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    deadline.look_at(start + ms(200));
    assert_eq!(deadline.poll_expired(&Context::from_waker(&waker)), Poll::Pending);
    wheel.advance(start + ms(200));
    assert_eq!((deadline.looks(), woken.0.load(Ordering::Relaxed)), (1, 1));
    assert_eq!(deadline.expired(), None);
}

#[test]
fn a_connection_has_one_entry_however_often_its_limits_move() {
    let (wheel, start) = wheel();
    let deadline = wheel.deadline();
    for request in 0..10_000_u64 {
        let at = start + ms(request);
        deadline.set(Phase::Idle, at + ms(60_000));
        deadline.set(Phase::Response, at + ms(5_000 + request % 7 * 1_000));
        deadline.clear(Phase::Response);
        wheel.advance(at);
        assert_eq!(wheel.entries(), 1);
    }
    drop(deadline);
    assert_eq!(wheel.entries(), 0);
}

#[test]
fn a_limit_beyond_a_turn_of_the_wheel_passes_in_its_turn() {
    let (wheel, start) = wheel();
    let deadline = wheel.deadline();
    deadline.set(Phase::Tunnel, start + ms(3_600_000));
    for second in 1..3_600 {
        wheel.advance(start + ms(second * 1_000));
        assert_eq!(deadline.expired(), None);
    }
    wheel.advance(start + ms(3_600_000));
    assert_eq!(deadline.expired(), Some(Phase::Tunnel));
}

#[test]
fn a_worker_that_was_away_for_long_finds_everything_due() {
    let (wheel, start) = wheel();
    let deadlines: Vec<_> = (0..50)
        .map(|number| {
            let deadline = wheel.deadline();
            deadline.set(Phase::Idle, start + ms(number * 9_000));
            deadline
        })
        .collect();
    wheel.advance(start + ms(10_000_000));
    assert!(deadlines.iter().all(|deadline| deadline.expired() == Some(Phase::Idle)));
    assert_eq!(wheel.entries(), 0);
}

#[test]
fn only_a_limit_that_exists_is_brought_forward() {
    let (wheel, start) = wheel();
    let deadline = wheel.deadline();
    deadline.bring_forward(Phase::Idle, start + ms(100));
    wheel.advance(start + ms(200));
    assert_eq!(deadline.expired(), None);
    deadline.set(Phase::Idle, start + ms(60_000));
    deadline.bring_forward(Phase::Idle, start + ms(5_000));
    deadline.bring_forward(Phase::Idle, start + ms(9_000));
    wheel.advance(start + ms(5_000));
    assert_eq!(deadline.expired(), Some(Phase::Idle));
}

#[test]
fn the_driven_wheel_wakes_a_waiting_task_and_not_early() {
    crate::io::tests::run(async {
        let wheel = Wheel::new(now());
        let deadline = wheel.deadline();
        let limit = now() + ms(30);
        deadline.set(Phase::Idle, limit);
        tokio::select! {
            () = Rc::clone(&wheel).run() => unreachable!("a wheel turns for ever"),
            phase = std::future::poll_fn(|cx| deadline.poll_expired(cx)) => assert_eq!(phase, Phase::Idle),
        }
        assert!(now() >= limit);
    });
}

/// What can happen to one of a few connections.
#[derive(Debug, Clone)]
enum Event {
    Set(usize, usize, u64),
    Clear(usize, usize),
    Pass(u64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => (0..4_usize, 0..3_usize, 0..400_000_u64).prop_map(|(c, p, after)| Event::Set(c, p, after)),
        1 => (0..4_usize, 0..3_usize).prop_map(|(c, p)| Event::Clear(c, p)),
        4 => (0..40_000_u64).prop_map(Event::Pass),
    ];
    proptest::collection::vec(event, 1..80)
}

proptest! {
    #[test]
    fn no_limit_passes_early_or_more_than_one_unit_late(events in events()) {
        let phases = [Phase::Header, Phase::Body, Phase::Request];
        let (wheel, start) = wheel();
        let deadlines: Vec<_> = (0..4).map(|_| wheel.deadline()).collect();
        let mut limits = [[None::<u64>; 3]; 4];
        let mut time = 0;
        for event in events {
            match event {
                Event::Set(connection, phase, after) => {
                    limits[connection][phase] = Some(time + after);
                    deadlines[connection].set(phases[phase], start + ms(time + after));
                }
                Event::Clear(connection, phase) => {
                    limits[connection][phase] = None;
                    deadlines[connection].clear(phases[phase]);
                }
                Event::Pass(span) => {
                    time += span;
                    wheel.advance(start + ms(time));
                }
            }
            for (deadline, limits) in deadlines.iter().zip(&mut limits) {
                let late = GRANULARITY.as_millis() as u64;
                let Some(phase) = deadline.expired() else {
                    // The wheel was last driven at `time`; what is due since more than a unit must have been seen.
                    prop_assert!(limits.iter().flatten().all(|&at| at + late > time));
                    continue;
                };
                let index = phases.iter().position(|&known| known == phase).expect("a phase that was set");
                prop_assert!(limits[index].is_some_and(|at| at <= time));
                deadline.clear_all();
                *limits = [None; 3];
            }
        }
    }
}

/// Spins until the clock has moved.
fn later_than(before: Instant) {
    while super::now() <= before {}
}

#[test]
fn a_reading_serves_for_its_turn_and_no_longer() {
    let turn = super::begin_turn();
    let read = super::now();
    assert_eq!(super::recently(), read);
    drop(turn);
    later_than(read);
    let outside = super::recently();
    assert!(outside > read, "a reading of an earlier turn may be seconds old");
    let _next = super::begin_turn();
    later_than(outside);
    assert!(super::recently() > outside);
}
