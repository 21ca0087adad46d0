//! The codec compared with the `kafka-protocol` crate, for every API and version that the crate has: with its newest
//! release, and with the last one that has the versions which Kafka 4 removed.

use bytes::Bytes;
use common::messages::Kind;
use ottla_wire::codec::{Reader, Writer};
use ottla_wire::protocol::{Request, Response};

/// Decodes and encodes a body with our codec.
fn through_ours(kind: Kind, body: &Bytes) -> Bytes {
    let (mut r, mut w) = (Reader::new(body.clone()), Writer::new());
    if kind.is_request {
        Request::read(kind.api, &mut r, kind.version).unwrap().write(&mut w, kind.version).unwrap();
    } else {
        Response::read(kind.api, &mut r, kind.version).unwrap().write(&mut w, kind.version).unwrap();
    }
    assert_eq!(r.remaining(), 0, "ours, {kind:?}");
    w.into_bytes()
}

/// The tests against one release of the crate; every release has its own types.
macro_rules! against {
    ($release:ident, $theirs:ident, at_least $least:literal) => {
        mod $release {
            use std::sync::LazyLock;

            use bytes::{Bytes, BytesMut};
            use proptest::prelude::*;
            use $theirs::messages::{ApiKey, RequestKind, ResponseKind};

            use super::through_ours;
            use common::messages::{Kind, tape};

            /// The crate's key of the API, if the crate has it at that version.
            ///
            /// The crate lists unstable versions that its messages refuse, so a message is decoded to find out.
            fn their_key(kind: Kind) -> Option<ApiKey> {
                let key = ApiKey::try_from(kind.api as i16).ok()?;
                let versions = key.valid_versions();
                let listed = (versions.min..=versions.max).contains(&kind.version);
                let refused = |error: String| error.contains("version not supported");
                let has_it = || !read_and_write(kind, key, &mut kind.generate(&[])).is_err_and(refused);
                (listed && has_it()).then_some(key)
            }

            /// Decodes and encodes a body with the crate; an error includes all its causes.
            fn read_and_write(kind: Kind, key: ApiKey, body: &mut Bytes) -> Result<Bytes, String> {
                let (version, mut output) = (kind.version, BytesMut::new());
                let written = if kind.is_request {
                    RequestKind::decode(key, body, version).and_then(|request| request.encode(&mut output, version))
                } else {
                    ResponseKind::decode(key, body, version).and_then(|response| response.encode(&mut output, version))
                };
                written.map(|()| output.freeze()).map_err(|error| format!("{error:#}"))
            }

            fn through_theirs(kind: Kind, key: ApiKey, body: &Bytes) -> Bytes {
                let mut input = body.clone();
                let written = read_and_write(kind, key, &mut input);
                let written = written.unwrap_or_else(|error| panic!("theirs, {kind:?}: {error} in {body:?}"));
                assert!(input.is_empty(), "theirs, {kind:?}: {} bytes unread of {body:?}", input.len());
                written
            }

            /// The messages that both have.
            fn shared() -> &'static [(Kind, ApiKey)] {
                static SHARED: LazyLock<Vec<(Kind, ApiKey)>> =
                    LazyLock::new(|| Kind::all().filter_map(|kind| Some((kind, their_key(kind)?))).collect());
                &SHARED
            }

            proptest! {
                #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..Default::default() })]

                /// Each side decodes what the other encodes.
                #[test]
                fn kafka_protocol_crate_reads_and_writes_the_same_bytes(tape in tape()) {
                    for &(kind, key) in shared() {
                        let body = kind.generate(&tape);
                        let theirs = through_theirs(kind, key, &body);
                        assert_eq!(through_ours(kind, &theirs), theirs, "{kind:?}: theirs through ours");
                        let ours = through_ours(kind, &body);
                        assert_eq!(through_theirs(kind, key, &ours), ours, "{kind:?}: ours through theirs");
                        assert_eq!(ours, theirs, "{kind:?}");
                    }
                }
            }

            #[test]
            fn enough_messages_are_compared() {
                assert!(shared().len() >= $least, "{} requests and responses", shared().len());
            }
        }
    };
}

against!(kafka_4, kafka_protocol, at_least 370);
against!(kafka_3_9, kafka_protocol_3_9, at_least 400);
