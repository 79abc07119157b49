//! The backends of one pool, judged by their checks and their traffic together.
#![expect(clippy::disallowed_methods, reason = "time has to start somewhere")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use fairlead_balance::health::{Check, Operator, PassivePolicy, Policy, Report, Terms, Thresholds, Ward};
use fairlead_balance::{BackendLive, BreakerPolicy, Breaking, Live, Standing, State};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);
const PASSIVE: PassivePolicy = PassivePolicy {
    error_rate: 0.05,
    consecutive_failures: 5,
    cooldown: Duration::from_secs(10),
    max_ejected: 0.5,
};
const POLICY: Policy = Policy {
    thresholds: Thresholds { healthy: 2, unhealthy: 3, calm: Duration::from_secs(100) },
    passive: Some(PASSIVE),
    panic_threshold: 0.0,
    slow_start: Duration::ZERO,
};

const TIMEOUT: Duration = Duration::from_secs(5);
const UNCHECKED: Terms = Terms { check: None, weighs: true };

const fn checked(digest: u64, initially_up: bool) -> Terms {
    Terms { check: Some(Check { digest, initially_up, timeout: TIMEOUT }), weighs: true }
}

/// A pool on a clock of its own.
struct Town {
    live: Live,
    ward: Ward,
    backends: Vec<Arc<BackendLive>>,
    /// Which of them are configured.
    there: Vec<bool>,
    /// What they were configured with last.
    addresses: u32,
    checks: u64,
    now: Instant,
}

impl Town {
    /// Of `size` backends, with checks if `initially_up` is given.
    fn new(size: usize, policy: Policy, initially_up: Option<bool>) -> Self {
        let (live, now) = (Live::new(), Instant::now());
        let mut ward = Ward::new(policy);
        let backends: Vec<_> = (0..size).map(|index| live.backend("app", &index.to_string())).collect();
        for (index, backend) in backends.iter().enumerate() {
            backend.move_to("");
            let terms = initially_up.map_or(UNCHECKED, |initially_up| checked(1, initially_up));
            ward.watch(&index.to_string(), backend, terms, now);
        }
        let there = vec![true; size];
        let mut town = Self { live, ward, backends, there, addresses: 0, checks: 1, now };
        town.judge();
        town
    }

    /// With the last address and check.
    fn configure(&mut self, index: usize) {
        let (id, address) = (index.to_string(), self.addresses.to_string());
        self.backends[index] = self.live.backend("app", &id);
        self.backends[index].move_to(&address);
        self.ward.watch(&id, &self.backends[index], checked(self.checks, false), self.now);
        self.there[index] = true;
    }

    fn judge(&mut self) {
        self.ward.judge(self.now);
    }

    fn pass(&mut self, seconds: u32) {
        for _ in 0..seconds {
            self.now += SECOND;
            self.judge();
        }
    }

    fn report(&self, index: usize, report: Report, times: u32) {
        for _ in 0..times {
            self.backends[index].report(report, PASSIVE.consecutive_failures);
        }
    }

    fn check(&mut self, index: usize, good: bool) {
        self.ward.checked(&index.to_string(), good, "no answer", self.now);
        self.judge();
    }

    fn state(&self, index: usize) -> State {
        self.backends[index].standing().state()
    }

    fn share(&self, index: usize) -> f64 {
        f64::from(self.backends[index].standing().share()) / f64::from(Standing::WHOLE)
    }

    fn serving(&self) -> Vec<usize> {
        (0..self.backends.len()).filter(|&index| self.share(index) > 0.0).collect()
    }

    /// A second of `requests` over the pool by shares, of which the first backend fails `errors` of 100. Gives the part of
    /// all that it got.
    #[expect(clippy::cast_sign_loss, reason = "requests and shares are never negative")]
    fn serve(&mut self, requests: f64, errors: f64) -> f64 {
        let all: f64 = (0..self.backends.len()).map(|index| self.share(index)).sum();
        let part = self.share(0) / all;
        for index in 0..self.backends.len() {
            let tries = (requests * self.share(index) / all).round() as u32;
            let failed = if index == 0 { (f64::from(tries) * errors / 100.0).round() as u32 } else { 0 };
            self.report(index, Report::Errored, failed);
            self.report(index, Report::Answered, tries - failed);
        }
        self.pass(1);
        part
    }
}

