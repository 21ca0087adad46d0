//! The last requests, within a number of bytes.

use std::collections::VecDeque;
use std::sync::Arc;

use super::event::Event;
use ottla_wire::types::TimestampMs;

/// The share of the bytes that is for failed requests only, which are kept longer: a quarter.
const FAILED_SHARE: usize = 4;

/// Keeps the last requests. Failed ones that are older than all of these are kept in a part of their own.
#[derive(Debug)]
pub(super) struct Ring {
    recent: Part,
    failed: Part,
}

#[derive(Debug)]
struct Part {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    capacity: usize,
}

impl Part {
    fn new(capacity: usize) -> Part {
        Part { events: VecDeque::new(), bytes: 0, capacity }
    }

    /// Adds the newest event. Calls `evicted` for the oldest ones, if it has no room for them.
    fn push(&mut self, event: Arc<Event>, mut evicted: impl FnMut(Arc<Event>)) {
        self.bytes += event.size();
        self.events.push_back(event);
        while self.bytes > self.capacity
            && let Some(oldest) = self.events.pop_front()
        {
            self.bytes -= oldest.size();
            evicted(oldest);
        }
    }
}

impl Ring {
    pub fn new(bytes: usize) -> Ring {
        let failed = bytes / FAILED_SHARE;
        Ring { recent: Part::new(bytes - failed), failed: Part::new(failed) }
    }

    pub fn push(&mut self, event: Arc<Event>) {
        let failed = &mut self.failed;
        self.recent.push(event, |oldest| {
            if oldest.failed {
                failed.push(oldest, drop);
            }
        });
    }

    /// Forgets all events.
    pub fn clear(&mut self) {
        *self = Ring { recent: Part::new(self.recent.capacity), failed: Part::new(self.failed.capacity) };
    }

    /// The events since a time, the oldest first.
    pub fn since(&self, time: TimestampMs) -> Vec<Arc<Event>> {
        let all = self.failed.events.iter().chain(&self.recent.events);
        all.filter(|event| event.at >= time).cloned().collect()
    }
}
