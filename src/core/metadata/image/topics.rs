//! Topics and partitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_wire::types::{LeaderEpoch, PartitionIndex, TopicId, TopicName, Uuid, is_internal};

/// A broker's number (`node.id`).
pub type BrokerId = i32;

/// The leader of a partition without a leader.
pub const NO_LEADER: BrokerId = -1;

/// One topic. Its settings are in [`ConfigsImage`](super::ConfigsImage).
#[derive(Clone, Debug, PartialEq)]
pub struct TopicImage {
    pub id: TopicId,
    pub name: TopicName,
    /// By index. A log may contain them in any order.
    pub(super) partitions: BTreeMap<PartitionIndex, PartitionImage>,
}

impl TopicImage {
    pub fn partition(&self, index: PartitionIndex) -> Option<&PartitionImage> {
        self.partitions.get(&index)
    }

    /// Every partition, sorted by index.
    pub fn partitions(&self) -> impl Iterator<Item = (PartitionIndex, &PartitionImage)> {
        self.partitions.iter().map(|(&index, partition)| (index, partition))
    }

    pub fn partition_count(&self) -> i32 {
        i32::try_from(self.partitions.len()).unwrap_or(i32::MAX)
    }

    /// The number of replicas of the first partition, as in Kafka.
    pub fn replication_factor(&self) -> i16 {
        let replicas = self.partitions.values().next().map_or(0, |partition| partition.replicas.len());
        i16::try_from(replicas).unwrap_or(i16::MAX)
    }

    pub fn is_internal(&self) -> bool {
        is_internal(&self.name)
    }

    /// The highest leader epoch of the topic's partitions.
    pub(in crate::metadata) fn highest_leader_epoch(&self) -> Option<LeaderEpoch> {
        self.partitions.values().map(|partition| partition.leader_epoch).max()
    }
}

/// One partition (KRaft `PartitionRecord`, with all `PartitionChangeRecord`s applied).
///
/// Equal lists are shared: nearly all of them are the same `[node]`.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionImage {
    /// [`NO_LEADER`] if there is none.
    pub leader: BrokerId,
    /// Increases with each election. It never decreases, not even if a topic is deleted and created again.
    pub leader_epoch: LeaderEpoch,
    /// Increases with each change of the partition.
    pub partition_epoch: i32,
    /// The preferred leader first.
    pub replicas: Arc<[BrokerId]>,
    /// The in-sync replicas.
    pub isr: Arc<[BrokerId]>,
    /// `directory.id` of the log directory of each replica, in their order.
    pub directories: Arc<[Uuid]>,
    /// State that is stored for Apache Kafka and has no effect here; `None` if all of it is empty.
    pub(super) replication: Option<Arc<ReplicationState>>,
}

/// State of partitions with more than one replica. It is stored so that snapshots lose nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::metadata) struct ReplicationState {
    pub removing: Vec<BrokerId>,
    pub adding: Vec<BrokerId>,
    pub eligible_leaders: Vec<BrokerId>,
    pub last_known_eligible_leaders: Vec<BrokerId>,
    /// 1 while a leader that was elected outside the ISR recovers.
    pub leader_recovery: i8,
}

impl PartitionImage {
    pub fn has_leader(&self) -> bool {
        self.leader != NO_LEADER
    }

    /// The stored state of further replicas; empty for partitions that this broker created.
    pub(in crate::metadata) fn replication_state(&self) -> ReplicationState {
        self.replication.as_deref().cloned().unwrap_or_default()
    }

    pub(super) fn change_replication_state(&mut self, change: impl FnOnce(&mut ReplicationState)) {
        let mut state = self.replication_state();
        change(&mut state);
        self.replication = (state != ReplicationState::default()).then(|| Arc::new(state));
    }
}
