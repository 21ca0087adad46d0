//! ISO 8601 durations in the subset that Java's `Duration` parses.

use std::time::Duration;

/// Parses a duration such as `P1DT2H3M4.5S`, in upper or lower case and not negative. `None` if it is invalid.
pub fn parse(text: &str) -> Option<Duration> {
    let text = text.to_ascii_uppercase();
    let text = text.strip_prefix('P')?;
    let (days, time) = text.split_once('T').map_or((text, None), |(days, time)| (days, Some(time)));
    let mut total = if days.is_empty() { Duration::ZERO } else { units(days, &[('D', 86_400)])? };
    match time {
        Some(time) => total = total.checked_add(units(time, &[('H', 3_600), ('M', 60), ('S', 1)])?)?,
        None if days.is_empty() => return None,
        None => {}
    }
    Some(total)
}

/// Parses one or more numbers with their units, each unit at most once, in this order. Only seconds have a fraction.
fn units(text: &str, units: &[(char, u64)]) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    for (unit, seconds) in units {
        let Some((number, after)) = rest.split_once(*unit) else { continue };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > 9 {
            return None;
        }
        if *unit != 'S' && number.contains('.') {
            return None;
        }
        let nanos: u32 = format!("{fraction:0<9}").parse().ok()?;
        let whole: u64 = whole.parse().ok()?;
        total = total.checked_add(Duration::new(whole.checked_mul(*seconds)?, nanos))?;
        rest = after;
    }
    (rest.is_empty() && !text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_durations_are_parsed_and_others_rejected() {
        let check = |text, expect| assert_eq!(parse(text), Option::map(expect, Duration::from_millis), "{text}");
        check("PT1S", Some(1_000));
        check("pt1.5s", Some(1_500));
        check("P1DT2H3M4S", Some(((26 * 60 + 3) * 60 + 4) * 1_000));
        check("P2D", Some(2 * 86_400_000));
        check("PT1.5H", None);
        check("PT5S1M", None);
        check("P", None);
        check("PT", None);
        check("1H", None);
        check("P99999999999999999999D", None);
    }
}
