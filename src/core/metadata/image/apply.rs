//! Applies records to the image. Nothing else changes it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::passthrough::PassthroughKey;
use super::topics::ReplicationState;
use super::{BrokerImage, ConfigKind, Image, NO_LEADER, PartitionImage, TopicImage};
use crate::metadata::commands::{Endpoint, SupportedFeature};
use crate::metadata::features;
use crate::metadata::names;
use crate::metadata::records::*;
use ottla_wire::types::{LeaderEpoch, TopicId, TopicName, Uuid, sort_by};

/// Why a record cannot be applied: it contradicts the records before it, or a newer controller wrote it. The image does
/// not change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayFault {
    #[error("feature {name} is at level {level}, which this broker can't read")]
    UnreadableFeature { name: String, level: i16 },
    #[error("topic {name} exists already")]
    DuplicateTopic { name: String },
    #[error("there is no topic with id {id}")]
    UnknownTopic { id: TopicId },
    #[error("topic {id} has no partition {partition}")]
    UnknownPartition { id: TopicId, partition: i32 },
    #[error("broker {id} is not registered")]
    UnknownBroker { id: i32 },
    #[error("settings belong to a resource of unknown type {code}")]
    UnknownConfigKind { code: i8 },
    #[error("ACL {id} has a code that this broker can't read")]
    UnreadableAcl { id: Uuid },
    #[error("producer ids decrease from {from} to {to}")]
    ProducerIdsDecreased { from: i64, to: i64 },
}

/// The leader in a `PartitionChangeRecord` that does not change it.
const NO_LEADER_CHANGE: i32 = -2;

impl Image {
    /// Applies one record. The caller handles Begin, End and AbortTransaction.
    pub(in crate::metadata) fn apply(&mut self, record: &MetadataRecord) -> Result<(), ReplayFault> {
        match &record.body {
            RecordBody::FeatureLevel(feature) => self.apply_feature(feature)?,
            RecordBody::RegisterBroker(broker) => self.insert_broker(register(broker)),
            RecordBody::UnregisterBroker(it) => drop(Arc::make_mut(&mut self.brokers).remove(&it.broker_id)),
            RecordBody::FenceBroker(broker) => self.change_broker(broker.id, |it| it.fenced = true)?,
            RecordBody::UnfenceBroker(broker) => self.change_broker(broker.id, |it| it.fenced = false)?,
            RecordBody::BrokerRegistrationChange(change) => {
                self.change_broker(change.broker_id, |broker| change_registration(broker, change))?;
            }
            RecordBody::Topic(topic) => self.add_topic(topic)?,
            RecordBody::Partition(partition) => self.add_partition(partition)?,
            RecordBody::PartitionChange(change) => self.change_partition(change)?,
            RecordBody::RemoveTopic(removed) => self.remove_topic(removed.topic_id)?,
            RecordBody::Config(config) => self.apply_config(config)?,
            RecordBody::ProducerIds(ids) => self.apply_producer_ids(ids.next_producer_id)?,
            RecordBody::NoOp(note) => self.raise_leader_epoch_floor(note.leader_epoch_floor),
            RecordBody::ClientQuota(quota) if quota.remove => self.remove_passthrough(PassthroughKey::quota(quota)),
            RecordBody::ClientQuota(quota) => self.store_passthrough(PassthroughKey::quota(quota), record),
            RecordBody::AccessControlEntry(acl) => self.apply_acl(acl)?,
            RecordBody::RemoveAccessControlEntry(acl) => drop(Arc::make_mut(&mut self.acls).remove(acl.id)),
            RecordBody::UserScramCredential(user) => self.apply_scram_credential(user),
            RecordBody::RemoveUserScramCredential(user) => self.remove_scram_credential(&user.name, user.mechanism),
            RecordBody::DelegationToken(token) => self.apply_delegation_token(token),
            RecordBody::RemoveDelegationToken(token) => self.remove_delegation_token(&token.token_id),
            RecordBody::RegisterController(it) => {
                self.store_passthrough(PassthroughKey::Controller(it.controller_id), record)
            }
            RecordBody::UnregisterController(it) => {
                self.remove_passthrough(PassthroughKey::Controller(it.controller_id))
            }
            RecordBody::ClearElr(clear) => self.clear_eligible_leaders(&clear.topic_name),
            RecordBody::ZkMigrationState(_)
            | RecordBody::BeginTransaction(_)
            | RecordBody::EndTransaction(_)
            | RecordBody::AbortTransaction(_) => {}
        }
        Ok(())
    }

    fn apply_feature(&mut self, feature: &FeatureLevelRecord) -> Result<(), ReplayFault> {
        let (name, level) = (feature.name.to_string(), feature.feature_level);
        if !features::is_readable(&name, level) {
            return Err(ReplayFault::UnreadableFeature { name, level });
        }
        let levels = Arc::make_mut(&mut self.features);
        match level {
            0 => levels.remove(&name),
            _ => levels.insert(name, level),
        };
        Ok(())
    }

