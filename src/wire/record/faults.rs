//! What single records of a batch did wrong (KIP-467), in Kafka's words.

use std::fmt;

use crate::types::{Offset, TimestampMs, TopicPartition};

/// The records for which a batch was refused as a whole. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordFaults {
    total: usize,
    any_time: bool,
    listed: Vec<RecordFault>,
}

/// One record at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordFault {
    /// The record's place in the batch, from 0.
    pub batch_index: i32,
    pub fault: Fault,
}

/// What is wrong with a record. Offsets are the client's: from the batch's base in format 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It has no key, and compaction goes by keys.
    NoKey,
    /// Its timestamp is outside of the range that a setting of the topic gives.
    OutOfRange { offset: Offset, timestamp: TimestampMs, earliest: TimestampMs, latest: TimestampMs, limit: TimeLimit },
    /// Its batch claims `LogAppendTime`, which is the broker's to give.
    ClaimsAppendTime { offset: Offset },
}

/// The setting that a timestamp is beyond: `message.timestamp.before.max.ms` or `message.timestamp.after.max.ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeLimit {
    pub setting: &'static str,
    pub ms: i64,
}

impl Fault {
    fn is_of_time(self) -> bool {
        !matches!(self, Fault::NoKey)
    }
}

impl RecordFaults {
    /// How many records at fault are listed, so that a small request can't ask for a huge response.
    pub const MAX_LISTED: usize = 512;
    /// How many of them the message repeats.
    const MAX_IN_MESSAGE: usize = 3;

    /// Faults as they are found; `None` as long as there are none.
    #[cold]
    pub(super) fn add(faults: &mut Option<RecordFaults>, batch_index: i32, fault: Fault) {
        let faults = faults.get_or_insert(RecordFaults { total: 0, any_time: false, listed: Vec::new() });
        faults.total += 1;
        faults.any_time |= fault.is_of_time();
        if faults.listed.len() < RecordFaults::MAX_LISTED {
            faults.listed.push(RecordFault { batch_index, fault });
        }
    }

    /// Whether a timestamp is among the faults: the answer is INVALID_TIMESTAMP then, else INVALID_RECORD.
    pub fn any_time(&self) -> bool {
        self.any_time
    }

    /// The records at fault in their order, the first [`RecordFaults::MAX_LISTED`] of them.
    pub fn listed(&self) -> &[RecordFault] {
        &self.listed
    }

    /// For the response's `error_message`: Kafka's sentence, and for timestamps what it leaves to the single records,
    /// since many clients show this message alone.
    pub fn message(&self, partition: &TopicPartition) -> String {
        if self.any_time {
            let of_time = self.listed.iter().filter(|record| record.fault.is_of_time());
            let told = of_time.take(RecordFaults::MAX_IN_MESSAGE).map(|record| record.message(partition));
            return format!(
                "One or more records have been rejected due to invalid timestamp: {}",
                told.collect::<Vec<_>>().join("; ")
            );
        }
        let told = self.listed.iter().take(RecordFaults::MAX_IN_MESSAGE).map(|record| {
            format!("RecordError(batchIndex={}, message='{}')", record.batch_index, record.message(partition))
        });
        format!(
            "One or more records have been rejected due to {} record errors in total, and only showing the first three \
             errors at most: [{}]",
            self.total,
            told.collect::<Vec<_>>().join(", ")
        )
    }
}

/// For the log: how many, and what is wrong with the first.
impl fmt::Display for RecordFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} invalid {}", self.total, if self.total == 1 { "record" } else { "records" })?;
        match self.listed.first() {
            Some(first) => write!(f, ", the first at index {}: {}", first.batch_index, first.fault),
            None => Ok(()),
        }
    }
}

impl RecordFault {
    /// For the response's `record_errors`.
    pub fn message(&self, partition: &TopicPartition) -> String {
        match self.fault {
            Fault::NoKey => format!("{} in topic partition {partition}", self.fault),
            fault => fault.to_string(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::NoKey => f.write_str("Compacted topic cannot accept message without key"),
            Fault::OutOfRange { offset, timestamp, earliest, latest, limit: TimeLimit { setting, ms } } => write!(
                f,
                "Timestamp {timestamp} of message with offset {offset} is out of range. The timestamp should be \
                 within [{earliest}, {latest}] ({setting}={ms})"
            ),
            Fault::ClaimsAppendTime { offset } => write!(
                f,
                "Invalid timestamp type in message with offset {offset}. Producer should not set timestamp type to \
                 LogAppendTime."
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(found: &[Fault]) -> RecordFaults {
        let mut faults = None;
        for (index, fault) in found.iter().enumerate() {
            RecordFaults::add(&mut faults, index as i32, *fault);
        }
        faults.expect("a fault")
    }

    #[test]
    fn the_message_tells_three() {
        let partition = TopicPartition::new("t", 4);
        let one = |index| {
            let message = "Compacted topic cannot accept message without key in topic partition t-4";
            format!("RecordError(batchIndex={index}, message='{message}')")
        };
        let expect = format!(
            "One or more records have been rejected due to 4 record errors in total, and only showing the first three \
             errors at most: [{}, {}, {}]",
            one(0),
            one(1),
            one(2)
        );
        assert_eq!(faults(&[Fault::NoKey; 4]).message(&partition), expect);
    }

    #[test]
    fn a_wrong_time_outweighs() {
        let claim = Fault::ClaimsAppendTime { offset: 1 };
        assert!(!faults(&[Fault::NoKey]).any_time());
        assert!(faults(&[Fault::NoKey, claim, Fault::NoKey]).any_time());
        let message = faults(&[Fault::NoKey, Fault::NoKey, Fault::NoKey, claim]).message(&TopicPartition::new("t", 0));
        let expect = "One or more records have been rejected due to invalid timestamp: Invalid timestamp type in message \
                      with offset 1. Producer should not set timestamp type to LogAppendTime.";
        assert_eq!(message, expect);
    }

    #[test]
    fn timestamp_out_of_range_is_told_with_its_limit() {
        let limit = TimeLimit { setting: "message.timestamp.after.max.ms", ms: 1000 };
        let fault = Fault::OutOfRange { offset: 4, timestamp: 90_001, earliest: -5, latest: 2000, limit };
        let told = "Timestamp 90001 of message with offset 4 is out of range. The timestamp should be within [-5, 2000] \
                    (message.timestamp.after.max.ms=1000)";
        let found = faults(&[fault]);
        assert_eq!(found.listed()[0].message(&TopicPartition::new("t", 0)), told);
        assert!(found.message(&TopicPartition::new("t", 0)).ends_with(told));
        assert_eq!(found.to_string(), format!("1 invalid record, the first at index 0: {told}"));
    }

    #[test]
    fn few_of_very_many_are_listed() {
        let many = faults(&[Fault::NoKey; 2000]);
        assert_eq!(many.listed().len(), RecordFaults::MAX_LISTED);
        assert!(many.to_string().starts_with("2000 invalid records, the first at index 0: "));
    }
}
