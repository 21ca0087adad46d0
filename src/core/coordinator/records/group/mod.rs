//! Records of `__consumer_offsets`, and their encoding.

use std::sync::Arc;

use bytes::Bytes;

use super::RecordError;
use super::schemas::{GroupMetadataKey, GroupMetadataValue, MemberMetadataRow, OffsetCommitKey, OffsetCommitValue};
use ottla_wire::codec::{EncodeError, Message, Reader, Str, read_prefix, read_prefixed, write_prefixed};

use crate::coordinator::{GroupId, InstanceId, MemberId};
use ottla_wire::types::{LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicId, TopicName};

/// One record of `__consumer_offsets`; a missing value is a tombstone.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupRecord {
    /// A group's committed offset of one partition.
    OffsetCommit { group: GroupId, topic: TopicName, partition: PartitionIndex, value: Option<CommittedOffset> },
    /// A classic group's generation, with its members and their assignments.
    GroupMetadata { group: GroupId, value: Option<Arc<GroupMetadata>> },
}

/// A committed offset of a partition.
#[derive(Clone, Debug, PartialEq)]
pub struct CommittedOffset {
    pub offset: Offset,
    /// The leader epoch of the last record read; -1: unknown.
    pub leader_epoch: LeaderEpoch,
    /// Text of the client.
    pub metadata: Box<str>,
    pub commit_timestamp: TimestampMs,
    /// When the offset expires, if the client requested a retention time. The record version with this field has no
    /// `leader_epoch` and no `topic_id`.
    pub expire_timestamp: Option<TimestampMs>,
    /// Zero: unknown.
    pub topic_id: TopicId,
}

/// The durable state of a classic group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupMetadata {
    /// None until the group has had a member.
    pub protocol_type: Option<Arc<str>>,
    pub generation: i32,
    /// None while the group is empty.
    pub protocol: Option<Arc<str>>,
    /// None while the group is empty.
    pub leader: Option<MemberId>,
    /// When the group entered its state; `None` in records of old versions.
    pub state_since: Option<TimestampMs>,
    pub members: Vec<MemberMetadata>,
}

/// A member of a generation.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberMetadata {
    pub member_id: MemberId,
    pub instance_id: Option<InstanceId>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    /// The member's metadata for the selected protocol.
    pub subscription: Bytes,
    pub assignment: Bytes,
}

/// The types before keys: the schemas' `apiKey`.
mod key_type {
    /// Of Kafka 0.8. The key has the schema of [`OFFSET_COMMIT`].
    pub const LEGACY_OFFSET_COMMIT: i16 = 0;
    pub const OFFSET_COMMIT: i16 = 1;
    pub const GROUP_METADATA: i16 = 2;
}

/// The versions of values that Apache Kafka 4.3 writes.
mod value_version {
    /// The only version with an expiry timestamp.
    pub const OFFSET_COMMIT_EXPIRING: i16 = 1;
    pub const OFFSET_COMMIT: i16 = 3;
    /// The first version with topic ids.
    pub const OFFSET_COMMIT_WITH_TOPIC_ID: i16 = 4;
    pub const GROUP_METADATA: i16 = 3;
}

impl GroupRecord {
    /// Encodes the record's key and value. Fails if a string or blob is longer than the format allows.
    pub fn encode(&self) -> Result<(Bytes, Option<Bytes>), EncodeError> {
        match self {
            GroupRecord::OffsetCommit { group, topic, partition, value } => {
                let key = OffsetCommitKey { group: (&**group).into(), topic: (&**topic).into(), partition: *partition };
                let value = value.as_ref().map(CommittedOffset::encode).transpose()?;
                Ok((write_prefixed(key_type::OFFSET_COMMIT, &key, 0)?, value))
            }
            GroupRecord::GroupMetadata { group, value } => {
                let key = GroupMetadataKey { group: (&**group).into() };
                let value = value.as_ref().map(|value| value.encode()).transpose()?;
                Ok((write_prefixed(key_type::GROUP_METADATA, &key, 0)?, value))
            }
        }
    }

