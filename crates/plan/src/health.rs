//! By what the backends of a pool are judged.

use std::time::Duration;

use fairlead_balance::health::{PassivePolicy, Policy};

use crate::check;
use crate::error::{Errors, Place};
use crate::spec;

pub(crate) fn build(spec: &spec::Pool) -> Policy {
    Policy {
        thresholds: check::thresholds(spec.health_check.as_ref()),
        passive: spec.passive_health.map(|passive| PassivePolicy {
            error_rate: part(passive.error_rate_thousandths),
            consecutive_failures: passive.consecutive_failures,
            cooldown: Duration::from_millis(passive.cooldown_ms),
            max_ejected: part(passive.max_ejected_thousandths),
        }),
        panic_threshold: part(spec.panic_threshold_thousandths),
        slow_start: Duration::from_millis(spec.slow_start_ms),
    }
}

pub(crate) fn check(spec: &spec::Pool, at: Place<'_>, errors: &mut Errors) {
    let mut whole = |at: Place<'_>, thousandths: u32| {
        if thousandths > 1_000 {
            errors.add(at, "is more than the whole");
        }
    };
    whole(at.key("panic_threshold"), spec.panic_threshold_thousandths);
    let Some(passive) = spec.passive_health else { return };
    let at = at.key("passive_health");
    whole(at.key("error_rate"), passive.error_rate_thousandths);
    whole(at.key("max_ejected"), passive.max_ejected_thousandths);
    if passive.consecutive_failures == 0 {
        errors.add(at.key("consecutive_failures"), "must be at least 1: a backend that never failed is well");
    }
}

fn part(thousandths: u32) -> f64 {
    f64::from(thousandths) / 1_000.0
}