#[test]
fn fifteen_percent_of_errors_leave_a_third_of_the_fair_share_until_they_heal() {
    let mut town = Town::new(10, POLICY, None);
    for _ in 0..60 {
        town.serve(1000.0, 0.0);
    }
    for _ in 0..6 {
        town.serve(1000.0, 15.0);
    }
    for _ in 0..60 {
        let part = town.serve(1000.0, 15.0);
        assert!((0.005..=0.035).contains(&part), "{part}");
        assert_eq!(town.state(0), State::Degraded);
    }
    for _ in 0..30 {
        town.serve(1000.0, 0.0);
    }
    assert!(town.serve(1000.0, 0.0) > 0.09);
    assert_eq!(town.state(0), State::Up);
}

#[test]
fn all_errors_are_out_and_back_by_themselves() {
    let mut town = Town::new(10, POLICY, None);
    town.serve(1000.0, 100.0);
    assert_eq!((town.state(0), town.share(0)), (State::Ejected, 0.0));
    town.pass(9);
    assert_eq!(town.state(0), State::Ejected);
    town.pass(40);
    assert_eq!((town.state(0), town.share(0)), (State::Up, 1.0));
}

#[test]
fn one_that_refuses_is_out_at_once_and_at_its_first_failure_after_coming_back() {
    let mut town = Town::new(3, POLICY, None);
    town.report(0, Report::Refused, 5);
    town.judge();
    assert_eq!(town.state(0), State::Ejected);
    town.pass(10);
    assert_eq!(town.state(0), State::Up);
    town.report(0, Report::Refused, 1);
    town.judge();
    assert_eq!(town.state(0), State::Ejected);
    town.pass(19);
    assert_eq!(town.state(0), State::Ejected);
}

#[test]
fn the_last_usable_one_is_never_ejected() {
    let mut town = Town::new(3, POLICY, None);
    town.report(2, Report::Answered, 1);
    for index in 0..3 {
        town.report(index, Report::Refused, 50);
        town.judge();
    }
    assert_eq!((town.state(2), town.share(2)), (State::Up, 1.0));
    assert_eq!(town.serving(), [2]);
    // Its check fails: of those that are out, one is the last usable one now.
    town.ward.operate("2", Operator::Disabled);
    town.judge();
    assert_eq!(town.state(2), State::Disabled);
    assert_eq!((0..2).filter(|&index| town.state(index) == State::Up).count(), 1);
}

#[test]
fn one_may_always_be_ejected_unless_none_may() {
    for (max_ejected, out) in [(0.0, 0), (0.2, 1), (0.49, 1), (0.5, 2)] {
        let policy = Policy { passive: Some(PassivePolicy { max_ejected, ..PASSIVE }), ..POLICY };
        let mut town = Town::new(4, policy, None);
        for index in 0..4 {
            town.report(index, Report::Answered, 1);
            town.report(index, Report::Reset, 10);
        }
        town.judge();
        let ejected = (0..4).filter(|&index| town.state(index) == State::Ejected).count();
        assert_eq!(ejected, out, "{max_ejected}");
    }
}

