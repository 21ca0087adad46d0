//! Conversion of message sets of formats 0 and 1 to v2 batches: the rules of Kafka 0.8 to 0.10, whose brokers served
//! Produce 0 to 2 (`ByteBufferMessageSet.validateMessagesAndAssignOffsets`), and of Kafka up to 2.3, which converted in the
//! same way (`LogValidator`).
//!
//! A set may mix plain messages with any number of compressed wrappers, of both formats and of several codecs; the stored
//! batch has the codec of the last wrapper. Offsets are assigned again. Kafka 2.4 to 3.9 accepted only one wrapper, or
//! messages of one format.
//!
//! In old logs `max.message.bytes` limited each message, so plain messages become as many batches as this limit needs.

use super::{RecordCheck, RecordError, Verified, VerifiedSet, VerifyRules, check_size, next_size};
use crate::record::BatchBuilder;
use crate::record::compress::Codec;
use crate::record::faults::{Fault, RecordFaults};
use crate::record::header::TimestampType;
use crate::record::legacy::{Message, expand_wrapper, take_message};
use crate::record::parse::RawRecord;

/// Checks and converts the messages. An incomplete last message is ignored.
pub fn verify_messages(
    bytes: &[u8],
    rules: &VerifyRules,
    check: Option<&mut dyn RecordCheck>,
) -> Result<VerifiedSet, RecordError> {
    let set = MessageSet::read(bytes, rules)?;
    let mut upgrade = Upgrade::new(&set, rules, check);
    for message in &set.messages {
        match message.codec()? {
            Codec::None => upgrade.take(message, message.timestamp_type())?,
            codec => upgrade.take_wrapped(message, codec)?,
        }
    }
    upgrade.finish()
}

/// The messages as sent, with wrappers not expanded.
struct MessageSet<'a> {
    messages: Vec<Message<'a>>,
    /// The codec of the last wrapper.
    codec: Codec,
    /// The compressed size of all wrappers, in bytes.
    compressed: usize,
}

impl<'a> MessageSet<'a> {
    fn read(mut bytes: &'a [u8], rules: &VerifyRules) -> Result<MessageSet<'a>, RecordError> {
        let mut set = MessageSet { messages: Vec::new(), codec: Codec::None, compressed: 0 };
        while let Some(size) = next_size(bytes)? {
            check_size(size, rules)?;
            let Some(message) = take_message(&mut bytes)? else { break };
            let codec = message.codec()?;
            if codec != Codec::None {
                set.codec = codec;
                set.compressed += message.value.map_or(0, <[u8]>::len);
            }
            set.messages.push(message);
        }
        Ok(set)
    }
}

struct Upgrade<'a, 'c> {
    rules: &'a VerifyRules,
    check: Option<&'c mut dyn RecordCheck>,
    /// The compressed size of all wrappers, the limit of their expansion, and what is left of it; in bytes.
    compressed: usize,
    expansion_limit: usize,
    expansion_left: usize,
    /// Whether the messages may be split into several batches.
    splits: bool,
    /// The template of a batch.
    empty: BatchBuilder,
    done: Vec<Verified>,
    builder: BatchBuilder,
    index: i32,
    faults: Option<RecordFaults>,
}

impl<'a, 'c> Upgrade<'a, 'c> {
    fn new(set: &MessageSet<'_>, rules: &'a VerifyRules, check: Option<&'c mut dyn RecordCheck>) -> Upgrade<'a, 'c> {
        let (codec, level) = rules.target_codec.unwrap_or((set.codec, None));
        let mut empty = BatchBuilder::new(codec).level(level);
        if rules.timestamp_type == TimestampType::LogAppendTime {
            empty = empty.log_append_time(rules.now);
        }
        let expansion_limit = rules.expansion_limit(set.compressed, true);
        Upgrade {
            rules,
            check,
            compressed: set.compressed,
            expansion_limit,
            expansion_left: expansion_limit,
            splits: set.codec == Codec::None && codec == Codec::None,
            builder: empty.clone(),
            empty,
            done: Vec::new(),
            index: 0,
            faults: None,
        }
    }

