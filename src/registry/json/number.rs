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
}

impl Number {
    /// Reads a number whose syntax was checked.
    pub(super) fn read(text: &str) -> Number {
        if text.contains(['.', 'e', 'E']) {
            return Number::Double(text.parse().unwrap_or(f64::NAN));
        }
        match text.parse() {
            Ok(number) => Number::Long(number),
            Err(_) => Number::Big(text.to_owned()),
        }
    }

    pub fn is_integer(&self) -> bool {
        !matches!(self, Number::Double(_))
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
            Number::Big(digits) => digits.parse().unwrap_or(f64::NAN),
            Number::Double(number) => *number,
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Number) -> bool {
        match (self, other) {
            (Number::Long(a), Number::Long(b)) => a == b,
            (Number::Big(a), Number::Big(b)) => a == b,
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
            Number::Big(digits) => formatter.write_str(digits),
            Number::Double(number) if number.is_finite() => formatter.write_str(&java::double(*number)),
            Number::Double(number) => write!(formatter, "\"{}\"", java::double(*number)),
        }
    }
}
