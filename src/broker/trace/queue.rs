//! The bounded queue of a follower.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::event::Event;
use super::filter::Filter;

/// The events that one follower has not taken yet; the next ones are left out, and counted.
const MAX_EVENTS: usize = 4096;
/// The same for their bytes.
const MAX_BYTES: usize = 4 << 20;

/// What a follower gets.
#[derive(Debug)]
pub enum Item {
    Event(Arc<Event>),
    /// This many events were left out, because the follower was too slow.
    LeftOut(u64),
}

#[derive(Debug)]
pub(super) struct Queue {
    pub filter: Filter,
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    items: VecDeque<Item>,
    bytes: usize,
    closed: bool,
}

impl Queue {
    pub fn new(filter: Filter) -> Queue {
        Queue { filter, waiting: Mutex::default(), changed: Notify::new() }
    }

    /// Adds an event that may be wanted, or counts it. Never waits for the follower.
    pub fn push(&self, event: &Arc<Event>) {
        if !self.filter.may_admit(event) {
            return;
        }
        let mut waiting = self.waiting.lock();
        let bytes = event.size();
        if waiting.items.len() < MAX_EVENTS && waiting.bytes + bytes <= MAX_BYTES {
            waiting.bytes += bytes;
            waiting.items.push_back(Item::Event(Arc::clone(event)));
        } else if let Some(Item::LeftOut(count)) = waiting.items.back_mut() {
            *count += 1;
        } else {
            waiting.items.push_back(Item::LeftOut(1));
        }
        drop(waiting);
        self.changed.notify_one();
    }

    pub fn close(&self) {
        self.waiting.lock().closed = true;
        self.changed.notify_one();
    }

    /// The next item, if there is one.
    pub fn try_next(&self) -> Option<Item> {
        let mut waiting = self.waiting.lock();
        let item = waiting.items.pop_front()?;
        if let Item::Event(event) = &item {
            waiting.bytes -= event.size();
        }
        Some(item)
    }

    /// The next item; waits for it. `None`: the broker stops.
    pub async fn next(&self) -> Option<Item> {
        loop {
            if let Some(item) = self.try_next() {
                return Some(item);
            }
            if self.waiting.lock().closed {
                return None;
            }
            self.changed.notified().await;
        }
    }
}
