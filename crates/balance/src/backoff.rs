//! How long to wait before a further try.
//!
//! Full jitter: anything from nothing to a ceiling that doubles. Of all ways to spread clients that failed together it
//! makes the fewest tries in all and the fewest at once (M. Brooker, "Exponential Backoff And Jitter", AWS, 2015).

use std::time::Duration;

/// No ceiling rises above this, unless the first one is: a client waits meanwhile.
const HIGHEST: Duration = Duration::from_secs(1);

/// The wait before further try number `nth`, the first being 0. `random` is uniform over all of its values.
#[must_use]
pub fn backoff(base: Duration, nth: u32, random: u64) -> Duration {
    let ceiling = base.saturating_mul(1 << nth.min(31)).min(HIGHEST.max(base));
    let nanos = u64::try_from(ceiling.as_nanos()).unwrap_or(u64::MAX);
    // The upper half of the product is uniform below `nanos`.
    Duration::from_nanos(((u128::from(nanos) * u128::from(random)) >> 64) as u64)
}
