//! Every API at every version: encoded messages decode to the same message, and truncated ones are refused.

use bytes::Bytes;
use common::messages::{Kind, tape};
use ottla_wire::protocol::frame::{decode_request, decode_response, encode_request, encode_response};
use ottla_wire::protocol::{ApiKey, RequestHeader};
use proptest::prelude::*;

const CORRELATION_ID: i32 = 0x0102_0304;

/// A frame with this body, without its size, and its header.
fn frame(kind: Kind, body: &Bytes) -> (RequestHeader, Bytes) {
    let header = RequestHeader {
        api_key: kind.api as i16,
        api_version: kind.version,
        correlation_id: CORRELATION_ID,
        client_id: Some("me".into()),
    };
    let mut frame = Vec::new();
    if kind.is_request {
        frame.extend(header.api_key.to_be_bytes());
        frame.extend(header.api_version.to_be_bytes());
        frame.extend(CORRELATION_ID.to_be_bytes());
        frame.extend(*b"\0\x02me");
        frame.extend((kind.api.request_header_version(kind.version) == 2).then_some(0));
    } else {
        frame.extend(CORRELATION_ID.to_be_bytes());
        frame.extend((kind.api.response_header_version(kind.version) == 1).then_some(0));
    }
    frame.extend_from_slice(body);
    (header, frame.into())
}

/// Decodes a frame, encodes it, and decodes the result again.
fn check_round_trip(kind: Kind, tape: &[u8]) {
    let (expect_header, frame) = frame(kind, &kind.generate(tape));
    let sized = if kind.is_request {
        let (header, request) = decode_request(frame.clone()).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        assert_eq!(header, expect_header);
        let chunks = encode_request(&header, &request).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        let written = chunks.concat();
        assert_eq!(decode_request(Bytes::from(written[4..].to_vec())), Ok((header, request)), "{kind:?}");
        written
    } else {
        let read = |frame| decode_response(kind.api, kind.version, frame);
        let (correlation_id, response) = read(frame.clone()).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        assert_eq!(correlation_id, CORRELATION_ID);
        let chunks = encode_response(correlation_id, kind.version, &response);
        let written = chunks.unwrap_or_else(|error| panic!("{kind:?}: {error}")).concat();
        assert_eq!(read(Bytes::from(written[4..].to_vec())), Ok((correlation_id, response)), "{kind:?}");
        written
    };
    assert_eq!(sized[..4], (frame.len() as i32).to_be_bytes(), "{kind:?}: the frame's size");
    assert_eq!(Bytes::from(sized).slice(4..), frame, "{kind:?}");
}

fn decodes(kind: Kind, frame: Bytes) -> bool {
    if kind.is_request { decode_request(frame).is_ok() } else { decode_response(kind.api, kind.version, frame).is_ok() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_version_of_every_api_round_trips(tape in tape()) {
        Kind::all().for_each(|kind| check_round_trip(kind, &tape));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn truncated_frame_is_refused_at_every_length(tape in proptest::collection::vec(any::<u8>(), 100..200)) {
        for kind in Kind::all() {
            let (_, frame) = frame(kind, &kind.generate(&tape));
            for cut in 0..frame.len() {
                assert!(!decodes(kind, frame.slice(..cut)), "{kind:?}: {cut} of {} bytes", frame.len());
            }
        }
    }

    /// A frame with one changed byte gives an error or another message, never a panic or a huge allocation.
    #[test]
    fn corrupt_frame_causes_no_panic(tape in proptest::collection::vec(any::<u8>(), 100..200), mask in 1u8..) {
        for kind in Kind::all() {
            let (_, frame) = frame(kind, &kind.generate(&tape));
            for position in 0..frame.len() {
                let mut corrupt = frame.to_vec();
                corrupt[position] ^= mask;
                decodes(kind, corrupt.into());
            }
        }
    }
}

#[test]
fn smallest_messages_round_trip() {
    Kind::all().for_each(|kind| check_round_trip(kind, &[]));
}

#[test]
fn every_api_is_tested() {
    assert_eq!(ApiKey::ALL.len(), 71);
    assert!(Kind::all().count() > 400);
}
