//! Decodes a response with the codec's descriptions of fields (`FieldRow`), and formats it as text.

use ottla_wire::codec::{FieldRow, Shape};
use ottla_wire::protocol::ApiKey;
use ottla_wire::types::{ErrorCode, Uuid};

use super::Known;
use super::batches;

/// Fields whose values differ from run to run.
const CHANGING: &[&str] = &[
    "broker_epoch",
    "directory_id",
    "finalized_features_epoch",
    "high_watermark",
    "last_caught_up_timestamp",
    "last_fetch_timestamp",
    "leader_epoch",
    "log_append_time_ms",
    "log_end_offset",
    "partition_size",
    "replica_directory_id",
    "total_bytes",
    "usable_bytes",
];

/// Times, which are not shown either, unless they are negative: that means none.
const TIMES: &[&str] = &[
    "expiry_timestamp",
    "expiry_timestamp_ms",
    "issue_timestamp",
    "issue_timestamp_ms",
    "last_timestamp",
    "max_timestamp",
    "max_timestamp_ms",
    "timestamp",
    "transaction_start_time_ms",
];

/// Fields with ids of producers.
const PRODUCER_ID: &str = "producer_id";

/// Fields that are not shown; the served APIs have tests of their own.
const OMITTED: &[&str] = &["api_keys", "throttle_time_ms"];

/// A decoded value.
#[derive(Clone, Debug, PartialEq)]
pub enum Read {
    Null,
    Bool(bool),
    Number(i64),
    Text(String),
    Bytes(Vec<u8>),
    Uuid(Uuid),
    List(Vec<Read>),
    Struct(Vec<(&'static FieldRow, Read)>),
}

pub fn response(api: ApiKey, version: i16, body: &[u8]) -> Read {
    let flexible = api.request_header_version(version) == 2;
    let mut reader = Reader { version, flexible, rest: body };
    let read = reader.value(api.shapes().1);
    assert!(reader.rest.is_empty(), "{} bytes are left of {read:?}", reader.rest.len());
    read
}

/// Collects topic ids by name.
pub fn collect_topic_ids(read: &Read, known: &mut Known) {
    match read {
        Read::List(list) => list.iter().for_each(|one| collect_topic_ids(one, known)),
        Read::Struct(fields) => {
            let of = |name: &str| fields.iter().find(|(row, _)| row.name == name).map(|(_, value)| value);
            if let (Some(Read::Text(name)), Some(Read::Uuid(id))) = (of("name"), of("topic_id"))
                && !id.is_zero()
                && !name.is_empty()
                && of("error_code") == Some(&Read::Number(0))
            {
                known.topics.insert(name.clone(), *id);
            }
            fields.iter().for_each(|(_, value)| collect_topic_ids(value, known));
        }
        _ => {}
    }
}

/// A field of a message at its highest level.
pub fn field<'a>(read: &'a Read, name: &str) -> Option<&'a Read> {
    let Read::Struct(fields) = read else { return None };
    fields.iter().find(|(row, _)| row.name == name).map(|(_, value)| value)
}

/// The first field of that name at any depth.
pub fn find<'a>(read: &'a Read, name: &str) -> Option<&'a Read> {
    match read {
        Read::List(list) => list.iter().find_map(|one| find(one, name)),
        Read::Struct(fields) => field(read, name).or_else(|| fields.iter().find_map(|(_, value)| find(value, name))),
        _ => None,
    }
}

/// The fields of a message without those that have their default values.
pub fn show(read: &Read, known: &Known) -> String {
    let Read::Struct(fields) = read else { panic!("a message is a struct") };
    show_fields(fields, known)
}

/// The elements of the first list with the name `list`, at any depth: the name of each, and its other fields as text.
pub fn elements_of(read: &Read, list: &str, known: &Known) -> Option<Vec<(String, String)>> {
    match read {
        Read::List(all) => all.iter().find_map(|one| elements_of(one, list, known)),
        Read::Struct(fields) => fields.iter().find_map(|(row, value)| match value {
            Read::List(all) if row.name == list => Some(all.iter().map(|one| named(one, known)).collect()),
            value => elements_of(value, list, known),
        }),
        _ => None,
    }
}

