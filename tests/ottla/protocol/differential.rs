//! Our bytes against those of the `kafka-protocol` crate, for every API and version that it has: of
//! its newest release, and of the last one that had the versions which Kafka 4 dropped.

use bytes::Bytes;
use common::messages::Kind;
use ottla_wire::codec::{Reader, Writer};
use ottla_wire::protocol::{Request, Response};

/// Lets us read a body and write it again.
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

/// The test against one release of the crate; each has its own types.
macro_rules! against {
    ($release:ident, $theirs:ident, at_least $least:literal) => {
        mod $release {
            use std::sync::LazyLock;

            use bytes::{Bytes, BytesMut};
            use proptest::prelude::*;
            use $theirs::messages::{ApiKey, RequestKind, ResponseKind};

            use super::through_ours;
            use common::messages::{Kind, tape};

            /// What they call the API, if they have it at that version.
            ///
            /// Their list counts unstable versions in, which their messages then refuse: so one is tried.
            fn their_key(kind: Kind) -> Option<ApiKey> {
                let key = ApiKey::try_from(kind.api as i16).ok()?;
                let versions = key.valid_versions();
                let listed = (versions.min..=versions.max).contains(&kind.version);
                let refused = |error: String| error.contains("version not supported");
                let has_it = || !read_and_write(kind, key, &mut kind.generate(&[])).is_err_and(refused);
                (listed && has_it()).then_some(key)
            }

            /// Lets them read a body and write it again; an error is told with all its causes.
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

            /// What both have.
            fn shared() -> &'static [(Kind, ApiKey)] {
                static SHARED: LazyLock<Vec<(Kind, ApiKey)>> =
                    LazyLock::new(|| Kind::all().filter_map(|kind| Some((kind, their_key(kind)?))).collect());
                &SHARED
            }

            proptest! {
                #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..Default::default() })]

                /// Each reads what the other writes: theirs goes through ours, and ours through theirs.
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
