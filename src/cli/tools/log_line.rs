//! Log lines on stderr in the format of Kafka's tools.

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

/// Formats a time as in log lines, in UTC: `2026-01-31 12:00:00,000`.
pub fn date_and_time(time: TimestampMs) -> String {
    let (days, within) = (time.div_euclid(86_400_000), time.rem_euclid(86_400_000));
    let (year, month, day) = date(days);
    let (hour, minute) = (within / 3_600_000, within / 60_000 % 60);
    let (second, milli) = (within / 1000 % 60, within % 1000);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02},{milli:03}")
}

/// Converts a number of days since 1970-01-01 to year, month and day of the Gregorian calendar.
pub fn date(days: i64) -> (i64, i64, i64) {
    // Days are counted from 1 March of the year 0, so that the leap day is the last day of a year.
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
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
    }
}
