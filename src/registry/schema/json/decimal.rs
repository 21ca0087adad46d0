//! Exact decimal numbers, as far as comparisons of schemas need them.

use std::cmp::Ordering;

/// The number `digits` · 10^-`scale`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decimal {
    digits: i128,
    scale: u32,
}

impl Decimal {
    /// Reads a number; `None` if it has too many digits or too large an exponent.
    pub fn parse(text: &str) -> Option<Decimal> {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let exponent: i32 = exponent.parse().ok()?;
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
        let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        match u32::try_from(scale) {
            Ok(scale) => Some(Decimal { digits, scale }),
            Err(_) => {
                let factor = 10i128.checked_pow(scale.unsigned_abs())?;
                Some(Decimal { digits: digits.checked_mul(factor)?, scale: 0 })
            }
        }
    }

    pub fn is_equal(self, other: Decimal) -> bool {
        same_scale(self, other).is_some_and(|(a, b)| a == b)
    }

    /// Compares two numbers; `None` if their scales are too far apart.
    pub fn compare(self, other: Decimal) -> Option<Ordering> {
        same_scale(self, other).map(|(a, b)| a.cmp(&b))
    }

    /// Whether this is a whole multiple of a number other than zero.
    pub fn is_multiple_of(self, other: Decimal) -> bool {
        same_scale(self, other).is_some_and(|(a, b)| b != 0 && a % b == 0)
    }
}

/// Returns the digits of both at a common scale.
fn same_scale(a: Decimal, b: Decimal) -> Option<(i128, i128)> {
    let scale = a.scale.max(b.scale);
    let scaled = |number: Decimal| number.digits.checked_mul(10i128.checked_pow(scale - number.scale)?);
    Some((scaled(a)?, scaled(b)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiples_are_exact() {
        let is_multiple = |a: &str, b: &str| Decimal::parse(a).unwrap().is_multiple_of(Decimal::parse(b).unwrap());
        assert!(is_multiple("0.3", "0.1"));
        assert!(is_multiple("1E+2", "5"));
        assert!(!is_multiple("0.35", "0.1"));
        assert!(Decimal::parse("0.50").unwrap().is_equal(Decimal::parse("5e-1").unwrap()));
        assert!(Decimal::parse("1e999").is_none());
    }
}
