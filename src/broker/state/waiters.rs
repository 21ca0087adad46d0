//! Fetches that wait for records of a partition.
//!
//! A fetch registers with each of its partitions *before* it reads them, so that an append between the read and the
//! wait is not missed. The registration ends when its guard is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// The fetches that wait for one partition.
#[derive(Debug, Default)]
pub struct Waiters {
    next_id: AtomicU64,
    /// The length of `waiting`, read without the lock because no fetch waits at most appends.
    count: AtomicUsize,
    waiting: Mutex<Vec<(u64, Arc<Notify>)>>,
}

impl Waiters {
    /// Wakes `notify` at every change, until the guard is dropped.
    pub fn register(self: &Arc<Self>, notify: &Arc<Notify>) -> Registration {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let mut waiting = self.waiting.lock();
        waiting.push((id, Arc::clone(notify)));
        self.count.store(waiting.len(), Ordering::SeqCst);
        Registration { waiters: Arc::clone(self), id }
    }

    /// Wakes all waiting fetches, because the partition has new records, failed, or was deleted.
    pub fn wake_all(&self) {
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        for (_, notify) in self.waiting.lock().iter() {
            notify.notify_one();
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.waiting.lock().len()
    }
}

/// The registration of a waiting fetch, which ends when it is dropped.
#[derive(Debug)]
pub struct Registration {
    waiters: Arc<Waiters>,
    id: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut waiting = self.waiters.waiting.lock();
        if let Some(at) = waiting.iter().position(|(id, _)| *id == self.id) {
            waiting.swap_remove(at);
        }
        self.waiters.count.store(waiting.len(), Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn wake_between_registration_and_wait_is_not_lost() {
        let waiters = Arc::new(Waiters::default());
        let notify = Arc::new(Notify::new());
        let guard = waiters.register(&notify);
        waiters.wake_all();
        notify.notified().await;
        drop(guard);
        assert_eq!(waiters.len(), 0);
    }
}
