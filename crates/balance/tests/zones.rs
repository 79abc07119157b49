//! Own zone first, backups last.

mod support;

use fairlead_balance::{
    Algorithm, Ask, Live, MaxInFlight, Member, NoBackend, Options, Picker, Pool, Standing, State, Tried,
};
use support::{ALL, KEYED, Worker, member, tried};

/// Zones `here` and `there`; upper case is a backup.
fn pool(algorithm: Algorithm, layout: &str, zone: Option<&str>) -> Picker {
    let live = Live::new();
    let sit = |(index, letter): (usize, char)| Member {
        zone: match letter.to_ascii_lowercase() {
            'h' => Some("here".into()),
            't' => Some("there".into()),
            _ => None,
        },
        backup: letter.is_ascii_uppercase(),
        ..member(&live, &index.to_string())
    };
    let options = Options { zone: zone.map(Into::into) };
    Pool::build(algorithm, layout.chars().enumerate().map(sit).collect(), &options)
}

fn close(picker: &Picker, members: &[usize]) {
    for &member in members {
        picker.members()[member].live.stand(Standing::new(State::Down, 0));
    }
}

/// Requests that members of `range` get of 10,000, each with another key.
fn served(picker: &Picker, range: std::ops::Range<usize>) -> u64 {
    let mut worker = Worker::new(picker);
    let mut served = 0;
    for key in 0..10_000_u64 {
        let key = fairlead_balance::hash(&key.to_le_bytes());
        let ask = Ask { tried: &Tried::new(), key: Some(key) };
        let member = worker.pick_for(&ask).expect("somebody is usable");
        served += u64::from(range.contains(&member));
        // First fills its members up; that isn't what is looked at here.
        picker.members()[member].live.end();
    }
    served
}

#[test]
fn own_zone_takes_all_until_too_little_of_it_is_left_and_then_spills_in_proportion() {
    for algorithm in ALL {
        for (down, expected) in
            [(0, 10_000), (1, 10_000), (2, 10_000), (3, 9_800), (5, 7_000), (8, 2_800), (10, 0)]
        {
            let picker = pool(algorithm, "hhhhhhhhhhttttt", Some("here"));
            close(&picker, &(0..down).collect::<Vec<_>>());
            let got = served(&picker, 0..10);
            assert!(got.abs_diff(expected) < 280, "{algorithm:?}, {down} of 10 down: {got}");
            assert!(expected % 10_000 != 0 || got == expected, "{algorithm:?}, {down} down: {got}");
        }
    }
}

#[test]
fn own_zone_keeps_all_while_its_members_shares_grow() {
    for algorithm in ALL {
        let picker = pool(algorithm, "hhhhtttt", Some("here"));
        let stand = |members: std::ops::Range<usize>, state, part| {
            for member in members {
                picker.members()[member].live.stand(Standing::new(state, Standing::WHOLE / part));
            }
        };
        stand(0..8, State::Up, 10);
        assert_eq!(served(&picker, 0..4), 10_000, "{algorithm:?}");
        // A share that is reduced for errors is lost: 1.4 × (2 + 2 / 10) / 4 stays.
        stand(2..4, State::Degraded, 10);
        assert!(served(&picker, 0..4).abs_diff(7_700) < 280, "{algorithm:?}");
    }
}

#[test]
fn with_a_key_it_is_always_the_same_that_spill() {
    for algorithm in KEYED {
        let picker = pool(algorithm, "hhhhtttt", Some("here"));
        close(&picker, &[0, 1]);
        let mut worker = Worker::new(&picker);
        let owners =
            |worker: &mut Worker<'_>| (0..500).map(|key| worker.serve_key(key << 48)).collect::<Vec<_>>();
        let before = owners(&mut worker);
        assert_eq!(owners(&mut worker), before, "{algorithm:?}");
        assert!(before.iter().any(|&member| member >= 4) && before.iter().any(|&member| member < 4));
    }
}

#[test]
fn other_zones_help_out_when_the_own_is_full() {
    let live = Live::new();
    let near = |id: &str| Member {
        zone: Some("here".into()),
        max_in_flight: Some(MaxInFlight::Fixed(1)),
        ..member(&live, id)
    };
    let members = vec![near("a"), near("b"), member(&live, "c")];
    let options = Options { zone: Some("here".into()) };
    let picker = Pool::build(Algorithm::RoundRobin, members, &options);
    let mut worker = Worker::new(&picker);
    let picks: Vec<_> = (0..3).map(|_| worker.pick(&Tried::new()).expect("there is room")).collect();
    assert_eq!(picks, [0, 1, 2]);
}

#[test]
fn without_an_own_zone_zones_mean_nothing() {
    for zone in [None, Some("elsewhere")] {
        let picker = pool(Algorithm::RoundRobin, "ht", zone);
        assert_eq!(Worker::new(&picker).shares(100), [50, 50]);
    }
}

#[test]
fn backups_serve_only_when_nobody_else_can() {
    for algorithm in ALL {
        let picker = pool(algorithm, "nnNN", None);
        assert_eq!(served(&picker, 2..4), 0, "{algorithm:?}");
        close(&picker, &[0]);
        assert_eq!(served(&picker, 2..4), 0, "{algorithm:?}");
        close(&picker, &[1]);
        assert_eq!(served(&picker, 2..4), 10_000, "{algorithm:?}");
        close(&picker, &[2, 3]);
        assert_eq!(Worker::new(&picker).pick(&Tried::new()), Err(NoBackend::NoneUsable));
    }
}

#[test]
fn a_request_that_has_been_to_all_others_goes_to_a_backup() {
    for algorithm in ALL {
        let picker = pool(algorithm, "nnN", None);
        let mut worker = Worker::new(&picker);
        assert_eq!(worker.pick(&tried(&[0, 1])), Ok(2), "{algorithm:?}");
        assert_eq!(worker.pick(&tried(&[0, 1, 2])), Err(NoBackend::AllTried));
    }
}

#[test]
fn full_members_are_not_helped_out_by_backups() {
    let live = Live::new();
    let full = Member { max_in_flight: Some(MaxInFlight::Fixed(1)), ..member(&live, "a") };
    let members = vec![full, Member { backup: true, ..member(&live, "b") }];
    let picker = Pool::build(Algorithm::RoundRobin, members, &Options::default());
    let mut worker = Worker::new(&picker);
    assert_eq!(worker.pick(&Tried::new()), Ok(0));
    assert_eq!(worker.pick(&Tried::new()), Err(NoBackend::AllFull));
}
