//! Verification of produced batches: large ones off the runtime's threads, very large ones one at a time.

use parking_lot::Mutex;
use tokio::runtime::RuntimeFlavor;

use ottla_wire::record::{Accepts, RecordError, Unverified, VerifiedSet, VerifyRules};

/// The size in bytes from which compressed records are verified off the runtime's threads.
const MIN_BYTES_TO_OFFLOAD: usize = 16 << 10;

/// Runs work on a batch; if it may take long, other threads run this thread's tasks meanwhile.
fn run_on_batch<T>(records: &Unverified, work: impl FnOnce() -> T) -> T {
    match records.is_compressed() && records.len() >= MIN_BYTES_TO_OFFLOAD {
        true => block_in_place(work),
        false => work(),
    }
}

/// Runs work on this thread while other threads, if there are any, run its tasks.
fn block_in_place<T>(work: impl FnOnce() -> T) -> T {
    let runtime = tokio::runtime::Handle::try_current();
    match runtime.is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread) {
        true => tokio::task::block_in_place(work),
        false => work(),
    }
}

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
    pub fn verify(&self, records: &Unverified, rules: &VerifyRules) -> Result<VerifiedSet, RecordError> {
        match run_on_batch(records, || records.clone().verify_set(rules)) {
            Err(RecordError::ExpandsTooFar { .. }) => block_in_place(|| {
                let may_be_held = rules.target_codec.is_some() || rules.accepts == Accepts::AnyFormat;
                let _alone = may_be_held.then(|| self.held.lock());
                records.clone().verify_set(&VerifyRules { large_batch_memory: Some(self.memory), ..rules.clone() })
            }),
            done => done,
        }
    }
}
