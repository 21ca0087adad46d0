//! Frames: a header and a body, after the 4-byte size, which the connection has removed.
//!
//! Bytes after a request's last field are ignored, as Kafka ignores them.

use bytes::Bytes;

use super::header::{self, RequestHeader};
use super::{ApiKey, Request, Response};
use crate::codec::{DecodeError, EncodeError, Reader, Writer};

/// A request that can't be decoded. Contains the header if that could be decoded, for the log and for the answer to an
/// unsupported version of ApiVersions.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FrameError {
    #[error("request header: {0}")]
    BadHeader(DecodeError),
    #[error("unknown API key {} (version {})", .0.api_key, .0.api_version)]
    UnknownApi(RequestHeader),
    #[error("{key} version {} is not one of {:?}", .header.api_version, .key.versions())]
    UnsupportedVersion { key: ApiKey, header: RequestHeader },
    #[error("{key} version {}: {error}", .header.api_version)]
    BadBody { key: ApiKey, header: RequestHeader, error: DecodeError },
}

impl FrameError {
    /// The request's header, if it could be decoded.
    pub fn header(&self) -> Option<&RequestHeader> {
        match self {
            FrameError::BadHeader(_) => None,
            FrameError::UnknownApi(header)
            | FrameError::UnsupportedVersion { header, .. }
            | FrameError::BadBody { header, .. } => Some(header),
        }
    }
}

/// Decodes only a request's header.
pub fn decode_header(frame: &Bytes) -> Result<RequestHeader, FrameError> {
    RequestHeader::read_fixed(&mut Reader::new(frame.clone())).map_err(FrameError::BadHeader)
}

/// Decodes a request. Its strings and blobs are slices of `frame`.
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

/// Encodes a request as a frame with its size. The header must have the request's API key; its version is the one that
/// the request is encoded in.
pub fn encode_request(header: &RequestHeader, request: &Request) -> Result<Vec<Bytes>, EncodeError> {
    let mut w = Writer::frame();
    header.write(&mut w, request.key().request_header_version(header.api_version))?;
    request.write(&mut w, header.api_version)?;
    w.finish_frame()
}

/// Encodes a response as a frame with its size, in chunks to send in order. Large records are chunks that share the
/// response's memory.
pub fn encode_response(correlation_id: i32, api_version: i16, response: &Response) -> Result<Vec<Bytes>, EncodeError> {
    let mut w = Writer::frame();
    header::write_response_header(&mut w, correlation_id, response.key().response_header_version(api_version));
    response.write(&mut w, api_version)?;
    w.finish_frame()
}

/// The number of bytes of an encoded response without its header, and with the frame's size: what Kafka counts for the
/// quotas of consumers.
pub fn response_size(api_version: i16, response: &Response) -> Result<usize, EncodeError> {
    let mut w = Writer::frame();
    response.write(&mut w, api_version)?;
    Ok(w.finish_frame()?.iter().map(Bytes::len).sum())
}

