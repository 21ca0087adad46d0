//! Parses points in time from the command line: dates with times, and durations before now.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::Offset;
use regex::Regex;

use ottla_wire::types::TimestampMs;

const SECONDS_A_DAY: i128 = 24 * 60 * 60;

/// Milliseconds since the Unix epoch of a date and time such as `2026-01-31T23:59:58.250`, UTC unless `Z` or an offset
/// such as `+01:00` follows. The digits after the point are milliseconds, whatever their number.
///
/// Source: `org.apache.kafka.common.utils.Utils.getDateTime`.
pub fn date_and_time(text: &str) -> Option<TimestampMs> {
    let form =
        r"^(\d{4})-(\d{1,2})-(\d{1,2})T(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.(\d{1,3}))?(?:Z|([+-])(\d{2})(?::(\d{2}))?)?$";
    let parts = Regex::new(form).ok()?.captures(text)?;
    let part = |index| parts.get(index).map_or(Some(0), |part| part.as_str().parse::<i32>().ok());
    let small = |index| part(index).and_then(|value| i8::try_from(value).ok());
    let date = DateTime::new(
        i16::try_from(part(1)?).ok()?,
        small(2)?,
        small(3)?,
        small(4)?,
        small(5)?,
        small(6)?,
        part(7)? * 1_000_000,
    );
    let east = (part(9)? * 60 + part(10)?) * 60;
    let east = if parts.get(8).is_some_and(|sign| sign.as_str() == "-") { -east } else { east };
    Some(Offset::from_seconds(east).ok()?.to_timestamp(date.ok()?).ok()?.as_millisecond())
}

/// Milliseconds of a duration such as `P1DT2H3M4.5S`; a day has 24 hours, and each number may have a sign.
///
/// Source: `java.time.Duration.parse`.
pub fn duration(text: &str) -> Option<i64> {
    let form = r"(?i)^([-+]?)P(?:([-+]?\d+)D)?(T(?:([-+]?\d+)H)?(?:([-+]?\d+)M)?(?:([-+]?\d+)(?:[.,](\d{0,9}))?S)?)?$";
    let parts = Regex::new(form).ok()?.captures(text)?;
    let given = |index: usize| parts.get(index).is_some();
    if parts.get(3).is_some_and(|time| time.len() == 1) || ![2, 4, 5, 6].into_iter().any(given) {
        return None;
    }
    let part = |index| parts.get(index).map_or(Some(0), |part| part.as_str().parse::<i64>().ok().map(i128::from));
    let seconds = part(2)? * SECONDS_A_DAY + part(4)? * 3600 + part(5)? * 60 + part(6)?;
    let digits = parts.get(7).map_or("", |fraction| fraction.as_str());
    let nanos: i128 = format!("{digits:0<9}").parse().ok()?;
    let is_negative = parts.get(6).is_some_and(|seconds| seconds.as_str().starts_with('-'));
    let nanos = seconds * 1_000_000_000 + if is_negative { -nanos } else { nanos };
    let nanos = if parts.get(1).is_some_and(|sign| sign.as_str() == "-") { -nanos } else { nanos };
    i64::try_from(nanos.div_euclid(Duration::from_millis(1).as_nanos() as i128)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_and_time_is_parsed() {
        let check = |text, expect| assert_eq!(date_and_time(text), expect, "{text}");
        check("1970-01-01T00:00:00.000", Some(0));
        check("1970-01-01T00:00:01", Some(1000));
        check("1970-01-01T00:00:00.250Z", Some(250));
        check("1970-01-01T00:00:00.5", Some(5));
        check("1970-01-01T01:00:00.000+01:00", Some(0));
        check("1970-01-01T01:00:00.000+01", Some(0));
        check("1969-12-31T23:30:00-00:30", Some(0));
        check("2023-11-14T22:13:20.000", Some(1_700_000_000_000));
        check("2024-02-29T00:00:00", Some(1_709_164_800_000));
        check("2023-02-29T00:00:00", None);
        check("2023-11-14", None);
        check("2023-11-14T24:00:00", None);
        check("2023-11-14 22:13:20", None);
        check("yesterday", None);
    }

    #[test]
    fn duration_is_parsed() {
        let check = |text, expect| assert_eq!(duration(text), expect, "{text}");
        check("P1D", Some(86_400_000));
        check("PT1H", Some(3_600_000));
        check("P1DT2H3M4.5S", Some(93_784_500));
        check("pt0.001s", Some(1));
        check("PT-1M", Some(-60_000));
        check("-PT1M", Some(-60_000));
        check("PT-0.5S", Some(-500));
        check("P", None);
        check("PT", None);
        check("P1DT", None);
        check("1h", None);
        check("P1Y", None);
        check("PT99999999999999999999S", None);
    }
}
