//! Every record of a batch against its header and the topic's rules, without an allocation per record.

use super::{RecordError, VerifyRules};
use crate::record::compress::{Codec, Expansion};
use crate::record::error::{RecordFault, Rejection};
use crate::record::header::{BatchHeader, TimestampType};
use crate::record::parse::{RawRecord, take_body};
use crate::types::{NO_TIMESTAMP, TimestampMs};

/// What a pass over the records found out.
pub struct Checked {
    /// The greatest timestamp, -1 when no record has one.
    pub max_timestamp: TimestampMs,
    /// Whether the records' offset deltas count up from 0.
    pub contiguous: bool,
}

/// Checks the records in `payload`, whose header makes sense already.
pub fn check_records(header: &BatchHeader, payload: &[u8], rules: &VerifyRules) -> Result<Checked, RecordError> {
    let mut pass = Pass::new(header, rules);
    let left = match header.codec()? {
        Codec::None => pass.take_whole_records(payload)?.len(),
        codec => expand(&mut pass, codec, payload)?,
    };
    pass.finish(left)
}

/// Checks records while they are expanded, so that only one that hasn't arrived whole is held.
/// Returns how many bytes are left.
fn expand(pass: &mut Pass<'_>, codec: Codec, payload: &[u8]) -> Result<usize, RecordError> {
    let mut expansion = Expansion::new(codec, payload)?;
    let mut plain = Vec::new();
    while expansion.read_more(&mut plain)? > 0 {
        let left = pass.take_whole_records(&plain)?.len();
        plain.drain(..plain.len() - left);
    }
    Ok(plain.len())
}

struct Pass<'a> {
    header: &'a BatchHeader,
    rules: &'a VerifyRules,
    next_index: i32,
    max_timestamp: TimestampMs,
    contiguous: bool,
    faults: Faults,
}

impl<'a> Pass<'a> {
    fn new(header: &'a BatchHeader, rules: &'a VerifyRules) -> Pass<'a> {
        let faults = Faults::default();
        Pass { header, rules, next_index: 0, max_timestamp: NO_TIMESTAMP, contiguous: true, faults }
    }

    /// Checks the records that are whole in `bytes`, and returns what is left.
    fn take_whole_records<'b>(&mut self, mut bytes: &'b [u8]) -> Result<&'b [u8], RecordError> {
        while self.next_index < self.header.record_count {
            let Some(body) = take_body(&mut bytes)? else { return Ok(bytes) };
            let record = RawRecord::parse(body)?;
            self.check(&record);
            self.next_index += 1;
        }
        if bytes.is_empty() { Ok(bytes) } else { Err(RecordError::invalid("bytes are left after the last record")) }
    }

    fn check(&mut self, record: &RawRecord<'_>) {
        self.contiguous &= record.offset_delta == self.next_index;
        let timestamp = self.header.record_timestamp(record.timestamp_delta);
        if let Some(fault) = self.rules.fault(record.key.is_some(), self.header.timestamp_type(), timestamp) {
            self.faults.add(self.next_index, fault);
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
    }

    /// The end of the records, with `left` bytes that make no whole one.
    fn finish(self, left: usize) -> Result<Checked, RecordError> {
        if self.next_index < self.header.record_count || left > 0 {
            return Err(RecordError::invalid(format!(
                "the batch claims {} records and ends after {}",
                self.header.record_count, self.next_index
            )));
        }
        self.faults.into_result()?;
        Ok(Checked { max_timestamp: self.max_timestamp, contiguous: self.contiguous })
    }
}

/// What one record did wrong.
pub struct Fault {
    timestamp: bool,
    message: String,
}

impl VerifyRules {
    /// What a record does wrong by the topic's rules, sent in a batch with timestamps of type `sent`.
    #[inline]
    pub fn fault(&self, has_key: bool, sent: TimestampType, timestamp: TimestampMs) -> Option<Fault> {
        if self.compacted && !has_key {
            let message = "Compacted topic cannot accept message without key".to_owned();
            return Some(Fault { timestamp: false, message });
        }
        if self.timestamp_type == TimestampType::CreateTime && timestamp != NO_TIMESTAMP {
            let earliest = self.now.saturating_sub(self.before_max_ms);
            let latest = self.now.saturating_add(self.after_max_ms);
            return (!(earliest..=latest).contains(&timestamp)).then(|| Fault {
                timestamp: true,
                message: format!("Timestamp {timestamp} is out of range, it should be within [{earliest}, {latest}]"),
            });
        }
        (sent == TimestampType::LogAppendTime).then(|| Fault {
            timestamp: true,
            message: "Producer should not set timestamp type to LogAppendTime".to_owned(),
        })
    }
}

/// The records at fault so far.
#[derive(Default)]
pub struct Faults {
    total: usize,
    any_timestamp: bool,
    listed: Vec<RecordFault>,
}

impl Faults {
    #[cold]
    pub fn add(&mut self, batch_index: i32, fault: Fault) {
        self.total += 1;
        self.any_timestamp |= fault.timestamp;
        if self.listed.len() < Rejection::MAX_FAULTS {
            self.listed.push(RecordFault { batch_index, message: fault.message });
        }
    }

    /// The batch's error when any record was at fault; `INVALID_TIMESTAMP` outweighs, as in Kafka.
    pub fn into_result(self) -> Result<(), RecordError> {
        if self.total == 0 {
            return Ok(());
        }
        if self.any_timestamp {
            let message = "One or more records have been rejected due to invalid timestamp".to_owned();
            return Err(RecordError::InvalidTimestamp(Rejection { message, records: self.listed }));
        }
        let first: Vec<_> = self.listed.iter().take(3).map(|fault| fault.message.as_str()).collect();
        let message = format!(
            "One or more records have been rejected due to {} record errors in total, such as: {}",
            self.total,
            first.join("; ")
        );
        Err(RecordError::Invalid(Rejection { message, records: self.listed }))
    }
}
