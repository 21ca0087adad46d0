//! Maps errors to the Java exception names and messages that Kafka's tools print, which scripts parse.

use ottla_client::ClientError;
use ottla_wire::types::ErrorCode;

/// Returns the Java exception of an error code, without its package: `TopicExistsException`.
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

/// The exception of Kafka's clients if TLS fails.
pub const SSL_EXCEPTION: &str = "org.apache.kafka.common.errors.SslAuthenticationException";

/// An error as Kafka's tools print it: a Java exception class and a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{class}: {message}")]
pub struct Exception {
    /// The class with its package: `org.apache.kafka.common.errors.TopicExistsException`.
    pub class: String,
    pub message: String,
}

impl Exception {
    pub fn new(class: &str, message: impl Into<String>) -> Exception {
        Exception { class: class.to_owned(), message: message.into() }
    }

    /// Creates a `java.lang.IllegalArgumentException`.
    pub fn illegal_argument(message: impl Into<String>) -> Exception {
        Exception::new("java.lang.IllegalArgumentException", message)
    }

    /// Creates the exception for an error code in a response; without a message, it has Kafka's message for that code.
    pub fn refused(code: i16, message: Option<&str>) -> Exception {
        let code = ErrorCode::from_code(code).unwrap_or(ErrorCode::UnknownServerError);
        Exception {
            class: format!("org.apache.kafka.common.errors.{}", exception_name(code)),
            message: message.unwrap_or_else(|| default_message(code)).to_owned(),
        }
    }

    /// Returns the class without its package.
    pub fn simple_name(&self) -> &str {
        self.class.rsplit('.').next().unwrap_or(&self.class)
    }
}

impl From<Exception> for String {
    /// Returns the message without the class.
    fn from(error: Exception) -> String {
        error.message
    }
}

impl From<ClientError> for Exception {
    fn from(error: ClientError) -> Exception {
        Exception::from(&error)
    }
}

impl From<&ClientError> for Exception {
    fn from(error: &ClientError) -> Exception {
        let class = match error {
            ClientError::Refused { code, message, .. } => return Exception::refused(*code, message.as_deref()),
            ClientError::Unsupported { key, .. } => {
                let message = format!("The node does not support {}", constant_name(key.name()));
                return Exception::new("org.apache.kafka.common.errors.UnsupportedVersionException", message);
            }
            ClientError::NotConsumerGroup { .. } => "java.lang.IllegalArgumentException",
            ClientError::Tls { .. } | ClientError::ExpectsTls { .. } => SSL_EXCEPTION,
            ClientError::Authentication(_) => "org.apache.kafka.common.errors.SaslAuthenticationException",
            ClientError::Timeout { .. } => "org.apache.kafka.common.errors.TimeoutException",
            ClientError::Connect { .. } | ClientError::Disconnected(_) => {
                "org.apache.kafka.common.errors.DisconnectException"
            }
            _ => "org.apache.kafka.common.KafkaException",
        };
        Exception::new(class, error.to_string())
    }
}

/// Formats an error as Java does: `org.apache.kafka.common.errors.TopicExistsException: Topic 'a' already exists.`
pub fn java_error(error: &ClientError) -> String {
    Exception::from(error).to_string()
}

/// Formats an error code as `TopicExistsException: Topic 'a' already exists.`; without a message, it has Kafka's
/// message for that code.
pub fn refused(code: ErrorCode, message: Option<&str>) -> String {
    format!("{}: {}", exception_name(code), message.unwrap_or_else(|| default_message(code)))
}

/// Converts `ListConfigResources` to the name of a Java constant: `LIST_CONFIG_RESOURCES`.
pub fn constant_name(name: &str) -> String {
    let mut constant = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !constant.is_empty() {
            constant.push('_');
        }
        constant.push(letter.to_ascii_uppercase());
    }
    constant
}

