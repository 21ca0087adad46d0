//! Log lines on stderr in the format of Kafka's tools.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use ottla_broker::clock::wall_clock_ms;
use ottla_wire::types::TimestampMs;

/// Logs an error as Kafka's class does: `[2026-01-31 12:00:00,000] ERROR … (class)` on stderr.
pub fn log_error(class: &str, text: impl std::fmt::Display) {
    err_line!("[{}] ERROR {text}\n ({class})", date_and_time(wall_clock_ms()));
}

/// Logs a line as Kafka's class does: `[2026-01-31 12:00:00,000] WARN … (class)` on stderr.
pub fn log(level: &str, class: &str, text: impl std::fmt::Display) {
    err_line!("[{}] {level} {text} ({class})", date_and_time(wall_clock_ms()));
}

/// Like [`log_error`], with the exception on a line of its own.
pub fn log_exception(class: &str, text: &str, exception: impl std::fmt::Display) {
    err_line!("[{}] ERROR {text} ({class})\n{exception}", date_and_time(wall_clock_ms()));
}

/// Formats a time as in log lines, in UTC: `2026-01-31 12:00:00,000`; outside of the years -9999 to 9999 as a number of
/// milliseconds.
pub fn date_and_time(time: TimestampMs) -> String {
    let Some(at) = civil(time) else { return time.to_string() };
    let date = format!("{:04}-{:02}-{:02}", at.year(), at.month(), at.day());
    format!("{date} {:02}:{:02}:{:02},{:03}", at.hour(), at.minute(), at.second(), at.millisecond())
}

/// Converts a time to a date and time in UTC; `None` outside of the years -9999 to 9999.
pub fn civil(time: TimestampMs) -> Option<DateTime> {
    Some(Offset::UTC.to_datetime(Timestamp::from_millisecond(time).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_formatted_in_utc() {
        let check = |time, expect: &str| assert_eq!(date_and_time(time), expect);
        check(0, "1970-01-01 00:00:00,000");
        check(951_782_400_123, "2000-02-29 00:00:00,123");
        check(1_769_860_799_999, "2026-01-31 11:59:59,999");
        check(-1, "1969-12-31 23:59:59,999");
        check(i64::MAX, "9223372036854775807");
    }
}
