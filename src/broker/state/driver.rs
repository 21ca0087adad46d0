//! The driver of every state machine: decide → append → apply → reply.
//!
//! Invariant: a machine's durable state is the replay of its log. Records are appended before they are applied, and
//! replies are sent after that; recovery calls the same `replay`. Decide → append → apply is serial: the caller holds
//! the driver's lock during each call.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;
use tokio::sync::oneshot;

use super::partition::{Isolation, Partition, PartitionError};
use ottla_core::machine::{Effects, Machine, Outcome, RecordMeta, ReplyTo};
use ottla_log::Origin;
use ottla_wire::record::control::ControlType;
use ottla_wire::record::{Batch, BatchBuilder, Codec, RecordError, batches};
use ottla_wire::types::{Now, Offset, ProducerIdEpoch};

/// Bytes read at a time when a log is replayed.
const REPLAY_READ: usize = 1 << 20;

/// Turns a machine's records into a log's keys and values, and back.
pub trait RecordSerde<Record> {
    /// Whether loading skips a batch with a wrong checksum, whose records are lost then, instead of failing.
    const SKIP_CORRUPT_BATCHES: bool;

    fn encode(record: &Record) -> Result<(Option<Bytes>, Option<Bytes>), String>;
    /// Splits one decision's records into batches. More than one batch must be a transaction in the log, so that a
    /// crash between them undoes all.
    fn batches(records: Vec<Record>) -> Result<Vec<Vec<Record>>, String> {
        Ok(vec![records])
    }
    /// `None` for a record that this machine ignores.
    fn decode(key: Option<Bytes>, value: Option<Bytes>) -> Result<Option<Record>, String>;
}

