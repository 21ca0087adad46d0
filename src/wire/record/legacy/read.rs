//! Reading messages of format 0 and 1 that stand in a log (Kafka's `AbstractLegacyRecordBatch`).

use bytes::Bytes;

use super::super::batch::Record;
use super::super::compress::{Codec, MAX_EXPANSION};
use super::super::error::RecordError;
use super::super::header::TimestampType;
use super::message::{Message, expand_wrapper, take_stored_message};
use crate::types::{Offset, TimestampMs};

/// The records of one message of a log: itself, or those compressed inside of it. An error ends it.
#[derive(Default)]
pub struct Messages {
    /// Messages that are no wrappers, one after another.
    plain: Bytes,
    position: usize,
    /// What the messages' offsets count from.
    base: Offset,
    /// The broker's time, which a wrapper has for all messages of format 1 inside.
    append_time: Option<TimestampMs>,
    failed: Option<RecordError>,
}

impl Messages {
    /// The records of the message that `bytes` are.
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
        // Like Kafka, without a word of what is left when the last one isn't whole.
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

/// The offset that the last of some messages claims.
fn last_offset(mut plain: &[u8]) -> Result<Offset, RecordError> {
    let mut last = None;
    while let Some(message) = take_stored_message(&mut plain)? {
        last = Some(message.offset);
    }
    last.ok_or_else(|| RecordError::invalid("a compressed message without messages inside"))
}

/// What the offsets inside of a wrapper count from: 0 in format 0; in format 1 such that the last one, `last`, is
/// the wrapper's own.
fn base_of(wrapper: &Message<'_>, last: Offset) -> Result<Offset, RecordError> {
    // Some versions of librdkafka sent wrappers at 0 that weren't.
    if wrapper.magic == 0 || wrapper.offset == 0 {
        return Ok(0);
    }
    wrapper.offset.checked_sub(last).filter(|base| *base >= 0).ok_or_else(|| {
        RecordError::invalid(format!("the last message inside of a wrapper at offset {} is at {last}", wrapper.offset))
    })
}
