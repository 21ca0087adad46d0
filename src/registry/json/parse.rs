//! Reading of JSON: RFC 8259, and comments where Avro allows them.

use thiserror::Error;

use super::{Json, MAX_DEPTH, Number, Object};

/// A text that is not JSON, or is nested too deeply.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{problem} at line {line}, column {column}")]
pub struct JsonError {
    problem: String,
    line: usize,
    column: usize,
}

/// Reads one JSON value. Nothing but white space may follow it.
pub fn parse(text: &str) -> Result<Json, JsonError> {
    Parser::new(text, false).read_all()
}

/// Reads one JSON value with numbers as they are written, not as the nearest double.
pub fn parse_exact(text: &str) -> Result<Json, JsonError> {
    let mut parser = Parser::new(text, false);
    parser.exact = true;
    parser.read_all()
}

/// Reads one JSON value with comments (`/* */` and `//`), which Avro's parser allows.
pub fn parse_with_comments(text: &str) -> Result<Json, JsonError> {
    Parser::new(text, true).read_all()
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    comments: bool,
    exact: bool,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, comments: bool) -> Parser<'a> {
        Parser { text, at: 0, comments, exact: false }
    }

    fn read_all(&mut self) -> Result<Json, JsonError> {
        let value = self.value(0)?;
        // As in Avro's parser, no comment may follow.
        self.comments = false;
        self.space()?;
        match self.peek() {
            None => Ok(value),
            Some(_) => Err(self.error("unexpected text after the JSON value")),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Json, JsonError> {
        self.space()?;
        match self.peek() {
            None => Err(self.error("unexpected end of the JSON text")),
            Some(b'{' | b'[') if depth == MAX_DEPTH => {
                Err(self.error(&format!("arrays and objects are nested deeper than {MAX_DEPTH} levels")))
            }
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => Ok(Json::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => self.word(),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, JsonError> {
        self.at += 1;
        let mut object = Object::new();
        self.space()?;
        if self.take(b'}') {
            return Ok(Json::Object(object));
        }
        loop {
            self.space()?;
            if self.peek() != Some(b'"') {
                return Err(self.error("expected a property name in double quotes"));
            }
            let name = self.string()?;
            self.space()?;
            if !self.take(b':') {
                return Err(self.error("expected ':' after a property name"));
            }
            let value = self.value(depth + 1)?;
            object.insert(name, value);
            self.space()?;
            if self.take(b'}') {
                return Ok(Json::Object(object));
            }
            if !self.take(b',') {
                return Err(self.error("expected ',' or '}' in an object"));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json, JsonError> {
        self.at += 1;
        let mut items = Vec::new();
        self.space()?;
        if self.take(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.space()?;
            if self.take(b']') {
                return Ok(Json::Array(items));
            }
            if !self.take(b',') {
                return Err(self.error("expected ',' or ']' in an array"));
            }
        }
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let Some(length) = rest.find(|char: char| matches!(char, '"' | '\\' | '\0'..='\u{1f}')) else {
                return Err(self.error("a string has no end"));
            };
            out.push_str(&rest[..length]);
            self.at += length;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                _ => return Err(self.error("a control character in a string is not escaped")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        self.at += 1;
        let escaped = self.peek();
        self.at += 1;
        Ok(match escaped {
            Some(byte @ (b'"' | b'\\' | b'/')) => byte.into(),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.code_point(),
            _ => {
                self.at -= 1;
                return Err(self.error("unknown escape in a string"));
            }
        })
    }

    fn code_point(&mut self) -> Result<char, JsonError> {
        let high = self.code_unit()?;
        if let Some(char) = char::from_u32(high.into()) {
            return Ok(char);
        }
        let rest = &self.text[self.at..];
        if rest.starts_with("\\u") {
            self.at += 2;
            let low = self.code_unit()?;
            if let Some(Ok(char)) = char::decode_utf16([high, low]).next() {
                return Ok(char);
            }
        }
        Err(self.error("a surrogate in a string has no counterpart"))
    }

    fn code_unit(&mut self) -> Result<u16, JsonError> {
        let digits =
            self.text.get(self.at..self.at + 4).filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match digits.and_then(|digits| u16::from_str_radix(digits, 16).ok()) {
            Some(unit) => {
                self.at += 4;
                Ok(unit)
            }
            None => Err(self.error("expected four hexadecimal digits after \\u")),
        }
    }

    fn number(&mut self) -> Result<Json, JsonError> {
        let start = self.at;
        self.take(b'-');
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.error("expected a digit after '-'")),
        }
        if matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.error("a number begins with a zero"));
        }
        if self.take(b'.') {
            self.some_digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Ok(Json::Number(Number::read(&self.text[start..self.at], self.exact)))
    }

    fn some_digits(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            Some(b'0'..=b'9') => {
                self.digits();
                Ok(())
            }
            _ => Err(self.error("expected a digit in a number")),
        }
    }

    fn digits(&mut self) {
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }

    fn word(&mut self) -> Result<Json, JsonError> {
        let rest = &self.text[self.at..];
        let length = rest.find(|char: char| !char.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let value = match &rest[..length] {
            "null" => Json::Null,
            "true" => Json::Bool(true),
            "false" => Json::Bool(false),
            _ => {
                let word: String = rest.chars().take_while(|char| char.is_alphanumeric()).take(40).collect();
                return Err(match word.is_empty() {
                    true => self.error("unexpected character where a JSON value should begin"),
                    false => self.error(&format!("unrecognized token '{word}'")),
                });
            }
        };
        self.at += length;
        Ok(value)
    }

    fn space(&mut self) -> Result<(), JsonError> {
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                Some(b'/') if self.comments => self.comment()?,
                _ => return Ok(()),
            }
        }
    }

    fn comment(&mut self) -> Result<(), JsonError> {
        let rest = &self.text[self.at..];
        let length = match rest.as_bytes().get(1) {
            Some(b'/') => Some(rest.find('\n').unwrap_or(rest.len())),
            Some(b'*') => rest[2..].find("*/").map(|at| at + 4),
            _ => None,
        };
        match length {
            Some(length) => {
                self.at += length;
                Ok(())
            }
            None => Err(self.error("a comment has no end")),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Skips the byte if it is next.
    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn error(&self, problem: &str) -> JsonError {
        let before = self.text.get(..self.at).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        JsonError { problem: problem.to_owned(), line, column }
    }
}
