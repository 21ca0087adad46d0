//! Numbers of options as Confluent's registry normalizes them.

/// Returns a number without an exponent and with at most three digits after the point. What is not a number stays.
pub(super) fn normal_number(text: &str) -> String {
    integer(text).or_else(|| decimal(text)).unwrap_or_else(|| text.to_owned())
}

fn integer(text: &str) -> Option<String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text),
    };
    let (digits, radix) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|digit| digit.is_ascii_digit()) => {
            (digits, 8)
        }
        None => (digits.strip_suffix(['l', 'L']).unwrap_or(digits), 10),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    match u128::from_str_radix(digits, radix) {
        Ok(0) => Some("0".to_owned()),
        Ok(value) => Some(format!("{sign}{value}")),
        Err(_) if radix == 10 => Some(format!("{sign}{digits}")),
        Err(_) => None,
    }
}

/// Formats a number with a point or an exponent. Numbers of up to seven digits after the point are of single precision.
fn decimal(text: &str) -> Option<String> {
    let body = text.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(text);
    let is_number = body.chars().all(|part| part.is_ascii_digit() || matches!(part, '.' | '-' | 'e' | 'E'));
    if !is_number || !body.contains(|part: char| part.is_ascii_digit()) {
        return None;
    }
    let fraction = body.split_once('.').map_or("", |(_, rest)| rest.split(['e', 'E']).next().unwrap_or(""));
    let is_double = text.ends_with(['d', 'D']) || fraction.len() > 7;
    let exact: f64 = body.parse().ok()?;
    let single: f32 = body.parse().ok()?;
    let is_lost = single.is_infinite() || (single == 0.0 && exact != 0.0);
    let value = if is_double || is_lost { exact } else { f64::from(single) };
    if !value.is_finite() {
        return None;
    }
    let shortest = value.to_string();
    let digits = shortest.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    if digits <= 3 {
        return Some(shortest);
    }
    let rounded = format!("{value:.3}");
    Some(rounded.trim_end_matches('0').trim_end_matches('.').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_and_lose_their_spelling() {
        for (text, expected) in [
            ("1", "1"),
            ("-1", "-1"),
            ("0x10", "16"),
            ("010", "8"),
            ("1.0", "1"),
            ("1.50", "1.5"),
            ("0.12345", "0.123"),
            ("0.1", "0.1"),
            ("1e10", "10000000000"),
            ("1.5e-2", "0.015"),
            ("18446744073709551615", "18446744073709551615"),
            ("inf", "inf"),
            ("-inf", "-inf"),
            ("nan", "nan"),
            ("-", "-"),
        ] {
            assert_eq!(normal_number(text), expected, "{text}");
        }
    }
}
