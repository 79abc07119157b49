//! Process-wide maxima.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;

use fairlead_balance::Random;
use fairlead_balance::limit::{Held, PerClient, Refused, Slots};
use proptest::prelude::*;
use support::SplitMix;

mod support;

fn v4(client: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(client))
}

#[test]
fn slots_are_taken_up_to_the_maximum_of_the_moment() {
    let slots = Slots::new();
    assert!(slots.try_take(2) && slots.try_take(2) && !slots.try_take(2));
    assert!(slots.try_take(3), "a reload may raise it");
    slots.give();
    assert!(!slots.try_take(2), "and lower it");
    for _ in 0..5 {
        slots.give();
    }
    assert_eq!(slots.taken(), 0);
}

#[test]
fn threads_never_take_more_slots_than_there_are() {
    let slots = Slots::new();
    let (inside, most) = (AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50_000 {
                    if slots.try_take(2) {
                        most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
                        inside.fetch_sub(1, SeqCst);
                        slots.give();
                    }
                }
            });
        }
    });
    assert!((1..=2).contains(&most.load(SeqCst)));
    assert_eq!(slots.taken(), 0);
}

#[test]
fn a_client_has_its_maximum_and_no_more() {
    let table = PerClient::new(100, 7);
    let first = table.try_take(v4(1), 2).unwrap();
    let second = table.try_take(v4(1), 2).unwrap();
    assert_eq!(table.try_take(v4(1), 2).unwrap_err(), Refused::ClientLimit);
    let other = table.try_take(v4(2), 2).unwrap();
    table.give(first);
    assert_eq!((table.open(v4(1)), table.open(v4(2))), (1, 1));
    let third = table.try_take(v4(1), 2).unwrap();
    for held in [second, other, third] {
        table.give(held);
    }
    assert_eq!((table.open(v4(1)), table.open(v4(2))), (0, 0));
    assert_eq!(table.try_take(v4(1), 0).unwrap_err(), Refused::ClientLimit);
}

#[test]
fn an_ipv6_client_is_its_64_and_a_mapped_ipv4_client_its_address() {
    let table = PerClient::new(100, 7);
    let address = |text: &str| text.parse::<Ipv6Addr>().map(IpAddr::V6).unwrap();
    let _first = table.try_take(address("2001:db8:0:1::1"), 9).unwrap();
    let _second = table.try_take(address("2001:db8:0:1:ffff::2"), 9).unwrap();
    let _other = table.try_take(address("2001:db8:0:2::1"), 9).unwrap();
    assert_eq!(table.open(address("2001:db8:0:1::3")), 2);
    let _plain = table.try_take(v4(0xc000_0201), 9).unwrap();
    let _mapped = table.try_take(address("::ffff:192.0.2.1"), 9).unwrap();
    assert_eq!(table.open(v4(0xc000_0201)), 2);
}

#[test]
fn a_table_takes_as_many_clients_as_it_was_made_for() {
    for clients in [1, 10, 1_000, 100_000] {
        let table = PerClient::new(clients, 99);
        let held: Vec<Held> =
            (0..clients as u32).map(|client| table.try_take(v4(client), 1).unwrap()).collect();
        for client in 0..clients as u32 {
            assert_eq!(table.open(v4(client)), 1);
        }
        for held in held {
            table.give(held);
        }
    }
}

#[test]
fn when_the_table_is_full_new_clients_are_refused_and_known_ones_are_not() {
    let table = PerClient::new(8, 3);
    let mut held = Vec::new();
    let refused = (0..1_000).find_map(|client| match table.try_take(v4(client), 5) {
        Ok(taken) => {
            held.push(taken);
            None
        }
        Err(refused) => Some((client, refused)),
    });
    let (newcomer, refused) = refused.expect("1,000 clients don't fit 16 slots");
    assert_eq!(refused, Refused::TableFull);
    assert!(held.len() <= table.capacity());
    held.push(table.try_take(v4(0), 5).unwrap());
    for held in held {
        table.give(held);
    }
    table.give(table.try_take(v4(newcomer), 5).unwrap());
    assert!((0..1_000).all(|client| table.open(v4(client)) == 0));
}

proptest! {
    #[test]
    fn counts_are_those_of_a_plain_map(
        seed in any::<u64>(),
        steps in prop::collection::vec((0_u32..60, any::<bool>()), 0..600),
    ) {
        let table = PerClient::new(20, seed);
        let mut model: HashMap<u32, Vec<Held>> = HashMap::new();
        for (client, take) in steps {
            let held = model.entry(client).or_default();
            if take {
                match table.try_take(v4(client), 4) {
                    Ok(taken) => held.push(taken),
                    Err(Refused::ClientLimit) => prop_assert_eq!(held.len(), 4),
                    Err(Refused::TableFull) => prop_assert!(held.is_empty()),
                }
                prop_assert!(held.len() <= 4);
            } else if let Some(taken) = held.pop() {
                table.give(taken);
            }
            prop_assert_eq!(table.open(v4(client)) as usize, held.len());
        }
    }
}

/// Threads that come and go as few clients of a tiny table: entries are made and freed all the time, and the
/// same one by several threads at once. A client that got two entries would exceed its maximum.
#[test]
fn threads_never_exceed_a_clients_maximum_and_leave_nothing_behind() {
    const CLIENTS: usize = 12;
    const MAX: u32 = 2;
    for seed in 0..4 {
        let table = PerClient::new(8, seed);
        let inside: Vec<AtomicU32> = (0..CLIENTS).map(|_| AtomicU32::new(0)).collect();
        let most = AtomicU32::new(0);
        let taken = AtomicU32::new(0);
        thread::scope(|scope| {
            for thread in 0..4 {
                let (table, inside, most, taken) = (&table, &inside, &most, &taken);
                scope.spawn(move || {
                    let mut rng = SplitMix(seed * 10 + thread);
                    let mut held: Vec<(usize, Held)> = Vec::new();
                    for _ in 0..100_000 {
                        let bits = rng.next_u64();
                        let client = (bits >> 8) as usize % CLIENTS;
                        if held.len() < 3
                            && bits & 1 == 0
                            && let Ok(got) = table.try_take(v4(client as u32), MAX)
                        {
                            most.fetch_max(inside[client].fetch_add(1, SeqCst) + 1, SeqCst);
                            taken.fetch_add(1, SeqCst);
                            held.push((client, got));
                        } else if let Some((client, got)) = held.pop() {
                            inside[client].fetch_sub(1, SeqCst);
                            table.give(got);
                        }
                    }
                    for (client, got) in held {
                        inside[client].fetch_sub(1, SeqCst);
                        table.give(got);
                    }
                });
            }
        });
        assert!((1..=MAX).contains(&most.load(SeqCst)), "{} at once", most.load(SeqCst));
        assert!(taken.load(SeqCst) > 10_000);
        assert!((0..CLIENTS).all(|client| table.open(v4(client as u32)) == 0));
    }
}

/// All threads make the same new client's entry at the same time, over and over.
#[test]
fn a_new_client_gets_one_entry_however_many_threads_bring_it() {
    let table = PerClient::new(8, 5);
    let inside = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..100_000 {
                    if let Ok(held) = table.try_take(v4(1), 1) {
                        assert_eq!(inside.fetch_add(1, SeqCst), 0, "two were let in");
                        inside.fetch_sub(1, SeqCst);
                        table.give(held);
                    }
                }
            });
        }
    });
    assert_eq!(table.open(v4(1)), 0);
    table.give(table.try_take(v4(1), 1).unwrap());
}