    fn take_wrapped(&mut self, wrapper: &Message<'_>, codec: Codec) -> Result<(), RecordError> {
        let plain = self.expand(wrapper, codec)?;
        let mut rest = plain.as_slice();
        let (mut left, begun_at) = (rest.len(), self.index);
        while let Some(mut message) = take_message(&mut rest)? {
            self.rules.check_record_size(left - rest.len())?;
            left = rest.len();
            if message.magic != wrapper.magic {
                return Err(RecordError::invalid(format!(
                    "a message of magic {} stands in a wrapper of magic {}",
                    message.magic, wrapper.magic
                )));
            }
            if message.codec()? != Codec::None {
                return Err(RecordError::invalid("a compressed message stands in a compressed message"));
            }
            if wrapper.timestamp_type() == TimestampType::LogAppendTime {
                message.timestamp = wrapper.timestamp;
            }
            self.take(&message, wrapper.timestamp_type())?;
        }
        match self.index > begun_at {
            true => Ok(()),
            false => Err(RecordError::invalid("a compressed message without messages inside")),
        }
    }

    /// Expands one wrapper. The wrappers of a set share one limit, which many small wrappers would otherwise bypass.
    fn expand(&mut self, wrapper: &Message<'_>, codec: Codec) -> Result<Vec<u8>, RecordError> {
        let plain = expand_wrapper(wrapper, codec, self.expansion_left).map_err(|error| match error {
            RecordError::ExpandsTooFar { .. } => {
                RecordError::ExpandsTooFar { compressed: self.compressed, limit: self.expansion_limit }
            }
            error => error,
        })?;
        self.expansion_left = self.expansion_left.saturating_sub(plain.len());
        Ok(plain)
    }

    fn take(&mut self, message: &Message<'_>, sent: TimestampType) -> Result<(), RecordError> {
        let fault = self.rules.fault(message.key.is_some(), sent, message.offset, message.timestamp);
        let record = RawRecord::without_headers(message.key, message.value);
        let refused = self.check.as_mut().and_then(|check| check.check(&record).err());
        match fault.or_else(|| refused.map(|reason| Fault::Refused(reason.into()))) {
            Some(fault) => RecordFaults::add(&mut self.faults, self.index, fault),
            None => {
                if self.splits && !self.fits(message) {
                    let full = std::mem::replace(&mut self.builder, self.empty.clone());
                    self.done.push(full.build()?);
                }
                self.builder.append(message.timestamp, message.key, message.value, &[]);
            }
        }
        self.index += 1;
        Ok(())
    }

    /// Whether the open batch has room for another message within `max.message.bytes`.
    fn fits(&self, message: &Message<'_>) -> bool {
        /// The maximum size of a v2 record without key and value: five lengths and deltas, attributes, no headers.
        const RECORD_OVERHEAD: usize = 5 + 1 + 10 + 5 + 5 + 5 + 1;
        let fields = message.key.map_or(0, <[u8]>::len) + message.value.map_or(0, <[u8]>::len);
        let size = self.builder.uncompressed_size() + RECORD_OVERHEAD + fields;
        self.builder.is_empty() || size <= self.rules.max_message_bytes
    }

    fn finish(self) -> Result<VerifiedSet, RecordError> {
        if let Some(faults) = self.faults {
            return Err(RecordError::Records(faults));
        }
        if self.index == 0 {
            return Err(RecordError::invalid("a message set without a whole message"));
        }
        let mut batches = self.done.into_iter().chain([self.builder.build()?]);
        let first = batches.next().ok_or_else(|| RecordError::invalid("a message set without a whole message"))?;
        let set = VerifiedSet { first, rest: batches.collect() };
        set.iter().try_for_each(|batch| check_size(batch.bytes().len(), self.rules))?;
        Ok(set)
    }
}

#[cfg(test)]
mod tests;
