//! The machine, its log and its clients. Records are encoded and decoded, as in a log. A crash keeps only the records.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::coordinator::records::{TransactionMetadata, TransactionRecord, ValueVersion};
use crate::coordinator::transaction::*;
use crate::coordinator::{Outcome, RecordMeta, ReplyTo, StateMachine, TransactionalId};
use crate::machine::{Command, EffectsOf};
use crate::metadata::features::TRANSACTION_VERSION;
use crate::metadata::records::{MetadataRecord, PartitionRecord, TopicRecord};
use crate::metadata::{Image, ImageDelta, MetadataConfig, MetadataMachine, feature_record};
use ottla_config::ReplicationFactorPolicy;
use ottla_wire::types::{Now, Offset, ProducerId, ProducerIdEpoch, Uuid};

pub const ID: &str = "pay";
/// Wall time at the start of a test.
pub const START: i64 = 1_700_000_000_000;
pub const TIMEOUT_MS: i32 = 60_000;
pub const HIGHEST_EPOCH: i16 = i16::MAX;

type Reply = Result<ProducerIdEpoch, TransactionError>;

pub struct TestCoordinator {
    pub machine: TransactionMachine,
    pub config: TransactionConfig,
    log: Vec<(RecordMeta, Bytes, Option<Bytes>)>,
    now: Duration,
    next_reply: u64,
    next_producer_id: ProducerId,
    /// The finalized `transaction.version`.
    pub level: i16,
    /// Actions that were not reported yet, oldest first.
    pub actions: Vec<WriteMarkers>,
}

pub fn producer(producer_id: ProducerId, epoch: i16) -> ProducerIdEpoch {
    ProducerIdEpoch { producer_id, epoch }
}

/// Partitions of topic `orders`.
pub fn orders(partitions: &[i32]) -> Vec<TopicPartition> {
    partitions.iter().map(|&partition| TopicPartition::new("orders", partition)).collect()
}

/// A state of [`ID`] with producer 10, as in a log.
pub fn metadata(state: TransactionState, epoch: i16) -> TransactionMetadata {
    let is_open = matches!(state, TransactionState::Ongoing) || state.is_prepared();
    TransactionMetadata {
        version: ValueVersion::V1,
        state,
        producer: producer(10, epoch),
        previous_producer_id: 10,
        next_producer_id: -1,
        next_producer_epoch: -1,
        timeout_ms: TIMEOUT_MS,
        partitions: if is_open { orders(&[0]).into_iter().collect() } else { Default::default() },
        last_update: START,
        start: if state == TransactionState::Empty { -1 } else { START },
        client_transaction_version: 0,
    }
}

impl TestCoordinator {
    /// A coordinator of `transaction.version` 2 without ids.
    pub fn new() -> TestCoordinator {
        TestCoordinator::at_level(2)
    }

    pub fn at_level(level: i16) -> TestCoordinator {
        TestCoordinator::with(TransactionConfig::default(), level)
    }

    pub fn with(config: TransactionConfig, level: i16) -> TestCoordinator {
        let machine = TransactionMachine::new(Arc::new(config.clone()));
        let mut coordinator = TestCoordinator {
            machine,
            config,
            log: Vec::new(),
            now: Duration::ZERO,
            next_reply: 0,
            next_producer_id: 1_000,
            level,
            actions: Vec::new(),
        };
        coordinator.crash();
        coordinator
    }

    /// A coordinator that has recovered this state of [`ID`].
    pub fn recovered(level: i16, metadata: TransactionMetadata) -> TestCoordinator {
        let mut coordinator = TestCoordinator::at_level(level);
        coordinator.recovers(ID, metadata);
        coordinator
    }

    /// Recovers with this state of an id at the end of the log.
    pub fn recovers(&mut self, id: &str, metadata: TransactionMetadata) {
        self.append(TransactionRecord { transactional_id: id.into(), value: Some(Arc::new(metadata)) });
        self.crash();
    }

    // Time, metadata and crashes.