#[test]
fn one_whose_breaker_is_open_is_nobodys_last_resort() {
    let open = |town: &Town, index: usize| {
        let backend = &town.backends[index];
        let policy =
            BreakerPolicy { error_thousandths: 500, window: SECOND, min_requests: 1, open: 10 * SECOND };
        let pass = backend.admit(town.now).expect("its breaker is closed");
        assert!(matches!(backend.outcome(true, pass, &policy, town.now), Breaking::Opened(_)));
    };
    let mut town = Town::new(2, POLICY, None);
    open(&town, 1);
    town.report(0, Report::Refused, 50);
    town.judge();
    assert_eq!(town.state(0), State::Up);

    let mut town = Town::new(2, POLICY, None);
    town.report(0, Report::Refused, 50);
    town.judge();
    assert_eq!(town.state(0), State::Ejected);
    // It was, until now.
    open(&town, 1);
    town.pass(1);
    assert_eq!(town.state(0), State::Up);
    assert_eq!(town.ward.judged("0").map(|judged| &*judged.reason), Some("nobody else is left"));
}

#[test]
fn statistical_ejection_has_a_limit_that_refused_connections_have_not() {
    for (report, out) in [(Report::TimedOut, 0), (Report::Reset, 5), (Report::Refused, 9)] {
        let mut town = Town::new(10, POLICY, None);
        for index in 0..10 {
            town.report(index, Report::Answered, 1);
            town.report(index, report, 10);
        }
        town.judge();
        assert_eq!((0..10).filter(|&index| town.state(index) == State::Ejected).count(), out, "{report:?}");
    }
}

/// A second in which backends of `range` let the time of `timeouts` of 10 tries pass, those last.
fn let_time_pass(town: &mut Town, range: std::ops::Range<usize>, timeouts: u32) {
    for index in range {
        town.report(index, Report::Answered, 10 * (10 - timeouts));
        town.report(index, Report::TimedOut, 10 * timeouts);
    }
    town.pass(1);
}

#[test]
fn timeouts_in_a_row_eject_one_that_hangs_but_nobody_where_all_time_out() {
    let mut town = Town::new(10, POLICY, None);
    let_time_pass(&mut town, 0..10, 0);
    let_time_pass(&mut town, 0..1, 10);
    assert_eq!(town.ward.judged("0").map(|judged| &*judged.reason), Some("timeouts in a row"));
    assert_eq!(town.state(0), State::Ejected);

    let mut town = Town::new(10, POLICY, None);
    for _ in 0..20 {
        let_time_pass(&mut town, 0..10, 6);
        assert_eq!((0..10).filter(|&index| town.state(index) == State::Ejected).count(), 0);
    }
}

#[test]
fn errors_that_are_quicker_than_answers_keep_nobody_out() {
    // One in a hundred errs at once, everywhere, and the others take their time.
    let mut town = Town::new(3, POLICY, None);
    for index in 1..3 {
        town.report(index, Report::Answered, 99);
        town.report(index, Report::Errored, 1);
    }
    town.report(0, Report::Refused, 5);
    town.judge();
    assert_eq!(town.state(0), State::Ejected);
    town.pass(10);
    assert_eq!(town.state(0), State::Up);
    (0..99).for_each(|_| town.backends[0].begin());
    town.report(0, Report::Errored, 1);
    town.judge();
    assert_eq!(town.state(0), State::Up);
    // Without any other end of a try it is out.
    town.report(0, Report::Errored, 49);
    town.judge();
    assert_eq!(town.state(0), State::Ejected);
}

#[test]
fn a_pool_that_does_not_answer_at_all_is_back_as_soon_as_it_does() {
    let mut town = Town::new(10, POLICY, None);
    // They stop one after the other.
    for stopped in 0..10 {
        for index in town.serving() {
            town.report(index, if index <= stopped { Report::Refused } else { Report::Answered }, 30);
        }
        town.judge();
        assert_eq!(town.serving().len(), (9 - stopped).max(1));
    }
    for _ in 0..100 {
        town.serving().into_iter().for_each(|index| town.report(index, Report::Refused, 30));
        town.pass(1);
    }
    assert_eq!(town.serving().len(), 10);
    // One is well again.
    (0..10).for_each(|index| town.report(index, [Report::Refused, Report::Answered][index / 9], 30));
    town.judge();
    assert_eq!(town.serving(), [9]);
}

