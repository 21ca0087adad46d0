//! Verification of produced batches off the runtime's threads, and one at a time where much memory is needed.

use parking_lot::Mutex;
use tokio::runtime::RuntimeFlavor;

use ottla_wire::record::{Accepts, RecordError, Unverified, VerifiedSet, VerifyRules};

/// Compressed records of this size in bytes are verified where they hold up no other task.
const MIN_BYTES_TO_OFFLOAD: usize = 16 << 10;

/// Runs work on a batch; if that may take long, other threads take over this one's tasks meanwhile.
fn run_on_batch<T>(records: &Unverified, work: impl FnOnce() -> T) -> T {
    match records.is_compressed() && records.len() >= MIN_BYTES_TO_OFFLOAD {
        true => block_in_place(work),
        false => work(),
    }
}

/// Runs work on this thread while other threads take over its tasks, if there are other threads.
fn block_in_place<T>(work: impl FnOnce() -> T) -> T {
    let runtime = tokio::runtime::Handle::try_current();
    match runtime.is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread) {
        true => tokio::task::block_in_place(work),
        false => work(),
    }
}

/// Verifies batches. Of those that expand to an unusual size and have to be held in memory, one is verified at a time.
pub(super) struct LargeBatches {
    /// The largest size in bytes that a batch may expand to if it has to be held in memory.
    memory: usize,
    held: Mutex<()>,
}

impl LargeBatches {
    pub fn new(memory: usize) -> LargeBatches {
        LargeBatches { memory, held: Mutex::new(()) }
    }

    /// Verifies a batch; again with the limits of a large one if it is one and the topic's settings allow it.
    pub fn verify(&self, records: &Unverified, rules: &VerifyRules) -> Result<VerifiedSet, RecordError> {
        match run_on_batch(records, || records.clone().verify_set(rules)) {
            Err(RecordError::ExpandsTooFar { .. }) => block_in_place(|| {
                let may_be_held = rules.target.is_some() || rules.accepts == Accepts::AnyFormat;
                let _alone = may_be_held.then(|| self.held.lock());
                records.clone().verify_set(&VerifyRules { large: Some(self.memory), ..rules.clone() })
            }),
            done => done,
        }
    }
}
