//! A batch that is being filled, sent or retried.

use std::time::Duration;

use bytes::Bytes;

use super::error::SendError;
use ottla_wire::codec::varint::varint_len;
use ottla_wire::record::{self, BATCH_OVERHEAD, BatchBuilder, Codec, Record, RecordError, Verified};
use ottla_wire::types::{PartitionIndex, ProducerIdEpoch, TimestampMs};

/// The maximum size of a record without its key, value and headers
/// (`org.apache.kafka.common.record.DefaultRecord.MAX_RECORD_OVERHEAD`).
const MAX_RECORD_OVERHEAD: usize = 21;

/// A header's key and value.
pub type RecordHeader<'a> = (&'a [u8], Option<&'a [u8]>);

/// A record to send.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewRecord<'a> {
    pub topic: &'a str,
    /// If `None`, the partition is chosen by the key, or by the sticky partitioner for a record without a key.
    pub partition: Option<PartitionIndex>,
    /// The current time if `None`.
    pub timestamp: Option<TimestampMs>,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: &'a [RecordHeader<'a>],
}

impl NewRecord<'_> {
    /// The maximum size of a batch with only this record, which Kafka compares with `max.request.size`.
    pub fn size_upper_bound(&self) -> usize {
        let field = |bytes: Option<&[u8]>| bytes.map_or(1, |bytes| varint_len(bytes.len() as i32) + bytes.len());
        let headers: usize = self.headers.iter().map(|(key, value)| field(Some(key)) + field(*value)).sum();
        let headers = headers + varint_len(self.headers.len() as i32);
        BATCH_OVERHEAD + MAX_RECORD_OVERHEAD + field(self.key) + field(self.value) + headers
    }
}

/// A batch that isn't delivered yet, with a token for each record: a value of the caller that identifies the record.
pub struct Batch<T> {
    state: State,
    pub tokens: Vec<T>,
    /// When its first record was appended, on the producer's clock.
    pub created: Duration,
    /// How often it was sent.
    pub attempts: u32,
    /// Its share of `buffer.memory`, in bytes.
    pub reserved: usize,
    /// The producer id and the sequence number of its first record, once it was sent by an idempotent producer.
    pub sequence: Option<(ProducerIdEpoch, i32)>,
}

enum State {
    Filling(BatchBuilder),
    Built(Verified),
    /// Building it failed.
    Broken,
}

impl<T> Batch<T> {
    pub fn new(builder: BatchBuilder, created: Duration, reserved: usize) -> Batch<T> {
        let state = State::Filling(builder);
        Batch { state, tokens: Vec::new(), created, attempts: 0, reserved, sequence: None }
    }

    /// Appends a record; `false` if the batch is built already.
    pub fn append(&mut self, record: &NewRecord<'_>, timestamp: TimestampMs, token: T) -> bool {
        let State::Filling(builder) = &mut self.state else { return false };
        builder.append(timestamp, record.key, record.value, record.headers);
        self.tokens.push(token);
        true
    }

    /// The uncompressed size while it is filled; the final size once it is built. In bytes.
    pub fn size(&self) -> usize {
        match &self.state {
            State::Filling(builder) => builder.uncompressed_size(),
            State::Built(batch) => batch.bytes().len(),
            State::Broken => 0,
        }
    }

    /// Builds the batch with this producer id and base sequence, and returns its bytes.
    pub fn bytes(&mut self, sequence: Option<(ProducerIdEpoch, i32)>) -> Result<Bytes, SendError> {
        let built = match std::mem::replace(&mut self.state, State::Broken) {
            State::Filling(builder) => match sequence {
                Some((producer, base)) => builder.producer(producer, base).build(),
                None => builder.build(),
            },
            State::Built(batch) => match sequence {
                Some((producer, base)) if self.sequence != sequence => batch.with_producer(producer, base),
                _ => Ok(batch),
            },
            State::Broken => Err(RecordError::invalid("the batch could not be built")),
        };
        let built = built.map_err(|error| SendError::Broken(error.to_string()))?;
        let bytes = built.bytes().clone();
        self.state = State::Built(built);
        self.sequence = sequence;
        Ok(bytes)
    }

    /// Moves the second half of its records to a new batch; both keep their sequence numbers. Returns `None` and changes
    /// nothing if the batch can't be split.
    pub fn split(&mut self, codec: Codec, level: Option<i32>) -> Option<Batch<T>> {
        let State::Built(built) = &self.state else { return None };
        let transactional = built.header().is_transactional();
        let records = record::Batch::parse(built.bytes()).ok()?.records().collect::<Result<Vec<_>, _>>().ok()?;
        let middle = records.len() / 2;
        let (first, second) = records.split_at(middle);
        let build = |records: &[Record]| {
            let mut builder = BatchBuilder::new(codec).level(level);
            if transactional {
                builder = builder.transactional();
            }
            for record in records {
                let headers: Vec<RecordHeader<'_>> =
                    record.headers.iter().map(|header| (&*header.key, header.value.as_deref())).collect();
                builder.append(record.timestamp, record.key.as_deref(), record.value.as_deref(), &headers);
            }
            State::Filling(builder)
        };
        let (first, second) = (build(first), build(second));
        self.state = first;
        Some(Batch {
            state: second,
            tokens: self.tokens.split_off(middle),
            created: self.created,
            attempts: self.attempts,
            // The memory stays reserved by the first half until that is delivered.
            reserved: 0,
            sequence: self.sequence.map(|(producer, base)| (producer, sequence_after(base, middle))),
        })
    }
}

/// Adds a number of records to a sequence number, which wraps to 0 after `i32::MAX`.
pub fn sequence_after(base: i32, records: usize) -> i32 {
    ((i64::from(base) + records as i64) & i64::from(i32::MAX)) as i32
}
