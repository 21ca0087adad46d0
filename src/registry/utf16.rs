//! The order of Java's strings.

use std::cmp::Ordering;
use std::fmt;

/// A text that is ordered by its UTF-16 units, as Java's `String.compareTo` orders it. The order differs from that of Rust
/// only above U+FFFF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utf16<'a>(&'a str);

impl<'a> Utf16<'a> {
    pub fn of(text: &'a str) -> Utf16<'a> {
        Utf16(text)
    }

    pub fn text(self) -> &'a str {
        self.0
    }
}

impl Ord for Utf16<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(self.0, other.0)
    }
}

impl PartialOrd for Utf16<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A text as a key of Java's sorted maps and sets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JavaString(String);

impl JavaString {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Ord for JavaString {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&self.0, &other.0)
    }
}

impl PartialOrd for JavaString {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for JavaString {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<&str> for JavaString {
    fn from(text: &str) -> JavaString {
        JavaString(text.to_owned())
    }
}

impl From<String> for JavaString {
    fn from(text: String) -> JavaString {
        JavaString(text)
    }
}

/// Compares two texts by their UTF-16 units.
pub fn compare(a: &str, b: &str) -> Ordering {
    a.encode_utf16().cmp(b.encode_utf16())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_above_the_basic_plane_come_before_the_last_of_it() {
        assert_eq!(compare("😀", "\u{ffff}"), Ordering::Less);
        assert_eq!(compare("a", "b"), Ordering::Less);
    }
}
