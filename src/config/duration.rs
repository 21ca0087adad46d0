//! ISO 8601 durations.

/// Whether `text` is a non-negative ISO 8601 duration of days, hours, minutes and seconds (`P1DT2H3M4.5S`).
pub fn is_iso_8601(text: &str) -> bool {
    let text = text.to_ascii_uppercase();
    let Some(text) = text.strip_prefix('P') else { return false };
    let (days, time) = text.split_once('T').map_or((text, None), |(days, time)| (days, Some(time)));
    let days_ok = days.is_empty() || units_in_order(days, "D");
    let time_ok = time.is_none_or(|time| units_in_order(time, "HMS"));
    days_ok && time_ok && !(days.is_empty() && time.is_none())
}

/// Whether `text` is one or more numbers with units, each unit at most once and in the order of `units`. Only seconds
/// have a fraction.
fn units_in_order(text: &str, units: &str) -> bool {
    let mut rest = text;
    for unit in units.chars() {
        if let Some((number, after)) = rest.split_once(unit) {
            let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
            let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
            if whole.is_empty() || !digits(whole) || !digits(fraction) || (unit != 'S' && number.contains('.')) {
                return false;
            }
            rest = after;
        }
    }
    rest.is_empty() && !text.is_empty()
}

#[cfg(test)]
mod tests {
    use super::is_iso_8601;

    #[test]
    fn durations_of_days_to_seconds_are_valid() {
        for text in ["P1D", "PT1H", "PT5M", "PT0.5S", "P1DT2H3M4S", "pt1h"] {
            assert!(is_iso_8601(text), "{text}");
        }
    }

    #[test]
    fn other_texts_are_invalid() {
        for text in ["", "P", "PT", "1D", "P1H", "PT1D", "PT1M1H", "-PT1H", "PT-1H", "PT1.5M", "PTS", "P1DT"] {
            assert!(!is_iso_8601(text), "{text}");
        }
    }
}
