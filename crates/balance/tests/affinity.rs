//! Clients that go where they went before.

mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Wake, Waker};
use std::thread;
use std::time::Duration;

use fairlead_balance::affinity::{Memory, Settled, Table};
use fairlead_balance::{HashTable, Known, Leaving, Live, PoolLive, Standing, State, hash};
use proptest::prelude::*;
use support::{consistent, now, picker, picker_with_limits};

const TTL: Duration = Duration::from_mins(1);

fn key(number: u64) -> u64 {
    hash(&number.to_le_bytes())
}

#[test]
fn a_known_client_is_taken_while_its_backend_is_well_enough() {
    let picker = picker_with_limits(consistent(HashTable::Maglev), &[(1, None), (0, None), (1, Some(1))]);
    let stand = |member: usize, state| picker.members()[member].live.stand(Standing::new(state, 0));
    assert_eq!(picker.take(1), Known::Taken, "weight 0 is for known clients");
    assert_eq!((picker.take(2), picker.take(2)), (Known::Taken, Known::Full));
    for (state, expected) in [
        (State::Degraded, Known::Taken),
        (State::Draining, Known::Taken),
        (State::Ejected, Known::Gone),
        (State::Down, Known::Gone),
        (State::Unproven, Known::Gone),
        (State::Disabled, Known::Gone),
    ] {
        stand(0, state);
        assert_eq!(picker.take(0), expected, "{state:?}");
    }
    assert_eq!(picker.take(9), Known::Gone);
}

#[test]
fn the_owner_of_a_key_is_who_is_picked_for_it_and_nobody_while_it_drains() {
    let weights = [3, 1, 0, 2];
    let picker = picker(consistent(HashTable::Rendezvous), &weights);
    let mut worker = support::Worker::new(&picker);
    for number in 0..1_000 {
        assert_eq!(picker.owner(key(number)), Some(worker.serve_key(key(number))));
    }
    picker.members()[0].live.stand(Standing::new(State::Draining, 0));
    let lost = (0..1_000).filter(|&number| picker.owner(key(number)).is_none()).count();
    assert!((400..600).contains(&lost), "half of the keys were its own, and {lost} are nobody's");
    assert_eq!(support::picker(consistent(HashTable::Ring), &weights).owner(7), None);
}

#[derive(Default)]
struct Bell(AtomicU32);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[test]
fn a_freed_place_goes_first_to_who_can_go_nowhere_else() {
    let known = Live::new();
    let (full, other) = (known.backend("pool", "a"), known.backend("pool", "b"));
    let (pool, line) = (known.pool("pool"), full.line());
    let bells = [Arc::new(Bell::default()), Arc::new(Bell::default())];
    let rung = || [&bells[0], &bells[1]].map(|bell| bell.0.load(Relaxed));
    let bound = line.enter(1, 0, 0).expect("room for one");
    assert!(line.enter(1, 0, 0).is_none(), "a line is as long as the queue may be");
    let _ = line.park(bound, &Waker::from(Arc::clone(&bells[0])));
    let free = pool.queue().enter(1, 0, 0).expect("room for one");
    let _ = pool.queue().park(free, &Waker::from(Arc::clone(&bells[1])));
    full.end_on(0);
    assert_eq!(rung(), [1, 0]);
    line.leave(bound, Leaving::Served);
    other.end_on(0);
    assert_eq!(rung(), [1, 1], "who can go anywhere has any other place");
    pool.queue().leave(free, Leaving::Served);
}