    /// Decodes a record. The result does not share memory with `key` and `value`.
    pub fn decode(key: &Bytes, value: Option<&Bytes>) -> Result<GroupRecord, RecordError> {
        let mut r = Reader::new(key.clone());
        match read_prefix(&mut r)? {
            key_type::LEGACY_OFFSET_COMMIT | key_type::OFFSET_COMMIT => {
                let key = OffsetCommitKey::read(&mut r, 0)?;
                let value = value.map(CommittedOffset::decode).transpose()?;
                let (group, topic) = (text(key.group), text(key.topic));
                Ok(GroupRecord::OffsetCommit { group, topic, partition: key.partition, value })
            }
            key_type::GROUP_METADATA => {
                let key = GroupMetadataKey::read(&mut r, 0)?;
                let value = value.map(GroupMetadata::decode).transpose()?.map(Arc::new);
                Ok(GroupRecord::GroupMetadata { group: text(key.group), value })
            }
            other => Err(RecordError::UnknownType(other)),
        }
    }
}

impl CommittedOffset {
    fn encode(&self) -> Result<Bytes, EncodeError> {
        let version = match (self.expire_timestamp, self.topic_id) {
            (Some(_), _) => value_version::OFFSET_COMMIT_EXPIRING,
            (None, TopicId::ZERO) => value_version::OFFSET_COMMIT,
            (None, _) => value_version::OFFSET_COMMIT_WITH_TOPIC_ID,
        };
        let value = OffsetCommitValue {
            offset: self.offset,
            leader_epoch: self.leader_epoch,
            metadata: (&*self.metadata).into(),
            commit_timestamp: self.commit_timestamp,
            expire_timestamp: self.expire_timestamp.unwrap_or(-1),
            topic_id: self.topic_id,
        };
        write_prefixed(version, &value, version)
    }

    fn decode(value: &Bytes) -> Result<CommittedOffset, RecordError> {
        let (_, value) = read_prefixed::<OffsetCommitValue>(value)?;
        Ok(CommittedOffset {
            offset: value.offset,
            leader_epoch: value.leader_epoch,
            metadata: (&*value.metadata).into(),
            commit_timestamp: value.commit_timestamp,
            expire_timestamp: known(value.expire_timestamp),
            topic_id: value.topic_id,
        })
    }
}

impl GroupMetadata {
    fn encode(&self) -> Result<Bytes, EncodeError> {
        let value = GroupMetadataValue {
            protocol_type: self.protocol_type.as_deref().unwrap_or_default().into(),
            generation: self.generation,
            protocol: self.protocol.as_deref().map(Str::from),
            leader: self.leader.as_deref().map(Str::from),
            current_state_timestamp: self.state_since.unwrap_or(-1),
            members: self.members.iter().map(MemberMetadata::to_row).collect(),
        };
        write_prefixed(value_version::GROUP_METADATA, &value, value_version::GROUP_METADATA)
    }

    fn decode(value: &Bytes) -> Result<GroupMetadata, RecordError> {
        let (_, value) = read_prefixed::<GroupMetadataValue>(value)?;
        Ok(GroupMetadata {
            protocol_type: Some(value.protocol_type).filter(|name| !name.is_empty()).map(text),
            generation: value.generation,
            protocol: value.protocol.map(text),
            leader: value.leader.map(text),
            state_since: known(value.current_state_timestamp),
            members: value.members.into_iter().map(MemberMetadata::from_row).collect(),
        })
    }
}

impl MemberMetadata {
    fn to_row(&self) -> MemberMetadataRow {
        MemberMetadataRow {
            member_id: (&*self.member_id).into(),
            group_instance_id: self.instance_id.as_deref().map(Str::from),
            client_id: (&*self.client_id).into(),
            client_host: (&*self.client_host).into(),
            rebalance_timeout: self.rebalance_timeout_ms,
            session_timeout: self.session_timeout_ms,
            subscription: self.subscription.clone(),
            assignment: self.assignment.clone(),
        }
    }

    fn from_row(row: MemberMetadataRow) -> MemberMetadata {
        MemberMetadata {
            member_id: text(row.member_id),
            instance_id: row.group_instance_id.map(text),
            client_id: text(row.client_id),
            client_host: text(row.client_host),
            rebalance_timeout_ms: row.rebalance_timeout,
            session_timeout_ms: row.session_timeout,
            subscription: Bytes::copy_from_slice(&row.subscription),
            assignment: Bytes::copy_from_slice(&row.assignment),
        }
    }
}

/// Copies a string, so that it does not keep the whole batch in memory.
fn text(text: Str) -> Arc<str> {
    Arc::from(&*text)
}

/// Converts a timestamp; Kafka writes an unknown one as -1.
fn known(timestamp: TimestampMs) -> Option<TimestampMs> {
    Some(timestamp).filter(|&t| t != -1)
}

#[cfg(test)]
mod tests;
