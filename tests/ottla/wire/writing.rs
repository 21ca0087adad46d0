//! Encodes a request from its text by the codec's reflection rows.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use ottla_wire::codec::{FieldRow, Shape};
use ottla_wire::protocol::ApiKey;
use ottla_wire::record::{BatchBuilder, Codec};
use ottla_wire::types::{ProducerIdEpoch, Uuid};

use super::known::HEXADECIMAL;
use super::notation::{Fields, Value};

/// The placeholder for a batch of one record with the current time.
const BATCH: &str = "$batch";
/// The same of a producer, in a transaction and outside: `$transactional:id,epoch,sequence`.
const TRANSACTIONAL: &str = "$transactional:";
const IDEMPOTENT: &str = "$idempotent:";

pub fn request(api: ApiKey, version: i16, fields: &Fields, ids: &BTreeMap<String, Uuid>) -> Vec<u8> {
    let flexible = api.request_header_version(version) == 2;
    let mut writer = Writer { version, flexible, ids, out: Vec::new() };
    let Shape::Struct { fields: rows, .. } = api.shapes().0 else { panic!("a request is a struct") };
    writer.structure(rows, fields);
    writer.out
}

struct Writer<'a> {
    version: i16,
    flexible: bool,
    ids: &'a BTreeMap<String, Uuid>,
    out: Vec<u8>,
}

impl Writer<'_> {
    fn structure(&mut self, rows: &[FieldRow], fields: &Fields) {
        let unknown = fields.iter().find(|(name, _)| !rows.iter().any(|row| row.name == name));
        assert_eq!(unknown, None, "the fields are {:?}", rows.iter().map(|row| row.name).collect::<Vec<_>>());
        let given = |row: &FieldRow| fields.iter().find(|(name, _)| name == row.name).map(|(_, value)| value);
        let version = self.version;
        let present = || rows.iter().filter(|row| row.versions.contains(version));
        for row in present().filter(|row| row.tag.is_none()) {
            self.field(row, given(row));
        }
        if !self.flexible {
            return;
        }
        let tagged: Vec<_> = present().filter_map(|row| Some((row.tag?, row, given(row)?))).collect();
        self.uvarint(tagged.len());
        for (tag, row, value) in tagged {
            let before = std::mem::take(&mut self.out);
            self.field(row, Some(value));
            let bytes = std::mem::replace(&mut self.out, before);
            self.uvarint(tag as usize);
            self.uvarint(bytes.len());
            self.out.extend(bytes);
        }
    }

    fn field(&mut self, row: &FieldRow, given: Option<&Value>) {
        let may_be_null = row.nullable.is_none_or(|versions| versions.contains(self.version));
        let default = match row.default {
            "" if may_be_null => Value::Null,
            default if default.starts_with("Some(") || default.is_empty() => Value::Text(String::new()),
            number => Value::Text(number.replace("i32::MAX", "2147483647").replace("i64::MAX", "9223372036854775807")),
        };
        self.value(row.shape, given.unwrap_or(&default));
    }

    fn value(&mut self, shape: &Shape, value: &Value) {
        let text = match value {
            Value::Text(text) => text.as_str(),
            _ => "",
        };
        match (shape, value) {
            (Shape::Nullable(Shape::Struct { .. }), Value::Null) => self.out.push(0xff),
            (Shape::Nullable(Shape::Struct { .. }), _) => {
                self.out.push(1);
                let Shape::Nullable(inner) = shape else { unreachable!() };
                self.value(inner, value);
            }
            (Shape::Nullable(Shape::Str), Value::Null) => self.length(None, 2),
            (Shape::Nullable(_), Value::Null) => self.length(None, 4),
            (Shape::Nullable(inner), _) => self.value(inner, value),
            (Shape::Str, Value::Null | Value::Text(_)) => {
                self.length(Some(text.len()), 2);
                self.out.extend(text.as_bytes());
            }
            (Shape::Bytes, _) => {
                let bytes = bytes(text);
                self.length(Some(bytes.len()), 4);
                self.out.extend(bytes);
            }
            (Shape::Array(element), Value::List(list)) => {
                self.length(Some(list.len()), 4);
                list.iter().for_each(|one| self.value(element, one));
            }
            (Shape::Array(_), _) => self.length(Some(0), 4),
            (Shape::Struct { fields, .. }, Value::Fields(given)) => self.structure(fields, given),
            (Shape::Struct { fields, .. }, _) => self.structure(fields, &Fields::new()),
            (Shape::Uuid, _) => self.out.extend(self.uuid(text).0),
            (Shape::Bool, _) => self.out.push((text == "true").into()),
            (Shape::F64, _) => {
                let value: f64 = if text.is_empty() { 0.0 } else { text.parse().expect("a number") };
                self.out.extend(value.to_be_bytes());
            }
            (number, _) => {
                let size = number.min_size(self.version, self.flexible);
                let value: i64 = if text.is_empty() { 0 } else { text.parse().expect("a number") };
                self.out.extend(&value.to_be_bytes()[8 - size..]);
            }
        }
    }

    fn uuid(&self, text: &str) -> Uuid {
        match text.strip_prefix('$') {
            Some(name) => *self.ids.get(name).expect("the topic of an earlier answer"),
            None if text.is_empty() => Uuid::ZERO,
            None => Uuid::parse(text).expect("an id"),
        }
    }

    fn length(&mut self, length: Option<usize>, size: usize) {
        match length {
            _ if self.flexible => self.uvarint(length.map_or(0, |length| length + 1)),
            Some(length) => self.out.extend(&(length as u32).to_be_bytes()[4 - size..]),
            None => self.out.extend(vec![0xff; size]),
        }
    }

    fn uvarint(&mut self, mut value: usize) {
        while value >= 0x80 {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }
}

fn bytes(text: &str) -> Vec<u8> {
    if let Some(digits) = text.strip_prefix(HEXADECIMAL) {
        let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("two hexadecimal digits");
        return (0..digits.len()).step_by(2).map(byte).collect();
    }
    let mut builder = BatchBuilder::new(Codec::None);
    if let Some(of) = text.strip_prefix(TRANSACTIONAL) {
        builder = produced_by(builder, of).transactional();
    } else if let Some(of) = text.strip_prefix(IDEMPOTENT) {
        builder = produced_by(builder, of);
    } else if text != BATCH {
        return text.as_bytes().to_vec();
    }
    builder.append(next_timestamp(), Some(b"key"), Some(b"value"), &[]);
    builder.build().unwrap().bytes().to_vec()
}

/// The current time; later than at the call before.
fn next_timestamp() -> i64 {
    static LAST: AtomicI64 = AtomicI64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    let next = |last: i64| Some(now.max(last + 1));
    LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).map_or(now, |last| now.max(last + 1))
}

fn produced_by(builder: BatchBuilder, of: &str) -> BatchBuilder {
    let numbers: Vec<i64> = of.split(',').map(|number| number.parse().expect("a number")).collect();
    let [producer_id, epoch, sequence] = numbers[..] else { panic!("{of:?} is not id,epoch,sequence") };
    let epoch = epoch.try_into().expect("an epoch");
    builder.producer(ProducerIdEpoch { producer_id, epoch }, sequence.try_into().expect("a sequence"))
}
