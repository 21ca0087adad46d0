//! Arbitrary messages, generated as bytes from the codec's reflection rows.
//!
//! A message is generated directly as bytes by Kafka's rules, not as a struct. This is a second encoder against which
//! the codec is tested, without code for each struct. A tape of random bytes decides every choice; behind its end every
//! choice is the smallest, so that a failing tape shrinks to a small message.

use bytes::Bytes;
use ottla_wire::codec::{FieldRow, Schema, Shape};
use ottla_wire::protocol::ApiKey;
use proptest::prelude::*;

/// An API, a version, and whether the message is the request or the response.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kind {
    pub api: ApiKey,
    pub version: i16,
    pub is_request: bool,
}

impl Kind {
    /// Every request and every response at every version.
    pub fn all() -> impl Iterator<Item = Kind> {
        ApiKey::ALL.iter().flat_map(|&api| {
            api.versions().flat_map(move |version| [true, false].map(|is_request| Kind { api, version, is_request }))
        })
    }

    /// Generates the body of such a message.
    pub fn generate(self, tape: &[u8]) -> Bytes {
        let shape = if self.is_request { self.api.shapes().0 } else { self.api.shapes().1 };
        let flexible = self.api.request_header_version(self.version) == 2;
        let mut generator = Generator { tape: tape.iter(), version: self.version, flexible };
        let mut out = Vec::new();
        generator.value(shape, true, &mut out);
        out.into()
    }
}

/// Generates the key or value of a record by this schema.
pub fn generate_record(schema: &Schema, version: i16, tape: &[u8]) -> Vec<u8> {
    let mut generator = Generator { tape: tape.iter(), version, flexible: schema.is_flexible(version) };
    let mut out = Vec::new();
    generator.value(schema.shape, true, &mut out);
    out
}

/// A tape of random bytes for [`Kind::generate`].
pub fn tape() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..400)
}

struct Generator<'a> {
    tape: std::slice::Iter<'a, u8>,
    version: i16,
    flexible: bool,
}

