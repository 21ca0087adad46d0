//! Converts any message to the JSON that Kafka's tools print, by its schema alone.
//!
//! Source of behaviour: the `…JsonConverter` classes that Kafka generates from its schemas, and Jackson's output for
//! them: the fields of the version, with the schema's names and in its order; a tagged field only if its value isn't
//! the default; byte fields in Base64; no spaces.

use std::fmt::Write as _;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;

use ottla_wire::codec::{DecodeError, DecodeErrorKind, FieldRow, Reader, Schema, Shape};
use ottla_wire::java;

/// Reads a message of `schema` at `version`, and appends its JSON to `out`. Bytes after the message stay unread.
///
/// # Errors
/// If the schema has no such version, or the bytes are not such a message; `out` may then contain a part of it.
pub fn write(schema: &Schema, reader: &mut Reader, version: i16, out: &mut String) -> Result<(), DecodeError> {
    write_with(schema, reader, version, &|_, _| None, out)
}

/// Like [`write`]; if `open` returns JSON for a byte field, that is written instead of Base64.
pub fn write_with(
    schema: &Schema,
    reader: &mut Reader,
    version: i16,
    open: &OpenBlob<'_>,
    out: &mut String,
) -> Result<(), DecodeError> {
    if !schema.versions.contains(&version) {
        let (min, max) = (*schema.versions.start(), *schema.versions.end());
        return Err(reader.error(DecodeErrorKind::UnsupportedVersion { version, min, max }));
    }
    reader.set_version(version, schema.is_flexible(version));
    Walk { reader, open }.value(schema.shape, out)
}

/// Converts the content of some byte fields to JSON, by the name of the field.
pub type OpenBlob<'a> = dyn Fn(&str, &Bytes) -> Option<String> + 'a;

/// Appends text in quotes, escaped as Jackson does.
pub fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            control if control < ' ' => add(out, format_args!("\\u{:04X}", u32::from(control))),
            letter => out.push(letter),
        }
    }
    out.push('"');
}

/// Walks a message's bytes and its schema in parallel.
struct Walk<'a> {
    reader: &'a mut Reader,
    open: &'a OpenBlob<'a>,
}

