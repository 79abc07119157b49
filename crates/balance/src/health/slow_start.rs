//! How a share grows back: a backend that has just begun, with cold caches, would break under its full share.

use std::time::{Duration, Instant};

use crate::standing::Standing;

/// Where it begins: a tenth.
const LEAST: u32 = Standing::WHOLE / 10;

/// The growing of one backend's share after joining or recovering.
#[derive(Clone, Copy, Debug, Default)]
pub struct SlowStart {
    since: Option<Instant>,
}

impl SlowStart {
    /// It begins to grow now.
    pub const fn begin(&mut self, now: Instant) {
        self.since = Some(now);
    }

    /// The most of 65,536 it may have now: from a tenth to all in equal steps over `lasting`.
    pub fn share(&mut self, lasting: Duration, now: Instant) -> u32 {
        let Some(since) = self.since else { return Standing::WHOLE };
        let passed = now.saturating_duration_since(since);
        if passed >= lasting {
            self.since = None;
            return Standing::WHOLE;
        }
        let part = u128::from(Standing::WHOLE) * passed.as_nanos() / lasting.as_nanos().max(1);
        u32::try_from(part).unwrap_or(Standing::WHOLE).clamp(LEAST, Standing::WHOLE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_grows_from_a_tenth_to_all() {
        let start = crate::health::start();
        let mut slow_start = SlowStart::default();
        let lasting = Duration::from_secs(30);
        assert_eq!(slow_start.share(lasting, start), Standing::WHOLE);
        slow_start.begin(start);
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(slow_start.share(lasting, after(0)), LEAST);
        assert_eq!(slow_start.share(lasting, after(15)), Standing::WHOLE / 2);
        assert_eq!(slow_start.share(lasting, after(30)), Standing::WHOLE);
        slow_start.begin(start);
        assert_eq!(slow_start.share(Duration::ZERO, start), Standing::WHOLE);
    }
}