#[test]
fn while_the_last_usable_one_fails_as_well_nobody_is_out_for_longer_than_the_first_time() {
    // Few requests: too few of the others for any excuse.
    let mut town = Town::new(2, POLICY, None);
    let (mut longest, mut out) = (0, 0);
    for _ in 0..300 {
        town.serving().into_iter().for_each(|index| town.report(index, Report::Refused, 1));
        town.pass(1);
        out = if town.state(0) == State::Ejected { out + 1 } else { 0 };
        longest = longest.max(out);
        assert!(!town.serving().is_empty());
    }
    assert!((9..=11).contains(&longest), "{longest}");
}

#[test]
fn what_others_answer_is_no_excuse_for_one_that_hangs() {
    for said in [Report::Errored, Report::Overloaded] {
        let mut town = Town::new(2, POLICY, None);
        town.report(0, Report::TimedOut, 5);
        town.report(1, said, 100);
        town.judge();
        assert_eq!(town.state(0), State::Ejected, "{said:?}");
        town.report(1, said, 1);
        town.pass(1);
        assert_eq!(town.state(0), State::Ejected, "{said:?}");
    }
    // Nor are a few that time out.
    let mut town = Town::new(2, POLICY, None);
    town.report(0, Report::TimedOut, 5);
    town.judge();
    town.pass(5);
    town.report(1, Report::TimedOut, 1);
    town.judge();
    assert_eq!(town.state(0), State::Ejected);
}

#[test]
fn answers_that_have_begun_are_good_until_they_break_off() {
    let mut town = Town::new(3, POLICY, None);
    for _ in 0..5 {
        town.report(0, Report::Begun, 9);
        town.report(0, Report::Errored, 1);
    }
    town.judge();
    assert_ne!(town.state(0), State::Ejected);
    town.report(1, Report::Begun, 20);
    town.report(1, Report::BrokenOff, 4);
    town.judge();
    assert_eq!(town.state(1), State::Up);
    town.report(1, Report::BrokenOff, 1);
    town.judge();
    assert_eq!(town.state(1), State::Ejected);
}

#[test]
fn those_that_are_out_for_timeouts_are_back_once_the_others_time_out_as_well() {
    let mut town = Town::new(10, POLICY, None);
    let_time_pass(&mut town, 0..10, 0);
    town.report(9, Report::Reset, 5);
    let_time_pass(&mut town, 0..4, 10);
    assert_eq!((0..10).filter(|&index| town.state(index) == State::Ejected).count(), 5);
    // They can't carry it.
    for _ in 0..3 {
        let_time_pass(&mut town, 4..9, 8);
    }
    assert_eq!((0..4).filter(|&index| town.state(index) == State::Up).count(), 4);
    assert_eq!(town.ward.judged("0").map(|judged| &*judged.reason), Some("the others fail as well"));
    // This one is out for what it did itself.
    assert_eq!(town.state(9), State::Ejected);
}

#[test]
fn nothing_is_sent_before_the_first_result_unless_it_is_up_at_first() {
    let mut town = Town::new(2, POLICY, Some(false));
    assert_eq!((town.state(0), town.share(0)), (State::Unproven, 0.0));
    town.check(0, true);
    assert_eq!((town.state(0), town.share(0)), (State::Up, 1.0));
    town.check(1, false);
    assert_eq!(town.state(1), State::Down);
    assert_eq!(Town::new(1, POLICY, Some(true)).state(0), State::Up);
}

#[test]
fn the_first_result_of_a_changed_check_decides() {
    let mut town = Town::new(2, POLICY, Some(false));
    town.check(0, true);
    town.ward.watch("0", &town.backends[0], checked(2, false), town.now);
    town.judge();
    assert_eq!(town.state(0), State::Up);
    town.check(0, false);
    assert_eq!(town.state(0), State::Down);
}

