//! Errors by the names that Kafka's Java tools print, which scripts look for.

use crate::client::ClientError;
use crate::types::ErrorCode;

/// The Java exception of an error code, without its package: `TopicExistsException`.
///
/// Source: `org.apache.kafka.common.protocol.Errors`.
pub fn exception_name(code: ErrorCode) -> String {
    let irregular = IRREGULAR.iter().find(|(known, _)| *known == code);
    if let Some((_, exception)) = irregular {
        return (*exception).to_owned();
    }
    let words = code.name().split('_').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        format!("{first}{}", rest.to_ascii_lowercase())
    });
    let name: String = words.collect();
    if name.ends_with("Exception") { name } else { name + "Exception" }
}

/// `org.apache.kafka.common.errors.TopicExistsException: Topic 'a' already exists.`, as Java prints an error.
pub fn java_error(error: &ClientError) -> String {
    match error {
        ClientError::Refused { code, message, .. } => {
            let known = ErrorCode::from_code(*code).unwrap_or(ErrorCode::UnknownServerError);
            format!("org.apache.kafka.common.errors.{}", refused(known, message.as_deref()))
        }
        ClientError::Timeout { .. } => format!("org.apache.kafka.common.errors.TimeoutException: {error}"),
        ClientError::Unsupported { .. } => {
            format!("org.apache.kafka.common.errors.UnsupportedVersionException: {error}")
        }
        ClientError::Connect { .. } | ClientError::Disconnected(_) => {
            format!("org.apache.kafka.common.errors.DisconnectException: {error}")
        }
        other => format!("org.apache.kafka.common.KafkaException: {other}"),
    }
}

/// `TopicExistsException: Topic 'a' already exists.`; where the broker gave no words, the code's name stands for them.
pub fn refused(code: ErrorCode, message: Option<&str>) -> String {
    format!("{}: {}", exception_name(code), message.unwrap_or(code.name()))
}

const IRREGULAR: &[(ErrorCode, &str)] = &[
    (ErrorCode::UnknownServerError, "UnknownServerException"),
    (ErrorCode::CorruptMessage, "CorruptRecordException"),
    (ErrorCode::RequestTimedOut, "TimeoutException"),
    (ErrorCode::MessageTooLarge, "RecordTooLargeException"),
    (ErrorCode::StaleControllerEpoch, "ControllerMovedException"),
    (ErrorCode::OffsetMetadataTooLarge, "OffsetMetadataTooLarge"),
    (ErrorCode::RecordListTooLarge, "RecordBatchTooLargeException"),
    (ErrorCode::TopicAuthorizationFailed, "TopicAuthorizationException"),
    (ErrorCode::GroupAuthorizationFailed, "GroupAuthorizationException"),
    (ErrorCode::ClusterAuthorizationFailed, "ClusterAuthorizationException"),
    (ErrorCode::TopicAlreadyExists, "TopicExistsException"),
    (ErrorCode::InvalidConfig, "InvalidConfigurationException"),
    (ErrorCode::OutOfOrderSequenceNumber, "OutOfOrderSequenceException"),
    (ErrorCode::DuplicateSequenceNumber, "DuplicateSequenceException"),
    (ErrorCode::InvalidProducerIdMapping, "InvalidPidMappingException"),
    (ErrorCode::InvalidTransactionTimeout, "InvalidTxnTimeoutException"),
    (ErrorCode::TransactionalIdAuthorizationFailed, "TransactionalIdAuthorizationException"),
    (ErrorCode::KafkaStorageError, "KafkaStorageException"),
    (ErrorCode::SaslAuthenticationFailed, "SaslAuthenticationException"),
    (ErrorCode::DelegationTokenAuthDisabled, "DelegationTokenDisabledException"),
    (ErrorCode::DelegationTokenRequestNotAllowed, "UnsupportedByAuthenticationException"),
    (ErrorCode::DelegationTokenAuthorizationFailed, "DelegationTokenAuthorizationException"),
    (ErrorCode::NonEmptyGroup, "GroupNotEmptyException"),
    (ErrorCode::InvalidRecord, "InvalidRecordException"),
    (ErrorCode::PrincipalDeserializationFailure, "PrincipalDeserializationException"),
    (ErrorCode::FetchSessionTopicIdError, "FetchSessionTopicIdException"),
    (ErrorCode::InvalidRegularExpression, "InvalidRegularExpression"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let check = |code, expect: &str| assert_eq!(exception_name(code), expect);
        check(ErrorCode::UnknownTopicOrPartition, "UnknownTopicOrPartitionException");
        check(ErrorCode::InvalidTopicException, "InvalidTopicException");
        check(ErrorCode::TopicAlreadyExists, "TopicExistsException");
        check(ErrorCode::NonEmptyGroup, "GroupNotEmptyException");
        check(ErrorCode::SecurityDisabled, "SecurityDisabledException");
    }
}
