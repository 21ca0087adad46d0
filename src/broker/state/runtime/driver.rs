//! The driver of every state machine: decide → append → apply → actions and replies.
//!
//! Invariant: a machine's durable state is the replay of its log. Records are appended before they are applied, and
//! actions and replies follow after that; recovery calls the same `replay`. Decide → append → apply is serial: the caller
//! holds the driver's lock during each call.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;
use tokio::sync::oneshot;

use crate::state::partition::{Isolation, Partition, PartitionError};
use ottla_core::machine::{EffectsOf, Outcome, RecordMeta, ReplyTo, StateMachine};
use ottla_core::metadata::ImageDelta;
use ottla_log::{Origin, TxnVerification};
use ottla_wire::record::control::ControlType;
use ottla_wire::record::{Batch, BatchBuilder, Codec, RecordError, Verified, batches};
use ottla_wire::types::{NO_PRODUCER_ID, Now, Offset, ProducerIdEpoch};

/// Bytes read at a time when a log is replayed.
const REPLAY_READ: usize = 1 << 20;
/// The sequence number of each transactional batch, as in Kafka. Those of a coordinator are not checked.
const SEQUENCE: i32 = 0;

/// A state machine whose records have a form in a log.
pub trait LoggedMachine: StateMachine {
    /// Whether loading skips a batch with a wrong checksum, whose records are lost then, instead of failing.
    const SKIP_CORRUPT_BATCHES: bool;
    /// Whether decisions change nothing before their records are applied, volatile state included: then a decision that
    /// cannot be appended leaves the machine in order.
    const DECIDES_WITHOUT_CHANGES: bool;

    /// The record's key and value.
    fn encode(record: &Self::Record) -> Result<(Option<Bytes>, Option<Bytes>), String>;
    /// Splits one decision's records into batches. More than one batch must be a transaction in the log, so that a crash
    /// between them undoes all.
    fn batches(records: Vec<Self::Record>) -> Result<Vec<Vec<Self::Record>>, String> {
        Ok(vec![records])
    }
    /// `None` for a record that this machine ignores.
    fn decode(key: Option<Bytes>, value: Option<Bytes>) -> Result<Option<Self::Record>, String>;
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
pub struct Driver<M: StateMachine> {
    machine: M,
    partition: Arc<Partition>,
    waiting: HashMap<ReplyTo, oneshot::Sender<M::Reply>>,
    next_reply: u64,
    /// The compression of new batches. Existing ones are read with any.
    codec: Codec,
    /// The end offset of the last applied record.
    applied_to: Offset,
}

/// An applied decision. Its actions and replies may follow once the log is synced up to `applied_to`.
#[must_use = "actions and replies are not lost only if the decision is released"]
pub struct Committed<M: StateMachine> {
    pub actions: Vec<M::Action>,
    replies: Vec<(oneshot::Sender<M::Reply>, M::Reply)>,
    /// The end offset of the records that the decision is based on, its own included: a reply without records of its own
    /// may repeat the result of an earlier decision, which must not be lost either.
    pub applied_to: Offset,
}

impl<M: StateMachine> Committed<M> {
    /// Sends the replies. A dropped receiver is not an error: its client disconnected.
    pub fn reply(self) {
        for (to, reply) in self.replies {
            let _ = to.send(reply);
        }
    }
}

impl<M: StateMachine> Driver<M> {
    /// The machine, for its queries.
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// When the machine's next timer is due, on the monotonic clock.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.machine.poll_timeout()
    }

    /// The log's partition.
    pub fn partition(&self) -> &Arc<Partition> {
        &self.partition
    }
}

impl<M: LoggedMachine> Driver<M> {
    /// A machine over a log without records.
    pub fn empty(machine: M, partition: Arc<Partition>, codec: Codec) -> Self {
        Driver { machine, partition, waiting: HashMap::new(), next_reply: 0, codec, applied_to: 0 }
    }

    /// Replays the whole log into the machine. The caller then calls [`Driver::recovered`].
    pub fn load(machine: M, partition: Arc<Partition>, codec: Codec) -> Result<Self, DriveError> {
        let from = partition.offsets()?.start;
        Driver::load_from(machine, partition, from, codec)
    }

    /// Like [`Driver::load`], from an offset up to which the machine already has the state.
    pub fn load_from(machine: M, partition: Arc<Partition>, from: Offset, codec: Codec) -> Result<Self, DriveError> {
        let mut driver = Driver::empty(machine, partition, codec);
        driver.replay_log(from)?;
        Ok(driver)
    }

