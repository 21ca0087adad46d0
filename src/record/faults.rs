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
    /// Its timestamp is outside of `message.timestamp.before.max.ms` and `message.timestamp.after.max.ms`.
    OutOfRange { offset: Offset, timestamp: TimestampMs, earliest: TimestampMs, latest: TimestampMs },
    /// Its batch claims `LogAppendTime`, which is the broker's to give.
    ClaimsAppendTime { offset: Offset },
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
    const MAX_TOLD: usize = 3;

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

    /// For the response's `error_message`.
    pub fn message(&self, partition: &TopicPartition) -> String {
        if self.any_time {
            return "One or more records have been rejected due to invalid timestamp".to_owned();
        }
        let told = self.listed.iter().take(RecordFaults::MAX_TOLD).map(|record| {
            format!("RecordError(batchIndex={}, message='{}')", record.batch_index, record.message(partition))
        });
        format!(
            "{self} in total, and only showing the first three errors at most: [{}]",
            told.collect::<Vec<_>>().join(", ")
        )
    }
}

impl fmt::Display for RecordFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "One or more records have been rejected due to {} record errors", self.total)
    }
}

impl RecordFault {
    /// For the response's `record_errors`.
    pub fn message(&self, partition: &TopicPartition) -> String {
        match self.fault {
            Fault::NoKey => format!("Compacted topic cannot accept message without key in topic partition {partition}"),
            Fault::OutOfRange { offset, timestamp, earliest, latest } => format!(
                "Timestamp {timestamp} of message with offset {offset} is out of range. The timestamp should be \
                 within [{earliest}, {latest}]"
            ),
            Fault::ClaimsAppendTime { offset } => format!(
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
        let message = faults(&[claim]).message(&TopicPartition::new("t", 0));
        assert_eq!(message, "One or more records have been rejected due to invalid timestamp");
    }

    #[test]
    fn few_of_very_many_are_listed() {
        let many = faults(&[Fault::NoKey; 2000]);
        assert_eq!(many.listed().len(), RecordFaults::MAX_LISTED);
        assert!(many.to_string().contains("2000 record errors"));
    }
}
