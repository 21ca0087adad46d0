//! The error codes that each version of an API may answer.
//!
//! A code that is newer than the version is replaced if brokers of that time answered another code for the same
//! error, or if clients of that time would react wrongly, for example not retry. Other newer codes are answered
//! unchanged, as in Kafka: clients treat an unknown code as an unknown error (Java's `Errors.forCode`, kafka-python's
//! `for_code`, afkak's `raise_for_errno`), and many clients know more codes than their versions need.
//! `tests/data/error-versions.tsv` lists every such code with the reason.

use ottla_wire::protocol::{ApiKey, Response};
use ottla_wire::types::ErrorCode;

use ErrorCode::*;

/// The last version of an API for which the first code is replaced with the second.
const REPLACED: &[(ApiKey, i16, ErrorCode, ErrorCode)] = &[
    // Before Kafka 2.4 an invalid record was CORRUPT_MESSAGE (KIP-467). Versions 3 to 7 keep the newer code: most of
    // their clients know it, and the older one makes clients retry.
    (ApiKey::Produce, 2, InvalidRecord, CorruptMessage),
    (ApiKey::Fetch, 3, InvalidRecord, CorruptMessage),
    // Before 2.1 an unsupported codec was an unknown error (KIP-110).
    (ApiKey::Produce, 2, UnsupportedCompressionType, UnknownServerError),
    (ApiKey::Produce, 1, InvalidTimestamp, UnknownServerError),
    // Clients before 1.0 retry on the second codes only (KIP-112); for Produce and Fetch the schemas require it.
    (ApiKey::Produce, 3, KafkaStorageError, NotLeaderOrFollower),
    (ApiKey::Fetch, 5, KafkaStorageError, NotLeaderOrFollower),
    (ApiKey::ListOffsets, 2, KafkaStorageError, NotLeaderOrFollower),
    (ApiKey::DeleteRecords, 0, KafkaStorageError, NotLeaderOrFollower),
    (ApiKey::OffsetForLeaderEpoch, 0, KafkaStorageError, NotLeaderOrFollower),
    (ApiKey::Metadata, 4, KafkaStorageError, LeaderNotAvailable),
    (ApiKey::CreateTopics, 2, KafkaStorageError, UnknownServerError),
    (ApiKey::DeleteTopics, 1, KafkaStorageError, UnknownServerError),
    (ApiKey::DescribeConfigs, 0, KafkaStorageError, UnknownServerError),
    (ApiKey::AlterConfigs, 0, KafkaStorageError, UnknownServerError),
    (ApiKey::CreateAcls, 0, KafkaStorageError, UnknownServerError),
    (ApiKey::DeleteAcls, 0, KafkaStorageError, UnknownServerError),
    (ApiKey::InitProducerId, 0, KafkaStorageError, CoordinatorNotAvailable),
    (ApiKey::TxnOffsetCommit, 0, KafkaStorageError, CoordinatorNotAvailable),
    // Before 2.7 the error of a fenced producer was INVALID_PRODUCER_EPOCH (KIP-588).
    (ApiKey::InitProducerId, 3, ProducerFenced, InvalidProducerEpoch),
    (ApiKey::AddPartitionsToTxn, 1, ProducerFenced, InvalidProducerEpoch),
    (ApiKey::AddOffsetsToTxn, 1, ProducerFenced, InvalidProducerEpoch),
    (ApiKey::EndTxn, 1, ProducerFenced, InvalidProducerEpoch),
    (ApiKey::CreateTopics, 0, PolicyViolation, InvalidRequest),
    // As Kafka's controller (KIP-322).
    (ApiKey::DeleteTopics, 2, TopicDeletionDisabled, InvalidRequest),
    // Kafka 2.2 and 2.3, which supported version 0 only, answered NONE.
    (ApiKey::ElectLeaders, 0, ElectionNotNeeded, None),
];

/// The code that is answered for `code` in `version` of `api`.
pub fn replacement(api: ApiKey, version: i16, code: ErrorCode) -> ErrorCode {
    let row = REPLACED.iter().find(|row| row.0 == api && version <= row.1 && row.2 == code);
    row.map_or(code, |row| row.3)
}

/// Replaces the codes of a response that are too new for its version.
pub fn translate(version: i16, response: &mut Response) {
    let api = response.key();
    if !REPLACED.iter().any(|row| row.0 == api && version <= row.1) {
        return;
    }
    response.visit_error_codes(&mut |code| {
        if let Some(newer) = ErrorCode::from_code(*code) {
            *code = replacement(api, version, newer).code();
        }
    });
}

#[cfg(test)]
mod tests;