    pub fn now(&self) -> Now {
        Now { monotonic: self.now, wall: START + self.now.as_millis() as i64 }
    }

    /// Advances time, and runs every timer that is due.
    pub fn wait(&mut self, ms: u64) -> &mut TestCoordinator {
        let target = self.now + Duration::from_millis(ms);
        while let Some(due) = self.machine.poll_timeout().filter(|&due| due <= target) {
            self.now = self.now.max(due);
            let effects = self.machine.handle_timeout(self.now());
            self.apply(effects);
        }
        self.now = target;
        self
    }

    /// Changes the finalized `transaction.version`.
    pub fn set_level(&mut self, level: i16) {
        self.level = level;
        self.metadata_changed(&ImageDelta::between(&Image::default(), &image(level, &[])));
    }

    pub fn metadata_changed(&mut self, delta: &ImageDelta) {
        let effects = self.machine.metadata_changed(self.now(), delta);
        self.apply(effects);
    }

    /// Crashes and restarts the broker. Only the log is left, and markers may or may not have been written.
    pub fn crash(&mut self) -> &mut TestCoordinator {
        self.machine = self.replayed();
        self.actions.clear();
        let effects = self.machine.recovered(self.now());
        self.apply(effects);
        self.set_level(self.level);
        self
    }

    /// A machine with the whole log, before the end of recovery.
    fn replayed(&self) -> TransactionMachine {
        let mut machine = TransactionMachine::new(Arc::new(self.config.clone()));
        for (at, key, value) in &self.log {
            machine.replay(*at, &TransactionRecord::decode(key, value.as_ref()).unwrap());
        }
        machine
    }

    /// Checks that a machine which recovers from the log has the state of this one.
    pub fn check_recovery(&self) {
        let recovered = self.replayed();
        assert_eq!(durable(&recovered), durable(&self.machine));
        assert_eq!((&recovered.ongoing, &recovered.idle), (&self.machine.ongoing, &self.machine.idle));
        assert_eq!(recovered.log_end, self.machine.log_end);
        for (id, entry) in &self.machine.ids {
            assert_eq!(entry.durable.state.is_prepared(), self.machine.pending_markers.contains_key(id), "{id}");
        }
    }

    /// The values of the records from `from` on; `None` for a tombstone.
    pub fn records(&self, from: usize) -> Vec<Option<TransactionMetadata>> {
        let decode = |(_, key, value): &(RecordMeta, Bytes, Option<Bytes>)| {
            TransactionRecord::decode(key, value.as_ref()).unwrap().value.map(|value| (*value).clone())
        };
        self.log[from..].iter().map(decode).collect()
    }

    pub fn log_len(&self) -> usize {
        self.log.len()
    }

    // The machine.

    /// Runs a command, and applies its effects.
    pub fn send<C: Command<Machine = TransactionMachine>>(&mut self, command: C) -> C::Reply {
        self.next_reply += 1;
        let to = ReplyTo(self.next_reply);
        let mut effects = self.machine.handle(self.now(), to, command.into());
        let replies = std::mem::take(&mut effects.replies);
        self.apply(effects);
        let [(replied, reply)] = <[_; 1]>::try_from(replies).expect("each command gets one reply");
        assert_eq!(replied, to);
        C::reply(reply).expect("the reply to this command")
    }

    fn apply(&mut self, effects: EffectsOf<TransactionMachine>) {
        assert_eq!(effects.producer, ProducerIdEpoch::NONE);
        for record in effects.records {
            self.append(record);
        }
        for TransactionAction::WriteMarkers(action) in effects.actions {
            assert!(!action.partitions.is_empty());
            self.actions.push(action);
        }
    }

    fn append(&mut self, record: TransactionRecord) {
        if let Some(before) = self.machine.ids.get(&record.transactional_id) {
            let next = record.value.as_ref().map_or(TransactionState::Dead, |value| value.state);
            assert!(may_become(before.durable.state, next), "{} to {next}", before.durable.state);
        }
        let (key, value) = record.encode().unwrap();
        assert_eq!(TransactionRecord::decode(&key, value.as_ref()).as_ref(), Ok(&record));
        let offset = self.log.len() as Offset;
        let at = RecordMeta { offset, timestamp: self.now().wall, producer: ProducerIdEpoch::NONE };
        self.log.push((at, key, value));
        self.machine.replay(at, &record);
    }

