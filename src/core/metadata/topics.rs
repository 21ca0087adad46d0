//! Decisions on topics and partitions (Kafka's `ReplicationControlManager` and `ControllerApis`).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::commands::{
    CreatePartitions, CreateTopics, CreatedTopic, DeleteTopics, MetadataReply, MutationQuota, NewPartitions, NewTopic,
    TopicDeletion, TopicRef,
};
use super::errors::MetadataError;
use super::image::{ConfigKind, ConfigResource, Settings};
use super::placement::{Placement, check_factor};
use super::records::{MetadataRecord, RemoveTopicRecord, TopicRecord};
use super::{Decision, MetadataMachine, configs, names, settings};
use ottla_wire::types::{InOrder as _, PartitionIndex, TopicId, TopicName, Uuid, sort_by_key};

/// The maximum number of partitions that one request may create, as in Kafka.
pub const MAX_PARTITIONS_PER_REQUEST: usize = 10_000;

impl MetadataMachine {
    pub(super) fn create_topics(&self, request: CreateTopics) -> Decision {
        let (records, results) = self.create_topics_of(&request.topics, &request.quota);
        Decision::new(records, MetadataReply::CreateTopics(results)).drop_records_if(request.validate_only)
    }

    /// The records that create the topics, and a result for each distinct name.
    pub(super) fn create_topics_of(
        &self,
        topics: &[NewTopic],
        quota: &MutationQuota,
    ) -> (Vec<MetadataRecord>, TopicsCreated) {
        let duplicates = duplicates(topics.iter().map(|topic| &topic.name));
        let wanted = topics.iter().map(|topic| match topic.assignments.len() {
            0 if topic.partitions == -1 => self.config.default_partitions,
            0 => topic.partitions,
            assigned => i32::try_from(assigned).unwrap_or(i32::MAX),
        });
        let too_many = exceeds_limit(wanted);
        let mut records = Vec::new();
        let mut results = TopicsCreated::new();
        let mut seen = HashSet::new();
        for topic in topics {
            if !seen.insert(&topic.name) {
                continue;
            }
            let result = if duplicates.contains(&topic.name) {
                Err(MetadataError::InvalidRequest("Duplicate topic name.".to_owned()))
            } else if too_many {
                Err(too_many_partitions())
            } else {
                self.create_topic(topic, quota).map(|(created, of_topic)| {
                    records.extend(of_topic);
                    created
                })
            };
            results.push((topic.name.clone(), result));
        }
        (records, results)
    }

    fn create_topic(
        &self,
        topic: &NewTopic,
        quota: &MutationQuota,
    ) -> Result<(CreatedTopic, Vec<MetadataRecord>), MetadataError> {
        self.check_name(&topic.name)?;
        let configs = self.creation_configs(topic)?;
        let PlacedTopic { partitions: placements, clamped_from } = self.place_topic(topic)?;
        quota.check(placements.len())?;
        let name = &*topic.name;
        let mut records = vec![MetadataRecord::new(0, TopicRecord { name: name.into(), topic_id: topic.id })];
        records.extend(configs.iter().map(|(setting, value)| {
            configs::config_record(&ConfigResource::topic(topic.name.clone()), setting, Some(value))
        }));
        let replication_factor = placements.first().map_or(0, |(_, placement)| placement.replication_factor());
        let partitions = i32::try_from(placements.len()).unwrap_or(i32::MAX);
        records.extend(placements.into_iter().map(|(index, it)| self.partition_record(topic.id, index, it)));
        let created =
            CreatedTopic { id: topic.id, partitions, replication_factor, clamped_from, configs: Arc::new(configs) };
        Ok((created, records))
    }

    fn check_name(&self, name: &TopicName) -> Result<(), MetadataError> {
        if &**name == names::METADATA_TOPIC {
            let message = format!("Creation of internal topic {name} is prohibited.");
            return Err(MetadataError::InvalidRequest(message));
        }
        if self.image.topic(name).is_some() {
            return Err(MetadataError::TopicAlreadyExists(name.clone()));
        }
        if let Some(other) = self.image.colliding_topic(name) {
            let message = format!("Topic '{name}' collides with existing topic: {other}");
            return Err(MetadataError::InvalidTopic(message));
        }
        names::check(name).map_err(MetadataError::InvalidTopic)
    }