#[test]
fn another_address_begins_anew_but_for_the_operators_word() {
    let mut town = Town::new(3, POLICY, None);
    town.report(0, Report::Refused, 5);
    town.report(1, Report::Refused, 5);
    town.ward.operate("1", Operator::Draining);
    town.judge();
    assert_eq!((town.state(0), town.state(1)), (State::Ejected, State::Draining));
    for id in ["0", "1"] {
        let moved = town.live.backend("app", id);
        moved.move_to("elsewhere");
        town.ward.watch(id, &moved, UNCHECKED, town.now);
    }
    let changes = town.ward.judge(town.now);
    assert_eq!(
        changes.iter().map(|change| (change.from, change.to)).collect::<Vec<_>>(),
        [(State::Ejected, State::Up)]
    );
    town.ward.operate("1", Operator::None);
    town.judge();
    assert_eq!(town.state(1), State::Up);
}

#[test]
fn one_that_is_expected_elsewhere_gets_nothing_before_its_first_result() {
    let mut town = Town::new(3, POLICY, Some(false));
    (0..3).for_each(|index| town.check(index, true));
    town.ward.operate("1", Operator::Draining);
    town.judge();
    let terms = checked(1, false);
    let expect = |town: &mut Town, id: &str| {
        let backend = town.live.backend("app", id);
        town.ward.expect(id, &backend, terms, (Operator::None, None), town.now);
        let standing = backend.standing();
        (standing.state(), standing.share(), town.ward.incarnation(id))
    };
    assert_eq!(expect(&mut town, "0"), (State::Up, Standing::WHOLE, Some(0)), "it stays where it was");
    town.backends.iter().for_each(|backend| backend.move_to("elsewhere"));
    assert_eq!((town.state(0), town.ward.incarnation("0")), (State::Up, Some(0)), "nothing was expected yet");
    assert_eq!(expect(&mut town, "0"), (State::Unproven, 0, Some(1)));
    assert_eq!(expect(&mut town, "1"), (State::Draining, 0, Some(1)));
    for id in ["0", "1"] {
        let backend = town.live.backend("app", id);
        town.ward.watch(id, &backend, terms, town.now);
    }
    let changes = town.ward.judge(town.now);
    let told: Vec<_> = changes.iter().map(|change| (&*change.backend, change.from, change.to)).collect();
    assert_eq!(told, [("0", State::Up, State::Unproven)]);
}

#[test]
fn good_checks_do_not_end_an_ejection_and_good_answers_do_not_lift_a_failed_check() {
    let mut town = Town::new(3, POLICY, Some(true));
    town.check(0, true);
    town.report(0, Report::Reset, 5);
    town.judge();
    for _ in 0..20 {
        town.check(0, true);
    }
    assert_eq!(town.state(0), State::Ejected);
    town.check(1, false);
    town.report(1, Report::Answered, 1000);
    town.pass(20);
    assert_eq!((town.state(1), town.share(1)), (State::Down, 0.0));
}

#[test]
fn panic_sends_to_what_fails_but_never_to_what_refuses_or_is_unproven_or_drained() {
    let policy = Policy {
        panic_threshold: 0.5,
        passive: Some(PassivePolicy { max_ejected: 1.0, ..PASSIVE }),
        ..POLICY
    };
    let mut town = Town::new(6, policy, Some(false));
    for index in 0..5 {
        town.check(index, index != 0);
    }
    town.report(1, Report::TimedOut, 5);
    town.report(2, Report::Refused, 5);
    town.ward.operate("3", Operator::Draining);
    town.judge();
    let sent: Vec<bool> = (0..6).map(|index| town.share(index) > 0.0).collect();
    // Down, ejected, refusing, drained, well, unproven.
    assert_eq!(sent, [true, true, false, false, true, false]);
    assert_eq!(town.state(0), State::Down);
}

#[test]
fn a_share_grows_after_joining_and_after_recovering() {
    let mut town = Town::new(2, Policy { slow_start: 30 * SECOND, ..POLICY }, Some(false));
    town.check(0, true);
    assert!(town.share(0) < 0.11);
    town.pass(15);
    assert!((0.49..0.51).contains(&town.share(0)));
    town.pass(15);
    assert_eq!(town.backends[0].standing(), Standing::UP);
    for _ in 0..3 {
        town.check(0, false);
    }
    assert_eq!(town.state(0), State::Down);
    for _ in 0..2 {
        town.check(0, true);
    }
    assert!(town.state(0) == State::Up && town.share(0) < 0.11);
}