/// Returns Kafka's message for an error code, for responses without a message.
///
/// Source: the messages of `org.apache.kafka.common.protocol.Errors`, for the error codes that tools receive.
pub fn default_message(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::UnknownServerError => "The server experienced an unexpected error when processing the request.",
        ErrorCode::OffsetOutOfRange => {
            "The requested offset is not within the range of offsets maintained by the server."
        }
        ErrorCode::UnknownTopicOrPartition => "This server does not host this topic-partition.",
        ErrorCode::LeaderNotAvailable => {
            "There is no leader for this topic-partition as we are in the middle of a leadership election."
        }
        ErrorCode::NotLeaderOrFollower => {
            "For requests intended only for the leader, this error indicates that the broker is not the current leader. \
             For requests intended for any replica, this error indicates that the broker is not a replica of the topic \
             partition."
        }
        ErrorCode::RequestTimedOut => "The request timed out.",
        ErrorCode::CoordinatorNotAvailable => "The coordinator is not available.",
        ErrorCode::NotCoordinator => "This is not the correct coordinator.",
        ErrorCode::InvalidTopicException => "The request attempted to perform an operation on an invalid topic.",
        ErrorCode::InvalidGroupId => "The group id is invalid.",
        ErrorCode::UnknownMemberId => "The coordinator is not aware of this member.",
        ErrorCode::TopicAuthorizationFailed => "Topic authorization failed.",
        ErrorCode::GroupAuthorizationFailed => "Group authorization failed.",
        ErrorCode::ClusterAuthorizationFailed => "Cluster authorization failed.",
        ErrorCode::NonEmptyGroup => "The group is not empty.",
        ErrorCode::GroupIdNotFound => "The group id does not exist.",
        ErrorCode::GroupSubscribedToTopic => {
            "Deleting offsets of a topic is forbidden while the consumer group is actively subscribed to it."
        }
        ErrorCode::KafkaStorageError => "Disk error when trying to access log file on the disk.",
        ErrorCode::LogDirNotFound => "The user-specified log directory is not found in the broker config.",
        ErrorCode::NoReassignmentInProgress => "No partition reassignment is in progress.",
        ErrorCode::PolicyViolation => "Request parameters do not satisfy the configured policy.",
        ErrorCode::UnknownTopicId => "This server does not host this topic ID.",
        ErrorCode::UnsupportedVersion => "The version of API is not supported.",
        other => other.name(),
    }
}

/// Exceptions whose names don't follow from the names of their error codes.
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
    use ottla_wire::protocol::ApiKey;

    #[test]
    fn exception_names_are_those_of_kafka() {
        let check = |code, expect: &str| assert_eq!(exception_name(code), expect);
        check(ErrorCode::UnknownTopicOrPartition, "UnknownTopicOrPartitionException");
        check(ErrorCode::InvalidTopicException, "InvalidTopicException");
        check(ErrorCode::TopicAlreadyExists, "TopicExistsException");
        check(ErrorCode::NonEmptyGroup, "GroupNotEmptyException");
        check(ErrorCode::SecurityDisabled, "SecurityDisabledException");
    }

    #[test]
    fn errors_are_formatted_as_java_does() {
        let check = |error: ClientError, expect: &str| assert_eq!(Exception::from(error).to_string(), expect);
        let key = ApiKey::ListConfigResources;
        let refused = |code: ErrorCode, message: Option<&str>| ClientError::Refused {
            key,
            code: code.code(),
            message: message.map(str::to_owned),
        };
        check(
            refused(ErrorCode::TopicAlreadyExists, Some("Topic 'a' already exists.")),
            "org.apache.kafka.common.errors.TopicExistsException: Topic 'a' already exists.",
        );
        check(
            refused(ErrorCode::UnknownTopicOrPartition, None),
            "org.apache.kafka.common.errors.UnknownTopicOrPartitionException: This server does not host this \
             topic-partition.",
        );
        check(
            ClientError::Unsupported { key, served: None },
            "org.apache.kafka.common.errors.UnsupportedVersionException: The node does not support \
             LIST_CONFIG_RESOURCES",
        );
    }
}
