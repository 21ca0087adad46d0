//! A bounded number of open resources, descriptors or mappings, for any number of files.
//!
//! Any segment of any log may be read at any time, and there are many more segments than a process may have open. So
//! each open resource is in a [`Pooled`] handle: opened at its first use, closed when the pool is full and another one
//! is needed, opened again at its next use. The pool chooses what to close by the clock algorithm (second chance): a
//! resource that was used since the hand passed it last is kept for one more round.
//!
//! Lock order: a handle's slot, then the clock. The evicting thread holds only the clock's lock while it looks for a
//! candidate, and skips handles that are in use at that moment; so it never waits for a reader, and a resource in use is
//! never closed. Therefore the pool may exceed its capacity by the number of resources in use at once: one per thread.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

/// Number of clock entries whose handles may be dropped already, before such entries are removed.
const STALE: usize = 64;

/// A limit on the number of open resources.
#[derive(Debug)]
pub(super) struct Pool {
    capacity: usize,
    open: AtomicUsize,
    /// Handles that may have an open resource; the hand is at the front.
    clock: Mutex<VecDeque<Weak<dyn Evict>>>,
}

/// A handle of a resource that the pool may close and that can be opened again; clones share the resource.
#[derive(Debug)]
pub(super) struct Pooled<T>(Arc<Shared<T>>);

#[derive(Debug)]
struct Shared<T> {
    slot: Mutex<Slot<T>>,
    used: AtomicBool,
    pool: Arc<Pool>,
}

#[derive(Debug)]
struct Slot<T> {
    value: Option<T>,
    /// Whether the clock has an entry for this handle.
    listed: bool,
}

/// A handle whose resource the pool can close.
trait Evict: Send + Sync + std::fmt::Debug {
    fn evict_unless_used(&self) -> Eviction;
}

enum Eviction {
    Evicted,
    /// The resource is in use, or was used since the hand passed it last.
    Used,
    /// There was no open resource.
    Empty,
}

impl Pool {
    pub(super) fn new(capacity: usize) -> Pool {
        Pool { capacity: capacity.max(1), open: AtomicUsize::new(0), clock: Mutex::default() }
    }

    /// Returns the number of open resources.
    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Closes up to `count` resources; returns whether any was closed.
    pub(super) fn evict(&self, count: usize) -> bool {
        let before = self.open();
        self.shrink_to(before.saturating_sub(count));
        self.open() < before
    }

    fn shrink_to(&self, count: usize) {
        // Two rounds: the first clears the marks of what was used, the second may close it.
        let mut steps = 2 * self.clock.lock().len();
        while self.open() > count && steps > 0 {
            steps -= 1;
            let Some(next) = self.clock.lock().pop_front() else { return };
            let Some(handle) = next.upgrade() else { continue };
            if let Eviction::Used = handle.evict_unless_used() {
                self.clock.lock().push_back(next);
            }
        }
    }

    fn list(&self, handle: Weak<dyn Evict>) {
        let mut clock = self.clock.lock();
        if clock.len() > 2 * self.open() + STALE {
            clock.retain(|handle| handle.strong_count() > 0);
        }
        clock.push_back(handle);
    }
}

impl<T: Send + std::fmt::Debug + 'static> Pooled<T> {
    /// Creates a handle whose resource is not open yet.
    pub(super) fn closed(pool: &Arc<Pool>) -> Pooled<T> {
        let slot = Mutex::new(Slot { value: None, listed: false });
        Pooled(Arc::new(Shared { slot, used: AtomicBool::new(false), pool: Arc::clone(pool) }))
    }

    /// Creates a handle of a resource that is open already.
    pub(super) fn open(pool: &Arc<Pool>, value: T) -> Pooled<T> {
        let pooled = Pooled::closed(pool);
        pool.shrink_to(pool.capacity - 1);
        pooled.put(&mut pooled.0.slot.lock(), value);
        pooled
    }

    /// Runs `work` on the resource. Opens it with `open` if it is closed or if `is_usable` rejects it.
    pub(super) fn with<R>(
        &self,
        is_usable: impl FnOnce(&T) -> bool,
        open: impl FnOnce() -> io::Result<T>,
        work: impl FnOnce(&T) -> R,
    ) -> io::Result<R> {
        let mut slot = self.0.slot.lock();
        self.0.used.store(true, Ordering::Relaxed);
        if let Some(value) = slot.value.as_ref().filter(|value| is_usable(value)) {
            return Ok(work(value));
        }
        self.0.close(&mut slot);
        self.0.pool.shrink_to(self.0.pool.capacity - 1);
        let value = open()?;
        Ok(work(self.put(&mut slot, value)))
    }

    /// Runs `work` on the resource if it is open.
    pub(super) fn if_open<R>(&self, work: impl FnOnce(&T) -> R) -> Option<R> {
        self.0.slot.lock().value.as_ref().map(work)
    }

    /// Closes the resource until its next use.
    pub(super) fn close(&self) {
        self.0.close(&mut self.0.slot.lock());
    }

    fn put<'a>(&self, slot: &'a mut Slot<T>, value: T) -> &'a T {
        self.0.pool.open.fetch_add(1, Ordering::Relaxed);
        if !std::mem::replace(&mut slot.listed, true) {
            let handle: Arc<dyn Evict> = self.0.clone();
            self.0.pool.list(Arc::downgrade(&handle));
        }
        slot.value.insert(value)
    }
}

