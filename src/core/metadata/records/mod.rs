//! The KRaft records of `__cluster_metadata-0`, as Apache Kafka writes and reads them.
//!
//! A record has no key and no headers. Its value is a frame (frame version 1, the record's `apiKey` and
//! version, each an unsigned varint) followed by the message. Trailing bytes are an error.

pub mod control;
mod schemas;

use bytes::Bytes;

pub use schemas::*;

use ottla_wire::codec::{self, DecodeError, EncodeError, Reader, RecordFrame, Schema};

/// One record of the metadata log, and its version.
#[derive(Clone, Debug, PartialEq)]
pub struct MetadataRecord {
    pub version: i16,
    pub body: RecordBody,
}

/// Why a record could not be decoded. No record of a metadata log is skipped: a broker that cannot read all of them
/// must not run on the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordDecodeError {
    #[error("metadata record: {0}")]
    Malformed(#[from] DecodeError),
    #[error("metadata record of unknown kind {0}, from a newer Kafka")]
    UnknownKind(i16),
    #[error("metadata record {kind} is followed by {extra} bytes that don't belong to it")]
    TrailingBytes { kind: i16, extra: usize },
}

impl MetadataRecord {
    pub fn new(version: i16, body: impl Into<RecordBody>) -> Self {
        MetadataRecord { version, body: body.into() }
    }

    /// Encodes the record's value.
    ///
    /// # Errors
    /// If a string or list is longer than the format allows.
    pub fn encode(&self) -> Result<Bytes, EncodeError> {
        self.body.encode(self.version)
    }

    /// Decodes a record's value.
    pub fn decode(value: &Bytes) -> Result<MetadataRecord, RecordDecodeError> {
        let mut r = Reader::new(value.clone());
        let frame = codec::read_record_frame(&mut r)?;
        let body = RecordBody::decode(&mut r, frame)?;
        match r.remaining() {
            0 => Ok(MetadataRecord { version: frame.version, body }),
            extra => Err(RecordDecodeError::TrailingBytes { kind: frame.kind, extra }),
        }
    }

    /// A copy in memory of its own, to keep for long. A decoded record shares the buffer that it was read from, which
    /// may be a whole segment.
    pub(super) fn detached(&self) -> MetadataRecord {
        let copy = self.encode().ok().and_then(|value| MetadataRecord::decode(&value).ok());
        copy.unwrap_or_else(|| self.clone())
    }
}

/// Every kind of record with its `apiKey`. The missing numbers belong to kinds that no released version wrote.
macro_rules! records {
    ($($kind:literal $variant:ident($message:ident);)*) => {
        /// The content of a record.
        #[derive(Clone, Debug, PartialEq)]
        pub enum RecordBody {
            $($variant($message),)*
        }

        impl RecordBody {
            fn encode(&self, version: i16) -> Result<Bytes, EncodeError> {
                match self {
                    $(RecordBody::$variant(message) => {
                        codec::write_record(RecordFrame { kind: $kind, version }, message)
                    })*
                }
            }

            /// The schema of the records with this `apiKey`; `None` if it is unknown.
            pub fn schema(kind: i16) -> Option<Schema> {
                match kind {
                    $($kind => Some(Schema::of::<$message>()),)*
                    _ => None,
                }
            }

            fn decode(r: &mut Reader, frame: RecordFrame) -> Result<RecordBody, RecordDecodeError> {
                match frame.kind {
                    $($kind => Ok(codec::read_record::<$message>(r, frame)?.into()),)*
                    unknown => Err(RecordDecodeError::UnknownKind(unknown)),
                }
            }
        }

        $(impl From<$message> for RecordBody {
            fn from(message: $message) -> RecordBody {
                RecordBody::$variant(message)
            }
        })*
    };
}

records! {
    0 RegisterBroker(RegisterBrokerRecord);
    1 UnregisterBroker(UnregisterBrokerRecord);
    2 Topic(TopicRecord);
    3 Partition(PartitionRecord);
    4 Config(ConfigRecord);
    5 PartitionChange(PartitionChangeRecord);
    7 FenceBroker(FenceBrokerRecord);
    8 UnfenceBroker(UnfenceBrokerRecord);
    9 RemoveTopic(RemoveTopicRecord);
    10 DelegationToken(DelegationTokenRecord);
    11 UserScramCredential(UserScramCredentialRecord);
    12 FeatureLevel(FeatureLevelRecord);
    14 ClientQuota(ClientQuotaRecord);
    15 ProducerIds(ProducerIdsRecord);
    17 BrokerRegistrationChange(BrokerRegistrationChangeRecord);
    18 AccessControlEntry(AccessControlEntryRecord);
    19 RemoveAccessControlEntry(RemoveAccessControlEntryRecord);
    20 NoOp(NoOpRecord);
    21 ZkMigrationState(ZkMigrationStateRecord);
    22 RemoveUserScramCredential(RemoveUserScramCredentialRecord);
    23 BeginTransaction(BeginTransactionRecord);
    24 EndTransaction(EndTransactionRecord);
    25 AbortTransaction(AbortTransactionRecord);
    26 RemoveDelegationToken(RemoveDelegationTokenRecord);
    27 RegisterController(RegisterControllerRecord);
    28 ClearElr(ClearElrRecord);
    29 UnregisterController(UnregisterControllerRecord);
}

/// The record versions to write at a level of `metadata.version` (Kafka's `MetadataVersion`). All other kinds have only
/// version 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteVersions {
    pub register_broker: i16,
    pub broker_registration_change: i16,
    pub partition: i16,
    pub partition_change: i16,
}

impl WriteVersions {
    pub fn at(metadata_version: i16) -> WriteVersions {
        let partition = match metadata_version {
            ..17 => 0,
            17..23 => 1,
            23.. => 2,
        };
        let (register_broker, broker_registration_change) = match metadata_version {
            ..8 => (1, 1),
            8..17 => (2, 1),
            17..30 => (3, 2),
            30.. => (4, 3),
        };
        WriteVersions { register_broker, broker_registration_change, partition, partition_change: partition }
    }
}
