//! Commands to the metadata machine, and its replies.
//!
//! Nothing here is a wire struct: handlers turn requests into commands and replies into responses.
//! Random ids are passed in with the command.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use super::MetadataMachine;
use super::errors::MetadataError;
use super::image::{BrokerId, ConfigResource, DelegationToken, QuotaEntity, Settings};
use super::records::MetadataRecord;
use crate::machine::commands;
use crate::security::acl::{Acl, AclBinding, AclFilter};
use crate::security::sasl::ScramCredential;
use crate::security::{Principal, SecretBytes};
use bytes::Bytes;
use ottla_wire::codec::Str;
use ottla_wire::types::{PartitionIndex, ProducerId, TimestampMs, TopicId, TopicName, Uuid};

commands! {
    MetadataMachine:
    /// A request to the metadata machine.
    MetadataCommand,
    /// The reply to the [`MetadataCommand`] of the same name, sent once its records are applied.
    MetadataReply;
    RegisterBroker(RegisterBroker) -> Result<BrokerEpoch, MetadataError>;
    UnregisterBroker(UnregisterBroker) -> Result<(), MetadataError>;
    /// One result for each distinct name, in the order of the request.
    CreateTopics(CreateTopics) -> Vec<(TopicName, Result<CreatedTopic, MetadataError>)>;
    /// One result for each distinct topic named, in the order of the request.
    DeleteTopics(DeleteTopics) -> Vec<TopicDeletion>;
    /// One result for each distinct name, in the order of the request.
    CreatePartitions(CreatePartitions) -> Vec<(TopicName, Result<(), MetadataError>)>;
    /// One result for each resource, in the order of the request.
    AlterConfigs(AlterConfigs) -> Vec<(ConfigResource, Result<(), MetadataError>)>;
    /// One result for the whole request.
    UpdateFeatures(UpdateFeatures) -> Result<(), MetadataError>;
    /// One result for each distinct entity, in the order of Kafka's answer.
    AlterClientQuotas(AlterClientQuotas) -> Vec<(QuotaEntity, Result<(), MetadataError>)>;
    /// One result for each ACL, in the order of the request; the whole request fails if it has too many.
    CreateAcls(CreateAcls) -> Result<Vec<Result<(), MetadataError>>, MetadataError>;
    /// The deleted ACLs of each filter, in the order of the request; the whole request fails if there are too many.
    DeleteAcls(DeleteAcls) -> Vec<Result<Vec<Arc<Acl>>, MetadataError>>;
    AllocateProducerIds(AllocateProducerIds) -> Result<ProducerIdBlock, MetadataError>;
    Reset(Reset) -> ResetResult;
    CreateDelegationToken(CreateDelegationToken) -> Result<Box<CreatedDelegationToken>, MetadataError>;
    /// The new time of expiry.
    RenewDelegationToken(RenewDelegationToken) -> Result<TimestampMs, MetadataError>;
    /// The new time of expiry.
    ExpireDelegationToken(ExpireDelegationToken) -> Result<TimestampMs, MetadataError>;
    /// The ids of the removed tokens.
    SweepDelegationTokens(SweepDelegationTokens) -> Vec<Str>;
    /// One result for each distinct user.
    AlterUserScramCredentials(AlterUserScramCredentials) -> Vec<(Str, Result<(), MetadataError>)>;
}

/// Removes the registration of another broker.
#[derive(Clone, Debug, PartialEq)]
pub struct UnregisterBroker(pub BrokerId);

/// DeleteTopics.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct DeleteTopics {
    pub topics: Vec<TopicRef>,
    pub quota: MutationQuota,
}

/// The controller mutation quota of a request (KIP-599); without one, everything is permitted. The decision uses it
/// once for each topic that it would change otherwise, also if the request only validates, as in Kafka.
#[derive(Clone, Default)]
pub struct MutationQuota(pub Option<Arc<dyn PermitMutations>>);

/// Permits changes of a number of partitions.
pub trait PermitMutations: Send + Sync {
    /// Counts partitions that are created or deleted. False if the quota does not permit it.
    fn permit(&self, partitions: usize) -> bool;
}

impl MutationQuota {
    pub(super) fn check(&self, partitions: usize) -> Result<(), MetadataError> {
        match &self.0 {
            Some(quota) if !quota.permit(partitions) => Err(MetadataError::ThrottlingQuotaExceeded),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for MutationQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MutationQuota").field(&self.0.is_some()).finish()
    }
}

impl PartialEq for MutationQuota {
    fn eq(&self, other: &MutationQuota) -> bool {
        match (&self.0, &other.0) {
            (Some(quota), Some(other)) => Arc::ptr_eq(quota, other),
            (quota, other) => quota.is_none() && other.is_none(),
        }
    }
}

/// CreateAcls. Each ACL has a random id, which it gets if it does not exist yet.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateAcls(pub Vec<(Uuid, AclBinding)>);

/// DeleteAcls: deletes all ACLs that match one of the filters.
#[derive(Clone, Debug, PartialEq)]
pub struct DeleteAcls(pub Vec<AclFilter>);

/// Allocates the next block of producer ids.
#[derive(Clone, Debug, PartialEq)]
pub struct AllocateProducerIds;

/// Removes every topic, dynamic setting, quota, ACL, user and delegation token, then creates these topics and users.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reset {
    pub topics: Vec<NewTopic>,
    pub users: Vec<StartUser>,
}

