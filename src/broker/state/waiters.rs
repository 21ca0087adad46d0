//! Who waits for a partition to grow: fetches that found too little to answer with.
//!
//! A fetch registers with each of its partitions *before* it reads them, so that an append between
//! the reading and the waiting is not missed. A registration ends when its guard is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// The fetches waiting on one partition.
#[derive(Debug, Default)]
pub struct Waiters {
    next_id: AtomicU64,
    /// Length of `waiting`, read without the lock: most appends find no waiting fetch.
    count: AtomicUsize,
    waiting: Mutex<Vec<(u64, Arc<Notify>)>>,
}

impl Waiters {
    /// Has `notify` woken at every change until the guard is dropped.
    pub fn register(self: &Arc<Self>, notify: &Arc<Notify>) -> Registration {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let mut waiting = self.waiting.lock();
        waiting.push((id, Arc::clone(notify)));
        self.count.store(waiting.len(), Ordering::SeqCst);
        Registration { waiters: Arc::clone(self), id }
    }

    /// Wakes all: the partition grew, failed or went away.
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

/// Keeps a waiting fetch on a partition's list.
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
    async fn a_wake_between_registering_and_waiting_is_kept() {
        let waiters = Arc::new(Waiters::default());
        let notify = Arc::new(Notify::new());
        let guard = waiters.register(&notify);
        waiters.wake_all();
        notify.notified().await;
        drop(guard);
        assert_eq!(waiters.len(), 0);
    }
}
