//! The last requests, within a number of bytes.
//!
//! Of a second with very many requests only the first ones are kept, and all failed ones: the others would displace those of
//! the seconds before, and keeping a request costs more than counting it.

use std::collections::VecDeque;
use std::sync::Arc;

use super::event::Event;
use super::queue::Item;
use ottla_wire::types::TimestampMs;

/// The share of the bytes that is for failed requests only, which are kept longer: a quarter.
const FAILED_SHARE: usize = 4;
/// The requests without an error that are kept of one second.
const MAX_OF_A_SECOND: u32 = 1_000;

/// Keeps the last requests. Failed ones that are older than all of these are kept in a part of their own.
#[derive(Debug)]
pub(super) struct Ring {
    recent: Part,
    failed: Part,
    /// The second of the last request, and how many of its requests without an error were kept.
    second: TimestampMs,
    kept: u32,
    /// The requests after the last kept one.
    left_out: u64,
}

#[derive(Debug)]
struct Part {
    events: VecDeque<Kept>,
    bytes: usize,
    capacity: usize,
}

#[derive(Debug)]
struct Kept {
    event: Arc<Event>,
    /// The requests that were left out before this one.
    left_out: u64,
}

impl Part {
    fn new(capacity: usize) -> Part {
        Part { events: VecDeque::new(), bytes: 0, capacity }
    }

    /// Adds the newest event. Calls `evicted` for the oldest ones, if it has no room for them.
    fn push(&mut self, kept: Kept, mut evicted: impl FnMut(Arc<Event>)) {
        self.bytes += kept.event.size();
        self.events.push_back(kept);
        while self.bytes > self.capacity
            && let Some(Kept { event: oldest, .. }) = self.events.pop_front()
        {
            self.bytes -= oldest.size();
            evicted(oldest);
        }
    }
}

impl Ring {
    pub fn new(bytes: usize) -> Ring {
        let failed = bytes / FAILED_SHARE;
        Ring { recent: Part::new(bytes - failed), failed: Part::new(failed), second: 0, kept: 0, left_out: 0 }
    }

    /// Returns whether to keep a request of this time; counts it.
    pub fn admits(&mut self, at: TimestampMs, failed: bool) -> bool {
        let second = at.div_euclid(1_000);
        if second != self.second {
            (self.second, self.kept) = (second, 0);
        }
        if failed {
            return true;
        }
        let admitted = self.kept < MAX_OF_A_SECOND;
        match admitted {
            true => self.kept += 1,
            false => self.left_out += 1,
        }
        admitted
    }

    /// Adds a request that it admits.
    pub fn push(&mut self, event: Arc<Event>) {
        let failed = &mut self.failed;
        let left_out = std::mem::take(&mut self.left_out);
        self.recent.push(Kept { event, left_out }, |oldest| {
            if oldest.failed {
                failed.push(Kept { event: oldest, left_out: 0 }, drop);
            }
        });
    }

    /// Forgets all events.
    pub fn clear(&mut self) {
        *self = Ring::new(self.recent.capacity + self.failed.capacity);
    }

    /// The events since a time, the oldest first, and how many were left out between them.
    pub fn since(&self, time: TimestampMs) -> Vec<Item> {
        let left_out = |count: u64| (count > 0).then_some(Item::LeftOut(count));
        let all = self.failed.events.iter().chain(&self.recent.events);
        let since = all.filter(|kept| kept.event.at >= time);
        since
            .flat_map(|kept| left_out(kept.left_out).into_iter().chain([Item::Event(Arc::clone(&kept.event))]))
            .chain(left_out(self.left_out))
            .collect()
    }
}
