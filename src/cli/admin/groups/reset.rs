//! Moving a group's offsets: which partitions, and to where.
//!
//! Source of behaviour: `org.apache.kafka.tools.OffsetsUtils`.

use std::collections::{BTreeMap, BTreeSet};

use super::description::{EARLIEST, LATEST};
use super::{Groups, GroupsError, ResetPlan};
use crate::cli::tools::exceptions::Exception;
use ottla_client::{ClientError, CommittedOffset};
use ottla_wire::protocol::ApiKey;
use ottla_wire::types::{InOrder as _, Offset, PartitionIndex, TimestampMs, TopicPartition};

/// Where offsets go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Earliest,
    Latest,
    /// Where they are; to the end where nothing has been committed.
    Current,
    Offset(Offset),
    ShiftBy(i64),
    /// To the first record that is not older; to the end where there is none.
    Time(TimestampMs),
    Plan(ResetPlan),
}

/// Which partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All that the group has committed offsets for.
    Committed,
    Topics(Vec<TopicSelection>),
    /// Those of the plan.
    Planned,
}

/// A topic, whole or in part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSelection {
    pub topic: String,
    /// `None` for all.
    pub partitions: Option<Vec<PartitionIndex>>,
}

impl TopicSelection {
    /// Reads `topic` or `topic:0,1`.
    pub fn parse(text: &str) -> Result<TopicSelection, GroupsError> {
        let Some((topic, partitions)) = text.split_once(':') else {
            return Ok(TopicSelection { topic: text.to_owned(), partitions: None });
        };
        if topic.is_empty() || partitions.is_empty() || partitions.contains(':') {
            let wrong = format!("Invalid topic arg '{text}', expected topic name and partitions");
            return Err(GroupsError::Usage(wrong));
        }
        let number = |partition: &str| {
            partition.parse().map_err(|_| {
                GroupsError::Usage(format!("Invalid partition '{partition}' specified in topic arg '{text}''"))
            })
        };
        let partitions = partitions.split(',').map(number).collect::<Result<_, _>>()?;
        Ok(TopicSelection { topic: topic.to_owned(), partitions: Some(partitions) })
    }
}

/// Where a group's offsets are to go, or went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reset {
    pub offsets: BTreeMap<TopicPartition, Offset>,
    pub notes: Vec<Note>,
}

/// What is not as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The offset asked for is beyond the end.
    TooHigh { asked: Offset, partition: TopicPartition, end: Offset },
    /// The offset asked for is before the start.
    TooLow { asked: Offset, partition: TopicPartition, start: Offset },
    /// No record is as late as the time asked for: the end was taken.
    NothingSoLate(TopicPartition),
    /// The plan says nothing about the group.
    NoPlan(String),
}

impl Groups {
    /// Works out where a group's offsets would go; nothing is changed.
    pub async fn plan_reset(&self, group: &str, scope: &Scope, target: &Target) -> Result<Reset, GroupsError> {
        let partitions = match scope {
            Scope::Committed => self.committed(group).await?.into_keys().in_order(),
            Scope::Planned => BTreeSet::new(),
            Scope::Topics(selections) => {
                let mut partitions = BTreeSet::new();
                for selection in selections {
                    let found = self.partitions(selection).await;
                    partitions.extend(found.map_err(said_plainly)?);
                }
                partitions
            }
        };
        self.must_exist(&partitions).await?;
        match target {
            Target::Earliest => self.to_listed(partitions, EARLIEST).await,
            Target::Latest => self.to_listed(partitions, LATEST).await,
            Target::Time(timestamp) => self.to_time(partitions, *timestamp).await,
            Target::Current => self.to_current(group, partitions).await,
            Target::Offset(offset) => {
                self.within_range(partitions.into_iter().map(|partition| (partition, *offset)).in_order()).await
            }
            Target::ShiftBy(steps) => self.shifted(group, partitions, *steps).await,
            Target::Plan(plan) => match plan.0.get(group) {
                Some(offsets) => self.within_range(offsets.clone()).await,
                None => Ok(Reset { notes: vec![Note::NoPlan(group.to_owned())], ..Reset::default() }),
            },
        }
    }

    /// Commits offsets for a group that has no members.
    pub async fn commit(&self, group: &str, offsets: &BTreeMap<TopicPartition, Offset>) -> Result<(), GroupsError> {
        if offsets.is_empty() {
            return Ok(());
        }
        let commit = async || self.client.alter_committed_offsets(group, offsets).await;
        self.settled(Some(group), commit).await.map_err(said_plainly)
    }

    /// Everything that a group has committed.
    pub(super) async fn committed(
        &self,
        group: &str,
    ) -> Result<BTreeMap<TopicPartition, CommittedOffset>, GroupsError> {
        let committed = self.settled(Some(group), async || self.client.all_committed_offsets(group).await);
        committed.await.map_err(GroupsError::Step)
    }

    /// The partitions of a selection; those that are named may not exist.
    pub(super) async fn partitions(&self, selection: &TopicSelection) -> Result<Vec<TopicPartition>, ClientError> {
        let indexes = match &selection.partitions {
            Some(indexes) => indexes.clone(),
            None => self.partitions_of(&selection.topic).await?,
        };
        Ok(indexes.into_iter().map(|index| TopicPartition::new(selection.topic.as_str(), index)).collect())
    }

    async fn partitions_of(&self, topic: &str) -> Result<Vec<PartitionIndex>, ClientError> {
        let key = ApiKey::Metadata;
        let cluster = self.client.metadata(Some(&[topic])).await?;
        let found = cluster.topics.into_iter().next().ok_or(ClientError::Incomplete { key })?;
        match found.error_code {
            0 => Ok(found.partitions),
            code => Err(ClientError::Refused { key, code, message: None }),
        }
    }

