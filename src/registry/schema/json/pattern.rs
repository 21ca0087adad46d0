//! Regular expressions of schemas, with bounds on the time and the memory that they take.

use regex::{Regex, RegexBuilder};

/// Maximum size of a compiled pattern.
const MAX_PATTERN_BYTES: usize = 512 << 10;
/// Maximum length of a pattern that needs backtracking.
const MAX_BACKTRACKING_PATTERN: usize = 1_000;
/// Maximum number of steps back in the search for one match.
const MAX_BACKTRACKS: usize = 10_000;

/// The sizes that are tried for the patterns of a validator, so that the memory of each is known about.
const SIZES: [usize; 4] = [16 << 10, 64 << 10, 256 << 10, MAX_PATTERN_BYTES];
/// Maximum size of all compiled patterns of a validator.
pub(super) const MAX_VALIDATOR_PATTERN_BYTES: usize = 4 << 20;
/// What a pattern is taken to need before it is compiled.
pub(super) const ESTIMATED_PATTERN_BYTES: usize = 64 << 10;

pub(super) enum Pattern {
    /// Takes time that is linear in the length of the text.
    Linear(Regex),
    /// Has a lookaround or a reference to a group.
    Backtracking(Box<fancy_regex::Regex>),
}

impl Pattern {
    /// Compiles a pattern. Returns `None` for one that is none, or that is too large.
    pub fn compile(pattern: &str) -> Option<Pattern> {
        Pattern::linear(pattern, MAX_PATTERN_BYTES).or_else(|| Pattern::backtracking(pattern))
    }

    /// Compiles a pattern, and takes its size from a budget. Returns `None` if it does not fit there; a pattern that is none,
    /// or that is too large by itself, is `Some(None)`.
    pub fn compile_within(pattern: &str, budget: &mut usize) -> Option<Option<Pattern>> {
        for size in SIZES {
            if let Some(compiled) = Pattern::linear(pattern, size) {
                *budget = budget.checked_sub(size)?;
                return Some(Some(compiled));
            }
        }
        *budget = budget.checked_sub(MAX_PATTERN_BYTES)?;
        Some(Pattern::backtracking(pattern))
    }

    fn linear(pattern: &str, size: usize) -> Option<Pattern> {
        RegexBuilder::new(pattern).size_limit(size).dfa_size_limit(size).build().ok().map(Pattern::Linear)
    }

    fn backtracking(pattern: &str) -> Option<Pattern> {
        if pattern.len() > MAX_BACKTRACKING_PATTERN {
            return None;
        }
        let mut builder = fancy_regex::RegexBuilder::new(pattern);
        builder.backtrack_limit(MAX_BACKTRACKS);
        builder.delegate_size_limit(MAX_PATTERN_BYTES).delegate_dfa_size_limit(MAX_PATTERN_BYTES);
        builder.build().ok().map(Box::new).map(Pattern::Backtracking)
    }

    /// Whether the pattern matches a part of a text. A search that takes too many steps finds nothing.
    pub fn is_match(&self, text: &str) -> bool {
        match self {
            Pattern::Linear(compiled) => compiled.is_match(text),
            Pattern::Backtracking(compiled) => compiled.is_match(text).unwrap_or(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_match(pattern: &str, text: &str) -> Option<bool> {
        Pattern::compile(pattern).map(|pattern| pattern.is_match(text))
    }

    #[test]
    fn lookaround_and_references_to_groups_match_as_in_java() {
        for (pattern, text, expected) in [
            ("^(?!x-)[a-z-]+$", "a-b", true),
            ("^(?!x-)[a-z-]+$", "x-b", false),
            ("a(?=b)", "ab", true),
            ("a(?=b)", "ac", false),
            ("(?<=a)b", "ab", true),
            ("(?<!a)b", "ab", false),
            (r"^(a|b)\1$", "bb", true),
            (r"^(a|b)\1$", "ab", false),
            ("^(?>a+)b", "aab", true),
            ("^a++b", "aab", true),
        ] {
            assert_eq!(is_match(pattern, text), Some(expected), "{pattern} {text}");
        }
    }

    #[test]
    fn patterns_that_take_too_long_or_too_much_match_nothing() {
        let text = "a".repeat(5_000);
        assert_eq!(is_match(r"^(a|aa|a?)+\1(?=b)$", &text), Some(false));
        assert_eq!(is_match(r"^(?=(a+)+$)\1b|(a*)*(a*)*\2c", &text), Some(false));
        assert_eq!(is_match("(", ""), None);
        assert_eq!(is_match(&format!("(?=a){}", "a".repeat(MAX_BACKTRACKING_PATTERN)), ""), None);
        assert_eq!(is_match(&format!("(?=a){}", "(".repeat(900)), ""), None);
        assert!(!is_match("(?=((a{1000}){1000}){1000})", &text).unwrap_or(false));
        assert!(!is_match("((?=a){1000}){1000}b", &text).unwrap_or(false));
    }
}
