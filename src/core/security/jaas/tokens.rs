//! Tokens as Java's `StreamTokenizer` separates them, with the settings of Kafka's `JaasConfig` or of Java's `ConfigFile`.

use std::iter::Peekable;
use std::str::Chars;

use super::JaasError;

/// A token.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A word, or a text in quotes.
    Text(String),
    Number,
    Other(char),
}

/// The tokens of a text. Remembers where the last one begins.
pub(super) struct Tokens<'a> {
    rest: Peekable<Chars<'a>>,
    /// Whether the text is a file, which has a few more rules.
    is_file: bool,
    line: usize,
    column: usize,
    /// Line and column of the last token.
    start: (usize, usize),
    /// Line and column of the first quote that is not closed on its line.
    unclosed: Option<(usize, usize)>,
}

impl<'a> Tokens<'a> {
    pub fn of_property(text: &'a str) -> Tokens<'a> {
        Tokens { rest: text.chars().peekable(), is_file: false, line: 1, column: 1, start: (1, 1), unclosed: None }
    }

    pub fn of_file(text: &'a str) -> Tokens<'a> {
        Tokens { is_file: true, ..Tokens::of_property(text) }
    }

    /// Whether Java replaces `${property}` in values.
    pub fn expands_properties(&self) -> bool {
        self.is_file
    }

    /// A fault at the last token. A quote that is not closed before it is the likely cause: Java ends such a text with its
    /// line.
    pub fn fault(&self, fault: &'static str) -> JaasError {
        if let Some((line, column)) = self.unclosed {
            return JaasError { line, column, fault: "the quote that begins here is not closed on its line" };
        }
        JaasError { line: self.start.0, column: self.start.1, fault }
    }

    fn bump(&mut self) -> Option<char> {
        let character = self.rest.next()?;
        (self.line, self.column) = if character == '\n' { (self.line + 1, 1) } else { (self.line, self.column + 1) };
        Some(character)
    }

    fn skip_line(&mut self) {
        while self.rest.next_if(|character| !is_end_of_line(*character)).is_some() {
            self.column += 1;
        }
    }

    fn skip_block(&mut self) {
        let mut last = ' ';
        while let Some(character) = self.bump() {
            if (last, character) == ('*', '/') {
                return;
            }
            last = character;
        }
    }

    /// Reads the rest of a text in quotes. It ends with the line, even without a closing quote.
    fn quoted(&mut self, quote: char) -> String {
        let mut text = String::new();
        while let Some(character) = self.rest.next_if(|character| !is_end_of_line(*character)) {
            self.column += 1;
            match character {
                _ if character == quote => return text,
                '\\' => text.extend(self.escaped()),
                _ => text.push(character),
            }
        }
        self.unclosed.get_or_insert(self.start);
        text
    }

    /// Reads what follows a backslash.
    fn escaped(&mut self) -> Option<char> {
        let first = self.bump()?;
        Some(match first {
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            '0'..='7' => self.octal(first),
            other => other,
        })
    }

    /// Reads the rest of up to three octal digits, of which the first is at most 3 if there are three.
    fn octal(&mut self, first: char) -> char {
        let mut value = first.to_digit(8).unwrap_or_default();
        let most = if first <= '3' { 2 } else { 1 };
        for _ in 0..most {
            let Some(digit) = self.rest.peek().and_then(|next| next.to_digit(8)) else { break };
            value = value * 8 + digit;
            self.bump();
        }
        char::from_u32(value).unwrap_or_default()
    }

    fn continues_word(&self, character: char) -> bool {
        self.begins_word(character) || character.is_ascii_digit() || character == '.'
    }

    fn begins_word(&self, character: char) -> bool {
        let of_java = character.is_ascii_alphabetic() || character >= '\u{a0}';
        of_java || matches!(character, '_' | '$' | '-') || self.is_file && character == '*'
    }

    /// Reads a number, which begins with a digit, a point or a minus sign. A minus sign alone is a character.
    fn number(&mut self, first: char) -> Token {
        let mut is_number = first.is_ascii_digit();
        while let Some(next) = self.rest.next_if(|next| next.is_ascii_digit() || *next == '.') {
            self.column += 1;
            is_number |= next.is_ascii_digit();
        }
        if is_number { Token::Number } else { Token::Other(first) }
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        loop {
            self.start = (self.line, self.column);
            let character = self.bump()?;
            match character {
                '\0'..=' ' => {}
                '/' => match self.rest.peek() {
                    Some('*') => {
                        self.bump();
                        self.skip_block();
                    }
                    _ => self.skip_line(),
                },
                '"' | '\'' => return Some(Token::Text(self.quoted(character))),
                '0'..='9' | '.' | '-' => return Some(self.number(character)),
                _ if self.begins_word(character) => {
                    let mut word = String::from(character);
                    while let Some(&next) = self.rest.peek()
                        && self.continues_word(next)
                    {
                        self.bump();
                        word.push(next);
                    }
                    return Some(Token::Text(word));
                }
                other => return Some(Token::Other(other)),
            }
        }
    }
}

fn is_end_of_line(character: char) -> bool {
    matches!(character, '\n' | '\r')
}
