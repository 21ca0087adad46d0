//! Whether a regular expression is one that consumers may subscribe with.
//!
//! Kafka reads them with RE2/J. Ours are those of the regex crate, whose syntax is RE2's but for the texts of errors and
//! repetitions of repetitions, which RE2 refuses.

use regex::Regex;

/// What is wrong with a pattern, in RE2's words where the mistake is a usual one.
pub fn check(pattern: &str) -> Result<(), String> {
    if repeats_a_repetition(pattern) {
        return Err("invalid nested repetition operator".to_owned());
    }
    let error = match Regex::new(pattern) {
        Ok(_) => return Ok(()),
        Err(error) => error.to_string(),
    };
    let why = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
    let words = WORDS.iter().find(|(ours, _)| *ours == why);
    Err(words.map_or(why, |(_, words)| words).to_owned())
}

/// The regex crate's words, and RE2's.
const WORDS: &[(&str, &str)] = &[
    ("unclosed group", "missing closing )"),
    ("unclosed character class", "missing closing ]"),
    ("repetition operator missing expression", "missing argument to repetition operator"),
    ("invalid character class range, the start must be <= the end", "invalid character class range"),
    ("incomplete escape sequence, reached end of pattern prematurely", "trailing backslash at end of expression"),
    ("unrecognized escape sequence", "invalid escape sequence"),
];

/// Whether `*`, `+` or `?` stands after another one, other than a single `?` that makes it reluctant.
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
    fn patterns() {
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
