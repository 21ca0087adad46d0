//! The format of a log line. Text from outside can neither forge lines nor flood the log.
//!
//! Any text in an event may come from a client, a file or a file's name. So characters that end a line, control a terminal
//! or reorder text are escaped for every event, and the size of values and lines is limited.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use tracing::Level;
use tracing::field::{Field, Visit};

use ottla_broker::clock::wall_clock_nanos;

/// Size limit of an escaped message, in bytes.
const MAX_MESSAGE_BYTES: usize = 8 << 10;
/// Size limit of an escaped field value, in bytes.
const MAX_VALUE_BYTES: usize = 1 << 10;
/// Size of a line, in bytes, above which further fields are omitted.
const MAX_LINE_BYTES: usize = 16 << 10;

const RESET: &str = "\x1b[0m";
const DIM: &str = "\x1b[2m";
const ITALIC: &str = "\x1b[3m";

/// The format of lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Time, level, message, `name=value` pairs.
    #[default]
    Text,
    /// An object with `timestamp`, `level`, `message` and `fields`.
    Json,
}

/// A format that can be changed while lines are written.
#[derive(Debug, Default)]
pub(super) struct AtomicFormat(AtomicBool);

impl AtomicFormat {
    #[cfg(test)]
    pub fn new(format: Format) -> AtomicFormat {
        AtomicFormat(AtomicBool::new(format == Format::Json))
    }

    pub fn load(&self) -> Format {
        if self.0.load(Ordering::Relaxed) { Format::Json } else { Format::Text }
    }

    pub fn store(&self, format: Format) {
        self.0.store(format == Format::Json, Ordering::Relaxed);
    }
}

/// A line that is being built: time, level, message, fields.
pub(super) struct Line {
    text: String,
    has_colors: bool,
    /// The JSON fields so far, separated by commas. They are written after the message, whatever the order of the event.
    json: Option<String>,
}

impl Line {
    /// Starts a line with the time (UTC) and the level. JSON has no colors.
    pub fn begin(level: Level, format: Format, has_colors: bool) -> Line {
        let nanos = i128::try_from(wall_clock_nanos()).unwrap_or_default();
        let time = Timestamp::from_nanosecond(nanos).unwrap_or_default();
        let mut text = String::with_capacity(160);
        let json = (format == Format::Json).then(String::new);
        // Writing to a string cannot fail.
        let _ = match has_colors {
            _ if json.is_some() => write!(text, "{{\"timestamp\":\"{time:.6}\",\"level\":\"{level}\""),
            true => write!(text, "{DIM}{time:.6}{RESET} {}{level:>5}{RESET} ", color(level)),
            false => write!(text, "{time:.6} {level:>5} "),
        };
        Line { text, has_colors, json }
    }

    /// Adds the message.
    pub fn message(&mut self, message: fmt::Arguments<'_>) {
        if self.json.is_some() {
            self.text.push_str(",\"message\":");
            return push_json(&mut self.text, &message.to_string(), MAX_MESSAGE_BYTES);
        }
        push_escaped(&mut self.text, &message.to_string(), MAX_MESSAGE_BYTES);
    }

    /// Returns the complete line, with its line end.
    pub fn finish(mut self) -> Vec<u8> {
        if let Some(fields) = &self.json {
            let _ = match fields.is_empty() {
                true => write!(self.text, "}}"),
                false => write!(self.text, ",\"fields\":{{{fields}}}}}"),
            };
        }
        self.text.truncate(self.text.trim_end().len());
        self.text.push('\n');
        self.text.into_bytes()
    }

    fn value(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if self.text.len() + self.json.as_ref().map_or(0, String::len) > MAX_LINE_BYTES {
            return;
        }
        if self.json.is_some() && field.name() != "message" {
            return self.json_field(field, |fields| push_json(fields, &value.to_string(), MAX_VALUE_BYTES));
        }
        if field.name() == "message" {
            self.message(value);
        } else {
            let name = field.name();
            let _ = match self.has_colors {
                true => write!(self.text, "{ITALIC}{name}{RESET}{DIM}={RESET}"),
                false => write!(self.text, "{name}="),
            };
            push_escaped(&mut self.text, &value.to_string(), MAX_VALUE_BYTES);
        }
        if self.json.is_none() {
            self.text.push(' ');
        }
    }

    /// Adds a number or a boolean.
    fn plain_value(&mut self, field: &Field, value: &dyn fmt::Display) {
        match self.json {
            Some(_) => self.json_field(field, |fields| {
                let _ = write!(fields, "{value}");
            }),
            None => self.value(field, format_args!("{value}")),
        }
    }

