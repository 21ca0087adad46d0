//! Numbers as Jackson's tree keeps them.

use std::fmt;

use ottla_wire::java;

/// A number. Integers and numbers with a fraction or an exponent are never equal, as in Jackson.
#[derive(Clone, Debug)]
pub enum Number {
    Long(i64),
    /// An integer beyond 64 bits: a sign if it is negative, and digits without leading zeros.
    Big(String),
    Double(f64),
    /// A number with a fraction or an exponent, as Java's `BigDecimal` prints it.
    Decimal(String),
}

impl Number {
    /// Reads a number whose syntax was checked.
    pub(super) fn read(text: &str, exact: bool) -> Number {
        if exact && text.contains(['.', 'e', 'E']) {
            return decimal(text).map_or_else(|| Number::Decimal(text.to_owned()), Number::Decimal);
        }
        if text.contains(['.', 'e', 'E']) {
            return Number::Double(text.parse().unwrap_or(f64::NAN));
        }
        match text.parse() {
            Ok(number) => Number::Long(number),
            Err(_) => Number::Big(text.to_owned()),
        }
    }

    pub fn is_integer(&self) -> bool {
        matches!(self, Number::Long(_) | Number::Big(_))
    }

    pub fn as_long(&self) -> Option<i64> {
        match self {
            Number::Long(number) => Some(*number),
            _ => None,
        }
    }

    /// Converts to a double, to the nearest one.
    pub fn to_double(&self) -> f64 {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "rounds as Java's conversion does")]
            Number::Long(number) => *number as f64,
            Number::Big(text) | Number::Decimal(text) => text.parse().unwrap_or(f64::NAN),
            Number::Double(number) => *number,
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Number) -> bool {
        match (self, other) {
            (Number::Long(a), Number::Long(b)) => a == b,
            (Number::Big(a), Number::Big(b)) | (Number::Decimal(a), Number::Decimal(b)) => a == b,
            // As `Double.compare`: NaN equals itself, and the zeros differ.
            (Number::Double(a), Number::Double(b)) => a.total_cmp(b).is_eq() || (a.is_nan() && b.is_nan()),
            _ => false,
        }
    }
}

impl fmt::Display for Number {
    /// Writes the number as Jackson's generator does. A number that JSON cannot have becomes a string.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Long(number) => write!(formatter, "{number}"),
            Number::Big(text) | Number::Decimal(text) => formatter.write_str(text),
            Number::Double(number) if number.is_finite() => formatter.write_str(&java::double(*number)),
            Number::Double(number) => write!(formatter, "\"{}\"", java::double(*number)),
        }
    }
}

/// Writes a number as `BigDecimal.toString` does; `None` if its exponent is beyond Java's.
fn decimal(text: &str) -> Option<String> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i64 = exponent.parse::<i32>().ok()?.into();
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let digits = all.trim_start_matches('0');
    // Zero has one digit and no sign.
    let (sign, digits) = if digits.is_empty() { ("", "0") } else { (sign, digits) };
    let scale = i64::try_from(fraction.len()).ok()? - exponent;
    let count = i64::try_from(digits.len()).ok()?;
    let adjusted = count - 1 - scale;
    if scale == 0 {
        return Some(format!("{sign}{digits}"));
    }
    if scale > 0 && adjusted >= -6 {
        let zeros = "0".repeat(usize::try_from((scale - count + 1).max(0)).ok()?);
        let padded = format!("{zeros}{digits}");
        let (whole, fraction) = padded.split_at(padded.len() - usize::try_from(scale).ok()?);
        return Some(format!("{sign}{whole}.{fraction}"));
    }
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    Some(format!("{sign}{first}{point}{rest}E{adjusted:+}"))
}
