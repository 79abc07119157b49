//! One request's tries.

use fairlead_balance::{Action, Attempts, Failure, NoBackend, Outcome, RetryPolicy};
use proptest::prelude::*;

const REFUSED: fn(usize) -> Outcome = |member| Outcome::ConnectFailed { member, timed_out: false };
const SLOW: fn(usize) -> Outcome = |member| Outcome::ConnectFailed { member, timed_out: true };
const RESET: fn(usize) -> Outcome =
    |member| Outcome::Reset { member, reused: false, answer_begun: false, request_replayable: true };
const STALE: fn(usize) -> Outcome =
    |member| Outcome::Reset { member, reused: true, answer_begun: false, request_replayable: true };
const ALL_TRIED: Outcome = Outcome::NoneAvailable(NoBackend::AllTried);
const ALL_FULL: Outcome = Outcome::NoneAvailable(NoBackend::AllFull);

fn safe() -> Attempts {
    Attempts::new(&RetryPolicy::default(), true)
}

fn unsafe_method() -> Attempts {
    Attempts::new(&RetryPolicy::default(), false)
}

#[test]
fn outcomes_lead_to_actions() {
    use Action::{Answer, Cut, Send};
    let begun = Outcome::Reset { member: 0, reused: true, answer_begun: true, request_replayable: true };
    let consumed = Outcome::Reset { member: 0, reused: true, answer_begun: false, request_replayable: false };
    let table: [(&str, Attempts, &[Outcome], Action); 18] = [
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
            assert_eq!(attempts.next(outcome), Send, "{name}");
        }
        assert_eq!(attempts.next(*last), expected, "{name}");
    }
}

#[test]
fn eight_tries_in_all() {
    let mut attempts = unsafe_method();
    for member in 0..7 {
        assert_eq!(attempts.next(REFUSED(member)), Action::Send);
        assert!(attempts.tried().contains(member));
    }
    assert_eq!(attempts.next(REFUSED(7)), Action::Answer(Failure::ConnectRefused));
}

#[test]
fn a_stale_connection_prefers_another_backend() {
    let mut attempts = safe();
    assert_eq!(attempts.next(STALE(3)), Action::Send);
    assert!(attempts.tried().contains(3) && attempts.must_dial());
}

#[test]
fn a_stale_connection_of_the_only_backend_is_tried_afresh_once() {
    for none in [ALL_TRIED, ALL_FULL] {
        let mut attempts = safe();
        assert_eq!(attempts.next(STALE(3)), Action::Send);
        assert_eq!(attempts.next(none), Action::Send);
        assert!(attempts.tried().is_empty() && attempts.must_dial());
        assert_eq!(attempts.next(RESET(3)), Action::Answer(Failure::Reset));
    }
}

#[test]
fn a_stale_backend_is_asked_again_if_the_others_refuse() {
    let mut attempts = safe();
    for outcome in [STALE(0), REFUSED(1), ALL_TRIED] {
        assert_eq!(attempts.next(outcome), Action::Send);
    }
    assert!(!attempts.tried().contains(0) && attempts.tried().contains(1));
    assert_eq!(attempts.next(REFUSED(0)), Action::Send);
    assert_eq!(attempts.next(ALL_TRIED), Action::Answer(Failure::ConnectRefused));
}

#[test]
fn a_reset_of_a_fresh_connection_may_take_an_idle_one_next() {
    let mut attempts = safe();
    assert_eq!(attempts.next(RESET(0)), Action::Send);
    assert!(!attempts.must_dial());
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
        let mut request = Attempts::new(&RetryPolicy { attempts, resets }, safe);
        let mut tries = 1;
        let mut repeated = 0;
        let mut end = None;
        for outcome in outcomes {
            let action = request.next(outcome);
            if let Some(end) = end {
                prop_assert_eq!(action, end, "an end is for ever");
            } else if action == Action::Send {
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