/// A SCRAM credential that a first start has.
#[derive(Clone, Debug, PartialEq)]
pub struct StartUser {
    pub user: Str,
    /// The code of the mechanism.
    pub mechanism: i8,
    pub credential: Arc<ScramCredential>,
}

/// Identifies one registration of a broker; increases with each registration.
pub type BrokerEpoch = i64;

/// The registration of this broker when it starts (KRaft `RegisterBrokerRecord`).
///
/// The first registration in an empty log also writes the feature levels of a new cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct RegisterBroker {
    /// Random, one for each start of the process.
    pub incarnation_id: Uuid,
    pub endpoints: Vec<Endpoint>,
    /// The feature levels this broker can read.
    pub features: Vec<SupportedFeature>,
    pub rack: Option<String>,
    /// `directory.id` of the log directory, from its `meta.properties`.
    pub directory_id: Uuid,
    /// Whether that log directory contains the metadata log.
    pub has_metadata_log: bool,
    /// Partitions whose folders are in that log directory although their records name another one.
    pub found_in_directory: HashSet<(TopicId, PartitionIndex)>,
    /// The first records of an empty log, if the directory was formatted (`bootstrap.checkpoint`).
    pub bootstrap_records: Vec<MetadataRecord>,
}

/// The address of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The listener's name, such as `PLAINTEXT`.
    pub listener: String,
    pub host: String,
    pub port: u16,
    /// Kafka's id of the security protocol: 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL.
    pub security_protocol: i16,
}

/// The levels of one feature that a broker can work at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupportedFeature {
    pub name: String,
    pub min: i16,
    pub max: i16,
}

/// CreateTopics.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct CreateTopics {
    pub topics: Vec<NewTopic>,
    /// Validates the request without applying it.
    pub validate_only: bool,
    pub quota: MutationQuota,
}

/// One topic to create.
#[derive(Clone, Debug, PartialEq)]
pub struct NewTopic {
    pub name: TopicName,
    /// Random; becomes the topic's id when it is created.
    pub id: TopicId,
    /// -1: the broker's `num.partitions`, or the length of `assignments`.
    pub partitions: i32,
    /// -1: the broker's `default.replication.factor`, or the number of replicas in `assignments`.
    pub replication_factor: i16,
    /// Partitions and their replicas. If not empty, `partitions` and `replication_factor` must be -1.
    pub assignments: Vec<(i32, Vec<i32>)>,
    /// Overrides of the topic's settings; a null value is an error, as in Kafka.
    pub configs: Vec<(String, Option<String>)>,
}

impl NewTopic {
    /// A topic with the broker's defaults.
    pub fn new(name: impl Into<TopicName>, id: TopicId) -> Self {
        NewTopic {
            name: name.into(),
            id,
            partitions: -1,
            replication_factor: -1,
            assignments: Vec::new(),
            configs: Vec::new(),
        }
    }
}

/// A topic that was created; with `validate_only`, that could be created.
#[derive(Clone, Debug, PartialEq)]
pub struct CreatedTopic {
    pub id: TopicId,
    pub partitions: i32,
    pub replication_factor: i16,
    /// The requested replication factor, if it was lowered to the number of brokers
    /// ([`Clamp`](ottla_config::ReplicationFactorPolicy::Clamp)).
    pub clamped_from: Option<i16>,
    /// The overrides it was created with.
    pub configs: Arc<Settings>,
}

/// A topic in a request, by name or by id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TopicRef {
    Name(TopicName),
    Id(TopicId),
}

/// The result for one topic of DeleteTopics.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicDeletion {
    /// `None` if the request has an id that no topic has.
    pub name: Option<TopicName>,
    /// [`Uuid::ZERO`] if the request has a name that no topic has.
    pub id: TopicId,
    pub result: Result<(), MetadataError>,
}

/// CreatePartitions.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct CreatePartitions {
    pub topics: Vec<NewPartitions>,
    /// Validates the request without applying it.
    pub validate_only: bool,
    pub quota: MutationQuota,
}

/// More partitions for one topic.
#[derive(Clone, Debug, PartialEq)]
pub struct NewPartitions {
    pub name: TopicName,
    /// The new total number of partitions.
    pub count: i32,
    /// The replicas of each added partition; `None`: the broker chooses them.
    pub assignments: Option<Vec<Vec<i32>>>,
}

/// AlterConfigs and IncrementalAlterConfigs.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct AlterConfigs {
    pub changes: Vec<ConfigChange>,
    /// Validates the request without applying it.
    pub validate_only: bool,
}

/// A change of one resource's settings. It is applied as a whole or not at all.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigChange {
    pub resource: ConfigResource,
    pub how: Alteration,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Alteration {
    /// AlterConfigs: replaces all overrides.
    Replace(Vec<(String, Option<String>)>),
    /// IncrementalAlterConfigs: keeps the other overrides.
    Incremental(Vec<ConfigOp>),
}