#[test]
fn each_change_is_told_once_with_its_reason() {
    let mut town = Town::new(2, POLICY, None);
    town.report(0, Report::Refused, 5);
    let changes = town.ward.judge(town.now);
    let told: Vec<_> =
        changes.iter().map(|change| (&*change.backend, change.from, change.to, &*change.reason)).collect();
    assert_eq!(told, [("0", State::Up, State::Ejected, "connections refused")]);
    assert_eq!(town.ward.judge(town.now), []);
}

#[test]
fn a_failed_check_is_told_with_what_it_said() {
    let mut town = Town::new(2, POLICY, Some(true));
    town.ward.checked("0", false, &"ü".repeat(150), town.now);
    town.ward.checked("1", false, "status 503", town.now);
    let reasons: Vec<_> = town.ward.judge(town.now).into_iter().map(|change| change.reason).collect();
    assert_eq!(
        reasons,
        [format!("its check failed: {}", "ü".repeat(100)), "its check failed: status 503".into()]
    );
}

#[test]
fn one_that_comes_back_from_an_ejection_is_out_at_its_first_failure_but_not_after_an_answer() {
    let mut town = Town::new(3, POLICY, None);
    for index in 0..2 {
        town.report(index, Report::Refused, 5);
    }
    town.pass(11);
    assert_eq!((town.state(0), town.state(1)), (State::Up, State::Up));
    assert!(town.backends[0].report(Report::Reset, PASSIVE.consecutive_failures));
    town.report(1, Report::Answered, 1);
    assert!(!town.backends[1].report(Report::Reset, PASSIVE.consecutive_failures));
    assert!(town.ward.take_alarm() && !town.ward.take_alarm());
    town.judge();
    assert_eq!((town.state(0), town.state(1)), (State::Ejected, State::Up));
}

#[test]
fn refused_connections_after_a_row_of_errors_are_refused_connections() {
    let policy = Policy { passive: Some(PassivePolicy { max_ejected: 0.0, ..PASSIVE }), ..POLICY };
    let mut town = Town::new(2, policy, None);
    town.report(0, Report::Errored, 100);
    town.judge();
    assert_eq!(town.state(0), State::Up);
    town.report(0, Report::Refused, 5);
    assert!(town.ward.take_alarm());
    town.judge();
    assert_eq!(town.state(0), State::Ejected);
}

#[test]
fn one_without_weight_is_nobodys_last_resort() {
    let mut town = Town::new(2, POLICY, None);
    let spare = Terms { weighs: false, ..UNCHECKED };
    town.ward.watch("1", &town.backends[1], spare, town.now);
    town.report(0, Report::Refused, 5);
    town.judge();
    assert_eq!(town.state(0), State::Up);
}

#[test]
fn one_that_is_expected_has_its_standing_before_it_is_judged() {
    let mut town = Town::new(1, POLICY, None);
    let expect = |town: &mut Town, id: &str, terms, said| {
        let backend = town.live.backend("app", id);
        town.ward.expect(id, &backend, terms, said, town.now);
        let state = backend.standing().state();
        town.ward.watch(id, &backend, terms, town.now);
        assert!(town.ward.judge(town.now).is_empty());
        assert_eq!(backend.standing().state(), state);
        town.backends.push(backend);
        state
    };
    let none = (Operator::None, None);
    assert_eq!(expect(&mut town, "1", checked(1, false), none), State::Unproven);
    assert_eq!(expect(&mut town, "2", checked(1, true), none), State::Up);
    assert_eq!(expect(&mut town, "3", UNCHECKED, (Operator::Draining, None)), State::Draining);
    assert_eq!(expect(&mut town, "4", checked(1, true), (Operator::None, Some(false))), State::Down);
    assert_eq!(expect(&mut town, "5", checked(1, false), (Operator::None, Some(true))), State::Up);
    // What was known before holds until the first result.
    town.check(4, true);
    town.check(5, false);
    assert_eq!((town.state(4), town.state(5)), (State::Up, State::Down));
}

