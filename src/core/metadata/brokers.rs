//! The broker's registration (Kafka's `ClusterControlManager`) and the first records of a new cluster.

use super::commands::{MetadataReply, RegisterBroker};
use super::errors::MetadataError;
use super::features::{ELIGIBLE_LEADER_REPLICAS, METADATA_VERSION, NEW_CLUSTER};
use super::image::{BrokerId, BrokerImage, Hosting, PartitionImage};
use super::records::{
    BrokerEndpoint, BrokerFeature, FeatureLevelRecord, MetadataRecord, PartitionChangeRecord, RecordBody,
    RegisterBrokerRecord, UnregisterBrokerRecord, WriteVersions,
};
use super::{BrokerEpoch, Decision, MetadataMachine};
use ottla_wire::types::{PartitionIndex, TopicId, Uuid, sort_by};

impl MetadataMachine {
    /// Registers this broker, unfenced, and makes it the leader of all partitions that it can lead.
    ///
    /// If the registration is unchanged, nothing is written and the epoch stays the same.
    pub(super) fn register_broker(&self, mut request: RegisterBroker) -> Decision {
        sort_by(&mut request.features, |a, b| a.name.cmp(&b.name));
        let mut records = Vec::new();
        let mut version = self.versions();
        if self.image.metadata_version().is_none() {
            let bootstrap = std::mem::take(&mut request.bootstrap_records);
            if let Some(level) = bootstrap.iter().find_map(|record| level_in(record, METADATA_VERSION)) {
                version = WriteVersions::at(level);
                records.extend(bootstrap);
            } else {
                records.extend(NEW_CLUSTER.into_iter().map(|(name, level)| feature_record(name, level)));
            }
            if records.iter().any(|record| level_in(record, ELIGIBLE_LEADER_REPLICAS).is_some_and(|level| level > 0)) {
                records.push(self.min_insync_replicas_at_start());
            }
        }
        let known = self.image.brokers().get(&self.config.node_id);
        let changes = self.partition_changes(known.map(|known| &known.directories[..]), &request);
        let epoch = match known.filter(|known| is_unchanged(known, &request)) {
            Some(known) => known.epoch,
            None => {
                // As in Kafka, the epoch is the offset of the record.
                let epoch = self.next_offset.max(known.map_or(0, |known| known.epoch.saturating_add(1)));
                records.push(MetadataRecord::new(version.register_broker, self.registration(request, epoch)));
                epoch
            }
        };
        records.extend(changes);
        Decision::new(records, MetadataReply::RegisterBroker(Ok(epoch)))
    }

    /// Removes the registration of another broker, which a log of a larger cluster may contain.
    pub(super) fn unregister_broker(&self, id: BrokerId) -> Decision {
        let (records, result) = match self.image.brokers().get(&id) {
            None => (Vec::new(), Err(MetadataError::BrokerIdNotRegistered(id))),
            Some(_) if id == self.config.node_id => {
                let why = format!("Broker {id} is the one that answers, and cannot be unregistered.");
                (Vec::new(), Err(MetadataError::InvalidRequest(why)))
            }
            Some(broker) => {
                let record = UnregisterBrokerRecord { broker_id: id, broker_epoch: broker.epoch };
                (vec![MetadataRecord::new(0, record)], Ok(()))
            }
        };
        Decision::new(records, MetadataReply::UnregisterBroker(result))
    }

    fn registration(&self, request: RegisterBroker, epoch: BrokerEpoch) -> RegisterBrokerRecord {
        let endpoints = request.endpoints.iter().map(|it| BrokerEndpoint {
            name: it.listener.as_str().into(),
            host: it.host.as_str().into(),
            port: it.port,
            security_protocol: it.security_protocol,
        });
        let features = request.features.iter().map(|it| BrokerFeature {
            name: it.name.as_str().into(),
            min_supported_version: it.min,
            max_supported_version: it.max,
        });
        RegisterBrokerRecord {
            broker_id: self.config.node_id,
            incarnation_id: request.incarnation_id,
            broker_epoch: epoch,
            end_points: endpoints.collect(),
            features: features.collect(),
            rack: request.rack.as_deref().map(Into::into),
            fenced: false,
            log_dirs: vec![request.directory_id],
            ..RegisterBrokerRecord::default()
        }
    }