/// Decodes the response to a request of `key` at `version` into its correlation id and its body.
pub fn decode_response(key: ApiKey, version: i16, frame: Bytes) -> Result<(i32, Response), DecodeError> {
    let mut r = Reader::new(frame);
    let correlation_id = header::read_response_header(&mut r, key.response_header_version(version))?;
    Ok((correlation_id, Response::read(key, &mut r, version)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::messages::api_versions::ApiVersionsRequest;
    use crate::protocol::messages::fetch::{FetchResponse, FetchableTopicResponse, PartitionData};
    use crate::protocol::messages::metadata::MetadataRequest;

    fn request(bytes: &'static [u8]) -> Result<(RequestHeader, Request), FrameError> {
        decode_request(Bytes::from_static(bytes))
    }

    fn header(api: ApiKey, api_version: i16) -> RequestHeader {
        RequestHeader { api_key: api as i16, api_version, correlation_id: 7, client_id: Some("c".into()) }
    }

    fn check_error(bytes: &'static [u8], expect: &str, expect_header: Option<RequestHeader>) {
        let error = request(bytes).unwrap_err();
        assert_eq!(error.to_string(), expect);
        assert_eq!(error.header(), expect_header.as_ref());
    }

    #[test]
    fn request_decodes_and_encodes_as_a_client_sends_it() {
        // ApiVersions v3 from a client "c" with the software name "x" and version "1".
        let frame = b"\x00\x12\x00\x03\x00\x00\x00\x07\x00\x01c\x00\x02x\x021\x00";
        let body = ApiVersionsRequest {
            client_software_name: "x".into(),
            client_software_version: "1".into(),
            ..Default::default()
        };
        let decoded = (header(ApiKey::ApiVersions, 3), body.into());
        assert_eq!(request(frame), Ok(decoded.clone()));
        let encoded = encode_request(&decoded.0, &decoded.1).unwrap().concat();
        assert_eq!(encoded, [&(frame.len() as u32).to_be_bytes()[..], frame].concat());
    }

    #[test]
    fn metadata_request_for_all_topics_has_null_topics_from_version_1() {
        let all = Request::Metadata(MetadataRequest { topics: None, ..Default::default() });
        let encoded = encode_request(&header(ApiKey::Metadata, 1), &all).unwrap().concat();
        assert!(encoded.ends_with(b"\xff\xff\xff\xff"));
        let error = encode_request(&header(ApiKey::Metadata, 0), &all).unwrap_err();
        assert_eq!(error.path(), "topics");
    }

    #[test]
    fn bytes_after_a_request_are_ignored() {
        assert!(request(b"\x00\x12\x00\x00\x00\x00\x00\x07\x00\x01cmore").is_ok());
    }

    #[test]
    fn truncated_request_is_rejected_with_field_and_position() {
        check_error(b"\x00\x12\x00", "request header: api_version at byte 2: needs 2 bytes, but only 1 remain", None);
        check_error(
            b"\x00\x12\x00\x01\x00\x00\x00\x07\x00\x09c",
            "request header: client_id at byte 10: needs 9 bytes, but only 1 remain",
            None,
        );
        check_error(
            b"\x00\x12\x00\x03\x00\x00\x00\x07\x00\x01c\x00\x09x",
            "ApiVersions version 3: client_software_name at byte 13: needs 8 bytes, but only 1 remain",
            Some(header(ApiKey::ApiVersions, 3)),
        );
    }

    #[test]
    fn unknown_api_or_version_is_rejected_with_its_header() {
        let unknown = RequestHeader { api_key: 999, ..header(ApiKey::Fetch, 1) };
        check_error(
            b"\x03\xe7\x00\x01\x00\x00\x00\x07\x00\x01c",
            "unknown API key 999 (version 1)",
            Some(unknown.clone()),
        );
        check_error(
            b"\x00\x12\x00\x63\x00\x00\x00\x07\x00\x01c\x00whatever",
            "ApiVersions version 99 is not one of 0..=5",
            Some(header(ApiKey::ApiVersions, 99)),
        );
        // A request between brokers, which no client sends.
        assert!(matches!(request(b"\x00\x04\x00\x00\x00\x00\x00\x07\xff\xff"), Err(FrameError::UnknownApi(_))));
        assert_eq!(decode_header(&Bytes::from_static(b"\x03\xe7\x00\x01\x00\x00\x00\x07\x00\x01c")), Ok(unknown));
    }

    #[test]
    fn api_versions_response_header_has_no_tagged_fields() {
        for (api, version, expect) in [
            (ApiKey::ApiVersions, 3, 0),
            (ApiKey::ApiVersions, 0, 0),
            (ApiKey::Metadata, 9, 1),
            (ApiKey::Metadata, 8, 0),
        ] {
            assert_eq!(api.response_header_version(version), expect, "{api} {version}");
        }
        let encoded = encode_response(7, 3, &Response::ApiVersions(Default::default())).unwrap().concat();
        assert_eq!(encoded, b"\x00\x00\x00\x0c\x00\x00\x00\x07\x00\x00\x01\x00\x00\x00\x00\x00");
    }

    #[test]
    fn large_records_are_encoded_without_copying() {
        let records = Bytes::from(vec![1; 100_000]);
        let partition = PartitionData { records: Some(records.clone()), ..Default::default() };
        let topic = FetchableTopicResponse { partitions: vec![partition.clone(), partition], ..Default::default() };
        let response = Response::Fetch(FetchResponse { responses: vec![topic], ..Default::default() });
        let chunks = encode_response(7, 12, &response).unwrap();
        let shared = chunks.iter().filter(|chunk| chunk.as_ptr() == records.as_ptr()).count();
        assert_eq!((shared, chunks.len()), (2, 5));
        let frame = chunks.concat();
        assert_eq!(frame[..4], (frame.len() as u32 - 4).to_be_bytes());
        assert_eq!(decode_response(ApiKey::Fetch, 12, Bytes::from(frame).slice(4..)), Ok((7, response)));
    }
}
