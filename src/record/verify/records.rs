//! Every record of a batch against its header and the topic's rules, without an allocation per record.

use bytes::Bytes;

use super::{RecordError, VerifyRules};
use crate::record::compress::{Codec, Expansion};
use crate::record::error::{RecordFault, Rejection};
use crate::record::header::{BATCH_OVERHEAD, BatchHeader, TimestampType};
use crate::record::parse::{RawRecord, take_body};
use crate::types::{NO_TIMESTAMP, TimestampMs};

/// What a pass over the records found out.
pub struct Checked {
    /// The greatest timestamp, -1 when no record has one.
    pub max_timestamp: TimestampMs,
    /// The records uncompressed, kept only when the topic wants them in another codec.
    pub plain: Option<Bytes>,
}

/// Checks the records of `batch`, whose header makes sense already.
pub fn check_records(header: &BatchHeader, batch: &Bytes, rules: &VerifyRules) -> Result<Checked, RecordError> {
    let payload = batch.slice(BATCH_OVERHEAD..);
    let codec = header.codec()?;
    let recompress = rules.target.is_some_and(|(target, _)| target != codec);
    let mut pass = Pass::new(header, rules);
    let plain = match codec {
        Codec::None => {
            let left = pass.take_whole_records(&payload)?.len();
            pass.finish(left)?;
            recompress.then_some(payload)
        }
        codec => expand(&mut pass, codec, &payload, recompress)?,
    };
    Ok(Checked { max_timestamp: pass.max_timestamp, plain })
}

/// Checks a compressed batch's records while they are expanded; only a record that hasn't arrived
/// whole is held, unless all are to be `kept`.
fn expand(pass: &mut Pass<'_>, codec: Codec, payload: &[u8], kept: bool) -> Result<Option<Bytes>, RecordError> {
    let mut expansion = Expansion::new(codec, payload)?;
    let mut plain = Vec::new();
    let mut checked = 0;
    while expansion.read_more(&mut plain)? > 0 {
        let left = pass.take_whole_records(plain.get(checked..).unwrap_or_default())?.len();
        checked = plain.len() - left;
        if !kept {
            plain.drain(..checked);
            checked = 0;
        }
    }
    pass.finish(plain.len() - checked)?;
    Ok(kept.then(|| plain.into()))
}

struct Pass<'a> {
    header: &'a BatchHeader,
    rules: &'a VerifyRules,
    next_index: i32,
    max_timestamp: TimestampMs,
    faults: Faults,
}

impl<'a> Pass<'a> {
    fn new(header: &'a BatchHeader, rules: &'a VerifyRules) -> Pass<'a> {
        Pass { header, rules, next_index: 0, max_timestamp: NO_TIMESTAMP, faults: Faults::default() }
    }

    /// Checks the records that are whole in `bytes`, and returns what is left.
    fn take_whole_records<'b>(&mut self, mut bytes: &'b [u8]) -> Result<&'b [u8], RecordError> {
        while self.next_index < self.header.record_count {
            let Some(body) = take_body(&mut bytes)? else { return Ok(bytes) };
            let record = RawRecord::parse(body)?;
            self.check(&record)?;
            self.next_index += 1;
        }
        if bytes.is_empty() { Ok(bytes) } else { Err(RecordError::invalid("bytes are left after the last record")) }
    }

    fn check(&mut self, record: &RawRecord<'_>) -> Result<(), RecordError> {
        if record.offset_delta != self.next_index {
            return Err(RecordError::invalid(format!(
                "record {} has the offset delta {}",
                self.next_index, record.offset_delta
            )));
        }
        let timestamp = match self.header.timestamp_type() {
            TimestampType::CreateTime => self.header.base_timestamp.wrapping_add(record.timestamp_delta),
            TimestampType::LogAppendTime => self.header.max_timestamp,
        };
        if let Some(fault) = self.rules.fault(record.key.is_some(), self.header.timestamp_type(), timestamp) {
            self.faults.add(self.next_index, fault);
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        Ok(())
    }

    /// To be called at the end of the records, with how many bytes make no whole one.
    fn finish(&mut self, left: usize) -> Result<(), RecordError> {
        if self.next_index < self.header.record_count || left > 0 {
            return Err(RecordError::invalid(format!(
                "the batch claims {} records and ends after {}",
                self.header.record_count, self.next_index
            )));
        }
        std::mem::take(&mut self.faults).into_result()
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
