//! A bounded number of open things, descriptors or mappings, for any number of files.
//!
//! Any segment of any log may be read at any time, and there are many more of them than a process may have open. So
//! what a file has open is [`Kept`]: made at its first use, taken away when others need the room, made again at the
//! next use. Taken are those that were not used since the clock's hand last came by.
//!
//! Locks: first what a `Kept` holds, then the clock. Who takes things away holds only the clock's lock while it looks
//! for one, and leaves alone what is in use at that moment; so nobody waits for it, and a `Kept` in use stays whole.
//! Therefore a pool may be exceeded, by as many as are in use at once: one for each thread.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

/// Entries of the clock that may be of things long gone, before they are swept out.
const STALE: usize = 64;

/// Room for so many open things.
#[derive(Debug)]
pub(super) struct Pool {
    capacity: usize,
    open: AtomicUsize,
    /// What may be open; the hand is at the front.
    clock: Mutex<VecDeque<Weak<dyn Taken>>>,
}

/// Something open that can be made again; clones share it.
#[derive(Debug)]
pub(super) struct Kept<T>(Arc<Cell<T>>);

#[derive(Debug)]
struct Cell<T> {
    held: Mutex<Held<T>>,
    used: AtomicBool,
    pool: Arc<Pool>,
}

#[derive(Debug)]
struct Held<T> {
    value: Option<T>,
    /// Whether the clock knows of it.
    listed: bool,
}

/// What the clock's hand may take away.
trait Taken: Send + Sync + std::fmt::Debug {
    fn take_unless_used(&self) -> Outcome;
}

enum Outcome {
    Taken,
    /// It is in use, or was since the hand last came by.
    Used,
    /// There was nothing.
    Empty,
}

impl Pool {
    pub(super) fn new(capacity: usize) -> Pool {
        Pool { capacity: capacity.max(1), open: AtomicUsize::new(0), clock: Mutex::default() }
    }

    /// How many things are open.
    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Takes away as many as `count`; whether there was one.
    pub(super) fn give_up(&self, count: usize) -> bool {
        let before = self.open();
        self.shrink_to(before.saturating_sub(count));
        self.open() < before
    }

    fn shrink_to(&self, count: usize) {
        // Twice around: what is marked as used the first time may go the second.
        let mut steps = 2 * self.clock.lock().len();
        while self.open() > count && steps > 0 {
            steps -= 1;
            let Some(next) = self.clock.lock().pop_front() else { return };
            let Some(cell) = next.upgrade() else { continue };
            if let Outcome::Used = cell.take_unless_used() {
                self.clock.lock().push_back(next);
            }
        }
    }

    fn list(&self, cell: Weak<dyn Taken>) {
        let mut clock = self.clock.lock();
        if clock.len() > 2 * self.open() + STALE {
            clock.retain(|cell| cell.strong_count() > 0);
        }
        clock.push_back(cell);
    }
}

impl<T: Send + std::fmt::Debug + 'static> Kept<T> {
    /// Nothing open yet.
    pub(super) fn nothing(pool: &Arc<Pool>) -> Kept<T> {
        let held = Mutex::new(Held { value: None, listed: false });
        Kept(Arc::new(Cell { held, used: AtomicBool::new(false), pool: Arc::clone(pool) }))
    }

    /// Something that is open already.
    pub(super) fn open(pool: &Arc<Pool>, value: T) -> Kept<T> {
        let kept = Kept::nothing(pool);
        pool.shrink_to(pool.capacity - 1);
        kept.put(&mut kept.0.held.lock(), value);
        kept
    }

    /// Uses what is open, made by `make` if nothing is or if it doesn't `suit`.
    pub(super) fn with<R>(
        &self,
        suits: impl FnOnce(&T) -> bool,
        make: impl FnOnce() -> io::Result<T>,
        then: impl FnOnce(&T) -> R,
    ) -> io::Result<R> {
        let mut held = self.0.held.lock();
        self.0.used.store(true, Ordering::Relaxed);
        if let Some(value) = held.value.as_ref().filter(|value| suits(value)) {
            return Ok(then(value));
        }
        self.0.drop_value(&mut held);
        self.0.pool.shrink_to(self.0.pool.capacity - 1);
        let value = make()?;
        Ok(then(self.put(&mut held, value)))
    }

    /// Uses what is open, if anything is.
    pub(super) fn if_open<R>(&self, then: impl FnOnce(&T) -> R) -> Option<R> {
        self.0.held.lock().value.as_ref().map(then)
    }

    /// Closes what is open.
    pub(super) fn close(&self) {
        self.0.drop_value(&mut self.0.held.lock());
    }

    fn put<'a>(&self, held: &'a mut Held<T>, value: T) -> &'a T {
        self.0.pool.open.fetch_add(1, Ordering::Relaxed);
        if !std::mem::replace(&mut held.listed, true) {
            let cell: Arc<dyn Taken> = self.0.clone();
            self.0.pool.list(Arc::downgrade(&cell));
        }
        held.value.insert(value)
    }
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Kept<T> {
        Kept(Arc::clone(&self.0))
    }
}

