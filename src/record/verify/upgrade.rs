//! Message sets of formats 0 and 1 into one v2 batch (Kafka's `LogValidator`, as of 3.9, the last
//! that took them).

use super::{RecordError, Verified, VerifyRules, check_size, next_size};
use crate::record::BatchBuilder;
use crate::record::compress::Codec;
use crate::record::faults::RecordFaults;
use crate::record::header::TimestampType;
use crate::record::legacy::{Message, expand_wrapper, take_message};

/// Checks the messages and converts them. Those after the last whole one are ignored.
pub fn verify_messages(bytes: &[u8], rules: &VerifyRules) -> Result<Verified, RecordError> {
    let outer = outer_messages(bytes, rules)?;
    let first = *outer.first().ok_or_else(|| RecordError::invalid("a message set without a whole message"))?;
    if let Some(other) = outer.iter().find(|message| message.magic != first.magic) {
        return Err(RecordError::invalid(format!(
            "a message of magic {} stands among those of magic {}",
            other.magic, first.magic
        )));
    }
    let codec = first.codec()?;
    let mut upgrade = Upgrade::new(codec, rules);
    if codec == Codec::None {
        for message in &outer {
            upgrade.take(message, message.timestamp_type());
        }
    } else {
        upgrade.take_wrapped(&first, codec)?;
    }
    upgrade.finish()
}

/// The messages as they stand, wrappers unopened. A wrapper must be the only one.
fn outer_messages<'a>(mut bytes: &'a [u8], rules: &VerifyRules) -> Result<Vec<Message<'a>>, RecordError> {
    let mut outer = Vec::new();
    let mut compressed = false;
    while let Some(size) = next_size(bytes)? {
        check_size(size, rules)?;
        let Some(message) = take_message(&mut bytes)? else { break };
        compressed |= message.codec()? != Codec::None;
        if compressed && !outer.is_empty() {
            return Err(RecordError::invalid("a compressed message must be the only one of its partition"));
        }
        outer.push(message);
    }
    Ok(outer)
}

struct Upgrade<'a> {
    rules: &'a VerifyRules,
    builder: BatchBuilder,
    index: i32,
    faults: Option<RecordFaults>,
}

impl<'a> Upgrade<'a> {
    fn new(codec: Codec, rules: &'a VerifyRules) -> Upgrade<'a> {
        let (codec, level) = rules.target.unwrap_or((codec, None));
        let mut builder = BatchBuilder::new(codec).level(level);
        if rules.timestamp_type == TimestampType::LogAppendTime {
            builder = builder.log_append_time(rules.now);
        }
        Upgrade { rules, builder, index: 0, faults: None }
    }

    fn take_wrapped(&mut self, wrapper: &Message<'_>, codec: Codec) -> Result<(), RecordError> {
        let plain =
            expand_wrapper(wrapper, codec, self.rules.expansion_limit(wrapper.value.map_or(0, <[u8]>::len), true))?;
        let mut rest = plain.as_slice();
        let mut left = rest.len();
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
            self.take(&message, wrapper.timestamp_type());
        }
        if self.index == 0 {
            return Err(RecordError::invalid("a compressed message without messages inside"));
        }
        Ok(())
    }

    fn take(&mut self, message: &Message<'_>, sent: TimestampType) {
        let fault = self.rules.fault(message.key.is_some(), sent, message.offset, message.timestamp);
        match fault {
            Some(fault) => RecordFaults::add(&mut self.faults, self.index, fault),
            None => self.builder.append(message.timestamp, message.key, message.value, &[]),
        }
        self.index += 1;
    }

    fn finish(self) -> Result<Verified, RecordError> {
        if let Some(faults) = self.faults {
            return Err(RecordError::Records(faults));
        }
        let verified = self.builder.build()?;
        check_size(verified.bytes().len(), self.rules)?;
        Ok(verified)
    }
}
