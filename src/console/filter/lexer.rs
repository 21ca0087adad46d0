//! The words of a filter.

use serde_json::Value;

/// A word of a filter.
#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// `.name`
    Field(String),
    /// A function or a word such as `and`.
    Word(String),
    /// `$name`
    Variable(String),
    Text(String),
    /// A number of JSON.
    Number(Value),
    /// Punctuation and operators.
    Sign(&'static str),
}

/// Longer ones first.
const SIGNS: [&str; 22] = [
    "==", "!=", "<=", ">=", "//", "..", "|", ",", "(", ")", "[", "]", "<", ">", "+", "-", "*", "/", "%", ".", "?", ":",
];

/// Splits a filter into words. The error is one line.
pub fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut rest = text.trim_start();
    let mut tokens = Vec::new();
    while let Some(first) = rest.chars().next() {
        let (token, after) = if first == '"' {
            string(rest)?
        } else if first.is_ascii_digit() {
            number(rest)?
        } else if let Some((name, after)) = rest.strip_prefix('$').and_then(name) {
            (Token::Variable(name.to_owned()), after)
        } else if let Some((name, after)) = rest.strip_prefix('.').and_then(name) {
            (Token::Field(name.to_owned()), after)
        } else if let Some((name, after)) = name(rest) {
            (Token::Word(name.to_owned()), after)
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            (Token::Sign(sign), rest.get(sign.len()..).unwrap_or_default())
        } else {
            return Err(format!("unexpected {first:?} in the filter"));
        };
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

/// Splits a name off.
fn name(text: &str) -> Option<(&str, &str)> {
    let is_start = |first: char| first.is_ascii_alphabetic() || first == '_';
    text.chars().next().filter(|first| is_start(*first))?;
    let end = text.find(|it: char| !it.is_ascii_alphanumeric() && it != '_').unwrap_or(text.len());
    text.split_at_checked(end)
}

fn number(text: &str) -> Result<(Token, &str), String> {
    let is_sign_of_exponent = |index: usize| {
        let before = index.checked_sub(1).and_then(|before| text.as_bytes().get(before));
        matches!(before, Some(b'e' | b'E'))
    };
    let belongs = |(index, it): (usize, char)| {
        it.is_ascii_digit() || matches!(it, '.' | 'e' | 'E') || (matches!(it, '+' | '-') && is_sign_of_exponent(index))
    };
    let end = text.char_indices().find(|it| !belongs(*it)).map_or(text.len(), |(index, _)| index);
    let (digits, after) = text.split_at_checked(end).unwrap_or((text, ""));
    // Whole numbers stay exact.
    let number = serde_json::from_str(digits).map_err(|_| format!("{digits} is not a number"))?;
    Ok((Token::Number(number), after))
}

/// Reads a string of JSON.
fn string(text: &str) -> Result<(Token, &str), String> {
    let mut escaped = false;
    let ends = |(index, it): (usize, char)| {
        let end = index > 0 && it == '"' && !escaped;
        escaped = it == '\\' && !escaped;
        end.then_some(index + 1)
    };
    let end = text.char_indices().find_map(ends).ok_or("a string of the filter has no end")?;
    let (literal, after) = text.split_at_checked(end).unwrap_or((text, ""));
    let value = serde_json::from_str(literal).map_err(|_| format!("{literal} is not a valid string"))?;
    Ok((Token::Text(value), after))
}
