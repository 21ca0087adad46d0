//! The one place that knows which error codes a version of an API may answer.
//!
//! A code that is newer than the version is replaced where the brokers of that version's time answered another one
//! for the same reason, or where clients of that time would do the wrong thing, such as never trying again. Other
//! newer codes are answered as they are, as Kafka does: to clients that don't know a code it is an unknown error
//! (Java's `Errors.forCode`, kafka-python's `for_code`, afkak's `raise_for_errno`), and many clients know more codes
//! than the versions they speak would need. `tests/data/error-versions.tsv` has every such code that can be answered,
//! and why.

use ottla_wire::protocol::{ApiKey, Response};
use ottla_wire::types::ErrorCode;

use ErrorCode::*;

/// The last version of an API that is told the second code for the first.
const REPLACED: &[(ApiKey, i16, ErrorCode, ErrorCode)] = &[
    // Until Kafka 2.4 an invalid record was a corrupt one (KIP-467). Versions 3 to 7 keep the newer code, for most
    // clients that speak them know it, and to others the older one means that they should try again.
    (ApiKey::Produce, 2, InvalidRecord, CorruptMessage),
    (ApiKey::Fetch, 3, InvalidRecord, CorruptMessage),
    // A codec that the broker doesn't know was an unknown error until 2.1 (KIP-110).
    (ApiKey::Produce, 2, UnsupportedCompressionType, UnknownServerError),
    (ApiKey::Produce, 1, InvalidTimestamp, UnknownServerError),
    // Clients before 1.0 try again after these only (KIP-112); for Produce and Fetch the schemas say so.
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
    (ApiKey::InitProducerId, 0, KafkaStorageError, CoordinatorNotAvailable),
    (ApiKey::CreateTopics, 0, PolicyViolation, InvalidRequest),
    // As Kafka's controller does it (KIP-322).
    (ApiKey::DeleteTopics, 2, TopicDeletionDisabled, InvalidRequest),
    // Kafka 2.2 and 2.3, which spoke version 0 alone, called it a success.
    (ApiKey::ElectLeaders, 0, ElectionNotNeeded, None),
];

/// What a client that speaks `version` of `api` is told for `code`.
pub fn known(api: ApiKey, version: i16, code: ErrorCode) -> ErrorCode {
    let row = REPLACED.iter().find(|row| row.0 == api && version <= row.1 && row.2 == code);
    row.map_or(code, |row| row.3)
}

/// Replaces the codes in a response that its version doesn't know.
pub fn translate(version: i16, response: &mut Response) {
    let api = response.key();
    if !REPLACED.iter().any(|row| row.0 == api && version <= row.1) {
        return;
    }
    response.visit_error_codes(&mut |code| {
        if let Some(newer) = ErrorCode::from_code(*code) {
            *code = known(api, version, newer).code();
        }
    });
}

#[cfg(test)]
mod tests;
