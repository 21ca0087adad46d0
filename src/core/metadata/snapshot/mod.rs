//! Conversion of an image to records, in the order of Kafka's snapshots. A snapshot replaces the log before it.

mod file;

use super::acls::acl_record;
use super::brokers::feature_record;
use super::configs::config_record;
use super::features::{METADATA_VERSION, NEW_METADATA_VERSION};
use super::image::{BrokerImage, ConfigKind, ConfigResource, Image, PartitionImage, PassthroughKey, TopicImage};
use super::records::*;
use super::users::scram_record_of;
use ottla_wire::types::PartitionIndex;

pub use file::{SnapshotError, SnapshotId, read_snapshot, write_bootstrap, write_snapshot};

/// The records whose replay restores the [`Image`]: features first, then brokers and controllers,
/// topics, settings, quotas, producer ids, ACLs, users and tokens.
pub fn snapshot_records(image: &Image) -> Vec<MetadataRecord> {
    let level = image.metadata_version().unwrap_or(NEW_METADATA_VERSION);
    let versions = WriteVersions::at(level);
    // Readers need the level of metadata.version before anything else.
    let mut records = vec![feature_record(METADATA_VERSION, level)];
    let others = image.features().iter().filter(|(name, _)| *name != METADATA_VERSION);
    records.extend(others.map(|(name, level)| feature_record(name, *level)));
    if image.leader_epoch_floor() > 0 {
        records.push(MetadataRecord::new(0, NoOpRecord { leader_epoch_floor: image.leader_epoch_floor() }));
    }
    records.extend(image.brokers().values().map(|it| MetadataRecord::new(versions.register_broker, broker(it))));
    records.extend(passthrough_records(image, |key| matches!(key, PassthroughKey::Controller(_))));
    for topic in image.topics_by_name() {
        records.push(MetadataRecord::new(0, TopicRecord { name: (&*topic.name).into(), topic_id: topic.id }));
        let partitions = topic.partitions().map(|(index, it)| partition(topic, index, it, versions.partition));
        records.extend(partitions);
    }
    for kind in ConfigKind::ALL {
        for name in image.configs().names(kind) {
            let resource = ConfigResource { kind, name };
            let settings = image.configs().get(kind, &resource.name);
            records.extend(settings.iter().map(|(name, value)| config_record(&resource, name, Some(value))));
        }
    }
    records.extend(passthrough_records(image, |key| matches!(key, PassthroughKey::Quota(..))));
    if image.next_producer_id() > 0 {
        let next_producer_id = image.next_producer_id();
        let ids = ProducerIdsRecord { broker_id: -1, broker_epoch: -1, next_producer_id };
        records.push(MetadataRecord::new(0, ids));
    }
    records.extend(image.acls().by_id().map(|(id, acl)| acl_record(id, acl)));
    let users = image.scram_credentials().into_iter();
    records.extend(users.map(|(user, mechanism, credential)| scram_record_of(user, mechanism, credential)));
    let tokens = image.delegation_tokens().into_iter();
    records.extend(tokens.map(|token| MetadataRecord::new(0, token.record())));
    records
}

fn passthrough_records(
    image: &Image,
    of_kind: impl Fn(&PassthroughKey) -> bool,
) -> impl Iterator<Item = MetadataRecord> {
    image.passthrough_records().iter().filter(move |(key, _)| of_kind(key)).map(|(_, record)| record.clone())
}

fn broker(image: &BrokerImage) -> RegisterBrokerRecord {
    let endpoint = |it: &super::Endpoint| BrokerEndpoint {
        name: it.listener.as_str().into(),
        host: it.host.as_str().into(),
        port: it.port,
        security_protocol: it.security_protocol,
    };
    let feature = |it: &super::SupportedFeature| BrokerFeature {
        name: it.name.as_str().into(),
        min_supported_version: it.min,
        max_supported_version: it.max,
    };
    RegisterBrokerRecord {
        broker_id: image.id,
        is_migrating_zk_broker: false,
        incarnation_id: image.incarnation_id,
        broker_epoch: image.epoch,
        end_points: image.endpoints.iter().map(endpoint).collect(),
        features: image.features.iter().map(feature).collect(),
        rack: image.rack.as_deref().map(Into::into),
        fenced: image.fenced,
        in_controlled_shutdown: image.in_controlled_shutdown,
        log_dirs: image.directories.clone(),
        cordoned_log_dirs: image.cordoned_directories.clone(),
    }
}

fn partition(topic: &TopicImage, index: PartitionIndex, image: &PartitionImage, version: i16) -> MetadataRecord {
    let replication = image.replication_state();
    let unless_empty = |list: Vec<i32>| (!list.is_empty()).then_some(list);
    let record = PartitionRecord {
        partition_id: index,
        topic_id: topic.id,
        replicas: image.replicas.to_vec(),
        isr: image.isr.to_vec(),
        removing_replicas: replication.removing,
        adding_replicas: replication.adding,
        leader: image.leader,
        leader_recovery_state: replication.leader_recovery,
        leader_epoch: image.leader_epoch,
        partition_epoch: image.partition_epoch,
        directories: image.directories.to_vec(),
        eligible_leader_replicas: unless_empty(replication.eligible_leaders),
        last_known_elr: unless_empty(replication.last_known_eligible_leaders),
    };
    MetadataRecord::new(version, record)
}