    fn insert_broker(&mut self, broker: BrokerImage) {
        Arc::make_mut(&mut self.brokers).insert(broker.id, Arc::new(broker));
    }

    fn change_broker(&mut self, id: i32, change: impl FnOnce(&mut BrokerImage)) -> Result<(), ReplayFault> {
        let broker = Arc::make_mut(&mut self.brokers).get_mut(&id).ok_or(ReplayFault::UnknownBroker { id })?;
        change(Arc::make_mut(broker));
        Ok(())
    }

    fn add_topic(&mut self, record: &TopicRecord) -> Result<(), ReplayFault> {
        if self.topic(&record.name).is_some() || self.topic_by_id(record.topic_id).is_some() {
            return Err(ReplayFault::DuplicateTopic { name: record.name.to_string() });
        }
        let name = TopicName::from(&*record.name);
        let topic = TopicImage { id: record.topic_id, name: name.clone(), partitions: Default::default() };
        self.topics.insert(topic.id, Arc::new(topic));
        self.change_colliding(&name, |names| names.insert(name.clone()));
        self.topic_ids.insert(name, record.topic_id);
        Ok(())
    }

    fn change_colliding(&mut self, name: &str, change: impl FnOnce(&mut BTreeSet<TopicName>) -> bool) {
        let Some(key) = names::collision_key(name) else { return };
        let mut names = self.colliding.remove(&key).unwrap_or_default();
        change(&mut names);
        if !names.is_empty() {
            self.colliding.insert(key, names);
        }
    }

    fn add_partition(&mut self, record: &PartitionRecord) -> Result<(), ReplayFault> {
        let id = record.topic_id;
        let topic = self.topics.get_mut(&id).ok_or(ReplayFault::UnknownTopic { id })?;
        let topic = Arc::make_mut(topic);
        let neighbour = topic.partitions.last_key_value().map(|(_, partition)| partition);
        let partition = partition_image(record, neighbour);
        if topic.partitions.insert(record.partition_id, partition).is_none() {
            self.partition_count += 1;
        }
        Ok(())
    }

    fn change_partition(&mut self, change: &PartitionChangeRecord) -> Result<(), ReplayFault> {
        let (id, partition) = (change.topic_id, change.partition_id);
        let topic = self.topics.get_mut(&id).ok_or(ReplayFault::UnknownTopic { id })?;
        let image = Arc::make_mut(topic).partitions.get_mut(&partition);
        change_partition(image.ok_or(ReplayFault::UnknownPartition { id, partition })?, change);
        Ok(())
    }

    fn remove_topic(&mut self, id: TopicId) -> Result<(), ReplayFault> {
        let topic = self.topics.remove(&id).ok_or(ReplayFault::UnknownTopic { id })?;
        self.topic_ids.remove(&*topic.name);
        self.change_colliding(&topic.name, |names| names.remove(&topic.name));
        self.configs.remove(ConfigKind::Topic, &topic.name);
        self.partition_count -= topic.partitions.len();
        if let Some(highest) = topic.highest_leader_epoch() {
            self.raise_leader_epoch_floor(highest.saturating_add(1));
        }
        Ok(())
    }

    fn raise_leader_epoch_floor(&mut self, at_least: LeaderEpoch) {
        self.leader_epoch_floor = self.leader_epoch_floor.max(at_least);
    }

    fn apply_config(&mut self, record: &ConfigRecord) -> Result<(), ReplayFault> {
        let code = record.resource_type;
        let kind = ConfigKind::from_code(code).ok_or(ReplayFault::UnknownConfigKind { code })?;
        self.configs.set(kind, &record.resource_name, &record.name, record.value.as_deref());
        Ok(())
    }

    fn apply_producer_ids(&mut self, next: i64) -> Result<(), ReplayFault> {
        if next < self.next_producer_id {
            return Err(ReplayFault::ProducerIdsDecreased { from: self.next_producer_id, to: next });
        }
        self.next_producer_id = next;
        Ok(())
    }

    fn apply_acl(&mut self, record: &AccessControlEntryRecord) -> Result<(), ReplayFault> {
        let acl = record.acl().ok_or(ReplayFault::UnreadableAcl { id: record.id })?;
        Arc::make_mut(&mut self.acls).insert(record.id, acl);
        Ok(())
    }

    fn store_passthrough(&mut self, key: PassthroughKey, record: &MetadataRecord) {
        Arc::make_mut(&mut self.passthrough).insert(key, record.detached());
    }

    fn remove_passthrough(&mut self, key: PassthroughKey) {
        Arc::make_mut(&mut self.passthrough).remove(&key);
    }