impl Walk<'_> {
    fn value(&mut self, shape: &Shape, out: &mut String) -> Result<(), DecodeError> {
        let reader = &mut *self.reader;
        match shape {
            Shape::Bool => add(out, reader.bool()?),
            Shape::I8 => add(out, reader.i8()?),
            Shape::I16 => add(out, reader.i16()?),
            Shape::U16 => add(out, reader.u16()?),
            Shape::I32 => add(out, reader.i32()?),
            Shape::U32 => add(out, reader.u32()?),
            Shape::I64 => add(out, reader.i64()?),
            Shape::F64 => out.push_str(&java::double(reader.f64()?)),
            Shape::Uuid => add(out, format_args!("\"{}\"", reader.uuid()?)),
            Shape::Nullable(inner) => self.nullable(inner, out)?,
            Shape::Struct { fields, .. } => self.structure(fields, out)?,
            Shape::Str | Shape::Bytes | Shape::Array(_) => {
                let written = self.sized(shape, out)?;
                written.ok_or_else(|| self.reader.error(DecodeErrorKind::UnexpectedNull))?;
            }
        }
        Ok(())
    }

    fn nullable(&mut self, shape: &Shape, out: &mut String) -> Result<(), DecodeError> {
        let written = match shape {
            Shape::Struct { .. } if self.reader.i8()? < 0 => None,
            Shape::Str | Shape::Bytes | Shape::Array(_) => self.sized(shape, out)?,
            shape => Some(self.value(shape, out)?),
        };
        if written.is_none() {
            out.push_str("null");
        }
        Ok(())
    }

    /// Writes a length-prefixed value. Writes nothing and returns `None` if it is null.
    fn sized(&mut self, shape: &Shape, out: &mut String) -> Result<Option<()>, DecodeError> {
        let length = if *shape == Shape::Str { self.reader.string_length()? } else { self.reader.length()? };
        let Some(length) = length else { return Ok(None) };
        match shape {
            Shape::Str => write_text(&self.reader.text(length)?, out),
            Shape::Array(element) => self.array(element, length, out)?,
            _ => write_blob(&self.reader.bytes(length)?, out),
        }
        Ok(Some(()))
    }

    fn array(&mut self, element: &Shape, count: usize, out: &mut String) -> Result<(), DecodeError> {
        let (version, flexible) = (self.reader.version(), self.reader.is_flexible());
        self.reader.check_count(count, element.min_size(version, flexible), 1)?;
        out.push('[');
        for index in 0..count {
            if index > 0 {
                out.push(',');
            }
            self.value(element, out)?;
        }
        out.push(']');
        Ok(())
    }

    /// Writes a struct. Tagged fields come last on the wire, but are written in the schema's order.
    fn structure(&mut self, fields: &[FieldRow], out: &mut String) -> Result<(), DecodeError> {
        let (version, flexible) = (self.reader.version(), self.reader.is_flexible());
        let mut texts = String::new();
        let mut written: Vec<Option<Range<usize>>> = vec![None; fields.len()];
        for (row, place) in fields.iter().zip(&mut written) {
            let is_tagged = row.tag.is_some() && flexible;
            if row.versions.contains(version) && !is_tagged {
                *place = Some(self.field(row, &mut texts)?);
            }
        }
        let open = self.open;
        self.reader.tagged_fields(|reader, tag| {
            let known = |row: &FieldRow| row.tag == Some(tag) && row.versions.contains(version);
            let found = fields.iter().zip(&mut written).find(|(row, _)| known(row));
            let Some((row, place)) = found else { return Ok(false) };
            let range = Walk { reader, open }.field(row, &mut texts)?;
            let is_default = texts.get(range.clone()) == Some(default_of(row));
            *place = (!is_default).then_some(range);
            Ok(true)
        })?;
        out.push('{');
        let mut separator = "";
        for (row, range) in fields.iter().zip(&written) {
            let Some(text) = range.clone().and_then(|range| texts.get(range)) else { continue };
            add(out, format_args!("{separator}\"{}\":{text}", camel_case(row.name)));
            separator = ",";
        }
        out.push('}');
        Ok(())
    }

    /// Appends a field's value to `texts`, and returns its range there.
    fn field(&mut self, row: &FieldRow, texts: &mut String) -> Result<Range<usize>, DecodeError> {
        let start = texts.len();
        let opened = match row.shape {
            Shape::Bytes => self.blob(row.name, texts),
            shape => self.value(shape, texts),
        };
        opened.map_err(|error| error.in_field(row.name))?;
        Ok(start..texts.len())
    }

    fn blob(&mut self, name: &str, texts: &mut String) -> Result<(), DecodeError> {
        let length = self.reader.length()?.ok_or_else(|| self.reader.error(DecodeErrorKind::UnexpectedNull))?;
        let blob = self.reader.bytes(length)?;
        match (self.open)(name, &blob) {
            Some(opened) => texts.push_str(&opened),
            None => write_blob(&blob, texts),
        }
        Ok(())
    }
}

fn write_blob(blob: &[u8], out: &mut String) {
    out.push('"');
    BASE64.encode_string(blob, out);
    out.push('"');
}

/// Returns the default of a tagged field, as JSON.
fn default_of(row: &FieldRow) -> &str {
    match row.shape {
        Shape::Nullable(Shape::Array(_)) if row.default.starts_with("Some(") => "[]",
        _ if !row.default.is_empty() => row.default,
        Shape::Bool => "false",
        Shape::I8 | Shape::I16 | Shape::U16 | Shape::I32 | Shape::U32 | Shape::I64 => "0",
        Shape::F64 => "0.0",
        Shape::Str | Shape::Bytes => "\"\"",
        Shape::Uuid => "\"AAAAAAAAAAAAAAAAAAAAAA\"",
        Shape::Array(_) => "[]",
        Shape::Nullable(_) => "null",
        // Kafka's schemas have no tagged structs that can't be null.
        Shape::Struct { .. } => "{}",
    }
}

