//! Reading of messages of format 0 and 1 in a log (Kafka's `AbstractLegacyRecordBatch`).

use bytes::Bytes;

use super::super::compress::{Codec, MAX_EXPANSION};
use super::super::decoded::Record;
use super::super::error::RecordError;
use super::super::header::TimestampType;
use super::message::{Message, expand_wrapper, take_stored_message};
use crate::types::{Offset, TimestampMs};

/// Iterates over the records of one message: itself, or those in a wrapper. An error ends the iteration.
#[derive(Default)]
pub struct Messages {
    /// Consecutive messages that are not wrappers.
    plain: Bytes,
    position: usize,
    /// The base of the messages' offsets.
    base: Offset,
    /// The broker's time, if the wrapper has it for all its messages of format 1.
    append_time: Option<TimestampMs>,
    failed: Option<RecordError>,
}

impl Messages {
    /// Reads the message in `bytes`.
    pub fn of(bytes: &Bytes) -> Messages {
        Messages::open(bytes).unwrap_or_else(|error| Messages { failed: Some(error), ..Messages::default() })
    }

    fn open(bytes: &Bytes) -> Result<Messages, RecordError> {
        let outer = take_stored_message(&mut &bytes[..])?
            .ok_or_else(|| RecordError::invalid("invalid message: it is longer than its bytes"))?;
        let codec = outer.codec()?;
        if codec == Codec::None {
            return Ok(Messages { plain: bytes.clone(), ..Messages::default() });
        }
        let plain = expand_wrapper(&outer, codec, MAX_EXPANSION)?;
        let base = base_of(&outer, last_offset(&plain)?)?;
        let append_time = (outer.timestamp_type() == TimestampType::LogAppendTime).then_some(outer.timestamp);
        Ok(Messages { plain: plain.into(), base, append_time, ..Messages::default() })
    }

    fn read_one(&mut self) -> Result<Option<Record>, RecordError> {
        let mut rest = self.plain.get(self.position..).unwrap_or_default();
        // As in Kafka, an incomplete last message is ignored.
        let Some(message) = take_stored_message(&mut rest)? else { return Ok(None) };
        if message.codec()? != Codec::None {
            return Err(RecordError::invalid("a compressed message stands in a compressed message"));
        }
        let own = |slice: &[u8]| self.plain.slice_ref(slice);
        let record = Record {
            offset: self.base.saturating_add(message.offset),
            timestamp: self.append_time.filter(|_| message.magic > 0).unwrap_or(message.timestamp),
            key: message.key.map(own),
            value: message.value.map(own),
            headers: Vec::new(),
        };
        self.position = self.plain.len() - rest.len();
        Ok(Some(record))
    }
}

impl Iterator for Messages {
    type Item = Result<Record, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.failed.take() {
            return Some(Err(error));
        }
        let record = self.read_one().transpose();
        if let None | Some(Err(_)) = record {
            self.plain.clear();
            self.position = 0;
        }
        record
    }
}

/// The offset field of the last message.
fn last_offset(mut plain: &[u8]) -> Result<Offset, RecordError> {
    let mut last = None;
    while let Some(message) = take_stored_message(&mut plain)? {
        last = Some(message.offset);
    }
    last.ok_or_else(|| RecordError::invalid("a compressed message without messages inside"))
}

/// The base of the offsets in a wrapper: 0 in format 0; in format 1 the last one, `last`, corresponds to the wrapper's own
/// offset.
fn base_of(wrapper: &Message<'_>, last: Offset) -> Result<Offset, RecordError> {
    // Some versions of librdkafka always sent wrappers with offset 0.
    if wrapper.magic == 0 || wrapper.offset == 0 {
        return Ok(0);
    }
    wrapper.offset.checked_sub(last).filter(|base| *base >= 0).ok_or_else(|| {
        RecordError::invalid(format!("the last message inside of a wrapper at offset {} is at {last}", wrapper.offset))
    })
}