    // Clients.

    /// InitProducerId of [`ID`] by a new producer.
    pub fn init(&mut self) -> Reply {
        self.init_with(ID, TIMEOUT_MS, None)
    }

    pub fn continues(&mut self, expected: ProducerIdEpoch) -> Reply {
        self.init_with(ID, TIMEOUT_MS, Some(expected))
    }

    /// InitProducerId, as the runtime submits it: a second time with a producer id if it needs one.
    pub fn init_with(&mut self, id: &str, timeout_ms: i32, expected: Option<ProducerIdEpoch>) -> Reply {
        let request = InitProducerId { transactional_id: id.into(), timeout_ms, expected, fresh_producer_id: None };
        let reply = self.send(request.clone());
        if reply != Err(TransactionError::ProducerIdNeeded) {
            return reply;
        }
        let fresh_producer_id = Some(self.fresh_producer_id());
        self.send(InitProducerId { fresh_producer_id, ..request })
    }

    fn fresh_producer_id(&mut self) -> ProducerId {
        self.next_producer_id += 1;
        self.next_producer_id
    }

    /// Adds partitions of `orders` to the transaction of [`ID`].
    pub fn adds(&mut self, producer: ProducerIdEpoch, partitions: &[i32]) -> Result<(), TransactionError> {
        self.adds_to(ID, producer, partitions)
    }

    pub fn adds_to(&mut self, id: &str, producer: ProducerIdEpoch, partitions: &[i32]) -> Result<(), TransactionError> {
        self.add(add_partitions(id, producer, partitions, false))
    }

    /// Adds partitions by producing to them (protocol 2).
    pub fn produces(&mut self, producer: ProducerIdEpoch, partitions: &[i32]) -> Result<(), TransactionError> {
        let request = add_partitions(ID, producer, partitions, false);
        self.add(AddPartitions { client_transaction_version: 2, ..request })
    }

    fn add(&mut self, request: AddPartitions) -> Result<(), TransactionError> {
        let partitions = request.partitions.clone();
        let results = self.send(request)?;
        assert!(results.iter().all(|(_, result)| result.is_ok()));
        assert_eq!(results.into_iter().map(|(partition, _)| partition).collect::<Vec<_>>(), partitions);
        Ok(())
    }

    /// Verifies partitions of `orders`; the result says which ones are part of the transaction.
    pub fn verifies(&mut self, producer: ProducerIdEpoch, partitions: &[i32]) -> Result<Vec<i32>, TransactionError> {
        let before = self.log.len();
        let results = self.send(add_partitions(ID, producer, partitions, true))?;
        assert_eq!(self.log.len(), before);
        for (_, result) in &results {
            assert!(matches!(result, Ok(()) | Err(TransactionError::TransactionAbortable)));
        }
        Ok(results.into_iter().filter(|(_, result)| result.is_ok()).map(|(p, _)| p.partition).collect())
    }

    /// EndTxn of protocol 1.
    pub fn ends_1(&mut self, producer: ProducerIdEpoch, outcome: Outcome) -> Result<(), TransactionError> {
        self.ends_with(ID, producer, outcome, 0).map(|producer| assert_eq!(producer, ProducerIdEpoch::NONE))
    }

    /// EndTxn of protocol 2.
    pub fn ends_2(&mut self, producer: ProducerIdEpoch, outcome: Outcome) -> Reply {
        self.ends_with(ID, producer, outcome, 2)
    }

