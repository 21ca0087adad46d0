//! Deadlines by key, which are cheap to extend.
//!
//! Each heartbeat extends a member's deadline, and deadlines rarely expire. So an extension only stores the later time;
//! the queue keeps the earlier entry, and queues the key again when that entry is due. `next` may therefore be too
//! early, but never too late.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::Hash;
use std::time::Duration;

/// Deadlines in monotonic time.
#[derive(Debug)]
pub(super) struct Timers<K> {
    deadlines: HashMap<K, Deadline>,
    /// Invariant: each deadline has an entry at its `queued`, and `queued <= due`. All other entries are stale, and are
    /// ignored.
    queue: BinaryHeap<Reverse<(Duration, K)>>,
}

#[derive(Clone, Copy, Debug)]
struct Deadline {
    due: Duration,
    queued: Duration,
}

impl<K> Default for Timers<K>
where
    K: Ord,
{
    fn default() -> Self {
        Timers { deadlines: HashMap::new(), queue: BinaryHeap::new() }
    }
}

impl<K: Clone + Eq + Hash + Ord> Timers<K> {
    /// Sets or replaces `key`'s deadline.
    pub fn set(&mut self, key: K, due: Duration) {
        if let Some(deadline) = self.deadlines.get_mut(&key)
            && deadline.queued <= due
        {
            deadline.due = due;
            return;
        }
        self.drop_stale_entries();
        self.queue.push(Reverse((due, key.clone())));
        self.deadlines.insert(key, Deadline { due, queued: due });
    }

    /// Sets `key`'s deadline unless it has an earlier one.
    pub fn bring_forward(&mut self, key: K, due: Duration) {
        if self.deadlines.get(&key).is_none_or(|deadline| due < deadline.due) {
            self.set(key, due);
        }
    }

    /// Removes `key`'s deadline.
    pub fn cancel(&mut self, key: &K) {
        self.deadlines.remove(key);
    }

    /// Removes one deadline that is due, and returns its key.
    pub fn pop_due(&mut self, now: Duration) -> Option<K> {
        while self.next().is_some_and(|at| at <= now) {
            let Reverse((at, key)) = self.queue.pop()?;
            let Some(deadline) = self.deadlines.get_mut(&key) else { continue };
            if deadline.queued != at {
                continue;
            }
            if deadline.due <= now {
                self.deadlines.remove(&key);
                return Some(key);
            }
            deadline.queued = deadline.due;
            self.queue.push(Reverse((deadline.due, key)));
        }
        None
    }

    /// A time not later than the next deadline; `None` if there are no deadlines.
    pub fn next(&self) -> Option<Duration> {
        if self.deadlines.is_empty() {
            return None;
        }
        self.queue.peek().map(|Reverse((at, _))| *at)
    }

    /// Bounds the queue by the number of deadlines.
    fn drop_stale_entries(&mut self) {
        if self.queue.len() > 2 * self.deadlines.len() + 64 {
            let deadlines = &self.deadlines;
            self.queue.retain(|Reverse((at, key))| deadlines.get(key).is_some_and(|d| d.queued == *at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn deadlines_are_returned_in_order_of_time() {
        let mut timers = Timers::default();
        timers.set("late", s(20));
        timers.set("early", s(10));
        assert_eq!(timers.next(), Some(s(10)));
        assert_eq!(timers.pop_due(s(9)), None);
        assert_eq!(timers.pop_due(s(30)), Some("early"));
        assert_eq!(timers.pop_due(s(30)), Some("late"));
        assert_eq!(timers.pop_due(s(30)), None);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn deadline_can_be_extended_and_shortened() {
        let mut timers = Timers::default();
        timers.set("a", s(10));
        timers.set("a", s(30));
        assert_eq!(timers.pop_due(s(20)), None);
        assert_eq!(timers.next(), Some(s(30)));
        timers.set("a", s(25));
        assert_eq!(timers.pop_due(s(25)), Some("a"));
        assert_eq!(timers.pop_due(s(99)), None);
    }

    #[test]
    fn bring_forward_does_not_extend_a_deadline() {
        let mut timers = Timers::default();
        timers.bring_forward("a", s(20));
        timers.bring_forward("a", s(10));
        timers.bring_forward("a", s(30));
        assert_eq!(timers.pop_due(s(9)), None);
        assert_eq!(timers.pop_due(s(10)), Some("a"));
        assert_eq!(timers.pop_due(s(99)), None);
    }

    #[test]
    fn cancelled_deadline_is_not_returned() {
        let mut timers = Timers::default();
        timers.set("a", s(10));
        timers.cancel(&"a");
        assert_eq!(timers.next(), None);
        timers.set("a", s(40));
        assert_eq!(timers.pop_due(s(39)), None);
        assert_eq!(timers.pop_due(s(40)), Some("a"));
    }

    #[test]
    fn queue_stays_bounded_when_deadlines_are_cancelled() {
        let mut timers = Timers::default();
        for i in 0..10_000u64 {
            timers.set(i, s(1000 + i));
            timers.cancel(&i);
        }
        assert!(timers.queue.len() <= 65);
    }
}
