//! Verification of produced batches: large ones off the runtime's threads, very large ones one at a time.

use parking_lot::Mutex;

use crate::blocking;
use ottla_wire::record::{Accepts, RecordCheck, RecordError, Unverified, VerifiedSet, VerifyRules};

/// The size in bytes from which records are verified off the runtime's threads if they are compressed or have a further
/// check.
const MIN_BYTES_TO_OFFLOAD: usize = 16 << 10;

/// Verifies batches. Batches that exceed the usual size once decompressed, and must be held in memory, are verified one
/// at a time.
pub(super) struct LargeBatches {
    /// The largest decompressed size in bytes of a batch that must be held in memory.
    memory: usize,
    /// Held while such a batch is verified.
    held: Mutex<()>,
}

impl LargeBatches {
    pub fn new(memory: usize) -> LargeBatches {
        LargeBatches { memory, held: Mutex::new(()) }
    }

    /// Verifies a batch. One that exceeds the usual decompressed size is verified again, with the limit for large
    /// batches.
    pub fn verify(
        &self,
        records: &Unverified,
        rules: &VerifyRules,
        check: Option<&mut dyn RecordCheck>,
    ) -> Result<VerifiedSet, RecordError> {
        let is_large = records.len() >= MIN_BYTES_TO_OFFLOAD && (records.is_compressed() || check.is_some());
        let may_take_long = is_large || check.as_ref().is_some_and(|check| check.may_take_long());
        match may_take_long {
            true => blocking::in_place(|| self.verify_here(records, rules, check)),
            false => self.verify_here(records, rules, check),
        }
    }

    fn verify_here(
        &self,
        records: &Unverified,
        rules: &VerifyRules,
        mut check: Option<&mut dyn RecordCheck>,
    ) -> Result<VerifiedSet, RecordError> {
        let may_be_held = rules.target_codec.is_some() || rules.accepts == Accepts::AnyFormat || check.is_some();
        match records.clone().verify_set_with(rules, check.as_deref_mut().map(|check| check as _)) {
            Err(RecordError::ExpandsTooFar { .. }) => blocking::in_place(|| {
                let _alone = may_be_held.then(|| self.held.lock());
                let rules = VerifyRules { large_batch_memory: Some(self.memory), ..rules.clone() };
                records.clone().verify_set_with(&rules, check)
            }),
            done => done,
        }
    }
}
