//! One request's tries.
#![expect(clippy::disallowed_methods, reason = "a budget's time counts from some moment")]

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use fairlead_balance::{Action, Attempts, Budget, Failure, Means, NoBackend, Outcome, RetryPolicy};
use proptest::prelude::*;

static DEFAULT: LazyLock<RetryPolicy> = LazyLock::new(RetryPolicy::default);
static BUDGET: LazyLock<Budget> = LazyLock::new(Budget::default);

/// What is decided without a budget and without a wait.
static FREE: LazyLock<Means<'static>> =
    LazyLock::new(|| Means { budget: &BUDGET, now: Instant::now(), random: 0, queues: false });

/// Everything is tried again, three times in all.
static ALL: LazyLock<RetryPolicy> = LazyLock::new(|| RetryPolicy {
    attempts: 3,
    resets: 2,
    timeouts: true,
    statuses: vec![502, 503],
    budget: Some(200),
    backoff: Duration::from_millis(25),
    ..RetryPolicy::default()
});

const ANSWERED: fn(usize, u16) -> Outcome =
    |member, status| Outcome::Answered { member, status, request_replayable: true };
const TRY_SLOW: fn(usize) -> Outcome = |member| Outcome::TryTimedOut { member, request_replayable: true };

const REFUSED: fn(usize) -> Outcome = |member| Outcome::ConnectFailed { member, timed_out: false };
const SLOW: fn(usize) -> Outcome = |member| Outcome::ConnectFailed { member, timed_out: true };
const RESET: fn(usize) -> Outcome =
    |member| Outcome::Reset { member, reused: false, answer_begun: false, request_replayable: true };
const STALE: fn(usize) -> Outcome =
    |member| Outcome::Reset { member, reused: true, answer_begun: false, request_replayable: true };
const ALL_TRIED: Outcome = Outcome::NoneAvailable(NoBackend::AllTried);
const ALL_FULL: Outcome = Outcome::NoneAvailable(NoBackend::AllFull);

fn safe() -> Attempts<'static> {
    Attempts::new(&DEFAULT, true)
}

fn unsafe_method() -> Attempts<'static> {
    Attempts::new(&DEFAULT, false)
}

