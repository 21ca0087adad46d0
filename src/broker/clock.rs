//! The only place that reads a clock or sleeps. Pure code gets the time as [`Now`].
//!
//! Monotonic time is the time of the tokio runtime, which a test can pause and advance. The tests of a whole broker also
//! simulate the time of the wall.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::{Condvar, MutexGuard};

use ottla_wire::types::{Now, TimestampMs};
pub use tokio::time::Sleep;
use tokio::time::{Instant, sleep_until, timeout};

/// The broker's clock: monotonic time since it was made, the wall's time, and sleeping.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    wall: Wall,
}

/// The source of the wall's time.
#[derive(Clone, Copy, Debug)]
enum Wall {
    System,
    /// The time at which the clock was started. The wall's time advances with monotonic time.
    Simulated(TimestampMs),
}

impl Clock {
    /// A clock whose monotonic time starts now.
    pub fn start() -> Clock {
        Clock { started: Instant::now(), wall: Wall::System }
    }

    /// A clock whose monotonic time starts now, when the wall's time is `wall`. Both advance with the time of the
    /// runtime.
    pub fn simulated(wall: TimestampMs) -> Clock {
        Clock { started: Instant::now(), wall: Wall::Simulated(wall) }
    }

    /// Both times, read together.
    pub fn now(&self) -> Now {
        Now { monotonic: self.monotonic(), wall: self.wall() }
    }

    /// Time since the clock was started.
    pub fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    /// Milliseconds since the Unix epoch.
    pub fn wall(&self) -> TimestampMs {
        match self.wall {
            Wall::System => wall_clock_ms(),
            Wall::Simulated(start) => {
                start.saturating_add(TimestampMs::try_from(self.monotonic().as_millis()).unwrap_or(TimestampMs::MAX))
            }
        }
    }

    /// Sleeps for a time.
    pub fn sleep(&self, time: Duration) -> Sleep {
        tokio::time::sleep(time)
    }

    /// Sleeps until `monotonic` on this clock.
    pub fn sleep_until(&self, monotonic: Duration) -> Sleep {
        match self.started.checked_add(monotonic) {
            Some(at) => sleep_until(at),
            // Far in the future: tokio limits the time.
            None => tokio::time::sleep(monotonic),
        }
    }

    /// The future's output, or `None` if it takes longer than `limit`.
    pub async fn timeout<T>(&self, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
        timeout(limit, future).await.ok()
    }

    /// Blocks the thread while a condition holds, at most `limit`. Only for threads outside of the runtime.
    pub fn wait_while<T>(
        &self,
        changed: &Condvar,
        guard: &mut MutexGuard<'_, T>,
        condition: impl FnMut(&mut T) -> bool,
        limit: Duration,
    ) {
        let _ = changed.wait_while_for(guard, condition, limit);
    }

    /// Blocks the thread for a time. Only for threads outside of the runtime.
    pub fn block_thread(&self, time: Duration) {
        std::thread::sleep(time);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn simulated_clock_follows_the_time_of_the_runtime() {
        let clock = Clock::simulated(5_000);
        clock.sleep(Duration::from_secs(3)).await;
        clock.sleep_until(Duration::from_secs(10)).await;
        assert_eq!(clock.now(), Now { monotonic: Duration::from_secs(10), wall: 15_000 });
    }

    #[tokio::test(start_paused = true)]
    async fn timeout_returns_none_when_the_future_takes_longer() {
        let clock = Clock::simulated(0);
        assert_eq!(clock.timeout(Duration::from_secs(1), clock.sleep(Duration::from_secs(2))).await, None);
        assert_eq!(clock.timeout(Duration::from_secs(2), clock.sleep(Duration::from_secs(1))).await, Some(()));
    }
}
