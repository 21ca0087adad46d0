//! Parses points in time from the command line: dates with times.

use jiff::civil::DateTime;
use jiff::tz::Offset;
use regex::Regex;

use ottla_wire::types::TimestampMs;

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
}
