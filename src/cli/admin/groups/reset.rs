//! Resets a group's offsets.
//!
//! Source of behaviour: `org.apache.kafka.tools.OffsetsUtils`.

use std::collections::{BTreeMap, BTreeSet};

use super::description::{EARLIEST, LATEST};
use super::{Groups, GroupsError, ResetPlan};
use crate::cli::tools::exceptions::Exception;
use ottla_client::{ClientError, CommittedOffset};
use ottla_wire::protocol::ApiKey;
use ottla_wire::types::{InOrder as _, Offset, PartitionIndex, TimestampMs, TopicPartition};

/// The new offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Earliest,
    Latest,
    /// The committed offset; the end offset without one.
    Current,
    Offset(Offset),
    ShiftBy(i64),
    /// The first record at or after this time; the end offset if there is none.
    Time(TimestampMs),
    Plan(ResetPlan),
}

/// The partitions to reset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All partitions with committed offsets.
    Committed,
    Topics(Vec<TopicSelection>),
    /// The partitions of the plan.
    Planned,
}

/// A topic, or some of its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSelection {
    pub topic: String,
    /// `None` for all partitions.
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

/// The new offsets of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reset {
    pub offsets: BTreeMap<TopicPartition, Offset>,
    pub notes: Vec<Note>,
}

/// A difference from what was requested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The requested offset is above the end offset.
    TooHigh { asked: Offset, partition: TopicPartition, end: Offset },
    /// The requested offset is below the start offset.
    TooLow { asked: Offset, partition: TopicPartition, start: Offset },
    /// There is no record at or after the requested time: the end offset is used.
    NothingSoLate(TopicPartition),
    /// The plan has no offsets for the group.
    NoPlan(String),
}

impl Groups {
    /// Computes a group's new offsets, without changing anything.
    pub async fn plan_reset(&self, group: &str, scope: &Scope, target: &Target) -> Result<Reset, GroupsError> {
        let partitions = match scope {
            Scope::Committed => self.committed(group).await?.into_keys().in_order(),
            Scope::Planned => BTreeSet::new(),
            Scope::Topics(selections) => {
                let mut partitions = BTreeSet::new();
                for selection in selections {
                    let found = self.partitions(selection).await;
                    partitions.extend(found.map_err(message_only)?);
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

    /// Commits offsets for a group without members.
    pub async fn commit(&self, group: &str, offsets: &BTreeMap<TopicPartition, Offset>) -> Result<(), GroupsError> {
        if offsets.is_empty() {
            return Ok(());
        }
        let commit = async || self.client.alter_committed_offsets(group, offsets).await;
        self.retry_coordinator(Some(group), commit).await.map_err(message_only)
    }

    /// All committed offsets of a group.
    pub(super) async fn committed(
        &self,
        group: &str,
    ) -> Result<BTreeMap<TopicPartition, CommittedOffset>, GroupsError> {
        let committed = self.retry_coordinator(Some(group), async || self.client.all_committed_offsets(group).await);
        committed.await.map_err(GroupsError::Step)
    }

    /// The partitions of a selection. Named partitions may not exist.
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

    /// The offsets that ListOffsets returns for a timestamp, in the order of the partitions.
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

    /// Limits the requested offsets to the range from start to end offset of each partition.
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

/// Converts an error of which Kafka's tool prints only the message.
fn message_only(error: ClientError) -> GroupsError {
    GroupsError::Refused(Exception::from(error).message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_selection_is_parsed() {
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
