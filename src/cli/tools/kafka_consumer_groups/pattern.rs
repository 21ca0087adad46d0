//! Checks whether a regular expression is valid in a consumer's subscription.
//!
//! Kafka compiles them with RE2/J, Ottla with the regex crate. The syntax is the same, except that RE2 refuses a
//! repeated repetition; error messages differ.

use regex::Regex;

/// Checks a pattern; the error has RE2's message for the common errors.
pub fn check(pattern: &str) -> Result<(), String> {
    if repeats_a_repetition(pattern) {
        return Err("invalid nested repetition operator".to_owned());
    }
    let error = match Regex::new(pattern) {
        Ok(_) => return Ok(()),
        Err(error) => error.to_string(),
    };
    let why = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
    let message = MESSAGES.iter().find(|(ours, _)| *ours == why);
    Err(message.map_or(why, |(_, re2)| re2).to_owned())
}

/// Error messages of the regex crate, and those of RE2.
const MESSAGES: &[(&str, &str)] = &[
    ("unclosed group", "missing closing )"),
    ("unclosed character class", "missing closing ]"),
    ("repetition operator missing expression", "missing argument to repetition operator"),
    ("invalid character class range, the start must be <= the end", "invalid character class range"),
    ("incomplete escape sequence, reached end of pattern prematurely", "trailing backslash at end of expression"),
    ("unrecognized escape sequence", "invalid escape sequence"),
];

/// Returns whether `*`, `+` or `?` follows another one, except a single `?` that makes it reluctant.
fn repeats_a_repetition(pattern: &str) -> bool {
    let mut characters = pattern.chars();
    let mut in_class = false;
    let mut operators = 0;
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                characters.next();
                operators = 0;
            }
            '[' | ']' => {
                in_class = character == '[';
                operators = 0;
            }
            '*' | '+' if !in_class && operators > 0 => return true,
            '?' if !in_class && operators > 1 => return true,
            '*' | '+' | '?' if !in_class => operators += 1,
            _ => operators = 0,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    #[test]
    fn invalid_patterns_are_refused_with_re2_messages() {
        let check = |pattern, expect: Result<(), &str>| {
            assert_eq!(super::check(pattern), expect.map_err(str::to_owned), "{pattern}");
        };
        check("orders-.*", Ok(()));
        check("a*?b+?c??", Ok(()));
        check("[*+]+", Ok(()));
        check(r"\*+", Ok(()));
        check("a**", Err("invalid nested repetition operator"));
        check("a+*", Err("invalid nested repetition operator"));
        check("a*??", Err("invalid nested repetition operator"));
        check("(", Err("missing closing )"));
        check("[a", Err("missing closing ]"));
        check("*a", Err("missing argument to repetition operator"));
        check("[b-a]", Err("invalid character class range"));
        check("a\\", Err("trailing backslash at end of expression"));
        check("\\y", Err("invalid escape sequence"));
    }
}
