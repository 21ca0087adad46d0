//! Errors of a client's requests.

use std::io;
use std::time::Duration;

use ottla_wire::codec::{DecodeError, EncodeError};
use ottla_wire::protocol::ApiKey;
use ottla_wire::types::ErrorCode;

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("cannot connect to {address}: {source}")]
    Connect { address: String, source: io::Error },
    /// The connection failed, or one side closed it; the requests in flight may or may not have been handled.
    #[error("connection lost: {0}")]
    Disconnected(String),
    /// TLS failed; the reason says what to do.
    #[error("{address}: {why}")]
    Tls { address: String, why: String },
    /// The connection is without TLS, and the broker answered with TLS.
    #[error("{address}: the broker demands TLS at this port; set security.protocol to SSL or SASL_SSL")]
    ExpectsTls { address: String },
    #[error("no response to {key} within {after:?}")]
    Timeout { key: ApiKey, after: Duration },
    #[error("the broker does not serve {key} in a requested version ({})", range(*.served))]
    Unsupported { key: ApiKey, served: Option<(i16, i16)> },
    #[error("cannot encode {key} version {version}: {error}")]
    Encode { key: ApiKey, version: i16, error: EncodeError },
    #[error("cannot decode the response to {key} version {version}: {error}")]
    Decode { key: ApiKey, version: i16, error: DecodeError },
    /// Authentication failed without an error of the broker.
    #[error("authentication failed: {0}")]
    Authentication(String),
    /// A member's assignment is not in the format of the consumer protocol.
    #[error("cannot decode a member's assignment: {error}")]
    Assignment { error: DecodeError },
    /// The group has another protocol type than `consumer`.
    #[error("GroupId {group} is not a consumer group ({protocol_type}).")]
    NotConsumerGroup { group: String, protocol_type: String },
    /// The requested item is missing in the response.
    #[error("the response to {key} is incomplete")]
    Incomplete { key: ApiKey },
    /// The broker returned an error.
    #[error("{key}: {} {}", code_name(*.code), .message.as_deref().unwrap_or_default())]
    Refused { key: ApiKey, code: i16, message: Option<String> },
}

impl ClientError {
    /// The error code, if the broker returned one.
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