impl<T> Clone for Pooled<T> {
    fn clone(&self) -> Pooled<T> {
        Pooled(Arc::clone(&self.0))
    }
}

impl<T> Shared<T> {
    fn close(&self, slot: &mut Slot<T>) {
        if slot.value.take().is_some() {
            self.pool.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl<T: Send + std::fmt::Debug> Evict for Shared<T> {
    fn evict_unless_used(&self) -> Eviction {
        let Some(mut slot) = self.slot.try_lock() else { return Eviction::Used };
        if slot.value.is_some() && self.used.swap(false, Ordering::Relaxed) {
            return Eviction::Used;
        }
        slot.listed = false;
        let eviction = if slot.value.is_some() { Eviction::Evicted } else { Eviction::Empty };
        self.close(&mut slot);
        eviction
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        if self.slot.get_mut().value.take().is_some() {
            self.pool.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(pool: &Arc<Pool>, count: u32) -> Vec<Pooled<u32>> {
        (0..count).map(|value| Pooled::open(pool, value)).collect()
    }

    fn still_open(handles: &[Pooled<u32>]) -> Vec<u32> {
        handles.iter().filter_map(|handle| handle.if_open(|value| *value)).collect()
    }

    /// Uses a handle, opening it with `reopened` if it is closed; returns its value.
    fn used(handle: &Pooled<u32>, reopened: u32) -> u32 {
        handle.with(|_| true, || Ok(reopened), |value| *value).expect("opens")
    }

    #[test]
    fn full_pool_closes_least_recently_used_resource() {
        let pool = Arc::new(Pool::new(3));
        let handles = opened(&pool, 3);
        assert_eq!(used(&handles[0], 10), 0, "still open");
        let more = opened(&pool, 1);
        assert_eq!(still_open(&handles), [0, 2], "0 was used, 1 was next");
        assert_eq!(used(&handles[1], 11), 11, "opened again");
        assert_eq!(pool.open(), 3);
        assert_eq!(still_open(&more), [0]);
    }

    #[test]
    fn pool_used_by_one_thread_never_exceeds_capacity() {
        let pool = Arc::new(Pool::new(10));
        let handles = opened(&pool, 1000);
        for round in 0..5000_usize {
            used(&handles[round * 7919 % 1000], 1);
            assert!(pool.open() <= 10, "{} open", pool.open());
            assert_eq!(still_open(&handles).len(), pool.open());
        }
    }

    #[test]
    fn resource_in_use_is_not_closed() {
        let pool = Arc::new(Pool::new(1));
        let handles = opened(&pool, 1);
        handles[0].with(|_| true, || Ok(0), |_| assert_eq!(used(&opened(&pool, 1)[0], 0), 0)).expect("is open");
        assert_eq!(still_open(&handles), [0]);
    }

    #[test]
    fn unusable_resource_is_opened_again() {
        let pool = Arc::new(Pool::new(4));
        let handle = Pooled::open(&pool, 1);
        assert_eq!(handle.with(|value| *value > 1, || Ok(2), |value| *value).expect("opens"), 2);
        assert!(handle.with(|value| *value > 2, || Err(io::ErrorKind::NotFound.into()), |value| *value).is_err());
        assert_eq!((handle.if_open(|value| *value), pool.open()), (None, 0));
    }

    #[test]
    fn dropped_handles_are_removed_from_clock() {
        let pool = Arc::new(Pool::new(usize::MAX));
        for _ in 0..100 {
            let handles = opened(&pool, 100);
            handles.iter().for_each(Pooled::close);
            handles.iter().for_each(|handle| assert_eq!(used(handle, 1), 1));
        }
        assert_eq!(pool.open(), 0);
        assert!(pool.clock.lock().len() <= 100 + STALE, "{} entries", pool.clock.lock().len());
    }

    #[test]
    fn evict_closes_up_to_count() {
        let pool = Arc::new(Pool::new(100));
        let handles = opened(&pool, 10);
        assert!(pool.evict(4));
        assert_eq!(still_open(&handles).len(), 6);
        assert!(pool.evict(100));
        assert!(!pool.evict(1), "nothing is open");
    }
}
