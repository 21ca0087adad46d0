//! Our bytes against those of the `kafka-protocol` crate, for every API and version that it has.

mod protocol;

use std::sync::LazyLock;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey as TheirKey, RequestKind, ResponseKind};
use ottla::codec::{Reader, Writer};
use ottla::protocol::{Request, Response};
use proptest::prelude::*;
use protocol::{Kind, tape};

/// What they call the API, if they have it at that version.
///
/// Their list counts unstable versions in, which their messages then refuse: so one is tried.
fn their_key(kind: Kind) -> Option<TheirKey> {
    let key = TheirKey::try_from(kind.api as i16).ok()?;
    let versions = key.valid_versions();
    let listed = (versions.min..=versions.max).contains(&kind.version);
    let refused = |error: String| error.contains("version not supported");
    let has_it = || !read_and_write(kind, key, &mut kind.generate(&[])).is_err_and(refused);
    (listed && has_it()).then_some(key)
}

/// Lets them read a body and write it again; an error is told with all its causes.
fn read_and_write(kind: Kind, key: TheirKey, body: &mut Bytes) -> Result<Bytes, String> {
    let mut output = BytesMut::new();
    let written = if kind.is_request {
        RequestKind::decode(key, body, kind.version).and_then(|request| request.encode(&mut output, kind.version))
    } else {
        ResponseKind::decode(key, body, kind.version).and_then(|response| response.encode(&mut output, kind.version))
    };
    written.map(|()| output.freeze()).map_err(|error| format!("{error:#}"))
}

fn through_theirs(kind: Kind, key: TheirKey, body: &Bytes) -> Bytes {
    let mut input = body.clone();
    let written = read_and_write(kind, key, &mut input);
    let written = written.unwrap_or_else(|error| panic!("theirs, {kind:?}: {error} in {body:?}"));
    assert!(input.is_empty(), "theirs, {kind:?}: {} bytes unread of {body:?}", input.len());
    written
}

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

/// What both have.
fn shared() -> &'static [(Kind, TheirKey)] {
    static SHARED: LazyLock<Vec<(Kind, TheirKey)>> =
        LazyLock::new(|| Kind::all().filter_map(|kind| Some((kind, their_key(kind)?))).collect());
    &SHARED
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Each reads what the other writes: theirs goes through ours, and ours through theirs.
    #[test]
    fn both_sides_read_and_write_the_same_bytes(tape in tape()) {
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
fn they_have_most_of_what_we_have() {
    assert!(shared().len() > 300, "{} requests and responses to compare", shared().len());
}
