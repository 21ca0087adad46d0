//! Whole frames: a header and a body, after the 4-byte size that the connection has cut off.
//!
//! Bytes after a request's last field are ignored, as Kafka ignores them.

use bytes::Bytes;

use super::header::{self, RequestHeader};
use super::{ApiKey, Request, Response};
use crate::codec::{DecodeError, EncodeError, Reader, Writer};

/// A request that can't be read. What of its header could be read is told, for the answer (an
/// unsupported ApiVersions gets one) and for the log.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FrameError {
    #[error("request header: {0}")]
    BadHeader(DecodeError),
    #[error("unknown API key {} (version {})", .0.api_key, .0.api_version)]
    UnknownApi(RequestHeader),
    #[error("{key} version {} is not one of {}..={}", .header.api_version, .key.versions().start(), .key.versions().end())]
    UnsupportedVersion { key: ApiKey, header: RequestHeader },
    #[error("{key} version {}: {error}", .header.api_version)]
    BadBody { key: ApiKey, header: RequestHeader, error: DecodeError },
}

impl FrameError {
    /// The request's header, if it could be read.
    pub fn header(&self) -> Option<&RequestHeader> {
        match self {
            FrameError::BadHeader(_) => None,
            FrameError::UnknownApi(header)
            | FrameError::UnsupportedVersion { header, .. }
            | FrameError::BadBody { header, .. } => Some(header),
        }
    }
}

/// Reads a request's header and nothing else of it.
pub fn decode_header(frame: &Bytes) -> Result<RequestHeader, FrameError> {
    RequestHeader::read_fixed(&mut Reader::new(frame.clone())).map_err(FrameError::BadHeader)
}

/// Reads a request. Strings and blobs in it are slices of `frame`.
pub fn decode_request(frame: Bytes) -> Result<(RequestHeader, Request), FrameError> {
    let mut r = Reader::new(frame);
    let header = RequestHeader::read_fixed(&mut r).map_err(FrameError::BadHeader)?;
    let Some(key) = ApiKey::from_code(header.api_key) else {
        return Err(FrameError::UnknownApi(header));
    };
    if !key.versions().contains(&header.api_version) {
        return Err(FrameError::UnsupportedVersion { key, header });
    }
    let body = RequestHeader::read_tags(&mut r, key.request_header_version(header.api_version))
        .and_then(|()| Request::read(key, &mut r, header.api_version));
    match body {
        Ok(request) => Ok((header, request)),
        Err(error) => Err(FrameError::BadBody { key, header, error }),
    }
}

/// Writes a request as it goes over a connection, size first. The header's key must be the
/// request's own; its version says how the request is written.
pub fn encode_request(header: &RequestHeader, request: &Request) -> Result<Vec<Bytes>, EncodeError> {
    let mut w = Writer::frame();
    header.write(&mut w, request.key().request_header_version(header.api_version))?;
    request.write(&mut w, header.api_version)?;
    w.finish_frame()
}

/// Writes a response as it goes over a connection, size first: chunks to be sent one after the
/// other. Large records are chunks of their own, the same memory that the response holds.
pub fn encode_response(correlation_id: i32, api_version: i16, response: &Response) -> Result<Vec<Bytes>, EncodeError> {
    let mut w = Writer::frame();
    header::write_response_header(&mut w, correlation_id, response.key().response_header_version(api_version));
    response.write(&mut w, api_version)?;
    w.finish_frame()
}

/// Reads a response to a request of `key` at `version`: its correlation id and its body.
pub fn decode_response(key: ApiKey, version: i16, frame: Bytes) -> Result<(i32, Response), DecodeError> {
    let mut r = Reader::new(frame);
    let correlation_id = header::read_response_header(&mut r, key.response_header_version(version))?;
    Ok((correlation_id, Response::read(key, &mut r, version)?))
}
