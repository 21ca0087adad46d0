//! ISO 8601 durations, as `java.time.Duration.parse` reads them.

const NANOS_PER_SECOND: i128 = 1_000_000_000;
const NANOS_PER_MS: i128 = 1_000_000;

/// The milliseconds of a duration such as `P1DT2H3M4.5S`, rounded down. `None` if it is invalid or too long.
///
/// A day has 24 hours. Letters are in upper or lower case, each number may have a sign, and only seconds have a fraction.
pub fn parse_duration_ms(text: &str) -> Option<i64> {
    let upper = text.to_ascii_uppercase();
    let (is_negated, unsigned) = take_sign(&upper);
    let after = unsigned.strip_prefix('P')?;
    let (days, time) = after.split_once('T').map_or((after, None), |(days, time)| (days, Some(time)));
    if days.is_empty() && time.is_none() || time.is_some_and(str::is_empty) {
        return None;
    }
    let days = nanos_of(days, &[('D', 86_400)])?;
    let time = nanos_of(time.unwrap_or_default(), &[('H', 3_600), ('M', 60), ('S', 1)])?;
    let nanos = days.checked_add(time)?;
    i64::try_from(if is_negated { -nanos } else { nanos }.div_euclid(NANOS_PER_MS)).ok()
}

/// Adds up numbers with their units, in the order of `units`, each of which is at most once there.
fn nanos_of(text: &str, units: &[(char, i128)]) -> Option<i128> {
    let mut rest = text;
    let mut total: i128 = 0;
    for (unit, seconds) in units {
        let Some((number, after)) = rest.split_once(*unit) else { continue };
        let nanos =
            if *unit == 'S' { nanos_of_seconds(number)? } else { i128::from(whole(number)?) * NANOS_PER_SECOND };
        total = total.checked_add(nanos.checked_mul(*seconds)?)?;
        rest = after;
    }
    rest.is_empty().then_some(total)
}

fn nanos_of_seconds(number: &str) -> Option<i128> {
    let (seconds, fraction) = number.split_once(['.', ',']).unwrap_or((number, ""));
    if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction: i128 = format!("{fraction:0<9}").parse().ok()?;
    let fraction = if take_sign(seconds).0 { -fraction } else { fraction };
    Some(i128::from(whole(seconds)?) * NANOS_PER_SECOND + fraction)
}

/// An integer with an optional sign.
fn whole(number: &str) -> Option<i64> {
    number.parse().ok()
}

/// Whether `text` begins with a minus, and what follows its sign.
fn take_sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_durations_are_parsed() {
        let check = |text, expect| assert_eq!(parse_duration_ms(text), Some(expect), "{text}");
        check("P1D", 86_400_000);
        check("PT1H", 3_600_000);
        check("PT5M", 300_000);
        check("PT0.5S", 500);
        check("PT0,5S", 500);
        check("PT1.S", 1_000);
        check("P1DT2H3M4.5S", 93_784_500);
        check("pt0.001s", 1);
        check("PT1H-30M", 1_800_000);
        check("+PT+1M", 60_000);
        check("PT-1M", -60_000);
        check("-PT1M", -60_000);
        check("PT-0.5S", -500);
        check("PT-0.0001S", -1);
    }

    #[test]
    fn other_texts_are_invalid() {
        for text in [
            "",
            "P",
            "PT",
            "P1DT",
            "1D",
            "1h",
            "P1H",
            "P1Y",
            "PT1D",
            "PT1M1H",
            "PT5S1M",
            "PT1H2H",
            "PT1.5H",
            "PT1.5M",
            "PTS",
            "PT.5S",
            "PTHS",
            "PT--1S",
            "P 1D",
            "PT1",
            "PT1S ",
            "PT0.1234567891S",
            "PT99999999999999999999S",
            "P99999999999999999999D",
            "PT9223372036854775807H",
        ] {
            assert_eq!(parse_duration_ms(text), None, "{text}");
        }
    }
}
