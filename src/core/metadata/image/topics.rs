//! Topics and partitions as requests see them.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_wire::types::{LeaderEpoch, PartitionIndex, TopicId, TopicName, Uuid, is_internal};

/// A broker's number (`node.id`).
pub type BrokerId = i32;

/// "No leader".
pub const NO_LEADER: BrokerId = -1;

/// One topic. Its settings stand in [`ConfigsImage`](super::ConfigsImage).
#[derive(Clone, Debug, PartialEq)]
pub struct TopicImage {
    pub id: TopicId,
    pub name: TopicName,
    /// By number; a log may bring them in any order.
    pub(super) partitions: BTreeMap<PartitionIndex, PartitionImage>,
}

impl TopicImage {
    pub fn partition(&self, index: PartitionIndex) -> Option<&PartitionImage> {
        self.partitions.get(&index)
    }

    /// Every partition, in the order of its number.
    pub fn partitions(&self) -> impl Iterator<Item = (PartitionIndex, &PartitionImage)> {
        self.partitions.iter().map(|(&index, partition)| (index, partition))
    }

    pub fn partition_count(&self) -> i32 {
        i32::try_from(self.partitions.len()).unwrap_or(i32::MAX)
    }

    /// How many replicas the first partition has, as Kafka counts it.
    pub fn replication_factor(&self) -> i16 {
        let replicas = self.partitions.values().next().map_or(0, |partition| partition.replicas.len());
        i16::try_from(replicas).unwrap_or(i16::MAX)
    }

    pub fn is_internal(&self) -> bool {
        is_internal(&self.name)
    }

    /// The highest leader epoch that any client can have seen here.
    pub(in crate::metadata) fn highest_leader_epoch(&self) -> Option<LeaderEpoch> {
        self.partitions.values().map(|partition| partition.leader_epoch).max()
    }
}

/// One partition (KRaft `PartitionRecord` and what `PartitionChangeRecord`s made of it).
///
/// Lists are shared: on one machine nearly all of them are the same `[node]`.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionImage {
    /// [`NO_LEADER`] when there is none.
    pub leader: BrokerId,
    /// Grows with each leader; never falls, across recreations of the topic's name either.
    pub leader_epoch: LeaderEpoch,
    /// Grows with each change of anything here.
    pub partition_epoch: i32,
    /// The preferred leader first.
    pub replicas: Arc<[BrokerId]>,
    /// The replicas that are in sync.
    pub isr: Arc<[BrokerId]>,
    /// `directory.id` of the log directory of each replica, in their order.
    pub directories: Arc<[Uuid]>,
    /// What this broker keeps for Apache Kafka's sake and does not act on.
    pub(super) replication: Option<Arc<ReplicationState>>,
}

/// State of partitions with more than one replica, kept so that nothing of a log is lost.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::metadata) struct ReplicationState {
    pub removing: Vec<BrokerId>,
    pub adding: Vec<BrokerId>,
    pub eligible_leaders: Vec<BrokerId>,
    pub last_known_eligible_leaders: Vec<BrokerId>,
    /// 1 while a leader elected out of sync still recovers.
    pub leader_recovery: i8,
}

impl PartitionImage {
    pub fn has_leader(&self) -> bool {
        self.leader != NO_LEADER
    }

    /// What is kept beside the above; all empty on one machine.
    pub(in crate::metadata) fn replication_state(&self) -> ReplicationState {
        self.replication.as_deref().cloned().unwrap_or_default()
    }

    pub(super) fn change_replication_state(&mut self, change: impl FnOnce(&mut ReplicationState)) {
        let mut state = self.replication_state();
        change(&mut state);
        self.replication = (state != ReplicationState::default()).then(|| Arc::new(state));
    }
}
