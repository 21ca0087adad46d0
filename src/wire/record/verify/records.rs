//! Every record of a batch against its header and the topic's rules, without an allocation per record.

use super::{RecordError, VerifyRules};
use crate::record::compress::{Codec, Expansion};
use crate::record::faults::{Fault, RecordFaults, TimeLimit};
use crate::record::header::{BatchHeader, TimestampType};
use crate::record::parse::{RawRecord, body_len, take_body};
use crate::record::partial::{PartialRecord, RecordHead};
use crate::types::{NO_TIMESTAMP, Offset, TimestampMs};

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

/// Checks records while they are expanded: a piece of them is held at a time, and none that says that it is too large
/// is looked at. Returns how many bytes are left, at least 1 behind a record that isn't whole.
fn expand(pass: &mut Pass<'_>, codec: Codec, payload: &[u8]) -> Result<usize, RecordError> {
    let mut expansion = Expansion::new(codec, payload, pass.rules.expansion_limit(payload.len(), false))?;
    let mut plain = Vec::new();
    let mut large: Option<PartialRecord> = None;
    while expansion.read_more(&mut plain)? > 0 {
        let mut rest = &plain[..];
        if let Some(head) = large.as_mut().map(|record| record.feed(&mut rest)).transpose()?.flatten() {
            pass.take(head);
            large = None;
        }
        if large.is_none() {
            rest = pass.take_whole_records(rest)?;
            if let Some(announced) = body_len(rest) {
                pass.rules.check_record_size(announced)?;
            }
            large = PartialRecord::begin(&mut rest);
            // Not whole: else it would have been taken.
            large.as_mut().map(|record| record.feed(&mut rest)).transpose()?;
        }
        let left = rest.len();
        plain.drain(..plain.len() - left);
    }
    Ok(plain.len() + usize::from(large.is_some()))
}

struct Pass<'a> {
    header: &'a BatchHeader,
    rules: &'a VerifyRules,
    next_index: i32,
    max_timestamp: TimestampMs,
    contiguous: bool,
    compressed: bool,
    faults: Option<RecordFaults>,
}

impl<'a> Pass<'a> {
    fn new(header: &'a BatchHeader, rules: &'a VerifyRules) -> Pass<'a> {
        let compressed = header.codec() != Ok(Codec::None);
        Pass { header, rules, next_index: 0, max_timestamp: NO_TIMESTAMP, contiguous: true, compressed, faults: None }
    }

    /// Checks the records that are whole in `bytes`, and returns what is left.
    fn take_whole_records<'b>(&mut self, mut bytes: &'b [u8]) -> Result<&'b [u8], RecordError> {
        while self.next_index < self.header.record_count {
            let Some(body) = take_body(&mut bytes)? else { return Ok(bytes) };
            if self.compressed {
                self.rules.check_record_size(body.len())?;
            }
            let record = RawRecord::parse(body)?;
            self.take(RecordHead::from(&record));
        }
        if bytes.is_empty() { Ok(bytes) } else { Err(RecordError::invalid("bytes are left after the last record")) }
    }

    fn take(&mut self, record: RecordHead) {
        self.contiguous &= record.offset_delta == self.next_index;
        let timestamp = self.header.record_timestamp(record.timestamp_delta);
        let offset = Offset::from(record.offset_delta);
        if let Some(fault) = self.rules.fault(record.has_key, self.header.timestamp_type(), offset, timestamp) {
            RecordFaults::add(&mut self.faults, self.next_index, fault);
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.next_index += 1;
    }

    /// The end of the records, with `left` bytes that make no whole one.
    fn finish(self, left: usize) -> Result<Checked, RecordError> {
        if self.next_index < self.header.record_count || left > 0 {
            return Err(RecordError::invalid(format!(
                "the batch claims {} records and ends after {}",
                self.header.record_count, self.next_index
            )));
        }
        match self.faults {
            Some(faults) => Err(RecordError::Records(faults)),
            None => Ok(Checked { max_timestamp: self.max_timestamp, contiguous: self.contiguous }),
        }
    }
}

impl VerifyRules {
    /// What a record does wrong by the topic's rules, sent in a batch with timestamps of type `sent`.
    #[inline]
    pub fn fault(&self, has_key: bool, sent: TimestampType, offset: Offset, timestamp: TimestampMs) -> Option<Fault> {
        if self.compacted && !has_key {
            return Some(Fault::NoKey);
        }
        if self.timestamp_type == TimestampType::CreateTime && timestamp != NO_TIMESTAMP {
            let earliest = self.now.saturating_sub(self.before_max_ms);
            let latest = self.now.saturating_add(self.after_max_ms);
            let limit = match timestamp {
                timestamp if timestamp < earliest => {
                    TimeLimit { setting: "message.timestamp.before.max.ms", ms: self.before_max_ms }
                }
                timestamp if timestamp > latest => {
                    TimeLimit { setting: "message.timestamp.after.max.ms", ms: self.after_max_ms }
                }
                _ => return None,
            };
            return Some(Fault::OutOfRange { offset, timestamp, earliest, latest, limit });
        }
        (sent == TimestampType::LogAppendTime).then_some(Fault::ClaimsAppendTime { offset })
    }

    /// Checks the size of one record that came compressed.
    #[inline]
    pub fn check_record_size(&self, size: usize) -> Result<(), RecordError> {
        let limit = self.max_decompressed_message_bytes;
        match size > limit {
            true => Err(too_large_record(size, limit)),
            false => Ok(()),
        }
    }
}

#[cold]
fn too_large_record(size: usize, limit: usize) -> RecordError {
    RecordError::Invalid(format!(
        "a record has {size} bytes once decompressed, more than max.decompressed.message.bytes, which is {limit}"
    ))
}