    /// Clears the eligible leaders of one topic, or of all topics if the name is empty.
    fn clear_eligible_leaders(&mut self, name: &str) {
        let ids: Vec<TopicId> = match name {
            "" => self.topics().map(|topic| topic.id).collect(),
            _ => self.topic_id(name).into_iter().collect(),
        };
        for id in ids {
            let Some(topic) = self.topics.get_mut(&id) else { continue };
            for partition in Arc::make_mut(topic).partitions.values_mut() {
                partition.change_replication_state(|state| {
                    state.eligible_leaders.clear();
                    state.last_known_eligible_leaders.clear();
                });
            }
        }
    }
}

fn register(record: &RegisterBrokerRecord) -> BrokerImage {
    let endpoint = |it: &BrokerEndpoint| Endpoint {
        listener: it.name.to_string(),
        host: it.host.to_string(),
        port: it.port,
        security_protocol: it.security_protocol,
    };
    let feature = |it: &BrokerFeature| SupportedFeature {
        name: it.name.to_string(),
        min: it.min_supported_version,
        max: it.max_supported_version,
    };
    let mut features: Vec<SupportedFeature> = record.features.iter().map(feature).collect();
    sort_by(&mut features, |a, b| a.name.cmp(&b.name));
    BrokerImage {
        id: record.broker_id,
        epoch: record.broker_epoch,
        incarnation_id: record.incarnation_id,
        endpoints: record.end_points.iter().map(endpoint).collect(),
        features,
        rack: record.rack.as_ref().map(|rack| rack.to_string()),
        fenced: record.fenced,
        in_controlled_shutdown: record.in_controlled_shutdown,
        directories: record.log_dirs.clone(),
        cordoned_directories: record.cordoned_log_dirs.clone(),
    }
}

fn change_registration(broker: &mut BrokerImage, change: &BrokerRegistrationChangeRecord) {
    match change.fenced {
        0 => {}
        fenced => broker.fenced = fenced > 0,
    }
    match change.in_controlled_shutdown {
        0 => {}
        shutting_down => broker.in_controlled_shutdown = shutting_down > 0,
    }
    if !change.log_dirs.is_empty() {
        broker.directories.clone_from(&change.log_dirs);
    }
    if change.cordoned_log_dirs.is_some() {
        broker.cordoned_directories.clone_from(&change.cordoned_log_dirs);
    }
}

/// Builds a partition from its record. Lists that are equal to those of `neighbour` are shared with it.
pub(super) fn partition_image(record: &PartitionRecord, neighbour: Option<&PartitionImage>) -> PartitionImage {
    let replicas = shared(&record.replicas, neighbour.map(|it| &it.replicas));
    let isr = shared(&record.isr, Some(&replicas));
    let replication = ReplicationState {
        removing: record.removing_replicas.clone(),
        adding: record.adding_replicas.clone(),
        eligible_leaders: record.eligible_leader_replicas.clone().unwrap_or_default(),
        last_known_eligible_leaders: record.last_known_elr.clone().unwrap_or_default(),
        leader_recovery: record.leader_recovery_state,
    };
    let mut directories = record.directories.clone();
    directories.resize(record.replicas.len(), Uuid::ZERO);
    PartitionImage {
        leader: record.leader,
        leader_epoch: record.leader_epoch,
        partition_epoch: record.partition_epoch,
        isr,
        directories: shared(&directories, neighbour.map(|it| &it.directories)),
        replicas,
        replication: (replication != ReplicationState::default()).then(|| Arc::new(replication)),
    }
}

/// Applies a change as Kafka's `PartitionRegistration.merge` does.
fn change_partition(partition: &mut PartitionImage, change: &PartitionChangeRecord) {
    partition.partition_epoch = partition.partition_epoch.saturating_add(1);
    if change.leader != NO_LEADER_CHANGE {
        partition.leader = change.leader.max(NO_LEADER);
        partition.leader_epoch = partition.leader_epoch.saturating_add(1);
    }
    if let Some(replicas) = &change.replicas {
        partition.replicas = shared(replicas, Some(&partition.replicas));
    }
    if let Some(isr) = &change.isr {
        partition.isr = shared(isr, Some(&partition.replicas));
    }
    if let Some(directories) = &change.directories {
        partition.directories = shared(directories, Some(&partition.directories));
    }
    partition.change_replication_state(|state| {
        let replace = |list: &mut Vec<i32>, with: &Option<Vec<i32>>| {
            if let Some(with) = with {
                list.clone_from(with);
            }
        };
        replace(&mut state.removing, &change.removing_replicas);
        replace(&mut state.adding, &change.adding_replicas);
        replace(&mut state.eligible_leaders, &change.eligible_leader_replicas);
        replace(&mut state.last_known_eligible_leaders, &change.last_known_elr);
        if change.leader_recovery_state >= 0 {
            state.leader_recovery = change.leader_recovery_state;
        }
    });
}

fn shared<T: PartialEq + Clone>(list: &[T], candidate: Option<&Arc<[T]>>) -> Arc<[T]> {
    match candidate {
        Some(known) if **known == *list => Arc::clone(known),
        _ => Arc::from(list),
    }
}
