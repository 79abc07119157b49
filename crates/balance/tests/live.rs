//! What outlives a configuration.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;

use fairlead_balance::Live;
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Event {
    Begin,
    TryBegin(u32),
    End,
    KeepIdle(u32),
    DropIdle,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Begin),
        (0_u32..5).prop_map(Event::TryBegin),
        Just(Event::End),
        (0_u32..5).prop_map(Event::KeepIdle),
        Just(Event::DropIdle),
    ]
}

proptest! {
    #[test]
    fn no_sequence_of_begin_and_end_makes_a_count_negative(events in prop::collection::vec(event(), 0..200)) {
        let backend = Live::new().backend("app", "a");
        let (mut in_flight, mut idle) = (0_u32, 0_u32);
        for event in events {
            match event {
                Event::Begin => {
                    backend.begin();
                    in_flight += 1;
                }
                Event::TryBegin(max) => {
                    prop_assert_eq!(backend.try_begin(max), in_flight < max);
                    in_flight += u32::from(in_flight < max);
                }
                Event::End => {
                    backend.end();
                    in_flight = in_flight.saturating_sub(1);
                }
                Event::KeepIdle(max) => {
                    prop_assert_eq!(backend.try_keep_idle(max), idle < max);
                    idle += u32::from(idle < max);
                }
                Event::DropIdle => {
                    backend.drop_idle();
                    idle = idle.saturating_sub(1);
                }
            }
            prop_assert_eq!((backend.in_flight(), backend.idle()), (in_flight, idle));
        }
    }
}

#[test]
fn threads_never_take_more_than_the_maximum() {
    const MAX: u32 = 3;
    let backend = Live::new().backend("app", "a");
    let (inside, most) = (AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50_000 {
                    if backend.try_begin(MAX) {
                        most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
                        inside.fetch_sub(1, SeqCst);
                        backend.end();
                    }
                }
            });
        }
    });
    assert!((1..=MAX).contains(&most.load(SeqCst)));
    assert_eq!(backend.in_flight(), 0);
}

#[test]
fn the_same_id_is_the_same_backend_as_long_as_anybody_holds_it() {
    let live = Live::new();
    let first = live.backend("app", "a");
    first.begin();
    let second = live.backend("app", "a");
    assert!(Arc::ptr_eq(&first, &second));
    drop(first);
    assert_eq!(live.backend("app", "a").in_flight(), 1);
    drop(second);
    assert!(!live.is_open("app", "a"));
    assert_eq!(live.backend("app", "a").in_flight(), 0);
}

#[test]
fn the_same_id_in_another_pool_is_another_backend() {
    let live = Live::new();
    let app = live.backend("app", "a");
    assert!(!Arc::ptr_eq(&app, &live.backend("api", "a")));
    assert!(live.is_open("app", "a") && !live.is_open("app", "b"));
}

#[test]
fn a_changed_address_keeps_the_counters_and_begins_a_new_incarnation() {
    let live = Live::new();
    let backend = live.backend("app", "a");
    backend.begin();
    backend.move_to("192.0.2.1:80");
    backend.move_to("192.0.2.1:80");
    assert_eq!((backend.in_flight(), backend.incarnation()), (1, 0));
    backend.move_to("192.0.2.2:80");
    assert_eq!((backend.in_flight(), backend.incarnation()), (1, 1));
    assert_eq!(backend.incarnation_at("192.0.2.2:80"), Some(1));
    assert_eq!(backend.incarnation_at("192.0.2.1:80"), None);
    backend.move_to("192.0.2.1:80");
    assert_eq!(backend.incarnation_at("192.0.2.1:80"), Some(2));
}

#[test]
fn who_is_held_by_nobody_is_forgotten_when_that_is_asked_for() {
    let live = Live::new();
    let stays = live.backend("app", "a");
    drop((live.backend("app", "b"), live.backend("api", "a")));
    live.forget_unused();
    let known = format!("{live:?}");
    assert!(
        known.contains("\"app\": ") && !known.contains("\"api\": ") && !known.contains("\"b\": "),
        "{known}"
    );
    assert!(Arc::ptr_eq(&stays, &live.backend("app", "a")));
}

#[test]
fn backends_that_stay_survive_the_coming_and_going_of_thousands() {
    let live = Live::new();
    let stays: Vec<_> = (0..100).map(|id| live.backend("app", &id.to_string())).collect();
    stays[42].begin();
    for id in 100..10_000 {
        live.backend("app", &id.to_string());
    }
    for (id, backend) in stays.iter().enumerate() {
        assert!(Arc::ptr_eq(backend, &live.backend("app", &id.to_string())));
    }
    assert!(!live.is_open("app", "9999"));
}
