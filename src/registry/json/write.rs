//! Writing of JSON: compact, with Jackson's escapes.

use std::fmt::{self, Write as _};

use super::{Json, Object};

impl fmt::Display for Json {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Json::Null => formatter.write_str("null"),
            Json::Bool(value) => write!(formatter, "{value}"),
            Json::Number(number) => write!(formatter, "{number}"),
            Json::String(text) => write_string(formatter, text),
            Json::Array(items) => {
                formatter.write_char('[')?;
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        formatter.write_char(',')?;
                    }
                    write!(formatter, "{item}")?;
                }
                formatter.write_char(']')
            }
            Json::Object(object) => write_object(formatter, object),
        }
    }
}

fn write_object(formatter: &mut fmt::Formatter<'_>, object: &Object) -> fmt::Result {
    formatter.write_char('{')?;
    for (at, (name, value)) in object.iter().enumerate() {
        if at > 0 {
            formatter.write_char(',')?;
        }
        write_string(formatter, name)?;
        write!(formatter, ":{value}")?;
    }
    formatter.write_char('}')
}

/// Returns the text as a JSON string, with quotes.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    // Writing to a string does not fail.
    let _ = write_string(&mut out, text);
    out
}

/// Writes a string. Only what must be escaped is escaped; other characters are written as they are.
fn write_string(out: &mut impl fmt::Write, text: &str) -> fmt::Result {
    out.write_char('"')?;
    let mut rest = text;
    while let Some(at) = rest.find(|char: char| matches!(char, '"' | '\\' | '\0'..='\u{1f}')) {
        out.write_str(&rest[..at])?;
        match rest.as_bytes()[at] {
            b'"' => out.write_str("\\\"")?,
            b'\\' => out.write_str("\\\\")?,
            0x08 => out.write_str("\\b")?,
            b'\t' => out.write_str("\\t")?,
            b'\n' => out.write_str("\\n")?,
            0x0c => out.write_str("\\f")?,
            b'\r' => out.write_str("\\r")?,
            control => write!(out, "\\u{control:04X}")?,
        }
        rest = &rest[at + 1..];
    }
    out.write_str(rest)?;
    out.write_char('"')
}
