//! The image: the state that results from the metadata log, for requests to read.

mod apply;
mod brokers;
mod configs;
mod delta;
mod hosting;
mod passthrough;
mod tokens;
mod topics;
mod users;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use crate::shared_map::SharedMap;
pub use apply::ReplayFault;
pub use brokers::BrokerImage;
pub use configs::{ConfigKind, ConfigResource, ConfigsImage, Settings};
pub use delta::ImageDelta;
pub use hosting::{Hosting, LOST_DIRECTORY, UNASSIGNED_DIRECTORY};
pub use ottla_wire::types::{INTERNAL_TOPICS, is_internal};
pub(super) use passthrough::PassthroughKey;
pub use passthrough::QuotaEntity;
pub use tokens::DelegationToken;
pub use topics::{BrokerId, NO_LEADER, PartitionImage, TopicImage};
pub(super) use users::credential_of;

use super::features::{Features, METADATA_VERSION};
use super::names;
use crate::security::acl::Acls;
use ottla_wire::types::{LeaderEpoch, PartitionIndex, ProducerId, TopicId, TopicName, sort_by};

/// The state of the metadata log at one offset.
///
/// A clone copies a few pointers, shares its content with the original and does not change. Lookups take constant time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Image {
    /// Topic ids by name.
    topic_ids: SharedMap<TopicName, TopicId>,
    topics: SharedMap<TopicId, Arc<TopicImage>>,
    /// The names with `.` or `_`, by collision key. One request can create several names that collide.
    colliding: SharedMap<Box<str>, BTreeSet<TopicName>>,
    partition_count: usize,
    configs: ConfigsImage,
    features: Arc<Features>,
    brokers: Arc<BTreeMap<BrokerId, Arc<BrokerImage>>>,
    next_producer_id: ProducerId,
    /// The leader epoch of new partitions: above every epoch of every deleted topic. There is one floor for all names,
    /// because `RemoveTopicRecord` has only an id.
    leader_epoch_floor: LeaderEpoch,
    scram_users: users::ScramUsers,
    tokens: tokens::DelegationTokens,
    acls: Arc<Acls>,
    passthrough: Arc<passthrough::PassthroughRecords>,
}

impl Image {
    pub fn topic(&self, name: &str) -> Option<&Arc<TopicImage>> {
        self.topics.get(self.topic_ids.get(name)?)
    }

    pub fn topic_by_id(&self, id: TopicId) -> Option<&Arc<TopicImage>> {
        self.topics.get(&id)
    }

    pub fn topic_id(&self, name: &str) -> Option<TopicId> {
        self.topic_ids.get(name).copied()
    }

    pub fn partition(&self, topic: &str, index: PartitionIndex) -> Option<&PartitionImage> {
        self.topic(topic)?.partition(index)
    }

    /// A topic whose name is equal to this one, or differs from it only in `.` and `_`.
    pub fn colliding_topic(&self, name: &str) -> Option<&TopicName> {
        self.colliding.get(&*names::collision_key(name)?)?.first()
    }

    /// Every topic, in arbitrary order.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<TopicImage>> {
        self.topics.iter().map(|(_, topic)| topic)
    }

    /// Every topic, sorted by name.
    pub fn topics_by_name(&self) -> Vec<&Arc<TopicImage>> {
        let mut topics: Vec<_> = self.topics().collect();
        sort_by(&mut topics, |a, b| a.name.cmp(&b.name));
        topics
    }

    /// The topics that differ from those of `before`, an earlier image, or whose overrides differ. Each is returned
    /// once. Some unchanged topics are included, but only few of them after a small change.
    pub fn topics_touched_since<'a>(&'a self, before: &'a Image) -> Vec<&'a Arc<TopicImage>> {
        let changed = self.topics.touched_since(&before.topics).map(|(_, topic)| topic);
        let with_settings = self.configs.topics_touched_since(&before.configs).filter_map(|name| self.topic(name));
        let mut found = BTreeSet::new();
        changed.chain(with_settings).filter(|topic| found.insert(topic.id)).collect()
    }

    /// The topics of `before` whose ids are not in this image.
    pub fn topics_deleted_since<'a>(&'a self, before: &'a Image) -> impl Iterator<Item = &'a Arc<TopicImage>> {
        let touched = before.topics.touched_since(&self.topics).map(|(_, topic)| topic);
        touched.filter(|topic| self.topic_by_id(topic.id).is_none())
    }

    pub fn topic_count(&self) -> usize {
        self.topics.len()
    }

    pub fn partition_count(&self) -> usize {
        self.partition_count
    }

    /// Every override of every resource.
    pub fn configs(&self) -> &ConfigsImage {
        &self.configs
    }

    /// A topic's overrides; empty if it has none.
    pub fn topic_configs(&self, name: &str) -> &Arc<Settings> {
        self.configs.get(ConfigKind::Topic, name)
    }

    /// A group's overrides; empty if it has none.
    pub fn group_configs(&self, group: &str) -> &Arc<Settings> {
        self.configs.get(ConfigKind::Group, group)
    }

    /// The dynamic settings of one broker; empty if it has none.
    pub fn broker_configs(&self, broker: BrokerId) -> &Arc<Settings> {
        self.configs.get(ConfigKind::Broker, &broker.to_string())
    }

    /// The dynamic settings of all brokers, below each broker's own.
    pub fn default_broker_configs(&self) -> &Arc<Settings> {
        self.configs.get(ConfigKind::Broker, "")
    }

    /// The levels stored in the log. Clients get [`super::features::served`].
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// The stored `metadata.version`; `None` only for an empty log.
    pub fn metadata_version(&self) -> Option<i16> {
        self.features.get(METADATA_VERSION).copied()
    }

    pub fn brokers(&self) -> &BTreeMap<BrokerId, Arc<BrokerImage>> {
        &self.brokers
    }

    /// The first producer id that is not allocated yet.
    pub fn next_producer_id(&self) -> ProducerId {
        self.next_producer_id
    }

    /// The leader epoch at which new partitions start.
    pub fn leader_epoch_floor(&self) -> LeaderEpoch {
        self.leader_epoch_floor
    }

    /// The ACLs, which an authorizer decides by.
    pub fn acls(&self) -> &Arc<Acls> {
        &self.acls
    }

    /// Records that are only stored, for Apache Kafka: controllers, quotas, tokens.
    pub(super) fn passthrough_records(&self) -> &passthrough::PassthroughRecords {
        &self.passthrough
    }
}
