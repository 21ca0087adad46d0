//! The only place that reads a clock. Pure code gets the time as [`Now`].

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ottla_wire::types::{Now, TimestampMs};

/// The broker's clock: monotonic time since it was made, and the wall's time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock whose monotonic time starts now.
    pub fn start() -> Clock {
        Clock { started: Instant::now() }
    }

    /// Both times, read together.
    pub fn now(&self) -> Now {
        Now { monotonic: self.monotonic(), wall: wall_clock_ms() }
    }

    /// Time since the clock was started.
    pub fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    /// Sleeps for a time.
    pub async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// Sleeps until `monotonic` on this clock.
    pub async fn sleep_until(&self, monotonic: Duration) {
        tokio::time::sleep_until(self.instant_at(monotonic)).await;
    }

    /// The future's output, or `None` if it takes longer than `limit`.
    pub async fn timeout<T>(&self, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(limit, future).await.ok()
    }

    /// The runtime's instant that stands at `monotonic` on this clock, for timers.
    pub fn instant_at(&self, monotonic: Duration) -> tokio::time::Instant {
        tokio::time::Instant::from_std(self.started + monotonic)
    }
}

/// Milliseconds since the Unix epoch; 0 on a clock set before it.
pub fn wall_clock_ms() -> TimestampMs {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as TimestampMs)
}

/// Nanoseconds since the Unix epoch, as a last resort for something that differs each time.
pub fn wall_clock_nanos() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos())
}
