//! How many requests of a kind are decided at a time. So one kind does not wait for another, and the memory and the threads of
//! decisions are bounded.

use std::sync::Arc;

use ottla_registry::api::{OwnedRequest, Work};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests that read. They hold the registry, one after the other.
const MAX_READS: usize = 1;
/// Requests that look a schema up among the versions of its subject.
const MAX_LOOKUPS: usize = 2;
/// Requests that compare schemas or write. Two at a time would often have to be decided again.
const MAX_COMPARISONS: usize = 1;

/// The turns of requests of a driver.
pub struct Turns {
    read: Arc<Semaphore>,
    look_up: Arc<Semaphore>,
    compare_or_write: Arc<Semaphore>,
}

impl Default for Turns {
    fn default() -> Turns {
        let of = |turns| Arc::new(Semaphore::new(turns));
        Turns { read: of(MAX_READS), look_up: of(MAX_LOOKUPS), compare_or_write: of(MAX_COMPARISONS) }
    }
}

impl Turns {
    /// Waits for the turn of a request, or of reading the topic without one. It ends when the permit is dropped.
    pub async fn of(&self, request: Option<&OwnedRequest>) -> Option<OwnedSemaphorePermit> {
        let turns = match request.map_or(Work::Read, |request| request.borrowed().work()) {
            Work::Read => &self.read,
            Work::LookUp => &self.look_up,
            Work::CompareOrWrite => &self.compare_or_write,
        };
        // Not closed.
        Arc::clone(turns).acquire_owned().await.ok()
    }
}