    /// EndTxn, as the runtime submits it: a second time with a producer id if it needs one.
    pub fn ends_with(
        &mut self,
        id: &str,
        producer: ProducerIdEpoch,
        outcome: Outcome,
        client_transaction_version: i16,
    ) -> Reply {
        let transactional_id = id.into();
        let request =
            EndTxn { transactional_id, producer, outcome, client_transaction_version, fresh_producer_id: None };
        let before = self.log.len();
        let reply = self.send(request.clone());
        if reply != Err(TransactionError::ProducerIdNeeded) {
            return reply;
        }
        assert_eq!(self.log.len(), before);
        let fresh_producer_id = Some(self.fresh_producer_id());
        self.send(EndTxn { fresh_producer_id, ..request })
    }

    // Markers.

    /// Writes the markers of all actions.
    pub fn writes_markers(&mut self) -> &mut TestCoordinator {
        for action in std::mem::take(&mut self.actions) {
            let partitions = action.partitions.clone();
            self.reports(&action, partitions);
        }
        self
    }

    /// Reports these partitions of an action.
    pub fn reports(&mut self, action: &WriteMarkers, partitions: Vec<TopicPartition>) {
        let WriteMarkers { transactional_id, position, .. } = action.clone();
        self.send(MarkersWritten { transactional_id, position, partitions });
    }

    /// The only action that was not reported.
    #[track_caller]
    pub fn action(&self) -> WriteMarkers {
        assert_eq!(self.actions.len(), 1);
        self.actions[0].clone()
    }

    // States.

    #[track_caller]
    pub fn current(&self) -> Arc<TransactionMetadata> {
        self.machine.ids.get(ID).expect("the id exists").durable.clone()
    }

    #[track_caller]
    pub fn state(&self) -> (TransactionState, ProducerIdEpoch) {
        let current = self.current();
        (current.state, current.producer)
    }
}

fn add_partitions(id: &str, producer: ProducerIdEpoch, partitions: &[i32], verify_only: bool) -> AddPartitions {
    let partitions = orders(partitions);
    AddPartitions { transactional_id: id.into(), producer, partitions, verify_only, client_transaction_version: 0 }
}

/// An image with this `transaction.version`, and topics with one partition. The number is the topic's id: topics of the
/// same name can have different ids.
pub fn image(level: i16, topics: &[(&str, u8)]) -> Image {
    let config = MetadataConfig {
        node_id: 1,
        default_partitions: 1,
        default_replication_factor: 1,
        replication: ReplicationFactorPolicy::Clamp,
        topic_deletion: true,
        broker: Default::default(),
    };
    let mut records = vec![feature_record(TRANSACTION_VERSION, level)];
    for (name, id) in topics {
        let topic_id = Uuid([*id; 16]);
        let partition =
            PartitionRecord { partition_id: 0, topic_id, replicas: vec![1], leader: 1, ..Default::default() };
        records.push(MetadataRecord::new(0, TopicRecord { name: (*name).into(), topic_id }));
        records.push(MetadataRecord::new(0, partition));
    }
    let mut machine = MetadataMachine::new(config);
    for (offset, record) in (0..).zip(&records) {
        machine.replay(RecordMeta { offset, timestamp: START, producer: ProducerIdEpoch::NONE }, record);
    }
    assert_eq!(machine.fault(), None);
    machine.image().clone()
}

fn durable(machine: &TransactionMachine) -> BTreeMap<TransactionalId, (Arc<TransactionMetadata>, Offset)> {
    machine.ids.iter().map(|(id, entry)| (id.clone(), (entry.durable.clone(), entry.offset))).collect()
}

/// Whether an id in state `from` may get the state `to` (Kafka's valid previous states). A fenced transaction passes
/// through PrepareEpochFence within one decision.
fn may_become(from: TransactionState, to: TransactionState) -> bool {
    use TransactionState::*;
    match to {
        Empty | Dead => from.is_idle(),
        Ongoing => from.is_idle() || from == Ongoing,
        PrepareCommit => from == Ongoing,
        PrepareAbort => from.is_idle() || from == Ongoing,
        CompleteCommit => from == PrepareCommit,
        CompleteAbort => from == PrepareAbort,
        PrepareEpochFence => false,
    }
}
