//! Placement of replicas. Every partition has one replica, on this broker; the checks here serve clients that ask for
//! more.

use super::MetadataMachine;
use super::errors::MetadataError;
use super::image::{BrokerId, UNASSIGNED_DIRECTORY};
use super::records::{MetadataRecord, PartitionRecord};
use ottla_config::ReplicationFactorPolicy;
use ottla_wire::types::{PartitionIndex, TopicId, Uuid};

/// The replicas of one partition.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Placement {
    /// The preferred leader first; never empty.
    replicas: Vec<BrokerId>,
    isr: Vec<BrokerId>,
}

impl Placement {
    pub fn replication_factor(&self) -> i16 {
        i16::try_from(self.replicas.len()).unwrap_or(i16::MAX)
    }
}

/// Rejects replication factors below 1.
pub(super) fn check_factor(factor: i16) -> Result<(), MetadataError> {
    match factor {
        1.. => Ok(()),
        _ => {
            let message = "Replication factor must be larger than 0, or -1 to use the default value.";
            Err(MetadataError::InvalidReplicationFactor(message.to_owned()))
        }
    }
}

/// Rejects a list of replicas that is empty, or contains an unknown broker or a duplicate. Of several faults it reports
/// the one with the lowest broker id, as Kafka does. The error text is for INVALID_REPLICA_ASSIGNMENT.
pub fn check_assignment(replicas: &[BrokerId], exists: impl Fn(BrokerId) -> bool) -> Result<(), String> {
    if replicas.is_empty() {
        return Err("The manual partition assignment includes an empty replica list.".to_owned());
    }
    let mut sorted = replicas.to_vec();
    sorted.sort_unstable();
    let mut before = None;
    for broker in sorted {
        if !exists(broker) {
            return Err(format!(
                "The manual partition assignment includes broker {broker}, but no such broker is registered."
            ));
        }
        if before.replace(broker) == Some(broker) {
            return Err(format!("The manual partition assignment includes the broker {broker} more than once."));
        }
    }
    Ok(())
}

impl MetadataMachine {
    /// Places a partition on this broker. Also returns the requested replication factor, if it was lowered.
    pub(super) fn place(&self, factor: i16) -> Result<(Placement, Option<i16>), MetadataError> {
        let node = self.config.node_id;
        let cannot = |why: &str| {
            Err(MetadataError::InvalidReplicationFactor(format!(
                "Unable to replicate the partition {factor} time(s): {why}"
            )))
        };
        if !self.is_active(node) {
            return cannot("All brokers are currently fenced or in controlled shutdown.");
        }
        if factor > 1 && self.config.replication == ReplicationFactorPolicy::Strict {
            return cannot(&format!(
                "The target replication factor of {factor} cannot be reached because only 1 broker(s) are registered or \
                 some brokers have all their log directories cordoned."
            ));
        }
        Ok((Placement { replicas: vec![node], isr: vec![node] }, (factor > 1).then_some(factor)))
    }

    /// Places a partition by a manual assignment. `factor` is the replication factor of the topic's other partitions.
    ///
    /// Where replication factors are clamped, a list that contains a registered broker may also contain unknown ones.
    pub(super) fn assign(
        &self,
        index: PartitionIndex,
        requested: &[BrokerId],
        factor: Option<usize>,
    ) -> Result<Placement, MetadataError> {
        let refuse = |why: String| Err(MetadataError::InvalidReplicaAssignment(why));
        let brokers = self.image.brokers();
        let replicas: Vec<BrokerId> = requested.iter().copied().filter(|id| brokers.contains_key(id)).collect();
        let clamps = self.config.replication == ReplicationFactorPolicy::Clamp && !replicas.is_empty();
        check_assignment(requested, |id| clamps || brokers.contains_key(&id))
            .map_err(MetadataError::InvalidReplicaAssignment)?;
        if let Some(factor) = factor.filter(|factor| *factor != requested.len() && *factor != replicas.len()) {
            return refuse(format!(
                "The manual partition assignment includes a partition with {} replica(s), but this is not consistent \
                 with previous partitions, which have {factor} replica(s).",
                requested.len()
            ));
        }
        let isr: Vec<BrokerId> = replicas.iter().copied().filter(|&id| self.is_active(id)).collect();
        if isr.is_empty() {
            return refuse(format!(
                "All brokers specified in the manual partition assignment for partition {index} are fenced or in \
                 controlled shutdown."
            ));
        }
        Ok(Placement { replicas, isr })
    }

    /// The record of a new partition.
    pub(super) fn partition_record(&self, topic: TopicId, index: PartitionIndex, it: Placement) -> MetadataRecord {
        let record = PartitionRecord {
            partition_id: index,
            topic_id: topic,
            leader: it.isr.first().copied().unwrap_or(super::NO_LEADER),
            directories: it.replicas.iter().map(|&id| self.directory_of(id)).collect(),
            replicas: it.replicas,
            isr: it.isr,
            leader_epoch: self.image.leader_epoch_floor(),
            partition_epoch: 0,
            ..PartitionRecord::default()
        };
        MetadataRecord::new(self.versions().partition, record)
    }

    fn is_active(&self, broker: BrokerId) -> bool {
        self.image.brokers().get(&broker).is_some_and(|broker| broker.is_active())
    }

    /// The log directory of a broker's new replicas; [`UNASSIGNED_DIRECTORY`] unless it has exactly one.
    fn directory_of(&self, broker: BrokerId) -> Uuid {
        match self.image.brokers().get(&broker).map(|broker| &broker.directories[..]) {
            Some(&[directory]) => directory,
            _ => UNASSIGNED_DIRECTORY,
        }
    }
}
