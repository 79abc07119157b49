//! Checks are on a grid of their own: whatever they take and whenever they are looked at.

use std::time::{Duration, Instant};

use fairlead_balance::health::{Pace, Schedule};
use proptest::collection::vec;
use proptest::prelude::*;

const MILLISECOND: Duration = Duration::from_millis(1);

#[expect(clippy::disallowed_methods, reason = "time has to start somewhere")]
fn start() -> Instant {
    Instant::now()
}

proptest! {
    #[test]
    fn each_check_is_made_once_in_each_interval_at_its_place(
        interval_ms in 10_u32..1_000_000,
        phase in any::<u64>(),
        delays in vec(0_u32..300, 1..40),
    ) {
        let epoch = start();
        let interval = interval_ms * MILLISECOND;
        let pace = Pace { interval, fast_interval: interval, phase };
        let mut schedule = Schedule::new(epoch);
        let mut now = epoch;
        schedule.set(1, 7, pace, now);
        for percent in delays {
            now = now.max(schedule.next().expect("it is due"));
            prop_assert_eq!(schedule.take(now), Some((1, 7)));
            prop_assert_eq!(schedule.next(), None);
            // A check may take longer than its interval.
            now += interval * percent / 100;
            schedule.set(1, 7, pace, now);
            prop_assert!(schedule.done(&1, 7, false, now));
            let next = schedule.next().expect("it is due again");
            prop_assert!(now < next && next <= now + interval);
            let place = (next - epoch).as_nanos() % interval.as_nanos();
            prop_assert_eq!(place, u128::from(phase) % interval.as_nanos());
        }
    }

    #[test]
    fn checks_that_begin_together_come_at_all_times_of_their_interval(seed in any::<u64>()) {
        let epoch = start();
        let mut schedule = Schedule::new(epoch);
        for key in 0..1_000_u64 {
            let phase = fairlead_balance::hash(&[seed.to_le_bytes(), key.to_le_bytes()].concat());
            let pace = Pace { interval: 1_000 * MILLISECOND, fast_interval: MILLISECOND, phase };
            schedule.set(key, 7, pace, epoch);
        }
        while let Some((key, digest)) = schedule.take(epoch) {
            prop_assert!(schedule.done(&key, digest, false, epoch));
        }
        for tenth in 1..=10 {
            let mut made = 0;
            while let Some((key, digest)) = schedule.take(epoch + tenth * 100 * MILLISECOND) {
                prop_assert!(schedule.done(&key, digest, false, epoch + tenth * 100 * MILLISECOND));
                made += 1;
            }
            // 100 on average; more than six standard deviations.
            prop_assert!((40..=160).contains(&made), "{}", made);
        }
    }
}
