//! The fields of a message as JSON, under the names of Kafka's schemas and without secrets.
//!
//! The contents of fields of bytes are not shown, only their sizes, as in Kafka's request log: so neither credentials nor
//! records are. The value of a setting is shown only if the setting is known and not a password.

use std::fmt::Write as _;

use super::cursor::Stop;
use super::message::is_error_code;
use super::walk::{Value, Visitor};
use ottla_config::{Password, Scope, listener_values, table};
use ottla_wire::record::BatchHeader;
use ottla_wire::types::{ErrorCode, Uuid};

/// Finds the name of a topic.
pub type TopicNames<'a> = &'a dyn Fn(Uuid) -> Option<String>;

/// What filters compare, and what the summary of an event needs.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub topics: Vec<String>,
    pub groups: Vec<String>,
    /// The names of errors in a response; each once.
    pub errors: Vec<String>,
}

/// Writes a message as JSON.
pub(super) struct JsonWriter<'a> {
    pub out: String,
    /// For each open object or array, whether it has an entry.
    open: Vec<bool>,
    /// The name of the next entry of an object.
    key: Option<&'static str>,
    /// The struct and the name of the last field.
    field: (&'static str, &'static str),
    /// The value of the last field `name`.
    name: String,
    topic_names: TopicNames<'a>,
    pub found: Found,
}

impl<'a> JsonWriter<'a> {
    pub fn new(topic_names: TopicNames<'a>) -> JsonWriter<'a> {
        JsonWriter {
            out: String::new(),
            open: Vec::new(),
            key: None,
            field: ("", ""),
            name: String::new(),
            topic_names,
            found: Found::default(),
        }
    }

    /// Begins a value: writes the comma and the name before it.
    fn entry(&mut self, suffix: &str) {
        if let Some(has_entries) = self.open.last_mut()
            && std::mem::replace(has_entries, true)
        {
            self.out.push(',');
        }
        if let Some(key) = self.key.take() {
            self.out.push('"');
            push_camel_case(&mut self.out, key);
            self.out.push_str(suffix);
            self.out.push_str("\":");
        }
    }

    fn begin(&mut self, bracket: char) {
        self.entry("");
        self.out.push(bracket);
        self.open.push(false);
    }

    fn end(&mut self, bracket: char) {
        self.key = None;
        self.out.push(bracket);
        self.open.pop();
    }

    /// Writes another entry of the current object.
    fn extra(&mut self, key: &'static str, text: &str) {
        self.key = Some(key);
        self.entry("");
        push_text(&mut self.out, text);
    }

    fn text(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let (of, name) = self.field;
        self.entry("");
        match name {
            "value" if !is_public(&self.name) => push_text(&mut self.out, Password::HIDDEN),
            _ => push_text(&mut self.out, &text),
        }
        if name == "name" {
            self.name.clear();
            self.name.push_str(&text);
        }
        let is_topic = name.contains("topic") || name == "resource_name" || (name == "name" && of.contains("Topic"));
        let is_group = name.contains("group") || of.contains("FindCoordinator") || of == "Coordinator";
        for (is_one, names) in [(is_topic, &mut self.found.topics), (is_group, &mut self.found.groups)] {
            if is_one && !names.iter().any(|known| *known == text) {
                names.push(text.clone().into_owned());
            }
        }
    }

    fn number(&mut self, number: i64) {
        self.entry("");
        let error = i16::try_from(number).ok().filter(|_| is_error_code(self.field.1)).and_then(ErrorCode::from_code);
        match error {
            Some(error) => push_text(&mut self.out, error.name()),
            None => self.push(number),
        }
        if is_error_code(self.field.1) && number != 0 {
            let name = error.map_or_else(|| number.to_string(), |error| error.name().to_owned());
            if !self.found.errors.contains(&name) {
                self.found.errors.push(name);
            }
        }
    }

    fn push(&mut self, value: impl std::fmt::Display) {
        // Writing to a string does not fail.
        let _ = write!(self.out, "{value}");
    }

    fn topic_id(&mut self, id: Uuid) {
        if let Some(name) = (self.topic_names)(id) {
            self.extra("topic_name", &name);
            if !self.found.topics.contains(&name) {
                self.found.topics.push(name);
            }
        }
    }

    /// Describes records by the header of their first batch, if that is known.
    fn records(&mut self, length: usize, start: &[u8]) {
        let Ok(header) = BatchHeader::parse_any(start) else { return };
        self.key = Some(if header.size() < length { "first_batch" } else { "batch" });
        self.begin('{');
        let numbers = [
            ("base_offset", header.base_offset),
            ("record_count", header.record_count.into()),
            ("base_timestamp", header.base_timestamp),
            ("max_timestamp", header.max_timestamp),
        ];
        let producer = [
            ("producer_id", header.producer_id),
            ("producer_epoch", header.producer_epoch.into()),
            ("base_sequence", header.base_sequence.into()),
        ];
        let producer = producer.into_iter().filter(|_| header.has_producer_id());
        for (key, number) in numbers.into_iter().chain(producer) {
            self.key = Some(key);
            self.entry("");
            self.push(number);
        }
        self.extra("compression_type", header.codec().map_or("unknown", |codec| codec.name()));
        if header.is_transactional() {
            self.key = Some("is_transactional");
            self.entry("");
            self.push(true);
        }
        self.end('}');
    }
}

impl Visitor for JsonWriter<'_> {
    fn field(&mut self, of: &'static str, name: &'static str) -> Result<(), Stop> {
        (self.key, self.field) = (Some(name), (of, name));
        Ok(())
    }

    fn value(&mut self, value: Value<'_>, _: usize) -> Result<(), Stop> {
        match value {
            Value::Bytes(length, start) => {
                let name = self.field.1;
                self.entry("SizeInBytes");
                self.push(length);
                if name == "records" {
                    self.records(length, start);
                }
            }
            Value::Str(text) => self.text(text),
            Value::Int(number) => self.number(number),
            Value::Null => {
                self.entry("");
                self.push("null");
            }
            Value::Bool(is_true) => {
                self.entry("");
                self.push(is_true);
            }
            Value::Float(number) => {
                self.entry("");
                self.push(serde_json::Value::from(number));
            }
            Value::Uuid(id) => {
                let is_topic = self.field.1 == "topic_id" && id != Uuid::ZERO;
                self.entry("");
                push_text(&mut self.out, &id.to_string());
                if is_topic {
                    self.topic_id(id);
                }
            }
        }
        Ok(())
    }

    fn begin_struct(&mut self) {
        self.begin('{');
    }

    fn end_struct(&mut self) {
        self.end('}');
    }

    fn begin_array(&mut self) {
        self.begin('[');
    }

    fn end_array(&mut self) {
        self.end(']');
    }
}

/// Whether a setting is known, and not a password.
fn is_public(setting: &str) -> bool {
    let broker = listener_values::find_with_listener(setting);
    let found = broker.into_iter().chain(Scope::ALL.iter().filter_map(|scope| table::find(*scope, setting)));
    let mut found = found.peekable();
    found.peek().is_some() && !found.any(|setting| setting.is_sensitive())
}

/// Writes a text as a JSON string.
pub(super) fn push_text(out: &mut String, text: &str) {
    let _ = write!(out, "{}", serde_json::Value::from(text));
}

/// Kafka's name of a field: `topic_data` is `topicData`.
fn push_camel_case(out: &mut String, name: &str) {
    let mut upper = false;
    for letter in name.chars() {
        match letter {
            '_' => upper = true,
            _ => out.push(if std::mem::take(&mut upper) { letter.to_ascii_uppercase() } else { letter }),
        }
    }
}
