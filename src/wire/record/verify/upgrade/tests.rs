//! Tests of message sets that mix messages, wrappers, formats and codecs, and of sets larger than a batch.

use bytes::Bytes;

use super::*;
use crate::record::compress::compress;
use crate::record::fixtures::{NOW, old_rules, records};
use crate::record::verify::Unverified;

const GZIP: Codec = Codec::Gzip;
const SNAPPY: Codec = Codec::Snappy;

fn message<'a>(magic: i8, codec: Codec, value: &'a [u8]) -> Message<'a> {
    let attributes = Message::attributes(magic, codec, TimestampType::CreateTime);
    let timestamp = if magic == 0 { -1 } else { NOW };
    Message { offset: 0, magic, attributes, timestamp, key: None, value: Some(value) }
}

fn written(message: &Message<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    message.write(&mut out).expect("small");
    out
}

fn plain(magic: i8, value: &str) -> Vec<u8> {
    written(&message(magic, Codec::None, value.as_bytes()))
}

fn wrapper(magic: i8, codec: Codec, values: &[&str]) -> Vec<u8> {
    let inner: Vec<u8> = values.iter().flat_map(|value| plain(magic, value)).collect();
    written(&message(magic, codec, &compress(codec, None, &inner).expect("compresses")))
}

fn verify(parts: &[Vec<u8>], rules: &VerifyRules) -> Result<VerifiedSet, RecordError> {
    Unverified::new(parts.concat().into()).verify_set(rules)
}

/// The stored values of each batch.
fn values(set: &VerifiedSet) -> Vec<Vec<String>> {
    let text = |value: Option<Bytes>| String::from_utf8(value.expect("a value").to_vec()).expect("text");
    set.iter().map(|batch| records(batch.bytes()).into_iter().map(|record| text(record.value)).collect()).collect()
}

#[track_caller]
fn check_stored(parts: &[Vec<u8>], codec: Codec, expect: &[&str]) {
    let set = verify(parts, &old_rules()).expect("verifies");
    assert_eq!(values(&set), [expect]);
    assert_eq!(set.first.header().codec(), Ok(codec));
    assert!(records(set.first.bytes()).iter().map(|record| record.offset).eq(0..expect.len() as i64));
}

#[test]
fn wrappers_and_messages_of_a_set_are_stored_in_order() {
    for magic in [0, 1] {
        let [one, two] = [wrapper(magic, GZIP, &["a", "b"]), wrapper(magic, GZIP, &["c"])];
        check_stored(&[one.clone(), two.clone()], GZIP, &["a", "b", "c"]);
        check_stored(&[plain(magic, "x"), one.clone()], GZIP, &["x", "a", "b"]);
        check_stored(&[one.clone(), plain(magic, "x"), two.clone()], GZIP, &["a", "b", "x", "c"]);
        // The codec of the last wrapper applies to all.
        check_stored(&[one.clone(), wrapper(magic, SNAPPY, &["c"]), plain(magic, "x")], SNAPPY, &["a", "b", "c", "x"]);
        let other = 1 - magic;
        check_stored(&[plain(magic, "x"), plain(other, "y")], Codec::None, &["x", "y"]);
        check_stored(&[one, wrapper(other, GZIP, &["c"]), plain(other, "y")], GZIP, &["a", "b", "c", "y"]);
        // An incomplete last message is ignored.
        check_stored(&[two.clone(), two[..two.len() - 1].to_vec()], GZIP, &["c"]);
    }
}

#[test]
fn set_with_an_invalid_wrapper_is_rejected() {
    let good = wrapper(1, GZIP, &["a"]);
    let holding = |inner: &[u8]| written(&message(1, GZIP, &compress(GZIP, None, inner).expect("compresses")));
    let bad = [
        (holding(&good), "a compressed message stands in a compressed message"),
        (holding(&[]), "without messages inside"),
        (holding(&plain(0, "x")), "a message of magic 0 stands in a wrapper of magic 1"),
        (written(&Message { value: None, ..message(1, GZIP, &[]) }), "null value"),
        (written(&message(1, GZIP, b"no gzip")), "no valid gzip stream"),
    ];
    for (bad, why) in bad {
        for set in [[good.clone(), bad.clone()], [bad, good.clone()]] {
            let error = verify(&set, &old_rules()).expect_err("refused");
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}

#[test]
fn faulty_records_are_indexed_across_the_set() {
    let rules = VerifyRules { compacted: true, ..old_rules() };
    let keyed = written(&Message { key: Some(b"k"), ..message(1, Codec::None, b"v") });
    let set = [keyed.clone(), wrapper(1, GZIP, &["a", "b"]), keyed, plain(1, "x")];
    let Err(RecordError::Records(faults)) = verify(&set, &rules) else { panic!("accepted records without keys") };
    assert_eq!(faults.listed().iter().map(|fault| fault.batch_index).collect::<Vec<_>>(), [1, 2, 4]);
}

#[test]
fn wrappers_of_a_set_share_one_expansion_limit() {
    let rules = old_rules();
    let limit = rules.expansion_limit(0, true);
    let text = "0".repeat(limit / 4);
    let one = wrapper(1, GZIP, &[&text]);
    assert!(verify(&vec![one.clone(); 3], &rules).is_ok());
    let refused = verify(&vec![one; 5], &rules);
    assert!(matches!(refused, Err(RecordError::ExpandsTooFar { limit: found, .. }) if found == limit), "{refused:?}");
}

#[test]
fn plain_messages_over_max_message_bytes_become_several_batches() {
    let rules = VerifyRules { max_message_bytes: 200, ..old_rules() };
    let numbers: Vec<String> = (0..50).map(|number| format!("{number:030}")).collect();
    let messages: Vec<_> = numbers.iter().map(|value| plain(0, value)).collect();
    let set = verify(&messages, &rules).expect("verifies");
    assert!(set.iter().all(|batch| batch.bytes().len() <= 200));
    assert!(set.iter().skip(1).all(|batch| batch.header().record_count >= 2), "no batch is nearly empty");
    assert_eq!(values(&set).concat(), numbers);
    assert!(matches!(Unverified::new(messages.concat().into()).verify(&rules), Err(RecordError::TooLarge { .. })));
    // A single message that is too large is rejected, and a compressed batch is not split.
    let alone = verify(&[messages[0].clone(), plain(0, &"x".repeat(180))], &rules);
    assert!(matches!(alone, Err(RecordError::TooLarge { .. })), "{alone:?}");
    let compressing = VerifyRules { target_codec: Some((GZIP, None)), max_message_bytes: 100, ..rules };
    let compressed = verify(&messages, &compressing);
    assert!(matches!(compressed, Err(RecordError::TooLarge { .. })), "{compressed:?}");
}