    /// Ends recovery.
    pub fn recovered(&mut self, now: Now) -> Result<Committed<M>, DriveError> {
        let effects = self.machine.recovered(now);
        self.commit(now, effects, TxnVerification::NotVerified)
    }

    /// Runs one command. `verification`: whether its records may begin a transaction in the log. The reply arrives at the receiver once it is released, perhaps much later (a parked join).
    ///
    /// # Errors
    /// If the decision could not be appended. The machine may then be ahead of its log and must be dropped; its waiting
    /// receivers get no reply.
    pub fn run(
        &mut self,
        now: Now,
        command: M::Command,
        verification: TxnVerification,
    ) -> Result<(oneshot::Receiver<M::Reply>, Committed<M>), DriveError> {
        let (sender, receiver) = oneshot::channel();
        let to = ReplyTo(self.next_reply);
        self.next_reply += 1;
        self.waiting.insert(to, sender);
        let effects = self.machine.handle(now, to, command);
        Ok((receiver, self.commit(now, effects, verification)?))
    }

    /// Runs the timers that are due. Errors as in [`Driver::run`].
    pub fn run_timeouts(&mut self, now: Now) -> Result<Committed<M>, DriveError> {
        let effects = self.machine.handle_timeout(now);
        self.commit(now, effects, TxnVerification::NotVerified)
    }

    /// Shows a change of the metadata to the machine. Errors as in [`Driver::run`].
    pub fn metadata_changed(&mut self, now: Now, delta: &ImageDelta) -> Result<Committed<M>, DriveError> {
        let effects = self.machine.metadata_changed(now, delta);
        self.commit(now, effects, TxnVerification::NotVerified)
    }

    /// Ends a producer's transaction in this log: appends the marker, then applies it. Returns the end offset.
    pub fn end_transaction(
        &mut self,
        now: Now,
        marker: &Verified,
        origin: Origin,
        producer: ProducerIdEpoch,
        outcome: Outcome,
    ) -> Result<Offset, DriveError> {
        let appended = self.partition.append(marker, origin, now.wall)?;
        self.machine.replay_end_txn(producer, outcome);
        self.applied_to = appended.last_offset + 1;
        Ok(self.applied_to)
    }

    fn commit(
        &mut self,
        now: Now,
        effects: EffectsOf<M>,
        verification: TxnVerification,
    ) -> Result<Committed<M>, DriveError> {
        if !effects.records.is_empty() {
            // On failure the senders of the replies are dropped with this machine: the receivers see that.
            self.append_and_apply(now, effects.records, effects.producer, verification)?;
        }
        let replies = effects.replies.into_iter();
        let replies = replies.filter_map(|(to, reply)| Some((self.waiting.remove(&to)?, reply))).collect();
        Ok(Committed { actions: effects.actions, replies, applied_to: self.applied_to })
    }

    fn append_and_apply(
        &mut self,
        now: Now,
        records: Vec<M::Record>,
        producer: ProducerIdEpoch,
        verification: TxnVerification,
    ) -> Result<(), DriveError> {
        for records in M::batches(records).map_err(DriveError::Unwritable)? {
            let mut batch = BatchBuilder::new(self.codec);
            if producer.producer_id != NO_PRODUCER_ID {
                batch = batch.producer(producer, SEQUENCE).transactional();
            }
            for record in &records {
                let (key, value) = M::encode(record).map_err(DriveError::Unwritable)?;
                batch.append(now.wall, key.as_deref(), value.as_deref(), &[]);
            }
            let batch = batch.build()?;
            let appended = self.partition.append_verified(&batch, Origin::Coordinator, verification, now.wall)?;
            for (offset, record) in (appended.base_offset..).zip(&records) {
                self.machine.replay(RecordMeta { offset, timestamp: now.wall, producer }, record);
            }
            self.applied_to = appended.last_offset + 1;
        }
        Ok(())
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
                self.applied_to = from;
                match batch.check_crc() {
                    Ok(()) => self.replay_batch(&batch)?,
                    Err(error) if M::SKIP_CORRUPT_BATCHES => {
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
            let decoded = M::decode(record.key, record.value)
                .map_err(|reason| DriveError::Unreadable { offset: meta.offset, reason })?;
            if let Some(decoded) = decoded {
                self.machine.replay(meta, &decoded);
            }
        }
        Ok(())
    }
}