/// Why a machine could not be loaded, or a decision not be appended.
#[derive(Debug, Error)]
pub enum DriveError {
    #[error("{0}")]
    Partition(#[from] PartitionError),
    #[error("record at offset {offset} cannot be read: {reason}")]
    Unreadable { offset: Offset, reason: String },
    #[error("batch cannot be read: {0}")]
    Batch(#[from] RecordError),
    #[error("record cannot be written: {0}")]
    Unwritable(String),
}

/// A machine, its log, and the receivers of its replies.
pub struct Driver<M: Machine, F> {
    machine: M,
    partition: Arc<Partition>,
    waiting: HashMap<ReplyTo, oneshot::Sender<M::Reply>>,
    next_reply: u64,
    /// The compression of new batches.
    codec: Codec,
    serde: std::marker::PhantomData<F>,
}

/// An applied decision. Its replies may be sent once the log is synced up to `appended_to`.
#[must_use = "replies are sent by `Committed::release`"]
pub struct Committed<Reply> {
    replies: Vec<(oneshot::Sender<Reply>, Reply)>,
    /// The end offset of the appended records, if there were any.
    pub appended_to: Option<Offset>,
}

/// A running command: the receiver of its reply, and the decision to release now.
pub type Running<Reply> = (oneshot::Receiver<Reply>, Committed<Reply>);

impl<Reply> Committed<Reply> {
    /// Sends the replies. A dropped receiver is not an error: its client disconnected.
    pub fn release(self) {
        for (to, reply) in self.replies {
            let _ = to.send(reply);
        }
    }
}

impl<M: Machine, F: RecordSerde<M::Record>> Driver<M, F> {
    /// Replays the whole log into the machine.
    pub fn load(machine: M, partition: Arc<Partition>, now: Now) -> Result<Self, DriveError> {
        let from = partition.offsets()?.start;
        Driver::load_from(machine, partition, from, now)
    }

    /// Replays the log from `from` into a machine that already has the state up to there.
    pub fn load_from(machine: M, partition: Arc<Partition>, from: Offset, now: Now) -> Result<Self, DriveError> {
        let mut driver = Driver {
            machine,
            partition,
            waiting: HashMap::new(),
            next_reply: 0,
            codec: Codec::None,
            serde: std::marker::PhantomData,
        };
        driver.replay_log(from)?;
        driver.machine.recovered(now);
        Ok(driver)
    }

    /// Sets the compression of new batches. Existing ones are read with any.
    pub fn compress_with(mut self, codec: Codec) -> Self {
        self.codec = codec;
        self
    }

    /// The machine, for its queries.
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// When the machine's next timer is due, on the monotonic clock.
    pub fn poll_timeout(&self) -> Option<std::time::Duration> {
        self.machine.poll_timeout()
    }

    /// The log's partition.
    pub fn partition(&self) -> &Arc<Partition> {
        &self.partition
    }

    /// Runs one command. The reply arrives at the receiver once it is released, perhaps much later (a parked join).
    ///
    /// # Errors
    /// If the decision could not be appended. The machine is then ahead of its log and must be dropped; its waiting
    /// receivers get no reply.
    pub fn run(&mut self, now: Now, command: M::Command) -> Result<Running<M::Reply>, DriveError> {
        let (sender, receiver) = oneshot::channel();
        let to = ReplyTo(self.next_reply);
        self.next_reply += 1;
        self.waiting.insert(to, sender);
        let effects = self.machine.handle(now, to, command);
        Ok((receiver, self.commit(now, effects)?))
    }

    /// Runs the timers that are due.
    pub fn run_timeouts(&mut self, now: Now) -> Result<Committed<M::Reply>, DriveError> {
        let effects = self.machine.handle_timeout(now);
        self.commit(now, effects)
    }

    fn commit(&mut self, now: Now, effects: Effects<M::Record, M::Reply>) -> Result<Committed<M::Reply>, DriveError> {
        let Effects { records, replies } = effects;
        let replies = replies.into_iter().filter_map(|(to, reply)| Some((self.waiting.remove(&to)?, reply))).collect();
        let appended_to = match records.is_empty() {
            true => None,
            // On failure `replies` is dropped, which closes the channels: the receivers see that.
            false => Some(self.append_and_apply(now, records)?),
        };
        Ok(Committed { replies, appended_to })
    }

    fn append_and_apply(&mut self, now: Now, records: Vec<M::Record>) -> Result<Offset, DriveError> {
        let mut end = 0;
        for records in F::batches(records).map_err(DriveError::Unwritable)? {
            let mut batch = BatchBuilder::new(self.codec);
            for record in &records {
                let (key, value) = F::encode(record).map_err(DriveError::Unwritable)?;
                batch.append(now.wall, key.as_deref(), value.as_deref(), &[]);
            }
            let appended = self.partition.append(&batch.build()?, Origin::Coordinator, now.wall)?;
            for (offset, record) in (appended.base_offset..).zip(&records) {
                let meta = RecordMeta { offset, timestamp: now.wall, producer: ProducerIdEpoch::NONE };
                self.machine.replay(meta, record);
            }
            end = appended.last_offset + 1;
        }
        Ok(end)
    }

    fn replay_log(&mut self, mut from: Offset) -> Result<(), DriveError> {
        let offsets = self.partition.offsets()?;
        while from < offsets.end {
            let slice = self.partition.read_copied(from, REPLAY_READ, true, Isolation::ReadUncommitted)?.slice;
            if slice.bytes.is_empty() {
                break;
            }
            for batch in batches(&slice.bytes) {
                let batch = batch?;
                from = batch.header().next_offset();
                match batch.check_crc() {
                    Ok(()) => self.replay_batch(&batch)?,
                    Err(error) if F::SKIP_CORRUPT_BATCHES => {
                        let offset = batch.header().base_offset;
                        let partition = self.partition.id();
                        tracing::error!(%partition, offset, %error, "skipped corrupt batch; its records are lost");
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    fn replay_batch(&mut self, batch: &Batch) -> Result<(), DriveError> {
        let header = batch.header();
        let producer = ProducerIdEpoch { producer_id: header.producer_id, epoch: header.producer_epoch };
        for record in batch.records() {
            let record = record?;
            if header.is_control() {
                match record.key.as_deref().map(ControlType::from_key).transpose()?.flatten() {
                    Some(ControlType::Commit) => self.machine.replay_end_txn(producer, Outcome::Commit),
                    Some(ControlType::Abort) => self.machine.replay_end_txn(producer, Outcome::Abort),
                    _ => {}
                }
                continue;
            }
            let meta = RecordMeta { offset: record.offset, timestamp: record.timestamp, producer };
            let decoded = F::decode(record.key, record.value)
                .map_err(|reason| DriveError::Unreadable { offset: meta.offset, reason })?;
            if let Some(decoded) = decoded {
                self.machine.replay(meta, &decoded);
            }
        }
        Ok(())
    }
}