#[test]
fn one_that_serves_goes_on_while_its_new_check_has_no_result() {
    let mut town = Town::new(2, POLICY, None);
    town.ward.watch("0", &town.backends[0], checked(1, false), town.now);
    town.judge();
    assert_eq!(town.state(0), State::Up);
    town.check(0, false);
    assert_eq!(town.state(0), State::Down);
}

#[test]
fn one_that_left_and_is_back_while_it_is_in_use_is_the_same_one() {
    let mut town = Town::new(3, POLICY, Some(false));
    for index in 0..3 {
        town.check(index, true);
    }
    town.report(1, Report::Refused, 5);
    town.ward.operate("0", Operator::Draining);
    town.judge();
    town.ward.retain(|id| id == "2");
    town.pass(1);
    assert!(town.ward.checked("0", true, "", town.now).is_none());
    for index in 0..2 {
        town.ward.watch(&index.to_string(), &town.backends[index], checked(1, false), town.now);
    }
    town.judge();
    assert_eq!((town.state(0), town.state(1)), (State::Draining, State::Ejected));
    // Its check was not made meanwhile: the first result decides.
    town.ward.operate("0", Operator::None);
    town.check(0, false);
    assert_eq!(town.state(0), State::Down);
}

#[test]
fn one_that_left_and_is_not_in_use_is_forgotten() {
    let mut town = Town::new(2, POLICY, None);
    town.ward.retain(|id| id == "1");
    assert!(town.ward.knows("0"));
    town.backends.remove(0);
    town.judge();
    assert!(!town.ward.knows("0") && town.ward.knows("1"));
    assert!(!town.live.is_open("app", "0"));
}

#[test]
fn health_is_known_with_every_first_result_or_when_its_time_is_over() {
    let mut town = Town::new(2, POLICY, Some(false));
    assert!(!town.ward.is_known(town.now));
    town.check(0, false);
    assert!(!town.ward.is_known(town.now) && town.ward.is_known(town.now + TIMEOUT));
    town.check(1, true);
    assert!(town.ward.is_known(town.now));
    assert!(Town::new(2, POLICY, None).ward.is_known(town.now));
}

/// Something that happens to a backend.
#[derive(Clone, Copy, Debug)]
enum Event {
    Report(Report, u32),
    Check(bool),
    Operate(Operator),
    Pass(u32),
    Leave,
    Return,
    /// To another address.
    Move,
    /// By another check from now on.
    Recheck,
}

fn event() -> impl Strategy<Value = Event> {
    let report = prop::sample::select(vec![
        Report::Answered,
        Report::Errored,
        Report::Unavailable,
        Report::Overloaded,
        Report::Refused,
        Report::Reset,
        Report::TimedOut,
        Report::Begun,
        Report::Whole,
        Report::BrokenOff,
    ]);
    let operator = prop::sample::select(vec![Operator::None, Operator::Draining, Operator::Disabled]);
    prop_oneof![
        4 => (report, 1_u32..40).prop_map(|(report, times)| Event::Report(report, times)),
        3 => any::<bool>().prop_map(Event::Check),
        1 => operator.prop_map(Event::Operate),
        2 => (1_u32..15).prop_map(Event::Pass),
    ]
}

fn any_event() -> impl Strategy<Value = Event> {
    let comings = prop::sample::select(vec![Event::Leave, Event::Return, Event::Move, Event::Recheck]);
    prop_oneof![3 => event(), 1 => comings]
}

