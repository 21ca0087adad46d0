//! Faults of single records of a batch (KIP-467), with Kafka's texts.

use std::fmt;

use crate::types::{Offset, TimestampMs, TopicPartition};

/// The faulty records for which a batch was rejected. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordFaults {
    total: usize,
    any_time: bool,
    listed: Vec<RecordFault>,
}

/// One faulty record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordFault {
    /// The record's index in the batch, from 0.
    pub batch_index: i32,
    pub fault: Fault,
}

/// The fault of a record. Offsets are the client's: relative to the batch in format 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It has no key, which compaction requires.
    NoKey,
    /// Its timestamp is outside of the range that a topic setting allows.
    OutOfRange { offset: Offset, timestamp: TimestampMs, earliest: TimestampMs, latest: TimestampMs, limit: TimeLimit },
    /// Its batch has the timestamp type `LogAppendTime`, which only the broker may set.
    ClaimsAppendTime { offset: Offset },
    /// A [`RecordCheck`](super::RecordCheck) refuses it, for this reason.
    Refused(Box<str>),
}

/// The setting that a timestamp violates: `message.timestamp.before.max.ms` or `message.timestamp.after.max.ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeLimit {
    pub setting: &'static str,
    pub ms: i64,
}

impl Fault {
    fn is_of_time(&self) -> bool {
        matches!(self, Fault::OutOfRange { .. } | Fault::ClaimsAppendTime { .. })
    }
}

impl RecordFaults {
    /// Limit of listed records, so that a small request can't cause a huge response.
    pub const MAX_LISTED: usize = 512;
    /// Limit of records in the error message.
    const MAX_IN_MESSAGE: usize = 3;

    /// Adds a fault; `faults` is `None` before the first one.
    #[cold]
    pub(super) fn add(faults: &mut Option<RecordFaults>, batch_index: i32, fault: Fault) {
        let faults = faults.get_or_insert(RecordFaults { total: 0, any_time: false, listed: Vec::new() });
        faults.total += 1;
        faults.any_time |= fault.is_of_time();
        if faults.listed.len() < RecordFaults::MAX_LISTED {
            faults.listed.push(RecordFault { batch_index, fault });
        }
    }

    /// Whether a timestamp is faulty: the error code is INVALID_TIMESTAMP then, else INVALID_RECORD.
    pub fn any_time(&self) -> bool {
        self.any_time
    }

    /// The first [`RecordFaults::MAX_LISTED`] faulty records, in order.
    pub fn listed(&self) -> &[RecordFault] {
        &self.listed
    }

    /// The text for the response's `error_message`: Kafka's sentence, and for timestamps the faults of single records as well,
    /// because many clients show only this message.
    pub fn message(&self, partition: &TopicPartition) -> String {
        if self.any_time {
            let of_time = self.listed.iter().filter(|record| record.fault.is_of_time());
            let shown = of_time.take(RecordFaults::MAX_IN_MESSAGE).map(|record| record.message(partition));
            return format!(
                "One or more records have been rejected due to invalid timestamp: {}",
                shown.collect::<Vec<_>>().join("; ")
            );
        }
        let shown = self.listed.iter().take(RecordFaults::MAX_IN_MESSAGE).map(|record| {
            format!("RecordError(batchIndex={}, message='{}')", record.batch_index, record.message(partition))
        });
        format!(
            "One or more records have been rejected due to {} record errors in total, and only showing the first three \
             errors at most: [{}]",
            self.total,
            shown.collect::<Vec<_>>().join(", ")
        )
    }
}

/// The text for the log: the number of faulty records, and the first fault.
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
    /// The text for the response's `record_errors`.
    pub fn message(&self, partition: &TopicPartition) -> String {
        match &self.fault {
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
            Fault::Refused(reason) => f.write_str(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(found: &[Fault]) -> RecordFaults {
        let mut faults = None;
        for (index, fault) in found.iter().enumerate() {
            RecordFaults::add(&mut faults, index as i32, fault.clone());
        }
        faults.expect("a fault")
    }

    #[test]
    fn message_contains_three_faults() {
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
        assert_eq!(faults(&vec![Fault::NoKey; 4]).message(&partition), expect);
    }

    #[test]
    fn timestamp_fault_takes_precedence() {
        let claim = Fault::ClaimsAppendTime { offset: 1 };
        assert!(!faults(&[Fault::NoKey]).any_time());
        assert!(faults(&[Fault::NoKey, claim.clone(), Fault::NoKey]).any_time());
        let message = faults(&[Fault::NoKey, Fault::NoKey, Fault::NoKey, claim]).message(&TopicPartition::new("t", 0));
        let expect = "One or more records have been rejected due to invalid timestamp: Invalid timestamp type in message \
                      with offset 1. Producer should not set timestamp type to LogAppendTime.";
        assert_eq!(message, expect);
    }

    #[test]
    fn timestamp_out_of_range_is_reported_with_its_limit() {
        let limit = TimeLimit { setting: "message.timestamp.after.max.ms", ms: 1000 };
        let fault = Fault::OutOfRange { offset: 4, timestamp: 90_001, earliest: -5, latest: 2000, limit };
        let text = "Timestamp 90001 of message with offset 4 is out of range. The timestamp should be within [-5, 2000] \
                    (message.timestamp.after.max.ms=1000)";
        let found = faults(&[fault]);
        assert_eq!(found.listed()[0].message(&TopicPartition::new("t", 0)), text);
        assert!(found.message(&TopicPartition::new("t", 0)).ends_with(text));
        assert_eq!(found.to_string(), format!("1 invalid record, the first at index 0: {text}"));
    }

    #[test]
    fn number_of_listed_faults_is_limited() {
        let many = faults(&vec![Fault::NoKey; 2000]);
        assert_eq!(many.listed().len(), RecordFaults::MAX_LISTED);
        assert!(many.to_string().starts_with("2000 invalid records, the first at index 0: "));
    }
}
