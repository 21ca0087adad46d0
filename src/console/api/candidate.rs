//! A record that a scan has read: whether the criteria select it, and how it is shown.

use std::cell::OnceCell;

use bytes::Bytes;
use memchr::memmem;
use serde_json::{Value, json};

use super::scan::Criteria;
use crate::filter::Input;
use crate::schemas::{Decode, Decoded, Part};
use crate::value::{for_filter, show, show_decoded};
use ottla_client::consumer::ConsumedRecord;
use ottla_wire::record::{Header, Record, TimestampType};
use ottla_wire::types::TopicPartition;

/// A record with what its schemas make of it. It is decoded at most once, and only if that is needed.
pub struct Candidate<'a> {
    partition: &'a TopicPartition,
    consumed: &'a ConsumedRecord,
    decode: Option<&'a dyn Decode>,
    key: OnceCell<Option<Decoded>>,
    value: OnceCell<Option<Decoded>>,
}

impl<'a> Candidate<'a> {
    pub fn new(
        partition: &'a TopicPartition,
        consumed: &'a ConsumedRecord,
        decode: Option<&'a dyn Decode>,
    ) -> Candidate<'a> {
        Candidate { partition, consumed, decode, key: OnceCell::new(), value: OnceCell::new() }
    }

    fn record(&self) -> &Record {
        &self.consumed.record
    }

    fn bytes(&self, part: Part) -> Option<&Bytes> {
        match part {
            Part::Key => self.record().key.as_ref(),
            Part::Value => self.record().value.as_ref(),
        }
    }

    fn decoded(&self, part: Part) -> Option<&Decoded> {
        let decoded = match part {
            Part::Key => &self.key,
            Part::Value => &self.value,
        };
        decoded.get_or_init(|| self.decode?.decode(self.record(), part)).as_ref()
    }

    /// Whether the criteria select the record; an error if the filter has no result.
    pub fn is_selected(&self, criteria: &Criteria) -> Result<bool, ()> {
        if criteria.key.as_ref().is_some_and(|text| !self.contains(Part::Key, text)) {
            return Ok(false);
        }
        if let Some(text) = &criteria.text {
            let in_header = |header: &Header| has(header.value.as_ref(), text);
            let found = self.contains(Part::Key, text)
                || self.contains(Part::Value, text)
                || self.record().headers.iter().any(in_header);
            if !found {
                return Ok(false);
            }
        }
        let Some(filter) = &criteria.filter else { return Ok(true) };
        filter.matches(&self.input()).map_err(|_| ())
    }

    /// Whether a key or value contains a text, as it is or decoded.
    fn contains(&self, part: Part, text: &[u8]) -> bool {
        let bytes = self.bytes(part);
        let in_decoded = || self.decoded(part).is_some_and(|it| memmem::find(it.json.as_bytes(), text).is_some());
        bytes.is_some() && (has(bytes, text) || in_decoded())
    }

    fn input(&self) -> Input {
        let record = self.record();
        let part = |part: Part| match self.decoded(part) {
            Some(decoded) => serde_json::from_str(&decoded.json).unwrap_or_default(),
            None => for_filter(self.bytes(part)),
        };
        let header =
            |header: &Header| (String::from_utf8_lossy(&header.key).into_owned(), for_filter(header.value.as_ref()));
        Input {
            value: part(Part::Value),
            key: part(Part::Key),
            headers: Value::Object(record.headers.iter().map(header).collect()),
            partition: Value::from(self.partition.partition),
            offset: Value::from(record.offset),
            timestamp: Value::from(record.timestamp),
        }
    }

    /// The record as an object of the response. Keys, values and headers are cut after about `max` bytes.
    pub fn shown(&self, max: usize) -> Value {
        let record = self.record();
        let part = |part: Part| {
            let bytes = self.bytes(part)?;
            let decoded = self.decoded(part);
            Some(decoded.map_or_else(|| show(bytes, max), |decoded| show_decoded(decoded, bytes.len(), max)))
        };
        let header = |header: &Header| {
            let value = header.value.as_ref().map(|value| show(value, max));
            json!({"key": String::from_utf8_lossy(&header.key), "value": value})
        };
        json!({
            "partition": self.partition.partition,
            "offset": record.offset,
            "timestamp": record.timestamp,
            "timestamp_type": match self.consumed.timestamp_type {
                TimestampType::CreateTime => "CreateTime",
                TimestampType::LogAppendTime => "LogAppendTime",
            },
            "key": part(Part::Key),
            "value": part(Part::Value),
            "headers": record.headers.iter().map(header).collect::<Vec<_>>(),
        })
    }
}

fn has(bytes: Option<&Bytes>, text: &[u8]) -> bool {
    bytes.is_some_and(|bytes| memmem::find(bytes, text).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Filter;

    /// Decodes values that begin with 0.
    struct Upper;

    impl Decode for Upper {
        fn decode(&self, record: &Record, part: Part) -> Option<Decoded> {
            let bytes = record.value.as_ref().filter(|_| part == Part::Value)?;
            let text = std::str::from_utf8(bytes.strip_prefix(b"\0")?).ok()?;
            Some(Decoded { format: "avro", schema_id: 7, json: format!("{{\"name\":\"{}\"}}", text.to_uppercase()) })
        }
    }

    fn record(value: &'static [u8]) -> ConsumedRecord {
        let value = Some(Bytes::from_static(value));
        let record = Record { offset: 1, timestamp: 2, key: None, value, headers: Vec::new() };
        ConsumedRecord { record, timestamp_type: TimestampType::CreateTime, leader_epoch: 0 }
    }

    #[test]
    fn decoded_value_is_searched_filtered_and_shown() {
        let partition = TopicPartition::new("t", 0);
        let check = |value, text: &str, jq: &str, expect| {
            let consumed = record(value);
            let candidate = Candidate::new(&partition, &consumed, Some(&Upper));
            let text = (!text.is_empty()).then(|| text.as_bytes().to_vec());
            let filter = (!jq.is_empty()).then(|| Filter::parse(jq).unwrap());
            let criteria = Criteria { key: None, text, filter, limit: 1, shown: 100 };
            assert_eq!(candidate.is_selected(&criteria), expect, "{value:?}");
        };
        check(b"\0ann", "ANN", "", Ok(true));
        check(b"\0ann", "ann", "", Ok(true));
        check(b"\0ann", "BOB", "", Ok(false));
        check(b"\0ann", "", ".name == \"ANN\"", Ok(true));
        check(b"ann", "ANN", "", Ok(false));
        check(b"ann", "", ".name == \"ANN\"", Err(()));
        let consumed = record(b"\0ann");
        let shown = Candidate::new(&partition, &consumed, Some(&Upper)).shown(100);
        let expect = json!({"format": "avro", "schema_id": 7, "text": "{\"name\":\"ANN\"}", "bytes": 4});
        assert_eq!(shown["value"], expect);
        assert_eq!(Candidate::new(&partition, &consumed, None).shown(100)["value"]["format"], "text");
    }
}
