//! Unsuccessful responses: `{"error": {"code": "UNKNOWN_TOPIC_OR_PARTITION", "message": "…"}}`.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::api::Json;
use ottla_client::ClientError;
use ottla_wire::types::ErrorCode;

/// An error of the API.
#[derive(Debug, PartialEq, Eq)]
pub struct ApiError {
    status: StatusCode,
    /// Kafka's name of the error, or one of the same form.
    code: String,
    message: String,
}

pub type Result<T, E = ApiError> = std::result::Result<T, E>;

impl ApiError {
    /// An invalid request.
    pub fn invalid(message: impl Into<String>) -> ApiError {
        ApiError::kafka(ErrorCode::InvalidRequest, message)
    }

    /// An error with Kafka's code.
    pub fn kafka(code: ErrorCode, message: impl Into<String>) -> ApiError {
        ApiError { status: status(code), code: code.name().to_owned(), message: message.into() }
    }

    pub fn not_found(message: impl Into<String>) -> ApiError {
        ApiError { status: StatusCode::NOT_FOUND, code: "NOT_FOUND".to_owned(), message: message.into() }
    }

    pub fn method_not_allowed(message: impl Into<String>) -> ApiError {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        ApiError { status, code: "METHOD_NOT_ALLOWED".to_owned(), message: message.into() }
    }

    /// A request that may succeed later.
    pub fn busy(message: impl Into<String>) -> ApiError {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        ApiError { status, code: "BUSY".to_owned(), message: message.into() }
    }

    pub fn internal(message: impl Into<String>) -> ApiError {
        ApiError::kafka(ErrorCode::UnknownServerError, message)
    }

    /// Returns an error unless the code of a response is 0. `subject` is what was requested, such as `topic orders`.
    pub fn check(code: i16, message: Option<&str>, subject: &str) -> Result<()> {
        match ErrorCode::from_code(code) {
            Some(code) if code.is_none() => Ok(()),
            known => {
                let known = known.unwrap_or(ErrorCode::UnknownServerError);
                let message = message.filter(|message| !message.is_empty());
                Err(ApiError::kafka(
                    known,
                    message.map_or_else(|| format!("{subject}: {}", plain(known)), str::to_owned),
                ))
            }
        }
    }

    /// Whether the broker answered with this code.
    pub fn is(&self, code: ErrorCode) -> bool {
        self.code == code.name()
    }

    pub fn to_json(&self) -> Value {
        json!({"error": {"code": self.code, "message": self.message}})
    }
}

/// The text of an error for which the broker sent none.
fn plain(code: ErrorCode) -> String {
    match code {
        ErrorCode::UnknownTopicOrPartition => "does not exist".to_owned(),
        ErrorCode::GroupIdNotFound => "the group does not exist".to_owned(),
        ErrorCode::TopicAuthorizationFailed
        | ErrorCode::GroupAuthorizationFailed
        | ErrorCode::ClusterAuthorizationFailed
        | ErrorCode::TransactionalIdAuthorizationFailed => {
            "the console's principal is not allowed to do this".to_owned()
        }
        code => code.name().to_ascii_lowercase().replace('_', " "),
    }
}

fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::UnknownTopicOrPartition
        | ErrorCode::GroupIdNotFound
        | ErrorCode::TransactionalIdNotFound
        | ErrorCode::ResourceNotFound => StatusCode::NOT_FOUND,
        ErrorCode::TopicAlreadyExists | ErrorCode::NonEmptyGroup | ErrorCode::DuplicateResource => StatusCode::CONFLICT,
        ErrorCode::TopicAuthorizationFailed
        | ErrorCode::GroupAuthorizationFailed
        | ErrorCode::ClusterAuthorizationFailed
        | ErrorCode::TransactionalIdAuthorizationFailed => StatusCode::FORBIDDEN,
        ErrorCode::UnknownServerError | ErrorCode::KafkaStorageError => StatusCode::INTERNAL_SERVER_ERROR,
        code if code.is_retriable() => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    }
}

impl From<ClientError> for ApiError {
    fn from(error: ClientError) -> ApiError {
        match &error {
            ClientError::Refused { code, message, key } => {
                match ApiError::check(*code, message.as_deref(), &key.to_string()) {
                    Err(refused) => refused,
                    Ok(()) => ApiError::internal(error.to_string()),
                }
            }
            ClientError::Connect { .. } | ClientError::Disconnected(_) => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                ApiError { status, code: "BROKER_NOT_AVAILABLE".to_owned(), message: error.to_string() }
            }
            ClientError::Timeout { .. } => {
                let status = StatusCode::GATEWAY_TIMEOUT;
                ApiError { status, code: "REQUEST_TIMED_OUT".to_owned(), message: error.to_string() }
            }
            ClientError::Unsupported { .. } => ApiError::kafka(ErrorCode::UnsupportedVersion, error.to_string()),
            _ => ApiError::internal(error.to_string()),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = Json(self.to_json()).into_response();
        *response.status_mut() = self.status;
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_of_the_broker_becomes_status_name_and_message() {
        let check = |code: ErrorCode, message, expect: (u16, &str)| {
            let error = ApiError::check(code.code(), message, "topic t").unwrap_err();
            assert_eq!((error.status.as_u16(), error.message.as_str()), expect);
            assert_eq!(error.code, code.name());
        };
        check(ErrorCode::UnknownTopicOrPartition, None, (404, "topic t: does not exist"));
        check(ErrorCode::TopicAlreadyExists, Some("Topic 't' already exists."), (409, "Topic 't' already exists."));
        check(ErrorCode::InvalidConfig, Some(""), (400, "topic t: invalid config"));
        check(ErrorCode::CoordinatorLoadInProgress, None, (503, "topic t: coordinator load in progress"));
        assert_eq!(ApiError::check(0, None, "topic t"), Ok(()));
        assert!(ApiError::check(12_345, None, "topic t").unwrap_err().is(ErrorCode::UnknownServerError));
    }
}