#[test]
fn outcomes_lead_to_actions() {
    use Action::{Answer, Cut, Send};
    let begun = Outcome::Reset { member: 0, reused: true, answer_begun: true, request_replayable: true };
    let consumed = Outcome::Reset { member: 0, reused: true, answer_begun: false, request_replayable: false };
    let table: [(&str, Attempts<'_>, &[Outcome], Action); 18] = [
        ("refused goes on", safe(), &[REFUSED(0)], Send),
        ("refused goes on for any method", unsafe_method(), &[REFUSED(0), SLOW(1)], Send),
        ("all refused", safe(), &[REFUSED(0), ALL_TRIED], Answer(Failure::ConnectRefused)),
        (
            "the last failure counts",
            safe(),
            &[REFUSED(0), SLOW(1), ALL_TRIED],
            Answer(Failure::ConnectTimedOut),
        ),
        ("others full", safe(), &[REFUSED(0), ALL_FULL], Answer(Failure::NoBackend(NoBackend::AllFull))),
        (
            "nobody",
            safe(),
            &[Outcome::NoneAvailable(NoBackend::Empty)],
            Answer(Failure::NoBackend(NoBackend::Empty)),
        ),
        ("all full", safe(), &[ALL_FULL], Answer(Failure::NoBackend(NoBackend::AllFull))),
        ("reset of a safe method", safe(), &[RESET(0)], Send),
        ("only once", safe(), &[RESET(0), RESET(1)], Answer(Failure::Reset)),
        ("reset of another method", unsafe_method(), &[RESET(0)], Answer(Failure::Reset)),
        ("stale, another method", unsafe_method(), &[STALE(0)], Answer(Failure::Reset)),
        ("body consumed", safe(), &[consumed], Answer(Failure::Reset)),
        ("answer begun", safe(), &[begun], Cut),
        ("refused after a reset", safe(), &[RESET(0), REFUSED(1)], Send),
        ("reset, no other", safe(), &[RESET(0), ALL_TRIED], Answer(Failure::Reset)),
        ("slow answer", safe(), &[Outcome::TimedOut { answer_begun: false }], Answer(Failure::TimedOut)),
        ("answer stopped", safe(), &[Outcome::TimedOut { answer_begun: true }], Cut),
        ("no HTTP", safe(), &[Outcome::Invalid { answer_begun: false }], Answer(Failure::Invalid)),
    ];
    for (name, mut attempts, outcomes, expected) in table {
        let (last, before) = outcomes.split_last().unwrap();
        for &outcome in before {
            assert_eq!(attempts.next(outcome, &FREE), Send, "{name}");
        }
        assert_eq!(attempts.next(*last, &FREE), expected, "{name}");
    }
}

#[test]
fn eight_tries_in_all() {
    let mut attempts = unsafe_method();
    for member in 0..7 {
        assert_eq!(attempts.next(REFUSED(member), &FREE), Action::Send);
        assert!(attempts.tried().contains(member));
    }
    assert_eq!(attempts.next(REFUSED(7), &FREE), Action::Answer(Failure::ConnectRefused));
}

#[test]
fn a_stale_connection_prefers_another_backend() {
    let mut attempts = safe();
    assert_eq!(attempts.next(STALE(3), &FREE), Action::Send);
    assert!(attempts.tried().contains(3) && attempts.must_dial());
}

#[test]
fn a_stale_connection_of_the_only_backend_is_tried_afresh_once() {
    for none in [ALL_TRIED, ALL_FULL] {
        let mut attempts = safe();
        assert_eq!(attempts.next(STALE(3), &FREE), Action::Send);
        assert_eq!(attempts.next(none, &FREE), Action::Send);
        assert!(attempts.tried().is_empty() && attempts.must_dial());
        assert_eq!(attempts.next(RESET(3), &FREE), Action::Answer(Failure::Reset));
    }
}

#[test]
fn a_stale_backend_is_asked_again_if_the_others_refuse() {
    let mut attempts = safe();
    for outcome in [STALE(0), REFUSED(1), ALL_TRIED] {
        assert_eq!(attempts.next(outcome, &FREE), Action::Send);
    }
    assert!(!attempts.tried().contains(0) && attempts.tried().contains(1));
    assert_eq!(attempts.next(REFUSED(0), &FREE), Action::Send);
    assert_eq!(attempts.next(ALL_TRIED, &FREE), Action::Answer(Failure::ConnectRefused));
}

#[test]
fn a_reset_of_a_fresh_connection_may_take_an_idle_one_next() {
    let mut attempts = safe();
    assert_eq!(attempts.next(RESET(0), &FREE), Action::Send);
    assert!(!attempts.must_dial());
}

#[test]
fn what_is_tried_again_is_what_the_policy_names() {
    use Action::{Answer, Pass, Wait};
    let half = Means { random: u64::MAX / 2 + 1, ..*FREE };
    let wait = |millis: u64| Wait(Duration::from_micros(millis * 500));
    let kept = Outcome::Answered { member: 0, status: 503, request_replayable: false };
    let table: [(&str, bool, &[Outcome], Action); 10] = [
        ("a named answer", true, &[ANSWERED(0, 502)], wait(25)),
        ("another answer", true, &[ANSWERED(0, 500)], Pass),
        ("a method that isn't safe", false, &[ANSWERED(0, 503)], Pass),
        ("a body that is gone", true, &[kept], Pass),
        ("the ceiling doubles", true, &[ANSWERED(0, 502), RESET(1)], wait(50)),
        ("the last answer passes", true, &[ANSWERED(0, 502), ANSWERED(1, 503), ANSWERED(2, 503)], Pass),
        ("a try that took too long", true, &[TRY_SLOW(0)], wait(25)),
        ("the same of another method", false, &[TRY_SLOW(0)], Answer(Failure::TimedOut)),
        ("nobody else", true, &[ANSWERED(0, 502), ALL_TRIED], Action::Send),
        (
            "attempts counts connect failures",
            true,
            &[REFUSED(0), REFUSED(1), REFUSED(2)],
            Answer(Failure::ConnectRefused),
        ),
    ];
    for (name, safe, outcomes, expected) in table {
        let mut attempts = Attempts::new(&ALL, safe);
        let actions: Vec<_> = outcomes.iter().map(|&outcome| attempts.next(outcome, &half)).collect();
        assert_eq!(actions.last(), Some(&expected), "{name}");
    }
}

#[test]
fn an_empty_budget_grants_only_connect_failures() {
    let budget = Budget::default();
    let means = Means { budget: &budget, ..*FREE };
    while budget.draw(200, means.now) {}
    assert_eq!(Attempts::new(&ALL, true).next(ANSWERED(0, 503), &means), Action::Pass);
    assert_eq!(Attempts::new(&ALL, true).next(RESET(0), &means), Action::Answer(Failure::Reset));
    assert_eq!(Attempts::new(&ALL, true).next(REFUSED(0), &means), Action::Send);
}

#[test]
fn a_request_queues_once() {
    let means = Means { queues: true, ..*FREE };
    let mut attempts = safe();
    assert_eq!(attempts.next(ALL_FULL, &means), Action::Queue);
    assert_eq!(attempts.next(REFUSED(0), &means), Action::Send);
    assert_eq!(attempts.next(ALL_FULL, &means), Action::Answer(Failure::NoBackend(NoBackend::AllFull)));
}

#[test]
fn connect_failures_are_told_if_the_policy_leaves_them_out() {
    let policy = RetryPolicy { connect: false, ..ALL.clone() };
    let mut attempts = Attempts::new(&policy, true);
    assert_eq!(attempts.next(REFUSED(0), &FREE), Action::Answer(Failure::ConnectRefused));
}

#[test]
fn failures_have_their_status_and_error_type() {
    for (failure, status, error_type) in [
        (Failure::ConnectRefused, 502, "connection_refused"),
        (Failure::ConnectTimedOut, 504, "connection_timeout"),
        (Failure::Reset, 502, "connection_terminated"),
        (Failure::TimedOut, 504, "http_response_timeout"),
        (Failure::Invalid, 502, "http_protocol_error"),
        (Failure::NoBackend(NoBackend::AllFull), 503, "connection_limit_reached"),
        (Failure::NoBackend(NoBackend::Empty), 503, "destination_unavailable"),
        (Failure::NoBackend(NoBackend::AllTried), 503, "destination_unavailable"),
        (Failure::NoBackend(NoBackend::NoneUsable), 503, "destination_unavailable"),
    ] {
        assert_eq!((failure.status(), failure.error_type()), (status, error_type));
    }
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let member = 0_usize..40;
    prop_oneof![
        4 => (member.clone(), any::<bool>())
            .prop_map(|(member, timed_out)| Outcome::ConnectFailed { member, timed_out }),
        4 => (member, any::<bool>(), prop::bool::weighted(0.1), prop::bool::weighted(0.9)).prop_map(
            |(member, reused, answer_begun, request_replayable)| Outcome::Reset {
                member,
                reused,
                answer_begun,
                request_replayable,
            }
        ),
        2 => (0_usize..40, any::<bool>()).prop_map(|(member, request_replayable)| Outcome::Answered {
            member,
            status: 503,
            request_replayable,
        }),
        1 => (0_usize..40).prop_map(TRY_SLOW),
        1 => Just(ALL_TRIED),
        1 => Just(ALL_FULL),
        1 => Just(Outcome::NoneAvailable(NoBackend::Empty)),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_it_ends_and_within_its_bounds(
        attempts in any::<u8>(),
        resets in 0_u8..4,
        safe in any::<bool>(),
        outcomes in prop::collection::vec(outcome(), 300),
    ) {
        let policy = RetryPolicy { attempts, resets, budget: Some(200), ..ALL.clone() };
        let mut request = Attempts::new(&policy, safe);
        let mut tries = 1;
        let mut repeated = 0;
        let mut end = None;
        for outcome in outcomes {
            let action = request.next(outcome, &FREE);
            if let Some(end) = end {
                prop_assert_eq!(action, end, "an end is for ever");
            } else if matches!(action, Action::Send | Action::Wait(_)) {
                if !matches!(outcome, Outcome::NoneAvailable(_)) {
                    tries += 1;
                }
                if let Outcome::Reset { answer_begun, request_replayable, .. } = outcome {
                    prop_assert!(safe && request_replayable && !answer_begun);
                    repeated += 1;
                }
            } else {
                end = Some(action);
            }
        }
        prop_assert!(end.is_some(), "300 failures, and it still goes on");
        prop_assert!(tries <= u32::from(attempts.clamp(1, 32)));
        prop_assert!(repeated <= resets);
    }
}

#[test]
fn who_only_closed_an_idle_connection_is_asked_again_by_a_request_that_belongs_there() {
    let mut attempts = safe();
    assert_eq!(attempts.next(STALE(3), &FREE), Action::Send);
    assert!(attempts.tried().contains(3) && attempts.must_dial());
    assert!(!attempts.asks_again(2) && attempts.asks_again(3));
    assert!(!attempts.tried().contains(3));
    assert!(!attempts.asks_again(3), "once");
    for outcome in [RESET(3), REFUSED(3)] {
        let mut attempts = safe();
        attempts.next(outcome, &FREE);
        assert!(!attempts.asks_again(3), "{outcome:?}");
    }
}