    fn creation_configs(&self, topic: &NewTopic) -> Result<Settings, MetadataError> {
        let nulls: Vec<&str> =
            topic.configs.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| name.as_str()).collect();
        if !nulls.is_empty() {
            let message = format!("Null value not supported for topic configs: {}", nulls.join(","));
            return Err(MetadataError::InvalidConfig(message));
        }
        let configs: Settings =
            topic.configs.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?))).in_order();
        settings::check(&self.effective_broker_config, ConfigKind::Topic, &configs)?;
        settings::check_new(&self.effective_broker_config, configs.iter())?;
        Ok(configs)
    }

    /// Chooses the replicas of each partition of a new topic.
    fn place_topic(&self, topic: &NewTopic) -> Result<PlacedTopic, MetadataError> {
        if !topic.assignments.is_empty() {
            return self.place_manually(topic);
        }
        let requested = match topic.replication_factor {
            -1 => self.config.default_replication_factor,
            factor => factor,
        };
        check_factor(requested)?;
        let count = match topic.partitions {
            -1 => self.config.default_partitions,
            count => count,
        };
        if count <= 0 {
            let message = "Number of partitions was set to an invalid non-positive value.";
            return Err(MetadataError::InvalidPartitions(message.to_owned()));
        }
        let (placement, clamped_from) = self.place(requested)?;
        Ok(PlacedTopic { partitions: (0..count).map(|index| (index, placement.clone())).collect(), clamped_from })
    }

    fn place_manually(&self, topic: &NewTopic) -> Result<PlacedTopic, MetadataError> {
        let refuse = |what: &str| {
            let message = format!("A manual partition assignment was specified, but {what} was not set to -1.");
            Err(MetadataError::InvalidRequest(message))
        };
        if topic.replication_factor != -1 {
            return refuse("replication factor");
        }
        if topic.partitions != -1 {
            return refuse("numPartitions");
        }
        let mut placements: Vec<(i32, Placement)> = Vec::with_capacity(topic.assignments.len());
        let mut indexes = HashSet::new();
        let (mut factor, mut clamped_from) = (None, None);
        for (index, replicas) in &topic.assignments {
            if !indexes.insert(*index) {
                let message = format!("Found multiple manual partition assignments for partition {index}");
                return Err(MetadataError::InvalidReplicaAssignment(message));
            }
            let placement = self.assign(*index, replicas, factor)?;
            let requested = i16::try_from(replicas.len()).unwrap_or(i16::MAX);
            clamped_from = clamped_from.max((requested > placement.replication_factor()).then_some(requested));
            placements.push((*index, placement));
            factor = Some(replicas.len());
        }
        sort_by_key(&mut placements, |&(index, _)| index);
        if placements.iter().zip(0..).any(|(&(index, _), expected)| index != expected) {
            let message = "partitions should be a consecutive 0-based integer sequence";
            return Err(MetadataError::InvalidReplicaAssignment(message.to_owned()));
        }
        Ok(PlacedTopic { partitions: placements, clamped_from })
    }

    pub(super) fn create_partitions(&self, request: CreatePartitions) -> Decision {
        let duplicates = duplicates(request.topics.iter().map(|topic| &topic.name));
        let added = request.topics.iter().map(|topic| {
            let present = self.image.topic(&topic.name).map_or(topic.count, |image| image.partition_count());
            topic.count.saturating_sub(present)
        });
        let too_many = exceeds_limit(added);
        let mut records = Vec::new();
        let mut results = Vec::new();
        let mut seen = HashSet::new();
        for topic in &request.topics {
            if !seen.insert(&topic.name) {
                continue;
            }
            let result = if duplicates.contains(&topic.name) {
                Err(MetadataError::InvalidRequest("Duplicate topic name.".to_owned()))
            } else if too_many {
                Err(too_many_partitions())
            } else {
                self.new_partitions(topic, &request.quota).map(|more| records.extend(more))
            };
            results.push((topic.name.clone(), result));
        }
        Decision::new(records, MetadataReply::CreatePartitions(results)).drop_records_if(request.validate_only)
    }

    fn new_partitions(
        &self,
        topic: &NewPartitions,
        quota: &MutationQuota,
    ) -> Result<Vec<MetadataRecord>, MetadataError> {
        let image = self.image.topic(&topic.name).ok_or(MetadataError::UnknownTopicOrPartition)?;
        if image.is_internal() {
            // The partition of a group depends on the number of partitions: a change would lose all groups.
            let message = format!("The number of partitions of the internal topic {} is fixed.", topic.name);
            return Err(MetadataError::InvalidRequest(message));
        }
        let present = image.partition_count();
        if topic.count <= present {
            let message = match topic.count == present {
                true => format!("Topic already has {present} partition(s)."),
                false => format!(
                    "The topic {} currently has {present} partition(s); {} would not be an increase.",
                    topic.name, topic.count
                ),
            };
            return Err(MetadataError::InvalidPartitions(message));
        }
        let record = |(index, placement)| self.partition_record(image.id, index, placement);
        let additional = topic.count.abs_diff(present) as usize;
        let Some(assignments) = &topic.assignments else {
            quota.check(additional)?;
            let (placement, _) = self.place(image.replication_factor())?;
            return Ok((present..topic.count).map(|index| record((index, placement.clone()))).collect());
        };
        if assignments.len() != additional {
            let message = format!(
                "Attempted to add {additional} additional partition(s), but only {} assignment(s) were specified.",
                assignments.len()
            );
            return Err(MetadataError::InvalidReplicaAssignment(message));
        }
        quota.check(additional)?;
        let factor = usize::try_from(image.replication_factor()).ok();
        let placed = (present..).zip(assignments).map(|(index, replicas)| {
            let placement = self.assign(index, replicas, factor)?;
            Ok(record((index, placement)))
        });
        placed.collect()
    }

    pub(super) fn delete_topics(&self, DeleteTopics { topics, quota }: &DeleteTopics) -> Decision {
        let mut requested: HashMap<&TopicRef, usize> = HashMap::new();
        let mut named: HashMap<TopicId, usize> = HashMap::new();
        for topic in topics {
            *requested.entry(topic).or_default() += 1;
        }
        for (topic, _) in requested.iter().filter(|(topic, times)| **times == 1 || matches!(topic, TopicRef::Id(_))) {
            if let Some(id) = self.resolve(topic) {
                *named.entry(id).or_default() += 1;
            }
        }
        let mut records = Vec::new();
        let mut results = Vec::new();
        for topic in topics {
            // Duplicates get one result.
            let Some(times) = requested.remove(topic) else { continue };
            let id = self.resolve(topic);
            let result = match (topic, id) {
                _ if !self.config.topic_deletion => Err(MetadataError::TopicDeletionDisabled),
                (TopicRef::Name(_), _) if times > 1 => Err(invalid("Duplicate topic name.")),
                (TopicRef::Id(_), _) if times > 1 => Err(invalid("Duplicate topic id.")),
                (TopicRef::Name(_), None) => Err(MetadataError::UnknownTopicOrPartition),
                (TopicRef::Id(_), None) => Err(MetadataError::UnknownTopicId),
                // Reported with its name.
                (TopicRef::Id(_), Some(id)) if named.get(&id).is_some_and(|&times| times > 1) => continue,
                (TopicRef::Name(_), Some(id)) if named.get(&id).is_some_and(|&times| times > 1) => {
                    Err(invalid("The provided topic name maps to an ID that was already supplied."))
                }
                (_, Some(id)) => quota.check(self.partition_count_of(id)).map(|()| {
                    records.extend(self.removal_records(id));
                }),
            };
            results.push(self.deletion(topic, id.filter(|_| times == 1), result));
        }
        Decision::new(records, MetadataReply::DeleteTopics(results))
    }

    /// The records that remove a topic.
    ///
    /// RemoveTopic also removes the settings of the topic. They are unset one by one anyway: when Apache Kafka 4.3
    /// reads a log in which a topic is removed and created again, the new topic gets the settings of the old one.
    pub(super) fn removal_records(&self, id: TopicId) -> Vec<MetadataRecord> {
        let Some(topic) = self.image.topic_by_id(id) else { return Vec::new() };
        let resource = ConfigResource::topic(topic.name.clone());
        let settings = self.image.topic_configs(&topic.name).keys();
        let unset = settings.map(|setting| configs::config_record(&resource, setting, None));
        unset.chain([MetadataRecord::new(0, RemoveTopicRecord { topic_id: id })]).collect()
    }

    fn partition_count_of(&self, id: TopicId) -> usize {
        self.image.topic_by_id(id).map_or(0, |topic| topic.partitions().count())
    }

    fn resolve(&self, topic: &TopicRef) -> Option<TopicId> {
        match topic {
            TopicRef::Name(name) => self.image.topic_id(name),
            TopicRef::Id(id) => self.image.topic_by_id(*id).map(|topic| topic.id),
        }
    }

    fn deletion(&self, topic: &TopicRef, found: Option<TopicId>, result: Result<(), MetadataError>) -> TopicDeletion {
        match topic {
            TopicRef::Name(name) => TopicDeletion { name: Some(name.clone()), id: found.unwrap_or(Uuid::ZERO), result },
            TopicRef::Id(id) => {
                let name = found.and_then(|id| self.image.topic_by_id(id)).map(|topic| topic.name.clone());
                TopicDeletion { name, id: *id, result }
            }
        }
    }
}

/// The result for each topic to create.
type TopicsCreated = Vec<(TopicName, Result<CreatedTopic, MetadataError>)>;

/// The placement of a new topic's partitions.
struct PlacedTopic {
    partitions: Vec<(PartitionIndex, Placement)>,
    /// The requested replication factor, if it was lowered.
    clamped_from: Option<i16>,
}

fn duplicates<'a>(names: impl Iterator<Item = &'a TopicName>) -> HashSet<&'a TopicName> {
    let mut seen = HashSet::new();
    names.filter(|name| !seen.insert(*name)).collect()
}

fn exceeds_limit(partitions: impl Iterator<Item = i32>) -> bool {
    partitions.map(|count| usize::try_from(count).unwrap_or(0)).fold(0, usize::saturating_add)
        > MAX_PARTITIONS_PER_REQUEST
}

fn too_many_partitions() -> MetadataError {
    MetadataError::PolicyViolation("Excessively large number of partitions per request.".to_owned())
}

fn invalid(message: &str) -> MetadataError {
    MetadataError::InvalidRequest(message.to_owned())
}
