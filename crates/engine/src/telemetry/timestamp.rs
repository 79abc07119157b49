//! Points in time as people read them, UTC.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Milliseconds since 1970; 0 for a clock that is before that.
pub(crate) fn unix_millis(at: SystemTime) -> u64 {
    since_epoch(at).as_millis() as u64
}

fn since_epoch(at: SystemTime) -> Duration {
    at.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// A date of the Gregorian calendar.
struct Date {
    year: u64,
    month: u64,
    day: u64,
}

impl Date {
    /// From days since 1970-01-01 (Howard Hinnant, "chrono-compatible low-level date algorithms").
    fn from_epoch_days(days: u64) -> Self {
        let shifted = days + 719_468;
        let era = shifted / 146_097;
        let of_era = shifted % 146_097;
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        Self { year, month, day }
    }
}

/// `2026-11-24T06:00:00.123Z` (RFC 3339).
pub(crate) fn rfc3339(at: SystemTime) -> String {
    let since = since_epoch(at);
    let seconds = since.as_secs();
    let Date { year, month, day } = Date::from_epoch_days(seconds / 86_400);
    let (hour, minute, second) = time_of_day(seconds);
    let millis = since.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// `24/Nov/2026:06:00:00 +0000`, as the "combined" log format has it.
pub(crate) fn common_log(at: SystemTime) -> String {
    let seconds = since_epoch(at).as_secs();
    let Date { year, month, day } = Date::from_epoch_days(seconds / 86_400);
    let month = MONTHS[month as usize - 1];
    let (hour, minute, second) = time_of_day(seconds);
    format!("{day:02}/{month}/{year:04}:{hour:02}:{minute:02}:{second:02} +0000")
}

fn time_of_day(seconds: u64) -> (u64, u64, u64) {
    (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64, millis: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(seconds * 1000 + millis)
    }

    #[test]
    fn leap_days_and_turns_of_the_year_are_right() {
        assert_eq!(rfc3339(at(0, 0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(at(951_782_400, 7)), "2000-02-29T00:00:00.007Z");
        assert_eq!(rfc3339(at(1_704_067_199, 999)), "2023-12-31T23:59:59.999Z");
        assert_eq!(rfc3339(at(1_709_164_800, 0)), "2024-02-29T00:00:00.000Z");
        assert_eq!(rfc3339(at(4_107_542_400, 0)), "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn common_log_has_the_month_by_name() {
        assert_eq!(common_log(at(971_211_336, 0)), "10/Oct/2000:20:55:36 +0000");
    }

    #[test]
    fn a_clock_before_1970_is_1970() {
        assert_eq!(unix_millis(UNIX_EPOCH - Duration::from_secs(5)), 0);
    }
}