/// The name of a struct, and its other fields as text.
fn named(read: &Read, known: &Known) -> (String, String) {
    let Read::Struct(fields) = read else { panic!("{read:?} is not a struct") };
    let (name, rest): (Vec<_>, Vec<_>) = fields.iter().cloned().partition(|(row, _)| row.name == "name");
    let Some((_, Read::Text(name))) = name.first() else { panic!("{read:?} has no name") };
    (name.clone(), show_fields(&rest, known))
}

fn show_fields(fields: &[(&'static FieldRow, Read)], known: &Known) -> String {
    let shown = fields.iter().filter(|(row, value)| !OMITTED.contains(&row.name) && !is_default(row, value));
    let shown = shown.map(|(row, value)| {
        let value = match value {
            Read::Number(_) | Read::Uuid(_) if CHANGING.contains(&row.name) => "N".to_owned(),
            Read::Number(code) if row.name.ends_with("error_code") => show_code(*code),
            Read::Number(0..) if TIMES.contains(&row.name) => "N".to_owned(),
            Read::Number(id) if row.name == PRODUCER_ID => known.producer(*id),
            Read::Bytes(bytes) if row.name == "records" => batches::show(bytes, known),
            Read::Text(_) if row.name == "documentation" => "yes".to_owned(),
            Read::Bytes(bytes) if row.name == "hmac" => known.hmac(bytes).unwrap_or_else(|| "unknown".to_owned()),
            // Settings with default values are omitted from long lists.
            Read::List(all) if row.name == "configs" && all.len() > MANY => {
                show_value(&Read::List(all.iter().filter(|one| !is_default_config(one)).cloned().collect()), known)
            }
            // The order of synonyms is significant.
            Read::List(all) if row.name == "synonyms" => {
                format!("[{}]", all.iter().map(|one| show_value(one, known)).collect::<Vec<_>>().join(" "))
            }
            value => show_value(value, known),
        };
        format!("{}={value}", row.name)
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// The prefix of member ids, which have a random suffix.
const MEMBER: &str = "tester-";

/// A list of settings with more elements than this is a list of all settings.
const MANY: usize = 20;

fn is_default_config(config: &Read) -> bool {
    let Read::Struct(fields) = config else { return false };
    let source = fields.iter().find(|(row, _)| row.name == "config_source");
    source.is_none_or(|(_, source)| *source == Read::Number(5))
}

fn show_code(code: i64) -> String {
    let known = i16::try_from(code).ok().and_then(ErrorCode::from_code);
    known.map_or_else(|| code.to_string(), |code| code.name().to_owned())
}

fn show_value(value: &Read, known: &Known) -> String {
    match value {
        Read::Null => "null".to_owned(),
        Read::Bool(value) => value.to_string(),
        Read::Number(number) => number.to_string(),
        Read::Uuid(id) => match known.topics.iter().find(|(_, known)| *known == id) {
            Some((name, _)) => format!("${name}"),
            None => id.to_string(),
        },
        Read::Text(text) if text.starts_with(MEMBER) => "MEMBER".to_owned(),
        Read::Text(id) if known.token_id(id).is_some() => known.token_id(id).unwrap_or_default(),
        Read::Text(text) if text.is_empty() || text.contains([' ', '=', '[', ']', '{', '}', '\n']) => {
            format!("\"{}\"", text.replace('\n', " "))
        }
        Read::Text(text) => text.clone(),
        Read::Bytes(bytes) => show_value(&Read::Text(String::from_utf8_lossy(bytes).into_owned()), known),
        Read::List(list) => {
            let mut list: Vec<_> = list.iter().map(|one| show_value(one, known)).collect();
            list.sort();
            format!("[{}]", list.join(" "))
        }
        Read::Struct(fields) => format!("{{{}}}", show_fields(fields, known)),
    }
}

/// Whether a field has its default value. For a nullable string that is null, for another one the empty string.
fn is_default(row: &FieldRow, value: &Read) -> bool {
    match value {
        Read::Null => true,
        Read::Bool(value) => !value,
        Read::Number(number) => *number == super::reading::default_number(row.default),
        Read::Uuid(id) => id.is_zero(),
        Read::Bytes(bytes) => bytes.is_empty() && !matches!(row.shape, Shape::Nullable(_)),
        Read::Text(text) => text.is_empty() && !matches!(row.shape, Shape::Nullable(_)),
        Read::List(list) => list.is_empty(),
        Read::Struct(_) => false,
    }
}

fn default_number(default: &str) -> i64 {
    match default {
        "i32::MIN" => i32::MIN.into(),
        default => default.parse().unwrap_or(0),
    }
}

struct Reader<'a> {
    version: i16,
    flexible: bool,
    rest: &'a [u8],
}

impl Reader<'_> {
    fn take(&mut self, count: usize) -> &[u8] {
        let (taken, rest) = self.rest.split_at(count);
        self.rest = rest;
        taken
    }

    fn number(&mut self, size: usize) -> i64 {
        let bytes = self.take(size);
        let sign = if bytes.first().is_some_and(|first| first & 0x80 != 0) { -1 } else { 0 };
        bytes.iter().fold(sign, |number: i64, byte| number << 8 | i64::from(*byte))
    }

    fn uvarint(&mut self) -> usize {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = self.take(1)[0];
            value |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        value
    }

    fn length(&mut self, size: usize) -> Option<usize> {
        match self.flexible {
            true => self.uvarint().checked_sub(1),
            false => usize::try_from(self.number(size)).ok(),
        }
    }

    fn value(&mut self, shape: &'static Shape) -> Read {
        match shape {
            Shape::Bool => Read::Bool(self.number(1) != 0),
            Shape::Uuid => Read::Uuid(Uuid(self.take(16).try_into().expect("16 bytes"))),
            Shape::Nullable(inner @ Shape::Struct { .. }) => match self.number(1) {
                -1 => Read::Null,
                _ => self.value(inner),
            },
            Shape::Nullable(inner) => self.value(inner),
            Shape::Str => match self.length(2) {
                Some(length) => Read::Text(String::from_utf8_lossy(self.take(length)).into_owned()),
                None => Read::Null,
            },
            Shape::Bytes => match self.length(4) {
                Some(length) => Read::Bytes(self.take(length).to_vec()),
                None => Read::Null,
            },
            Shape::Array(element) => match self.length(4) {
                Some(count) => Read::List((0..count).map(|_| self.value(element)).collect()),
                None => Read::Null,
            },
            Shape::Struct { fields, .. } => self.structure(fields),
            Shape::F64 => {
                let bytes = self.take(8).try_into().expect("8 bytes");
                Read::Text(f64::from_be_bytes(bytes).to_string())
            }
            Shape::U16 => Read::Number(self.number(2) & 0xffff),
            Shape::U32 => Read::Number(self.number(4) & 0xffff_ffff),
            number => Read::Number(self.number(number.min_size(self.version, self.flexible))),
        }
    }

    fn structure(&mut self, rows: &'static [FieldRow]) -> Read {
        let version = self.version;
        let present = || rows.iter().filter(|row| row.versions.contains(version));
        let mut fields: Vec<_> =
            present().filter(|row| row.tag.is_none()).map(|row| (row, self.value(row.shape))).collect();
        if self.flexible {
            for _ in 0..self.uvarint() {
                let (tag, length) = (self.uvarint(), self.uvarint());
                match present().find(|row| row.tag == Some(tag as u32)) {
                    Some(row) => fields.push((row, self.value(row.shape))),
                    None => drop(self.take(length).to_vec()),
                }
            }
        }
        Read::Struct(fields)
    }
}