impl Generator<'_> {
    fn draw(&mut self) -> u8 {
        self.tape.next().copied().unwrap_or(0)
    }

    /// The bytes of an integer, often of a boundary value.
    fn integer(&mut self, size: usize) -> Vec<u8> {
        let ends = |first: u8, rest: u8| [vec![first], vec![rest; size - 1]].concat();
        match self.draw() % 6 {
            0 => vec![0; size],
            1 => vec![0xff; size],
            2 => ends(0x7f, 0xff),
            3 => ends(0x80, 0),
            _ => (0..size).map(|_| self.draw()).collect(),
        }
    }

    fn value(&mut self, shape: &Shape, may_be_null: bool, out: &mut Vec<u8>) {
        match shape {
            Shape::Bool => out.push(self.draw() & 1),
            Shape::I8 => out.extend(self.integer(1)),
            Shape::I16 | Shape::U16 => out.extend(self.integer(2)),
            Shape::I32 | Shape::U32 => out.extend(self.integer(4)),
            Shape::I64 => out.extend(self.integer(8)),
            // No NaN, because a NaN does not equal itself.
            Shape::F64 => out.extend((f64::from(self.draw()) / 3.0).to_be_bytes()),
            Shape::Uuid => out.extend(self.integer(16)),
            Shape::Str => {
                let text = self.text();
                self.length(Some(text.len()), 2, out);
                out.extend(text.as_bytes());
            }
            Shape::Bytes => {
                let blob = self.blob();
                self.length(Some(blob.len()), 4, out);
                out.extend(blob);
            }
            Shape::Array(element) => {
                let count = usize::from(self.draw() % 4);
                self.length(Some(count), 4, out);
                (0..count).for_each(|_| self.value(element, true, out));
            }
            Shape::Nullable(inner) => {
                let is_null = may_be_null && self.draw().is_multiple_of(3);
                match (inner, is_null) {
                    (Shape::Struct { .. }, true) => out.push(0xff),
                    (Shape::Str, true) => self.length(None, 2, out),
                    (_, true) => self.length(None, 4, out),
                    (Shape::Struct { .. }, false) => {
                        out.push(1);
                        self.value(inner, true, out);
                    }
                    (_, false) => self.value(inner, true, out),
                }
            }
            Shape::Struct { fields, .. } => self.structure(fields, out),
        }
    }

    fn structure(&mut self, fields: &[FieldRow], out: &mut Vec<u8>) {
        let version = self.version;
        let may_be_null = |row: &FieldRow| row.nullable.is_none_or(|versions| versions.contains(version));
        let present = || fields.iter().filter(|row| row.versions.contains(version));
        for row in present().filter(|row| row.tag.is_none()) {
            self.value(row.shape, may_be_null(row), out);
        }
        if !self.flexible {
            return;
        }
        let mut tagged = Vec::new();
        for row in present() {
            let Some(tag) = row.tag else { continue };
            let mut value = Vec::new();
            self.value(row.shape, may_be_null(row), &mut value);
            // A tagged field with its default value is not written.
            if value != self.default_value(row.shape, row.default) {
                tagged.push((tag, value));
            }
        }
        uvarint(tagged.len(), out);
        for (tag, value) in tagged {
            uvarint(tag as usize, out);
            uvarint(value.len(), out);
            out.extend(value);
        }
    }

    /// The bytes of the default value.
    fn default_value(&self, shape: &Shape, default: &str) -> Vec<u8> {
        let mut out = Vec::new();
        if default.starts_with("Some(") {
            self.length(Some(0), 4, &mut out);
            return out;
        }
        let number = default_number(default);
        match shape {
            Shape::Nullable(Shape::Struct { .. }) => out.push(0xff),
            Shape::Nullable(inner) => self.length(None, if **inner == Shape::Str { 2 } else { 4 }, &mut out),
            Shape::Str => self.length(Some(0), 2, &mut out),
            Shape::Bytes | Shape::Array(_) => self.length(Some(0), 4, &mut out),
            Shape::Struct { fields, .. } => {
                let present = fields.iter().filter(|row| row.tag.is_none() && row.versions.contains(self.version));
                present.for_each(|row| out.extend(self.default_value(row.shape, row.default)));
                out.extend(self.flexible.then_some(0));
            }
            fixed => {
                let size = fixed.min_size(self.version, self.flexible);
                out.extend([&[0; 8], &number.to_be_bytes()[..]].concat().split_off(16 - size));
            }
        }
        out
    }

    fn text(&mut self) -> String {
        match self.draw() {
            length @ 0..=199 => (0..length % 6).map(|_| char::from(b'a' + self.draw() % 26)).collect(),
            200..=250 => "Привет, 世界".to_owned(),
            // Longer than a compact length of one byte can express.
            _ => "long".repeat(40),
        }
    }

    fn blob(&mut self) -> Vec<u8> {
        match self.draw() {
            length @ 0..=230 => (0..length % 12).map(|_| self.draw()).collect(),
            // Long enough for the writer to make it a chunk of its own.
            fill => vec![fill; 1500],
        }
    }

    fn length(&self, length: Option<usize>, size: usize, out: &mut Vec<u8>) {
        match length {
            _ if self.flexible => uvarint(length.map_or(0, |length| length + 1), out),
            Some(length) => out.extend(&(length as u32).to_be_bytes()[4 - size..]),
            None => out.extend(vec![0xff; size]),
        }
    }
}

fn uvarint(mut value: usize, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The default of a row as a number; 0 if the row states none.
pub fn default_number(default: &str) -> i64 {
    match default {
        "" | "false" => 0,
        "true" => 1,
        "i32::MAX" => i32::MAX.into(),
        "i32::MIN" => i32::MIN.into(),
        "i64::MAX" => i64::MAX,
        number => number.parse().unwrap_or_else(|_| panic!("the default is not a number: {number}")),
    }
}