/// One step of IncrementalAlterConfigs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigOp {
    pub name: String,
    pub kind: OpKind,
    /// `None` is valid only with [`OpKind::Delete`].
    pub value: Option<String>,
}

/// An operation on a setting (KIP-339).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpKind {
    Set,
    /// Removes the override.
    Delete,
    /// Adds entries to a list, unless it has them.
    Append,
    /// Removes entries from a list.
    Subtract,
}

impl OpKind {
    /// The operation with that code on the wire.
    pub fn from_code(code: i8) -> Option<OpKind> {
        match code {
            0 => Some(OpKind::Set),
            1 => Some(OpKind::Delete),
            2 => Some(OpKind::Append),
            3 => Some(OpKind::Subtract),
            _ => None,
        }
    }
}

/// AlterClientQuotas (KIP-546).
#[derive(Clone, Debug, PartialEq, Default)]
pub struct AlterClientQuotas {
    pub alterations: Vec<QuotaAlteration>,
    /// The names of IP entities that are neither addresses nor the names of hosts.
    pub unresolvable: HashSet<String>,
    /// Validates the request without applying it.
    pub validate_only: bool,
}

/// A change of the quotas of one entity. It is applied as a whole or not at all.
#[derive(Clone, Debug, PartialEq)]
pub struct QuotaAlteration {
    /// Types and names; each type once.
    pub entity: QuotaEntity,
    /// The names of the quotas, and their new values; `None` removes one.
    pub ops: Vec<(String, Option<f64>)>,
}

/// The result of a reset.
#[derive(Clone, Debug, PartialEq)]
pub struct ResetResult {
    /// The number of removed topics.
    pub removed: usize,
    /// As in the reply to [`CreateTopics`].
    pub created: Vec<(TopicName, Result<CreatedTopic, MetadataError>)>,
}

/// UpdateFeatures. It is applied as a whole or not at all.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct UpdateFeatures {
    pub updates: Vec<FeatureUpdate>,
    /// The levels that this broker serves.
    pub supported: Vec<SupportedFeature>,
    /// Validates the request without applying it.
    pub validate_only: bool,
}

/// The new level of one feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureUpdate {
    pub name: String,
    /// 0 disables the feature.
    pub level: i16,
    /// `None`: the request has a type that Kafka does not define.
    pub upgrade: Option<UpgradeType>,
}

/// The direction in which a feature's level may change (KIP-778).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpgradeType {
    Upgrade,
    /// A downgrade that loses no metadata.
    SafeDowngrade,
    UnsafeDowngrade,
}

impl UpgradeType {
    /// The code on the wire.
    pub fn code(self) -> i8 {
        match self {
            UpgradeType::Upgrade => 1,
            UpgradeType::SafeDowngrade => 2,
            UpgradeType::UnsafeDowngrade => 3,
        }
    }

    /// The type with that code on the wire.
    pub fn from_code(code: i8) -> Option<UpgradeType> {
        match code {
            1 => Some(UpgradeType::Upgrade),
            2 => Some(UpgradeType::SafeDowngrade),
            3 => Some(UpgradeType::UnsafeDowngrade),
            _ => None,
        }
    }
}

/// CreateDelegationToken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateDelegationToken {
    pub owner: Principal,
    pub requester: Principal,
    pub renewers: Vec<Principal>,
    /// At most `delegation.token.max.lifetime.ms`, which is also used if this is not positive.
    pub max_lifetime_ms: i64,
    /// Random; becomes the token's id.
    pub id: Uuid,
}

/// A new delegation token with its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedDelegationToken {
    pub token: DelegationToken,
    pub hmac: SecretBytes,
}

/// RenewDelegationToken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenewDelegationToken {
    pub hmac: SecretBytes,
    pub caller: Principal,
    /// At most `delegation.token.expiry.time.ms`, which is also used if this is not positive.
    pub period_ms: i64,
}

/// ExpireDelegationToken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpireDelegationToken {
    pub hmac: SecretBytes,
    pub caller: Principal,
    /// Negative to remove the token.
    pub period_ms: i64,
}

/// Removes all expired delegation tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepDelegationTokens;

/// AlterUserScramCredentials. Each user may be named once.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct AlterUserScramCredentials {
    pub deletions: Vec<ScramDeletion>,
    pub upsertions: Vec<ScramUpsertion>,
}

/// A SCRAM credential to remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScramDeletion {
    pub user: Str,
    /// The code of the mechanism, as the client sent it.
    pub mechanism: i8,
}

/// A SCRAM credential to set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScramUpsertion {
    pub user: Str,
    /// The code of the mechanism, as the client sent it.
    pub mechanism: i8,
    pub iterations: i32,
    pub salt: Bytes,
    /// PBKDF2 of the password, made by the client.
    pub salted_password: SecretBytes,
}

/// Producer ids that this broker may assign. The block is durable before it is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIdBlock {
    pub first: ProducerId,
    pub count: i64,
}
