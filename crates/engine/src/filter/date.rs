//! `Date`: every answer has one (RFC 9110 6.6.1). The text changes once a second, so it is made once a second.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fairlead_wire::{Head, Known};

use crate::clock;

/// The length of an IMF-fixdate (RFC 9110 5.6.7).
const LENGTH: usize = 29;

/// The current date as text. One a worker.
pub(crate) struct DateCache {
    text: Cell<[u8; LENGTH]>,
    /// When the text is outdated; `None` before the first use.
    stale_at: Cell<Option<Instant>>,
}

impl Default for DateCache {
    fn default() -> Self {
        Self { text: Cell::new([b' '; LENGTH]), stale_at: Cell::new(None) }
    }
}

impl DateCache {
    /// The text at `now`. Wall clock is read only when the second is over by the monotonic one.
    pub(crate) fn text(&self, now: Instant) -> [u8; LENGTH] {
        if self.stale_at.get().is_none_or(|at| now >= at) {
            self.renew(now, clock::wall());
        }
        self.text.get()
    }

    fn renew(&self, now: Instant, wall: SystemTime) {
        let since_epoch = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        let left =
            Duration::from_secs(1).saturating_sub(Duration::from_nanos(since_epoch.subsec_nanos().into()));
        let mut text = [b' '; LENGTH];
        let mut room = &mut text[..];
        let whole = UNIX_EPOCH + Duration::from_secs(since_epoch.as_secs());
        // A fixed-size text into room of that size: the only error would be a year of five digits.
        let _ = std::io::Write::write_fmt(&mut room, format_args!("{}", httpdate::HttpDate::from(whole)));
        self.text.set(text);
        self.stale_at.set(Some(now + left));
    }
}

/// Adds `Date` to an answer that came without.
pub(crate) fn ensure(head: &mut Head, date: &DateCache, now: Instant) {
    if head.known(Known::Date).is_none() {
        head.append(b"Date", &date.text(now));
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::DateCache;
    use crate::clock;

    #[test]
    fn the_text_lives_until_the_second_is_over() {
        let cache = DateCache::default();
        let now = clock::now();
        cache.renew(now, UNIX_EPOCH + Duration::from_millis(784_111_777_250));
        assert_eq!(&cache.text(now), b"Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(cache.stale_at.get(), Some(now + Duration::from_millis(750)));
    }
}