    /// Corrects the log directories of this broker's replicas, and elects it leader of the partitions that it has: of
    /// those without a leader (Apache Kafka removes leaders when it stops) and of those led by a broker of a larger
    /// cluster, which does not run here.
    fn partition_changes(&self, registered: Option<&[Uuid]>, request: &RegisterBroker) -> Vec<MetadataRecord> {
        let version = self.versions().partition_change;
        let renamed = renamed_directory(registered, request);
        let topics = self.image.topics_by_name();
        let partitions = topics.iter().flat_map(|topic| topic.partitions().map(|(index, it)| (topic.id, index, it)));
        let change = |(topic, index, partition): (TopicId, PartitionIndex, &PartitionImage)| {
            let hosting = partition.hosting(self.config.node_id, request.directory_id);
            let moved = match hosting {
                Hosting::AbsentDirectory(assigned) => {
                    renamed == Some(assigned) || request.found_in_directory.contains(&(topic, index))
                }
                Hosting::Here | Hosting::OtherNode => false,
            };
            let same = PartitionChangeRecord { partition_id: index, topic_id: topic, ..Default::default() };
            let elected = if moved || hosting == Hosting::Here { self.election(partition, &same) } else { None };
            let change = match moved {
                true => PartitionChangeRecord {
                    directories: Some(partition.directories_with(self.config.node_id, request.directory_id)),
                    ..elected.unwrap_or(same)
                },
                false => elected?,
            };
            Some(MetadataRecord::new(version, change))
        };
        partitions.filter_map(change).collect()
    }

    fn election(&self, partition: &PartitionImage, same: &PartitionChangeRecord) -> Option<PartitionChangeRecord> {
        let node = self.config.node_id;
        if partition.leader == node {
            return None;
        }
        let change = PartitionChangeRecord { leader: node, ..same.clone() };
        if partition.isr.contains(&node) {
            return Some(change);
        }
        // With eligible leader replicas (KIP-966) the last replica is in the ELR, and the ISR is empty.
        let state = partition.replication_state();
        let eligible = state.eligible_leaders.contains(&node) || state.last_known_eligible_leaders.contains(&node);
        (partition.isr.is_empty() && eligible).then(|| PartitionChangeRecord {
            isr: Some(vec![node]),
            eligible_leader_replicas: Some(Vec::new()),
            last_known_elr: Some(Vec::new()),
            ..change
        })
    }

    /// The record versions at the current `metadata.version`.
    pub(super) fn versions(&self) -> WriteVersions {
        WriteVersions::at(self.image.metadata_version().unwrap_or(super::features::NEW_METADATA_VERSION))
    }
}

/// The previous id of the log directory, if it was the broker's only one and has another id now because its
/// `meta.properties` was lost and written again.
fn renamed_directory(registered: Option<&[Uuid]>, request: &RegisterBroker) -> Option<Uuid> {
    match registered {
        Some(&[before]) if request.has_metadata_log && before != request.directory_id => Some(before),
        _ => None,
    }
}

/// The record that sets a feature level; 0 removes the feature.
pub fn feature_record(name: &str, level: i16) -> MetadataRecord {
    MetadataRecord::new(0, FeatureLevelRecord { name: name.into(), feature_level: level })
}

/// The level that a record sets the named feature to.
fn level_in(record: &MetadataRecord, name: &str) -> Option<i16> {
    match &record.body {
        RecordBody::FeatureLevel(feature) if &*feature.name == name => Some(feature.feature_level),
        _ => None,
    }
}

fn is_unchanged(known: &BrokerImage, request: &RegisterBroker) -> bool {
    known.is_active()
        && known.endpoints == request.endpoints
        && known.features == request.features
        && known.rack == request.rack
        && known.directories == [request.directory_id]
}
