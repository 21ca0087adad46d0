//! Types of Google's that have a JSON form of their own: which they are, and their texts.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WellKnown {
    Any,
    Duration,
    FieldMask,
    ListValue,
    Struct,
    Timestamp,
    Value,
    /// `Int32Value` and the like: the JSON is that of the value in it.
    Wrapper,
}

impl WellKnown {
    pub fn from_name(full_name: &str) -> Option<WellKnown> {
        Some(match full_name.strip_prefix("google.protobuf.")? {
            "Any" => WellKnown::Any,
            "Duration" => WellKnown::Duration,
            "FieldMask" => WellKnown::FieldMask,
            "ListValue" => WellKnown::ListValue,
            "Struct" => WellKnown::Struct,
            "Timestamp" => WellKnown::Timestamp,
            "Value" => WellKnown::Value,
            "BoolValue" | "BytesValue" | "DoubleValue" | "FloatValue" | "Int32Value" | "Int64Value" | "StringValue"
            | "UInt32Value" | "UInt64Value" => WellKnown::Wrapper,
            _ => return None,
        })
    }
}

const NANOS: i64 = 1_000_000_000;
const SECONDS_OF_DAY: i64 = 86_400;
const MIN_TIMESTAMP_SECONDS: i64 = -62_135_596_800;
const MAX_TIMESTAMP_SECONDS: i64 = 253_402_300_799;
const MAX_DURATION_SECONDS: i64 = 315_576_000_000;

/// Writes a time as RFC 3339 does; `None` if it is out of range.
pub(super) fn timestamp(seconds: i64, nanos: i64) -> Option<String> {
    if !(MIN_TIMESTAMP_SECONDS..=MAX_TIMESTAMP_SECONDS).contains(&seconds) || !(0..NANOS).contains(&nanos) {
        return None;
    }
    let (year, month, day) = date_of(seconds.div_euclid(SECONDS_OF_DAY));
    let second = seconds.rem_euclid(SECONDS_OF_DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{}Z", fraction(nanos)))
}

/// Reads a time of RFC 3339 as seconds and nanoseconds.
pub(super) fn parse_timestamp(text: &str) -> Option<(i64, i64)> {
    let (date, time) = text.split_once('T')?;
    let (time, offset) = match time.strip_suffix('Z') {
        Some(time) => (time, 0),
        None => {
            let at = time.rfind(['+', '-'])?;
            let (hours, minutes) = time[at + 1..].split_once(':')?;
            let offset = number(hours, 2)? * 3600 + number(minutes, 2)? * 60;
            (&time[..at], if time[at..].starts_with('-') { -offset } else { offset })
        }
    };
    let mut date = date.splitn(3, '-');
    let (year, month, day) = (number(date.next()?, 4)?, number(date.next()?, 2)?, number(date.next()?, 2)?);
    let (clock, nanos) = match time.split_once('.') {
        Some((clock, digits)) => (clock, nanos_of(digits)?),
        None => (time, 0),
    };
    let mut clock = clock.splitn(3, ':');
    let (hour, minute, second) = (number(clock.next()?, 2)?, number(clock.next()?, 2)?, number(clock.next()?, 2)?);
    let is_good = (1..=12).contains(&month) && day >= 1 && hour < 24 && minute < 60 && second < 60;
    let days = days_of(year, month, day);
    if !is_good || date_of(days) != (year, month, day) {
        return None;
    }
    let seconds = days * SECONDS_OF_DAY + hour * 3600 + minute * 60 + second - offset;
    (MIN_TIMESTAMP_SECONDS..=MAX_TIMESTAMP_SECONDS).contains(&seconds).then_some((seconds, nanos))
}

/// Writes a duration in seconds; `None` if it is out of range or its parts have different signs.
pub(super) fn duration(seconds: i64, nanos: i64) -> Option<String> {
    let is_good = seconds.unsigned_abs() <= MAX_DURATION_SECONDS.unsigned_abs()
        && nanos.unsigned_abs() < NANOS.unsigned_abs()
        && seconds.signum() * nanos.signum() >= 0;
    let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
    is_good.then(|| format!("{sign}{}{}s", seconds.unsigned_abs(), fraction(nanos.abs())))
}

pub(super) fn parse_duration(text: &str) -> Option<(i64, i64)> {
    let text = text.strip_suffix('s')?;
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |text| (-1, text));
    let (seconds, nanos) = match text.split_once('.') {
        Some((seconds, digits)) => (seconds, nanos_of(digits)?),
        None => (text, 0),
    };
    let seconds = number(seconds, seconds.len())?;
    (seconds <= MAX_DURATION_SECONDS).then_some((sign * seconds, sign * nanos))
}

/// Digits of a second: none, three, six or nine.
fn fraction(nanos: i64) -> String {
    match nanos {
        0 => String::new(),
        nanos if nanos % 1_000_000 == 0 => format!(".{:03}", nanos / 1_000_000),
        nanos if nanos % 1_000 == 0 => format!(".{:06}", nanos / 1_000),
        nanos => format!(".{nanos:09}"),
    }
}

fn nanos_of(digits: &str) -> Option<i64> {
    if digits.len() > 9 {
        return None;
    }
    number(&format!("{digits:0<9}"), 9).filter(|_| !digits.is_empty())
}

/// Reads exactly this many digits.
fn number(text: &str, digits: usize) -> Option<i64> {
    let is_good = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    is_good.then(|| text.parse().ok()).flatten()
}

/// Year, month and day of a day since 1970-01-01, in the calendar that is used today.
fn date_of(days: i64) -> (i64, i64, i64) {
    // Years begin in March here, so that the day that some of them add is the last one.
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let from_march = (month + 9) % 12;
    let day_of_year = (153 * from_march + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_same_text_and_seconds_in_both_directions() {
        for (seconds, nanos, text) in [
            (0, 0, "1970-01-01T00:00:00Z"),
            (-1, 999_999_999, "1969-12-31T23:59:59.999999999Z"),
            (951_782_400, 120_000_000, "2000-02-29T00:00:00.120Z"),
            (4_107_542_399, 1_000, "2100-02-28T23:59:59.000001Z"),
            (MIN_TIMESTAMP_SECONDS, 0, "0001-01-01T00:00:00Z"),
            (MAX_TIMESTAMP_SECONDS, 0, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(timestamp(seconds, nanos).as_deref(), Some(text));
            assert_eq!(parse_timestamp(text), Some((seconds, nanos)));
        }
        assert_eq!(parse_timestamp("2000-01-01T01:30:00+01:30"), Some((946_684_800, 0)));
        assert_eq!(timestamp(MAX_TIMESTAMP_SECONDS + 1, 0), None);
        for text in
            ["2001-02-29T00:00:00Z", "2001-01-01T24:00:00Z", "2001-01-01", "2001-13-01T00:00:00Z", "xTé", "T+é:"]
        {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
    }

    #[test]
    fn durations_have_the_same_text_and_seconds_in_both_directions() {
        for (seconds, nanos, text) in
            [(0, 0, "0s"), (3, 0, "3s"), (-1, -500_000_000, "-1.500s"), (0, -1, "-0.000000001s")]
        {
            assert_eq!(duration(seconds, nanos).as_deref(), Some(text));
            assert_eq!(parse_duration(text), Some((seconds, nanos)));
        }
        assert_eq!(duration(1, -1), None);
        assert_eq!(parse_duration("1"), None);
        assert_eq!(parse_duration("1.s"), None);
    }
}
