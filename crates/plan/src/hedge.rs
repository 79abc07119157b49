//! Which of a route's requests get a second try beside the first.

use std::time::Duration;

use fairlead_balance::{HedgeAfter, HedgePolicy};

use crate::error::{Errors, Place};
use crate::spec;

pub(crate) fn build(spec: spec::Hedge) -> HedgePolicy {
    HedgePolicy {
        after: match spec.after {
            spec::HedgeAfter::Percentile(percentile) => HedgeAfter::Percentile(percentile),
            spec::HedgeAfter::Ms(ms) => HedgeAfter::Time(Duration::from_millis(ms)),
        },
        budget: spec.budget_thousandths,
    }
}

pub(crate) fn check(spec: spec::Hedge, at: Place<'_>, errors: &mut Errors) {
    match spec.after {
        spec::HedgeAfter::Percentile(percentile) if !(50..=99).contains(&percentile) => {
            errors.add(at.key("after"), format_args!("p{percentile} is not from p50 to p99"));
        }
        spec::HedgeAfter::Ms(0) => {
            errors.add(at.key("after"), "must be more than 0: at once, every request would be sent twice");
        }
        _ => {}
    }
    if spec.budget_thousandths > 1_000 {
        errors.add(at.key("budget"), "is more than the whole");
    }
}
