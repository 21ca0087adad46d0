//! What can go wrong between a question and its answer.

use std::io;
use std::time::Duration;

use ottla_wire::codec::{DecodeError, EncodeError};
use ottla_wire::protocol::ApiKey;
use ottla_wire::types::ErrorCode;

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("cannot connect to {address}: {source}")]
    Connect { address: String, source: io::Error },
    /// The connection broke, or one side closed it; the requests in flight may or may not have been handled.
    #[error("the connection is gone: {0}")]
    Disconnected(String),
    #[error("no answer to {key} within {after:?}")]
    Timeout { key: ApiKey, after: Duration },
    #[error("the broker serves {key} in no version that is asked for ({})", range(*.served))]
    Unsupported { key: ApiKey, served: Option<(i16, i16)> },
    #[error("{key} version {version} cannot be written: {error}")]
    Encode { key: ApiKey, version: i16, error: EncodeError },
    #[error("the answer to {key} version {version} cannot be read: {error}")]
    Decode { key: ApiKey, version: i16, error: DecodeError },
    /// What a group's leader handed in for a member is not in the form that consumers agree on.
    #[error("a member's assignment cannot be read: {error}")]
    Assignment { error: DecodeError },
    /// The group has members, but they are no consumers.
    #[error("GroupId {group} is not a consumer group ({protocol_type}).")]
    NotConsumers { group: String, protocol_type: String },
    /// The answer leaves out what was asked for.
    #[error("the answer to {key} does not say what was asked")]
    Incomplete { key: ApiKey },
    /// The broker answered with an error.
    #[error("{key}: {} {}", code_name(*.code), .message.as_deref().unwrap_or_default())]
    Refused { key: ApiKey, code: i16, message: Option<String> },
}

impl ClientError {
    /// The error code, if the broker answered with one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            ClientError::Refused { code, .. } => ErrorCode::from_code(*code),
            _ => None,
        }
    }
}

fn code_name(code: i16) -> String {
    ErrorCode::from_code(code).map_or_else(|| format!("error {code}"), |known| known.name().to_owned())
}

fn range(served: Option<(i16, i16)>) -> String {
    served.map_or("it serves none".to_owned(), |(oldest, newest)| format!("it serves {oldest} to {newest}"))
}
