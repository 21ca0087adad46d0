//! Formats numbers as Java's `toString` does.

/// Formats a number as `Double.toString` does: `1.0`, `1.0E10`, `NaN`. Uses the fewest digits that identify the number,
/// but at least two. If one digit would identify it, the two digits are those closest to its exact value.
pub fn double(number: f64) -> String {
    let shortest = format!("{:e}", number.abs());
    let digits = if shortest.contains('.') { shortest } else { format!("{:.1e}", number.abs()) };
    layout(number, &digits)
}

/// Formats a number as `Float.toString` does.
pub fn float(number: f32) -> String {
    let shortest = format!("{:e}", number.abs());
    let digits = if shortest.contains('.') { shortest } else { format!("{:.1e}", number.abs()) };
    layout(f64::from(number), &digits)
}

/// Lays out the digits of `scientific` (`1.25e-7`): without an exponent from 10⁻³ to 10⁷, otherwise with one.
fn layout(number: f64, scientific: &str) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    let sign = if number.is_sign_negative() { "-" } else { "" };
    if number.is_infinite() {
        return format!("{sign}Infinity");
    }
    let (digits, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let magnitude = number.abs();
    if magnitude == 0.0 {
        return format!("{sign}0.0");
    }
    if !(1e-3..1e7).contains(&magnitude) {
        return format!("{sign}{digits}E{exponent}");
    }
    let digits: String = digits.chars().filter(|digit| *digit != '.').collect();
    let digits = digits.trim_end_matches('0');
    if exponent < 0 {
        let zeros = "0".repeat(usize::try_from(-exponent - 1).unwrap_or(0));
        return format!("{sign}0.{zeros}{digits}");
    }
    let whole = usize::try_from(exponent).unwrap_or(0) + 1;
    let digits = format!("{digits:0<whole$}");
    let (whole, fraction) = digits.split_at(whole);
    format!("{sign}{whole}.{}", if fraction.is_empty() { "0" } else { fraction })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_formatted_as_java_does() {
        let check = |number, expect: &str| assert_eq!(double(number), expect);
        check(0.0, "0.0");
        check(-0.0, "-0.0");
        check(1.0, "1.0");
        check(-12.5, "-12.5");
        check(100.0, "100.0");
        check(0.001, "0.001");
        check(0.0123, "0.0123");
        check(0.0001, "1.0E-4");
        check(9_999_999.0, "9999999.0");
        check(1e7, "1.0E7");
        check(1.25e300, "1.25E300");
        check(f64::NAN, "NaN");
        check(f64::NEG_INFINITY, "-Infinity");
        assert_eq!(float(0.1), "0.1");
        assert_eq!(float(3.4e38), "3.4E38");
        assert_eq!(float(1e-44), "9.8E-45");
    }
}