proptest! {
    /// While there is room, a table is a map.
    #[test]
    fn a_table_with_room_is_a_map(
        writes in prop::collection::vec((0_u64..200, 0_u16..50, any::<bool>(), prop::option::of(0_u16..50)), 1..400),
    ) {
        let start = now();
        let table = Table::new(4_096);
        let mut model: HashMap<u64, u16> = HashMap::new();
        for (number, to, always, from) in writes {
            let key = key(number);
            if always {
                table.set(key, to, start, TTL);
                model.insert(key, to);
            } else {
                let held = model.get(&key).copied();
                let kept = held.filter(|&held| held != to && Some(held) != from);
                let expected = kept.map_or(Settled::Written, Settled::Kept);
                prop_assert_eq!(table.settle(key, from, to, start, TTL), expected);
                if kept.is_none() {
                    model.insert(key, to);
                }
            }
            prop_assert_eq!(table.used() as usize, model.len());
        }
        for number in 0..200 {
            let found = table.find(key(number), start, TTL).map(|entry| entry.ordinal);
            prop_assert_eq!(found, model.get(&key(number)).copied());
        }
        prop_assert_eq!(table.evicted(), 0);
    }

    /// However much is written, a table never has more than it was made for, and what was used last is there.
    #[test]
    fn a_table_never_grows_and_forgets_what_was_not_used_for_the_longest_time(
        entries in 8_usize..2_000,
        count in 1_u64..8_000,
    ) {
        let start = now();
        let table = Table::new(entries);
        prop_assert!(table.capacity() <= entries);
        for number in 0..count {
            table.set(key(number), (number % 100) as u16, start + Duration::from_secs(number / 100), TTL * 10_000);
        }
        prop_assert!(table.used() as usize <= table.capacity());
        let end = start + Duration::from_secs(count / 100);
        let last = table.find(key(count - 1), end, TTL * 10_000).map(|entry| entry.ordinal);
        prop_assert_eq!(last, Some(((count - 1) % 100) as u16));
        prop_assert!(u64::from(table.used()) + table.evicted() >= count.min(table.capacity() as u64 / 2));
    }

    /// What was not used for its time is found by nobody.
    #[test]
    fn nothing_is_found_after_its_time(age in 0_u64..200, ttl in 1_u64..100) {
        let start = now();
        let table = Table::new(64);
        let ttl_ = Duration::from_secs(ttl);
        table.set(key(1), 1, start, ttl_);
        let found = table.find(key(1), start + Duration::from_secs(age), ttl_).is_some();
        prop_assert_eq!(found, age <= ttl);
    }
}

#[test]
fn workers_that_write_and_read_at_once_agree_on_one_backend_for_each_client() {
    const CLIENTS: u64 = 2_000;
    const WORKERS: u16 = 4;
    let start = now();
    let memory = Memory::new(8_192, true);
    let ids: Vec<String> = (0..WORKERS).map(|worker| worker.to_string()).collect();
    let numbers = memory.ordinals(ids.iter().map(String::as_str));
    memory.enter(ids.iter().map(String::as_str).zip(numbers.iter().copied()));
    thread::scope(|scope| {
        for &own in &numbers {
            let memory = &memory;
            scope.spawn(move || {
                for number in 0..CLIENTS {
                    if memory.find(key(number), start, TTL).is_none() {
                        memory.settle(key(number), None, own, start, TTL);
                    }
                }
            });
        }
    });
    assert!(memory.table().used() >= CLIENTS as u32 - 2, "{} are remembered", memory.table().used());
    assert!(memory.table().used() <= CLIENTS as u32 + 8, "{} are remembered", memory.table().used());
    for number in 0..CLIENTS {
        let one = memory.find(key(number), start, TTL);
        assert!(one.is_some_and(|ordinal| ordinal < WORKERS));
        // From now on everybody finds the same.
        memory.settle(key(number), None, (one.unwrap_or(0) + 1) % WORKERS, start, TTL);
        assert_eq!(memory.find(key(number), start, TTL), one);
    }
}

#[test]
fn a_memory_lasts_as_long_as_anybody_uses_it() {
    let pool = PoolLive::default();
    let start = now();
    let first = pool.memory(1, || Memory::new(64, false));
    let number = first.ordinals(["a"].into_iter())[0];
    first.settle(key(1), None, number, start, TTL);
    let again = pool.memory(1, || Memory::new(64, false));
    assert_eq!(again.find(key(1), start, TTL), Some(number));
    assert_eq!(pool.memory(2, || Memory::new(64, false)).find(key(1), start, TTL), None);
    drop((first, again));
    assert_eq!(pool.memory(1, || Memory::new(64, false)).find(key(1), start, TTL), None);
}
