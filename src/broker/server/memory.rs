//! Memory for requests: a budget for announced sizes, and a pool of buffers for received bytes.
//!
//! Invariants:
//! - A frame above [`super::reader::SMALL_FRAME`] has its whole size reserved before its body is read
//!   into a buffer of its own; reservations are granted in the order they were asked for.
//! - A reservation is accounting only: memory follows the bytes that arrived.
//! - The pool of unused buffers is bounded, and is freed when traffic stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that all connections together may reserve for requests (`queued.max.request.bytes`).
pub(super) struct RequestBudget {
    total: usize,
    /// One permit a byte. The semaphore hands permits out first come, first served.
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// A share of the budget, released when dropped.
pub(super) struct Reservation(#[expect(dead_code, reason = "held for what its drop does")] OwnedSemaphorePermit);

impl RequestBudget {
    pub fn new(total: usize) -> Self {
        let total = total.min(Semaphore::MAX_PERMITS);
        RequestBudget { total, free: Arc::new(Semaphore::new(total)), waiting: AtomicUsize::new(0) }
    }

    pub fn total(&self) -> usize {
        self.total
    }

    /// Reserves at once, or returns `None` if others wait or too little is free.
    pub fn try_reserve(&self, bytes: u32) -> Option<Reservation> {
        self.free.clone().try_acquire_many_owned(bytes).ok().map(Reservation)
    }

    /// Waits for its turn in the queue and reserves. `None` only if the budget is smaller than `bytes`.
    pub async fn reserve(self: Arc<Self>, bytes: u32) -> Option<Reservation> {
        if bytes as usize > self.total {
            return None;
        }
        let _waiting = Waiting::new(&self);
        self.free.clone().acquire_many_owned(bytes).await.ok().map(Reservation)
    }

    /// Whether at least half of the budget is free: then no one waits, and a frame may get its reservation before its body
    /// has arrived.
    pub fn is_half_free(&self) -> bool {
        self.free.available_permits() >= self.total / 2
    }

    /// Whether nothing is free.
    pub fn is_exhausted(&self) -> bool {
        self.free.available_permits() == 0
    }

    /// Whether a reservation waits in the queue.
    pub fn is_contended(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }
}

/// Counts a waiter until it is served or cancelled.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(budget: &'a RequestBudget) -> Self {
        budget.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(&budget.waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Buffers smaller than this cost less to allocate than to keep.
const SMALLEST_KEPT: usize = 16 << 10;
/// Buffers larger than this are rare, and freed.
const LARGEST_KEPT: usize = 4 << 20;
/// Capacities are rounded up to this, so that frames of about one size can follow each other.
const CAPACITY_STEP: usize = 16 << 10;
/// The first allocation for a frame whose size alone is known.
const SMALLEST_GROWTH: usize = 4 << 10;

/// Frame buffers for reuse: the first touch of a fresh page costs several times what filling it does.
pub(super) struct BufferPool {
    capacity: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// The most recently used ones last.
    buffers: Vec<Vec<u8>>,
    bytes: usize,
    /// The fewest there were since the last [`BufferPool::trim`]: so many were not used.
    fewest: usize,
}

impl BufferPool {
    /// A pool that keeps up to `capacity` bytes.
    pub fn new(capacity: usize) -> Self {
        BufferPool { capacity, kept: Mutex::default() }
    }

    /// Takes an empty buffer for `size` bytes: a pooled one with enough capacity, or a new one without any.
    pub fn take(self: &Arc<Self>, size: usize) -> FrameBuffer {
        let mut kept = self.kept.lock();
        let fits = |buffer: &Vec<u8>| (size..=size.saturating_mul(4)).contains(&buffer.capacity());
        let bytes = match kept.buffers.iter().rposition(fits) {
            Some(place) => {
                let buffer = kept.buffers.remove(place);
                kept.bytes -= buffer.capacity();
                kept.fewest = kept.fewest.min(kept.buffers.len());
                buffer
            }
            None => Vec::new(),
        };
        FrameBuffer { bytes, buffers: self.clone() }
    }

    fn put(&self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        if !(SMALLEST_KEPT..=LARGEST_KEPT).contains(&capacity) {
            return;
        }
        buffer.clear();
        let mut kept = self.kept.lock();
        if kept.bytes + capacity <= self.capacity {
            kept.bytes += capacity;
            kept.buffers.push(buffer);
        }
    }

    /// Frees the buffers that were not used since the last call.
    pub fn trim(&self) {
        let mut kept = self.kept.lock();
        let unneeded = kept.fewest.min(kept.buffers.len());
        let freed: Vec<Vec<u8>> = kept.buffers.drain(..unneeded).collect();
        kept.bytes -= freed.iter().map(Vec::capacity).sum::<usize>();
        kept.fewest = kept.buffers.len();
        drop(kept); // the allocator works without the lock
    }
}

/// A frame that is being received. The buffer returns to the pool when the last slice of it is dropped.
pub(super) struct FrameBuffer {
    pub bytes: Vec<u8>,
    buffers: Arc<BufferPool>,
}

impl FrameBuffer {
    /// Makes room for more of a frame that will be `size` bytes long: twice what has arrived.
    pub fn grow_towards(&mut self, size: usize) {
        let step = self.bytes.len().max(SMALLEST_GROWTH);
        let capacity = (self.bytes.len() + step).min(size.next_multiple_of(CAPACITY_STEP));
        self.bytes.reserve_exact(capacity.saturating_sub(self.bytes.len()));
    }
}

impl AsRef<[u8]> for FrameBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for FrameBuffer {
    fn drop(&mut self) {
        self.buffers.put(std::mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match future.poll(&mut context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        }
    }

    #[test]
    fn reservations_are_granted_in_order() {
        let budget = Arc::new(RequestBudget::new(100));
        let first = budget.try_reserve(60);
        assert!(first.is_some() && !budget.is_half_free() && !budget.is_contended());
        let mut large = Box::pin(budget.clone().reserve(80));
        assert!(poll_once(large.as_mut()).is_none());
        assert!(budget.is_contended());
        // 40 are free, and yet the small one may not overtake.
        assert!(budget.try_reserve(10).is_none());
        let mut small = Box::pin(budget.clone().reserve(10));
        assert!(poll_once(small.as_mut()).is_none());
        drop(first);
        let large = poll_once(large.as_mut()).flatten();
        assert!(large.is_some());
        assert!(poll_once(small.as_mut()).flatten().is_some());
        assert!(!budget.is_contended());
        drop(large);
        assert!(budget.is_half_free());
    }

    #[test]
    fn a_waiter_that_gives_up_blocks_nobody() {
        let budget = Arc::new(RequestBudget::new(100));
        let first = budget.try_reserve(60);
        let mut large = Box::pin(budget.clone().reserve(80));
        assert!(poll_once(large.as_mut()).is_none());
        drop(large);
        assert!(!budget.is_contended());
        assert!(budget.try_reserve(40).is_some());
        drop(first);
    }

    #[test]
    fn more_than_the_whole_budget_is_never_granted() {
        let budget = Arc::new(RequestBudget::new(100));
        assert!(matches!(poll_once(std::pin::pin!(budget.reserve(101))), Some(None)));
    }

    fn filled(buffers: &Arc<BufferPool>, size: usize) -> FrameBuffer {
        let mut buffer = buffers.take(size);
        while buffer.bytes.len() < size {
            buffer.grow_towards(size);
            let room = buffer.bytes.capacity().min(size) - buffer.bytes.len();
            buffer.bytes.extend(std::iter::repeat_n(7, room));
        }
        buffer
    }

    #[test]
    fn memory_follows_the_bytes_that_arrived() {
        let buffers = Arc::new(BufferPool::new(1 << 20));
        let mut buffer = buffers.take(1 << 20);
        buffer.grow_towards(1 << 20);
        assert_eq!(buffer.bytes.capacity(), SMALLEST_GROWTH);
        buffer.bytes.extend([0; 3000]);
        buffer.grow_towards(1 << 20);
        assert!(buffer.bytes.capacity() <= 8 << 10);
    }

    #[test]
    fn a_used_buffer_serves_the_next_frame_of_its_size() {
        let buffers = Arc::new(BufferPool::new(1 << 20));
        let place = filled(&buffers, 65_000).bytes.as_ptr();
        let again = buffers.take(64_000);
        assert_eq!(again.bytes.as_ptr(), place);
        assert!(again.bytes.is_empty());
        drop(again);
        assert_eq!(buffers.take(10_000).bytes.capacity(), 0, "much too large a buffer for that");
    }

    #[test]
    fn the_shelf_is_bounded_and_empties_when_unused() {
        let buffers = Arc::new(BufferPool::new(150_000));
        let three = [filled(&buffers, 64_000), filled(&buffers, 64_000), filled(&buffers, 64_000)];
        drop(three);
        assert_eq!(buffers.kept.lock().buffers.len(), 2);
        buffers.trim();
        drop(buffers.take(64_000));
        buffers.trim(); // one of the two was in use since
        assert_eq!(buffers.kept.lock().buffers.len(), 1);
        buffers.trim();
        assert_eq!(buffers.kept.lock().bytes, 0);
    }
}
