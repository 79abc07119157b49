//! Which requests of a route are tried again.

use std::time::Duration;

use fairlead_balance::RetryPolicy;

use crate::error::{Errors, Place};
use crate::spec;

/// The largest body that may be kept for a further try: a buffer of it is held as long as the first answer is awaited.
const MOST_REPLAYED: u64 = 16 << 20;

/// How a route's requests are tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// What decides.
    pub policy: RetryPolicy,
    /// The longest that one try may take until the head of its answer.
    pub per_try: Option<Duration>,
    /// PUT and DELETE may be done twice, as safe methods may.
    pub idempotent: bool,
    /// Bytes of a body that are kept for a further try.
    pub replay: usize,
}

impl Retry {
    pub(crate) fn build(spec: Option<&spec::Retry>) -> Self {
        let Some(spec) = spec else {
            return Self { policy: RetryPolicy::default(), per_try: None, idempotent: false, replay: 0 };
        };
        let mut statuses = spec.statuses.clone();
        statuses.sort_unstable();
        Self {
            policy: RetryPolicy {
                attempts: spec.attempts,
                connect: spec.connect_failure,
                resets: if spec.reset { spec.attempts.saturating_sub(1) } else { 0 },
                timeouts: spec.reset || spec.statuses.contains(&504),
                statuses,
                budget: Some(spec.budget_thousandths),
                backoff: Duration::from_millis(spec.backoff_ms),
            },
            per_try: spec.per_try_timeout_ms.map(Duration::from_millis),
            idempotent: spec.methods == spec::RetryMethods::Idempotent,
            replay: usize::try_from(spec.replay_bytes).unwrap_or(usize::MAX),
        }
    }

    /// Whether a request with this method may be done twice.
    #[must_use]
    pub fn repeats(&self, method: &[u8]) -> bool {
        match method {
            b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE" => true,
            b"PUT" | b"DELETE" => self.idempotent,
            _ => false,
        }
    }

    pub(crate) fn check(spec: &spec::Retry, at: Place<'_>, errors: &mut Errors) {
        if !(1..=32).contains(&spec.attempts) {
            errors.add(at.key("attempts"), format_args!("{} is not from 1 to 32", spec.attempts));
        }
        if let Some(status) = spec.statuses.iter().find(|status| !(400..=599).contains(*status)) {
            errors.add(at.key("on"), format_args!("{status} is no status of an error, 400 to 599"));
        }
        if spec.budget_thousandths > 1_000 {
            errors.add(at.key("budget"), "is more than the whole");
        }
        if spec.replay_bytes > MOST_REPLAYED {
            errors.add(at.key("replay_size"), "more than 16MiB can't be kept for a further try");
        }
    }
}
