//! Memory for requests: a budget for announced sizes, and a pool of buffers for received bytes.
//!
//! Invariants:
//! - The whole size of a frame above [`super::reader::SMALL_FRAME`] is reserved before its body is read into a buffer
//!   of its own. Reservations are granted in the order of the requests for them.
//! - A reservation allocates no memory. Memory is allocated for the bytes that have arrived.
//! - The pool of unused buffers is bounded, and is freed when no requests arrive.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that all connections together may reserve for requests (`queued.max.request.bytes`).
pub(super) struct RequestBudget {
    total: usize,
    /// One permit per byte. The semaphore is fair: first come, first served.
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// Reserved bytes of the budget, released when dropped.
pub(super) struct Reservation(#[expect(dead_code, reason = "its drop releases the bytes")] OwnedSemaphorePermit);

impl RequestBudget {
    pub fn new(total: usize) -> Self {
        let total = total.min(Semaphore::MAX_PERMITS);
        RequestBudget { total, free: Arc::new(Semaphore::new(total)), waiting: AtomicUsize::new(0) }
    }

    pub fn total(&self) -> usize {
        self.total
    }

    /// Bytes that are not reserved.
    pub fn free(&self) -> usize {
        self.free.available_permits()
    }

    /// Reserves bytes without waiting. `None` if other requests wait or too few bytes are free.
    pub fn try_reserve(&self, bytes: u32) -> Option<Reservation> {
        self.free.clone().try_acquire_many_owned(bytes).ok().map(Reservation)
    }

    /// Queues for a reservation. `None` only if the whole budget is smaller than `bytes`.
    pub async fn reserve(self: Arc<Self>, bytes: u32) -> Option<Reservation> {
        if bytes as usize > self.total {
            return None;
        }
        let _waiting = Waiting::new(&self);
        self.free.clone().acquire_many_owned(bytes).await.ok().map(Reservation)
    }

    /// Whether at least half of the budget is free. If so, no request waits, and a frame may get its reservation before
    /// any of its body has arrived.
    pub fn is_half_free(&self) -> bool {
        self.free.available_permits() >= self.total / 2
    }

    /// Whether no byte of the budget is free.
    pub fn is_exhausted(&self) -> bool {
        self.free.available_permits() == 0
    }

    /// Whether a reservation waits in the queue.
    pub fn is_contended(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }
}

/// Counts a queued request until it gets its reservation or is cancelled.
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

/// Smaller buffers are not pooled: allocating them is cheaper.
const MIN_POOLED: usize = 16 << 10;
/// Larger buffers are not pooled: they are rare.
const MAX_POOLED: usize = 4 << 20;
/// Capacities are multiples of this, so that a buffer can be used again for a frame of a similar size.
const CAPACITY_STEP: usize = 16 << 10;
/// The first allocation for a frame of which no byte has arrived.
const MIN_GROWTH: usize = 4 << 10;

/// A pool of unused frame buffers. A used buffer is cheaper than a new one: the first access to a new page takes
/// several times as long as filling the page.
pub(super) struct BufferPool {
    capacity: usize,
    unused: Mutex<Unused>,
}

#[derive(Default)]
struct Unused {
    /// In the order of their last use.
    buffers: Vec<Vec<u8>>,
    bytes: usize,
    /// The lowest number of buffers since the last [`BufferPool::trim`]: this many buffers were not needed.
    min_count: usize,
}

impl BufferPool {
    /// Creates a pool for up to `capacity` bytes.
    pub fn new(capacity: usize) -> Self {
        BufferPool { capacity, unused: Mutex::default() }
    }

    /// Takes an empty buffer for `size` bytes: a pooled one with enough capacity, or a new one without capacity.
    pub fn take(self: &Arc<Self>, size: usize) -> FrameBuffer {
        let mut unused = self.unused.lock();
        let fits = |buffer: &Vec<u8>| (size..=size.saturating_mul(4)).contains(&buffer.capacity());
        let bytes = match unused.buffers.iter().rposition(fits) {
            Some(index) => {
                let buffer = unused.buffers.remove(index);
                unused.bytes -= buffer.capacity();
                unused.min_count = unused.min_count.min(unused.buffers.len());
                buffer
            }
            None => Vec::new(),
        };
        FrameBuffer { bytes, pool: self.clone() }
    }

    fn put(&self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        if !(MIN_POOLED..=MAX_POOLED).contains(&capacity) {
            return;
        }
        buffer.clear();
        let mut unused = self.unused.lock();
        if unused.bytes + capacity <= self.capacity {
            unused.bytes += capacity;
            unused.buffers.push(buffer);
        }
    }

    /// Frees the buffers that were not used since the last call.
    pub fn trim(&self) {
        let mut unused = self.unused.lock();
        let unneeded = unused.min_count.min(unused.buffers.len());
        let freed: Vec<Vec<u8>> = unused.buffers.drain(..unneeded).collect();
        unused.bytes -= freed.iter().map(Vec::capacity).sum::<usize>();
        unused.min_count = unused.buffers.len();
        drop(unused); // free the buffers without the lock
    }
}

/// The buffer of a frame that is being received. It returns to the pool when the last slice of it is dropped.
pub(super) struct FrameBuffer {
    pub bytes: Vec<u8>,
    pool: Arc<BufferPool>,
}

impl FrameBuffer {
    /// Grows the capacity for a frame of `size` bytes, up to twice the number of bytes that have arrived.
    pub fn grow_towards(&mut self, size: usize) {
        let step = self.bytes.len().max(MIN_GROWTH);
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
        self.pool.put(std::mem::take(&mut self.bytes));
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
        // 40 bytes are free, but the small request must not overtake the large one.
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
    fn cancelled_request_for_a_reservation_does_not_block_others() {
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
    fn reservation_above_the_whole_budget_is_refused() {
        let budget = Arc::new(RequestBudget::new(100));
        assert!(matches!(poll_once(std::pin::pin!(budget.reserve(101))), Some(None)));
    }

    fn filled(buffers: &Arc<BufferPool>, size: usize) -> FrameBuffer {
        let mut buffer = buffers.take(size);
        while buffer.bytes.len() < size {
            buffer.grow_towards(size);
            let missing = buffer.bytes.capacity().min(size) - buffer.bytes.len();
            buffer.bytes.extend(std::iter::repeat_n(7, missing));
        }
        buffer
    }

    #[test]
    fn buffer_grows_to_twice_the_bytes_that_arrived() {
        let buffers = Arc::new(BufferPool::new(1 << 20));
        let mut buffer = buffers.take(1 << 20);
        buffer.grow_towards(1 << 20);
        assert_eq!(buffer.bytes.capacity(), MIN_GROWTH);
        buffer.bytes.extend([0; 3000]);
        buffer.grow_towards(1 << 20);
        assert!(buffer.bytes.capacity() <= 8 << 10);
    }

    #[test]
    fn returned_buffer_is_used_for_the_next_frame_of_its_size() {
        let buffers = Arc::new(BufferPool::new(1 << 20));
        let address = filled(&buffers, 65_000).bytes.as_ptr();
        let again = buffers.take(64_000);
        assert_eq!(again.bytes.as_ptr(), address);
        assert!(again.bytes.is_empty());
        drop(again);
        assert_eq!(buffers.take(10_000).bytes.capacity(), 0, "a pooled buffer is not used for a much smaller frame");
    }

    #[test]
    fn pool_is_bounded_and_frees_unused_buffers() {
        let buffers = Arc::new(BufferPool::new(150_000));
        let three = [filled(&buffers, 64_000), filled(&buffers, 64_000), filled(&buffers, 64_000)];
        drop(three);
        assert_eq!(buffers.unused.lock().buffers.len(), 2);
        buffers.trim();
        drop(buffers.take(64_000));
        buffers.trim(); // one of the two was used since the last call
        assert_eq!(buffers.unused.lock().buffers.len(), 1);
        buffers.trim();
        assert_eq!(buffers.unused.lock().bytes, 0);
    }
}
