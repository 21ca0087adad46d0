//! Tests of further checks of records.

use super::*;
use crate::record::compress::CHUNK;
use crate::record::fixtures::{NOW, old_rules, rules};
use crate::record::{Fault, OldFormat, down_convert};

/// Refuses values that begin with `bad`, and notes what it gets.
#[derive(Default)]
struct NoBad {
    values: Vec<(usize, usize)>,
}

impl RecordCheck for NoBad {
    fn may_take_long(&self) -> bool {
        false
    }

    fn check(&mut self, record: &RawRecord<'_>) -> Result<(), String> {
        let value = record.value.unwrap_or_default();
        self.values.push((value.len(), record.headers().len()));
        match value.starts_with(b"bad") {
            true => Err(format!("{} bytes are bad", value.len())),
            false => Ok(()),
        }
    }
}

fn sent(codec: Codec, values: &[Option<&[u8]>]) -> Bytes {
    let mut builder = BatchBuilder::new(codec);
    for value in values {
        builder.append(NOW, Some(b"k"), *value, &[(b"h", None)]);
    }
    builder.build().expect("a batch").bytes().clone()
}

fn verify(bytes: &Bytes, rules: &VerifyRules) -> (Result<VerifiedSet, RecordError>, NoBad) {
    let mut check = NoBad::default();
    (Unverified::new(bytes.clone()).verify_set_with(rules, Some(&mut check)), check)
}

#[test]
fn check_gets_each_record_whole_with_all_codecs() {
    let large = vec![7; 3 * CHUNK + 5];
    for codec in Codec::ALL {
        let bytes = sent(codec, &[Some(b"one"), Some(&large), None, Some(b"")]);
        let (verified, check) = verify(&bytes, &rules());
        assert_eq!(verified.expect("verifies").first.bytes(), &bytes);
        assert_eq!(check.values, [(3, 1), (large.len(), 1), (0, 1), (0, 1)]);
    }
}

#[test]
fn refused_records_are_listed_with_their_reasons() {
    let large = [b"bad", &vec![7; 3 * CHUNK][..]].concat();
    for codec in Codec::ALL {
        let (verified, _) = verify(&sent(codec, &[Some(b"one"), Some(&large), Some(b"bad")]), &rules());
        let Err(RecordError::Records(faults)) = verified else { panic!("{verified:?}") };
        let found: Vec<_> = faults.listed().iter().map(|fault| (fault.batch_index, fault.fault.to_string())).collect();
        assert_eq!(found, [(1, format!("{} bytes are bad", large.len())), (2, "3 bytes are bad".to_owned())]);
        assert!(!faults.any_time());
    }
}

#[test]
fn fault_of_the_topics_rules_counts_before_the_check() {
    let rules = VerifyRules { now: NOW - 10_000_000, ..rules() };
    let (verified, _) = verify(&sent(Codec::None, &[Some(b"bad")]), &rules);
    let Err(RecordError::Records(faults)) = verified else { panic!("{verified:?}") };
    assert!(matches!(faults.listed()[0].fault, Fault::OutOfRange { .. }));
}

#[test]
fn messages_of_old_formats_are_checked() {
    for codec in [Codec::None, Codec::Gzip] {
        let batch = sent(codec, &[Some(b"one"), Some(b"bad")]);
        let old = down_convert(&batch, OldFormat::V1, 0).expect("converts");
        let (verified, check) = verify(&old, &old_rules());
        assert!(matches!(&verified, Err(RecordError::Records(faults)) if faults.listed().len() == 1), "{verified:?}");
        assert_eq!(check.values, [(3, 0), (3, 0)]);
    }
}

#[test]
fn batch_that_must_be_kept_for_the_check_has_the_limit_of_memory() {
    let zeros = vec![0; 40 << 20];
    let bytes = sent(Codec::Zstd, &[Some(&zeros)]);
    let rules = VerifyRules { large_batch_memory: Some(0), ..rules() };
    assert!(Unverified::new(bytes.clone()).verify_set(&rules).is_ok());
    let (verified, check) = verify(&bytes, &rules);
    assert!(matches!(verified, Err(RecordError::ExpandsTooFar { .. })), "{verified:?}");
    assert!(check.values.is_empty());
    let (verified, _) = verify(&bytes, &VerifyRules { large_batch_memory: Some(64 << 20), ..rules });
    assert!(verified.is_ok());
}