/// Converts `leader_epoch` to the name in Kafka's schemas: `leaderEpoch`.
fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (first, rest) = word.split_at(word.len().min(1));
        camel.push_str(&first.to_ascii_uppercase());
        camel.push_str(rest);
    }
    camel
}

fn add(out: &mut String, what: impl std::fmt::Display) {
    // Writing to a String can't fail.
    let _ = write!(out, "{what}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_core::metadata::records::{PartitionChangeRecord, PartitionRecord};
    use ottla_wire::codec::{Message, Writer};
    use ottla_wire::types::Uuid;

    #[track_caller]
    fn check<M: Message>(message: &M, version: i16, expect: &str) {
        let mut writer = Writer::new();
        message.write(&mut writer, version).unwrap();
        let mut out = String::new();
        write(&Schema::of::<M>(), &mut Reader::new(writer.into_bytes()), version, &mut out).unwrap();
        assert_eq!(out, expect);
    }

    #[test]
    fn tagged_fields_are_written_in_schema_order_unless_default() {
        let record = PartitionRecord {
            partition_id: 1,
            topic_id: Uuid([1; 16]),
            replicas: vec![1, 2],
            leader_recovery_state: 1,
            eligible_leader_replicas: Some(vec![]),
            ..PartitionRecord::default()
        };
        let start = r#"{"partitionId":1,"topicId":"AQEBAQEBAQEBAQEBAQEBAQ","replicas":[1,2],"isr":[],"#;
        let rest = r#""removingReplicas":[],"addingReplicas":[],"leader":-1,"leaderRecoveryState":1,"leaderEpoch":-1,"#;
        check(&record, 0, &format!(r#"{start}{rest}"partitionEpoch":-1}}"#));
        let new = r#""partitionEpoch":-1,"directories":[],"eligibleLeaderReplicas":[]}"#;
        check(&record, 2, &format!("{start}{rest}{new}"));
        let change = PartitionChangeRecord { leader: -2, isr: Some(vec![3]), ..PartitionChangeRecord::default() };
        check(&change, 0, r#"{"partitionId":-1,"topicId":"AAAAAAAAAAAAAAAAAAAAAA","isr":[3]}"#);
    }

    #[test]
    fn tagged_field_with_its_default_on_the_wire_is_left_out() {
        // A leader of -2, "unchanged", as tag 1.
        let bytes = [&[0xff; 4][..], &[0; 16], &[1, 1, 4, 0xff, 0xff, 0xff, 0xfe]].concat();
        let mut out = String::new();
        let schema = Schema::of::<PartitionChangeRecord>();
        write(&schema, &mut Reader::new(bytes.into()), 0, &mut out).unwrap();
        assert_eq!(out, r#"{"partitionId":-1,"topicId":"AAAAAAAAAAAAAAAAAAAAAA"}"#);
    }

    #[test]
    fn text_is_escaped_as_jackson_does() {
        let mut out = String::new();
        write_text("a\"\\\n\u{1f}\u{7f}ä/", &mut out);
        assert_eq!(out, "\"a\\\"\\\\\\n\\u001F\u{7f}ä/\"");
    }

    #[test]
    fn truncated_bytes_are_an_error() {
        let schema = Schema::of::<PartitionRecord>();
        let mut out = String::new();
        for bytes in [&b""[..], &[0; 30], &[0xff; 60]] {
            assert!(write(&schema, &mut Reader::new(Bytes::copy_from_slice(bytes)), 0, &mut out).is_err());
        }
        assert!(write(&schema, &mut Reader::new(Bytes::new()), 9, &mut out).is_err());
    }
}