fn happen(town: &mut Town, index: usize, event: Event) {
    match event {
        Event::Report(report, times) => town.report(index, report, times),
        Event::Check(good) => town.check(index, good),
        Event::Operate(operator) => _ = town.ward.operate(&index.to_string(), operator),
        Event::Pass(seconds) => town.pass(seconds),
        Event::Leave => town.ward.retain(|id| id != index.to_string() && is_there(id, &town.there)),
        Event::Return => town.configure(index),
        Event::Move => {
            town.addresses += 1;
            town.configure(index);
        }
        Event::Recheck => {
            town.checks += 1;
            town.configure(index);
        }
    }
    if matches!(event, Event::Leave) {
        town.there[index] = false;
    }
    town.judge();
}

fn is_there(id: &str, there: &[bool]) -> bool {
    id.parse().is_ok_and(|index: usize| there[index])
}

proptest! {
    #[test]
    fn whatever_happens_limits_hold_and_all_come_back(
        events in prop::collection::vec((0_usize..6, event()), 1..80),
        max_ejected in 0.0..1.0_f64,
    ) {
        let policy = Policy { passive: Some(PassivePolicy { max_ejected, ..PASSIVE }), ..POLICY };
        let mut town = Town::new(6, policy, Some(false));
        let mut words = [Operator::None; 6];
        for (index, event) in events {
            if let Event::Operate(word) = event {
                words[index] = word;
            }
            happen(&mut town, index, event);
            let is_fit = |index: &usize| {
                words[*index] == Operator::None
                    && town.ward.is_checked_up(&index.to_string()) == Some(true)
            };
            let has_share = |index: &usize| town.share(*index) > 0.0;
            prop_assert_eq!((0..6).any(|index| is_fit(&index)), (0..6).any(|index| has_share(&index)));
            let mut ejected = 0;
            for index in 0..6 {
                let (state, share) = (town.state(index), town.share(index));
                prop_assert_eq!(share > 0.0, matches!(state, State::Up | State::Degraded));
                let id = index.to_string();
                let reason = town.ward.judged(&id).map(|judged| &*judged.reason);
                ejected += u32::from(state == State::Ejected && reason != Some("connections refused"));
            }
            prop_assert!(f64::from(ejected) <= (max_ejected * 6.0).max(1.0) + 1e-6);
        }
        for index in 0..6 {
            town.ward.operate(&index.to_string(), Operator::None);
            for _ in 0..16 {
                town.check(index, true);
            }
        }
        // The longest ejection, and the way up from the floor.
        town.pass(130);
        for backend in &town.backends {
            prop_assert_eq!(backend.standing(), Standing::UP);
        }
    }

    #[test]
    fn whoever_comes_and_goes_nobody_is_stuck_and_the_fit_are_served_by(
        events in prop::collection::vec((0_usize..6, any_event()), 1..120),
        slow_start in 0_u32..40,
    ) {
        let policy = Policy { slow_start: slow_start * SECOND, ..POLICY };
        let mut town = Town::new(6, policy, Some(false));
        let mut words = [Operator::None; 6];
        for (index, event) in events {
            if let Event::Operate(word) = event {
                words[index] = word;
            }
            happen(&mut town, index, event);
            let there = || (0..6).filter(|index| town.there[*index]);
            let is_fit = |index: usize| {
                words[index] == Operator::None
                    && town.ward.is_checked_up(&index.to_string()) == Some(true)
            };
            for index in there() {
                let is_usable = matches!(town.state(index), State::Up | State::Degraded);
                prop_assert_eq!(town.share(index) > 0.0, is_usable);
                prop_assert!(!is_usable || is_fit(index));
            }
            prop_assert_eq!(there().any(is_fit), there().any(|index| town.share(index) > 0.0));
        }
        for index in 0..6 {
            town.configure(index);
            town.ward.operate(&index.to_string(), Operator::None);
            for _ in 0..16 {
                town.check(index, true);
            }
        }
        town.pass(130);
        for index in 0..6 {
            prop_assert_eq!((town.state(index), town.share(index)), (State::Up, 1.0));
        }
    }
}
