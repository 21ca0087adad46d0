//! Checks every record of a batch against its header and the topic's rules, without an allocation per record.

use super::{RecordCheck, RecordError, VerifyRules};
use crate::record::compress::{Codec, Expansion};
use crate::record::faults::{Fault, RecordFaults, TimeLimit};
use crate::record::header::{BatchHeader, TimestampType};
use crate::record::parse::{RawRecord, body_len, take_body};
use crate::record::partial::{PartialRecord, RecordHead};
use crate::types::{NO_TIMESTAMP, Offset, TimestampMs};

/// The result of checking all records.
pub struct Checked {
    /// The maximum timestamp; -1 if no record has one.
    pub max_timestamp: TimestampMs,
    /// Whether the records' offset deltas are 0, 1, 2 and so on.
    pub contiguous: bool,
}

/// Checks the records in `payload`. The header must be checked before.
pub fn check_records(
    header: &BatchHeader,
    payload: &[u8],
    rules: &VerifyRules,
    check: Option<&mut dyn RecordCheck>,
) -> Result<Checked, RecordError> {
    let mut pass = Pass::new(header, rules, check);
    let left = match header.codec()? {
        Codec::None => pass.take_whole_records(payload)?.len(),
        codec => expand(&mut pass, codec, payload)?,
    };
    pass.finish(left)
}

/// Checks records while they are decompressed, with one piece in memory at a time. A record whose length is too large
/// is rejected before its bytes are decompressed. With a further check, a large record is kept until it is complete. Returns
/// the number of bytes left, at least 1 if the last record is incomplete.
fn expand(pass: &mut Pass<'_, '_>, codec: Codec, payload: &[u8]) -> Result<usize, RecordError> {
    let held = pass.check.is_some();
    let mut expansion = Expansion::new(codec, payload, pass.rules.expansion_limit(payload.len(), held))?;
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
            if let Some(length) = body_len(rest) {
                pass.rules.check_record_size(length)?;
            }
            large = if held { None } else { PartialRecord::begin(&mut rest) };
            // The record is incomplete, otherwise `take_whole_records` would have taken it.
            large.as_mut().map(|record| record.feed(&mut rest)).transpose()?;
        }
        let left = rest.len();
        plain.drain(..plain.len() - left);
    }
    Ok(plain.len() + usize::from(large.is_some()))
}

/// The state of one pass over the records of a batch.
struct Pass<'a, 'c> {
    header: &'a BatchHeader,
    rules: &'a VerifyRules,
    check: Option<&'c mut dyn RecordCheck>,
    next_index: i32,
    max_timestamp: TimestampMs,
    contiguous: bool,
    compressed: bool,
    faults: Option<RecordFaults>,
}

impl<'a, 'c> Pass<'a, 'c> {
    fn new(header: &'a BatchHeader, rules: &'a VerifyRules, check: Option<&'c mut dyn RecordCheck>) -> Pass<'a, 'c> {
        let compressed = header.codec() != Ok(Codec::None);
        let (next_index, max_timestamp, contiguous) = (0, NO_TIMESTAMP, true);
        Pass { header, rules, check, next_index, max_timestamp, contiguous, compressed, faults: None }
    }

    /// Checks the complete records in `bytes`, and returns the rest.
    fn take_whole_records<'b>(&mut self, mut bytes: &'b [u8]) -> Result<&'b [u8], RecordError> {
        while self.next_index < self.header.record_count {
            let Some(body) = take_body(&mut bytes)? else { return Ok(bytes) };
            if self.compressed {
                self.rules.check_record_size(body.len())?;
            }
            let record = RawRecord::parse(body)?;
            let refused = self.check.as_mut().and_then(|check| check.check(&record).err());
            self.take_checked(RecordHead::from(&record), refused);
        }
        if bytes.is_empty() { Ok(bytes) } else { Err(RecordError::invalid("bytes are left after the last record")) }
    }

    fn take(&mut self, record: RecordHead) {
        self.take_checked(record, None);
    }

    /// Takes a record, with the reason of the further check if it refuses the record.
    fn take_checked(&mut self, record: RecordHead, refused: Option<String>) {
        self.contiguous &= record.offset_delta == self.next_index;
        let timestamp = self.header.record_timestamp(record.timestamp_delta);
        let offset = Offset::from(record.offset_delta);
        let fault = self.rules.fault(record.has_key, self.header.timestamp_type(), offset, timestamp);
        if let Some(fault) = fault.or_else(|| refused.map(|reason| Fault::Refused(reason.into()))) {
            RecordFaults::add(&mut self.faults, self.next_index, fault);
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.next_index += 1;
    }

    /// Ends the check, with `left` bytes of an incomplete record.
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
    /// The fault of a record according to the topic's rules, if any. `sent` is the timestamp type of its batch.
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

    /// Checks the size of one record of a compressed batch.
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