    fn json_field(&mut self, field: &Field, value: impl FnOnce(&mut String)) {
        let Some(fields) = &mut self.json else { return };
        if !fields.is_empty() {
            fields.push(',');
        }
        push_json(fields, field.name(), MAX_VALUE_BYTES);
        fields.push(':');
        value(fields);
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.value(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.value(field, format_args!("{value}")),
            _ if self.json.is_some() => self.value(field, format_args!("{value}")),
            _ => self.value(field, format_args!("{value:?}")),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain_value(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain_value(field, &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain_value(field, &value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.value(field, format_args!("{value}"));
    }
}

/// Formats a line without time and level.
pub(super) fn plain(text: &str) -> String {
    let mut line = String::with_capacity(text.len() + 1);
    push_escaped(&mut line, text, MAX_MESSAGE_BYTES);
    line.push('\n');
    line
}

fn color(level: Level) -> &'static str {
    match level {
        Level::TRACE => "\x1b[35m",
        Level::DEBUG => "\x1b[34m",
        Level::INFO => "\x1b[32m",
        Level::WARN => "\x1b[33m",
        Level::ERROR => "\x1b[31m",
    }
}

/// Appends escaped text. Of text above `limit`, the middle is omitted, because the reason is often at the end.
fn push_escaped(line: &mut String, text: &str, limit: usize) {
    let start = line.len();
    for character in text.chars() {
        push_character(line, character);
    }
    omit_middle(line, start, limit);
}

/// Appends text as a JSON string. Of text above `limit`, the middle is omitted. Escapes the same characters as text lines.
fn push_json(line: &mut String, text: &str, limit: usize) {
    let mut text = Cow::Borrowed(text);
    if text.len() > limit {
        omit_middle(text.to_mut(), 0, limit);
    }
    line.push('"');
    for character in text.chars() {
        match character {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            _ if is_unsafe(character) => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let _ = write!(line, "\\u{unit:04x}");
                }
            }
            _ => line.push(character),
        }
    }
    line.push('"');
}

/// Replaces the middle of the text from `start` on by a note, if the text is longer than `limit`.
fn omit_middle(line: &mut String, start: usize, limit: usize) {
    let escaped = &line[start..];
    if escaped.len() <= limit {
        return;
    }
    let head = floor_boundary(escaped, limit / 4 * 3);
    let tail = floor_boundary(escaped, escaped.len() - limit / 4);
    let note = format!("…[{} bytes omitted]…", tail - head);
    line.replace_range(start + head..start + tail, &note);
}

fn push_character(line: &mut String, character: char) {
    match character {
        '\n' => line.push_str("\\n"),
        '\r' => line.push_str("\\r"),
        '\t' => line.push_str("\\t"),
        _ if is_unsafe(character) => {
            let _ = write!(line, "\\u{{{:x}}}", u32::from(character));
        }
        _ => line.push(character),
    }
}

/// Whether this is a control character, a line or paragraph separator, or a character that is invisible or reorders text.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The last character boundary up to `index`.
fn floor_boundary(text: &str, index: usize) -> usize {
    (0..=index).rev().find(|&place| text.is_char_boundary(place)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str) -> String {
        let mut line = String::new();
        push_escaped(&mut line, text, MAX_MESSAGE_BYTES);
        line
    }

    #[test]
    fn unsafe_characters_are_escaped_and_others_kept() {
        for (text, expect) in [
            ("an orders client", "an orders client"),
            ("Grüße, 你好, naïve 🦦", "Grüße, 你好, naïve 🦦"),
            ("x\n2026-01-01T00:00:00Z  INFO forged", "x\\n2026-01-01T00:00:00Z  INFO forged"),
            ("a\r\nb\tc", "a\\r\\nb\\tc"),
            ("\x1b[31mred\x1b[0m", "\\u{1b}[31mred\\u{1b}[0m"),
            ("\u{9b}31m\u{85}next\0\u{7f}", "\\u{9b}31m\\u{85}next\\u{0}\\u{7f}"),
            ("a\u{2028}b\u{2029}c", "a\\u{2028}b\\u{2029}c"),
            ("user\u{202e}txt.exe\u{2066}", "user\\u{202e}txt.exe\\u{2066}"),
            ("zero\u{200b}width\u{feff}\u{e0041}", "zero\\u{200b}width\\u{feff}\\u{e0041}"),
            ("C:\\data", "C:\\data"),
        ] {
            assert_eq!(escaped(text), expect);
        }
    }

    #[test]
    fn every_control_character_and_separator_is_escaped() {
        for character in (0..=0x10_ffff).filter_map(char::from_u32) {
            let shown = escaped(&character.to_string());
            let alone = shown.chars().count() == 1;
            assert!(!alone || !(character.is_control() || "\u{2028}\u{2029}".contains(character)), "{character:?}");
        }
    }

    #[test]
    fn long_text_keeps_its_start_and_end() {
        let text = format!("client '{}' sent what is not supported", "\n".repeat(40_000));
        let shown = escaped(&text);
        assert!(shown.len() < MAX_MESSAGE_BYTES + 40, "{}", shown.len());
        assert!(shown.starts_with("client '\\n\\n") && shown.ends_with("' sent what is not supported"), "{shown}");
        assert!(shown.contains("bytes omitted"));
        // Cut at a character boundary.
        for width in ["é", "€", "🦦"] {
            assert!(escaped(&width.repeat(20_000)).contains("bytes omitted"));
        }
    }

    #[test]
    fn line_starts_with_time_and_level() {
        let mut line = Line::begin(Level::WARN, Format::Text, false);
        line.message(format_args!("said"));
        let line = String::from_utf8(line.finish()).unwrap();
        let (time, rest) = line.split_at("2026-01-01T00:00:00.000000Z".len());
        assert!(time.parse::<Timestamp>().is_ok() && time.ends_with('Z'), "{time}");
        assert_eq!(rest, "  WARN said\n");
    }
}