    async fn must_exist(&self, partitions: &BTreeSet<TopicPartition>) -> Result<(), GroupsError> {
        let topics: BTreeSet<&str> = partitions.iter().map(|partition| &*partition.topic).in_order();
        let mut missing = Vec::new();
        for topic in topics {
            let existing = self.partitions_of(topic).await.map_err(GroupsError::Step)?;
            let asked = partitions.iter().filter(|partition| &*partition.topic == topic);
            missing.extend(asked.filter(|it| !existing.contains(&it.partition)).map(TopicPartition::to_string));
        }
        if missing.is_empty() {
            return Ok(());
        }
        Err(GroupsError::Refused(format!("The partitions \"{}\" do not exist", missing.join(","))))
    }

    /// What ListOffsets tells for a timestamp, in the order of the partitions.
    async fn listed(
        &self,
        partitions: &BTreeSet<TopicPartition>,
        timestamp: TimestampMs,
    ) -> Result<Vec<Offset>, GroupsError> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let asked: Vec<_> = partitions.iter().map(|it| (&*it.topic, it.partition, timestamp)).collect();
        let listed = self.client.list_offsets(&asked).await.map_err(GroupsError::Step)?;
        listed.into_iter().map(|listed| Ok(listed.map_err(GroupsError::Step)?.offset)).collect()
    }

    async fn to_listed(
        &self,
        partitions: BTreeSet<TopicPartition>,
        timestamp: TimestampMs,
    ) -> Result<Reset, GroupsError> {
        let listed = self.listed(&partitions, timestamp).await?;
        Ok(Reset { offsets: partitions.into_iter().zip(listed).in_order(), notes: Vec::new() })
    }

    async fn to_time(
        &self,
        partitions: BTreeSet<TopicPartition>,
        timestamp: TimestampMs,
    ) -> Result<Reset, GroupsError> {
        let found = self.to_listed(partitions, timestamp).await?.offsets;
        let (found, without): (BTreeMap<_, _>, BTreeMap<_, _>) =
            found.into_iter().partition(|(_, offset)| *offset >= 0);
        let without: BTreeSet<_> = without.into_keys().in_order();
        let notes = without.iter().cloned().map(Note::NothingSoLate).collect();
        let mut offsets = self.to_listed(without, LATEST).await?.offsets;
        offsets.extend(found);
        Ok(Reset { offsets, notes })
    }

    async fn to_current(&self, group: &str, partitions: BTreeSet<TopicPartition>) -> Result<Reset, GroupsError> {
        let committed = self.committed(group).await?;
        let (with, without): (BTreeSet<_>, BTreeSet<_>) =
            partitions.into_iter().partition(|partition| committed.contains_key(partition));
        let mut reset = self.to_listed(without, LATEST).await?;
        reset.offsets.extend(
            committed.into_iter().filter_map(|(partition, committed)| {
                with.contains(&partition).then_some((partition, committed.offset))
            }),
        );
        Ok(reset)
    }

    async fn shifted(
        &self,
        group: &str,
        partitions: BTreeSet<TopicPartition>,
        steps: i64,
    ) -> Result<Reset, GroupsError> {
        let committed = self.committed(group).await?;
        let shift = |partition: TopicPartition| match committed.get(&partition) {
            Some(committed) => Ok((partition, committed.offset.saturating_add(steps))),
            None => Err(GroupsError::Usage(format!(
                "Cannot shift offset for partition {partition} since there is no current committed offset"
            ))),
        };
        self.within_range(partitions.into_iter().map(shift).collect::<Result<_, _>>()?).await
    }

    /// Offsets as asked for, but neither before a partition's start nor beyond its end.
    async fn within_range(&self, asked: BTreeMap<TopicPartition, Offset>) -> Result<Reset, GroupsError> {
        let partitions: BTreeSet<_> = asked.keys().cloned().in_order();
        let starts = self.listed(&partitions, EARLIEST).await?;
        let ends = self.listed(&partitions, LATEST).await?;
        let mut reset = Reset::default();
        for ((partition, asked), (start, end)) in asked.into_iter().zip(starts.into_iter().zip(ends)) {
            let offset = if asked > end {
                reset.notes.push(Note::TooHigh { asked, partition: partition.clone(), end });
                end
            } else if asked < start {
                reset.notes.push(Note::TooLow { asked, partition: partition.clone(), start });
                start
            } else {
                asked
            };
            reset.offsets.insert(partition, offset);
        }
        Ok(reset)
    }
}

/// An error of which Kafka's tool says the message alone.
fn said_plainly(error: ClientError) -> GroupsError {
    GroupsError::Refused(Exception::from(error).message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selections_of_topics() {
        let check = |text, expect: Result<(&str, Option<&[PartitionIndex]>), &str>| {
            let selection = TopicSelection::parse(text).map_err(|error| error.to_string());
            let expect = expect.map(|(topic, partitions)| TopicSelection {
                topic: topic.to_owned(),
                partitions: partitions.map(<[_]>::to_vec),
            });
            assert_eq!(selection, expect.map_err(str::to_owned), "{text}");
        };
        check("t", Ok(("t", None)));
        check("t:0", Ok(("t", Some(&[0]))));
        check("t:2,0", Ok(("t", Some(&[2, 0]))));
        check("t:", Err("Invalid topic arg 't:', expected topic name and partitions"));
        check("t:0:1", Err("Invalid topic arg 't:0:1', expected topic name and partitions"));
        check("t:x", Err("Invalid partition 'x' specified in topic arg 't:x''"));
    }
}
