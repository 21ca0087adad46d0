//! Deadlines by key, cheap to push back.
//!
//! A heartbeat moves its member's deadline, thousands of times for each time one passes. So moving
//! one back only notes the later time; the queue keeps the earlier entry, and when that comes up
//! it is queued again. `next` may therefore be too early, never too late.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::Hash;
use std::time::Duration;

/// Deadlines in monotonic time.
#[derive(Debug)]
pub(super) struct Timers<K> {
    deadlines: HashMap<K, Deadline>,
    /// Invariant: each deadline has an entry at its `queued`, and `queued <= due`. Entries that no
    /// deadline points to are left over and mean nothing.
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
    /// Sets `key`'s deadline in place of any that it had.
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

    /// Forgets `key`'s deadline.
    pub fn cancel(&mut self, key: &K) {
        self.deadlines.remove(key);
    }

    /// Takes one key whose deadline has come.
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

    /// A time not later than the next deadline; none if there are no deadlines.
    pub fn next(&self) -> Option<Duration> {
        if self.deadlines.is_empty() {
            return None;
        }
        self.queue.peek().map(|Reverse((at, _))| *at)
    }

    /// Keeps the queue in proportion to the deadlines, whatever clients set and cancel.
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
    fn deadlines_come_in_order_of_time() {
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
    fn a_deadline_can_move_both_ways() {
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
    fn bringing_forward_never_puts_off() {
        let mut timers = Timers::default();
        timers.bring_forward("a", s(20));
        timers.bring_forward("a", s(10));
        timers.bring_forward("a", s(30));
        assert_eq!(timers.pop_due(s(9)), None);
        assert_eq!(timers.pop_due(s(10)), Some("a"));
        assert_eq!(timers.pop_due(s(99)), None);
    }

    #[test]
    fn a_cancelled_deadline_never_comes() {
        let mut timers = Timers::default();
        timers.set("a", s(10));
        timers.cancel(&"a");
        assert_eq!(timers.next(), None);
        timers.set("a", s(40));
        assert_eq!(timers.pop_due(s(39)), None);
        assert_eq!(timers.pop_due(s(40)), Some("a"));
    }

    #[test]
    fn leftovers_do_not_pile_up() {
        let mut timers = Timers::default();
        for i in 0..10_000u64 {
            timers.set(i, s(1000 + i));
            timers.cancel(&i);
        }
        assert!(timers.queue.len() <= 65);
    }
}