impl<T> Cell<T> {
    fn drop_value(&self, held: &mut Held<T>) {
        if held.value.take().is_some() {
            self.pool.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl<T: Send + std::fmt::Debug> Taken for Cell<T> {
    fn take_unless_used(&self) -> Outcome {
        let Some(mut held) = self.held.try_lock() else { return Outcome::Used };
        if held.value.is_some() && self.used.swap(false, Ordering::Relaxed) {
            return Outcome::Used;
        }
        held.listed = false;
        let outcome = if held.value.is_some() { Outcome::Taken } else { Outcome::Empty };
        self.drop_value(&mut held);
        outcome
    }
}

impl<T> Drop for Cell<T> {
    fn drop(&mut self) {
        if self.held.get_mut().value.take().is_some() {
            self.pool.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(pool: &Arc<Pool>, count: u32) -> Vec<Kept<u32>> {
        (0..count).map(|value| Kept::open(pool, value)).collect()
    }

    fn still_open(kept: &[Kept<u32>]) -> Vec<u32> {
        kept.iter().filter_map(|kept| kept.if_open(|value| *value)).collect()
    }

    fn used(kept: &Kept<u32>, remade: u32) -> u32 {
        kept.with(|_| true, || Ok(remade), |value| *value).expect("is made")
    }

    #[test]
    fn the_longest_unused_go() {
        let pool = Arc::new(Pool::new(3));
        let kept = opened(&pool, 3);
        assert_eq!(used(&kept[0], 10), 0, "still there");
        let more = opened(&pool, 1);
        assert_eq!(still_open(&kept), [0, 2], "0 was used, 1 was next");
        assert_eq!(used(&kept[1], 11), 11, "made again");
        assert_eq!(pool.open(), 3);
        assert_eq!(still_open(&more), [0]);
    }

    #[test]
    fn a_pool_is_never_exceeded_by_one_thread() {
        let pool = Arc::new(Pool::new(10));
        let kept = opened(&pool, 1000);
        for round in 0..5000_usize {
            used(&kept[round * 7919 % 1000], 1);
            assert!(pool.open() <= 10, "{} open", pool.open());
            assert_eq!(still_open(&kept).len(), pool.open());
        }
    }

    #[test]
    fn what_is_in_use_is_left_alone() {
        let pool = Arc::new(Pool::new(1));
        let kept = opened(&pool, 1);
        kept[0].with(|_| true, || Ok(0), |_| assert_eq!(used(&opened(&pool, 1)[0], 0), 0)).expect("is there");
        assert_eq!(still_open(&kept), [0]);
    }

    #[test]
    fn what_does_not_suit_is_made_again() {
        let pool = Arc::new(Pool::new(4));
        let kept = Kept::open(&pool, 1);
        assert_eq!(kept.with(|value| *value > 1, || Ok(2), |value| *value).expect("is made"), 2);
        assert!(kept.with(|value| *value > 2, || Err(io::ErrorKind::NotFound.into()), |value| *value).is_err());
        assert_eq!((kept.if_open(|value| *value), pool.open()), (None, 0));
    }

    #[test]
    fn things_gone_leave_no_trace() {
        let pool = Arc::new(Pool::new(usize::MAX));
        for _ in 0..100 {
            let kept = opened(&pool, 100);
            kept.iter().for_each(Kept::close);
            kept.iter().for_each(|kept| assert_eq!(used(kept, 1), 1));
        }
        assert_eq!(pool.open(), 0);
        assert!(pool.clock.lock().len() <= 100 + STALE, "{} entries", pool.clock.lock().len());
    }

    #[test]
    fn some_are_given_up_when_the_system_has_no_more() {
        let pool = Arc::new(Pool::new(100));
        let kept = opened(&pool, 10);
        assert!(pool.give_up(4));
        assert_eq!(still_open(&kept).len(), 6);
        assert!(pool.give_up(100));
        assert!(!pool.give_up(1), "nothing is left");
    }
}
