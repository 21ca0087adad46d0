//! Limits a tool to a number of records per second.

use std::time::Duration;

use ottla_wire::types::TimestampMs;

/// The shortest sleep. Shorter delays are added up until they reach it, because short sleeps are inaccurate.
const MIN_SLEEP: Duration = Duration::from_millis(2);

/// Computes the delays that keep a tool at about a target number of records per second; see
/// `org.apache.kafka.server.util.ThroughputThrottler`.
#[derive(Debug)]
pub struct Throttle {
    /// Records per second; no limit if negative, no records at all if 0.
    target: f64,
    started: TimestampMs,
    pending: Duration,
}

/// What to do before the next record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delay {
    None,
    For(Duration),
    /// Until the process is stopped.
    Forever,
}

impl Throttle {
    pub fn new(target: f64, started: TimestampMs) -> Throttle {
        Throttle { target, started, pending: Duration::ZERO }
    }

    /// Returns the delay due after a record sent at `now`, if `so_far` records were sent before it.
    pub fn next_delay(&mut self, so_far: u64, now: TimestampMs) -> Delay {
        // At least 1 ms, so that the rate is also limited within the first millisecond.
        let elapsed = (now - self.started).max(1) as f64 / 1000.0;
        if self.target < 0.0 || so_far as f64 / elapsed <= self.target {
            return Delay::None;
        }
        if self.target == 0.0 {
            return Delay::Forever;
        }
        self.pending += Duration::try_from_secs_f64(1.0 / self.target).unwrap_or(Duration::MAX);
        if self.pending < MIN_SLEEP {
            return Delay::None;
        }
        Delay::For(std::mem::take(&mut self.pending))
    }
}

impl Delay {
    /// Sleeps for the delay.
    pub async fn wait(self) {
        match self {
            Delay::None => {}
            Delay::For(time) => tokio::time::sleep(time).await,
            Delay::Forever => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_delays_add_up() {
        let mut throttle = Throttle::new(1000.0, 0);
        assert_eq!(throttle.next_delay(500, 1000), Delay::None, "behind");
        assert_eq!(throttle.next_delay(2000, 1000), Delay::None, "a millisecond");
        assert_eq!(throttle.next_delay(2000, 1000), Delay::For(Duration::from_millis(2)));
        assert_eq!(throttle.next_delay(2000, 1000), Delay::None);
        assert_eq!(Throttle::new(5.0, 0).next_delay(1, 0), Delay::For(Duration::from_millis(200)), "at once");
        assert_eq!(Throttle::new(-1.0, 0).next_delay(1_000_000, 1), Delay::None);
        assert_eq!(Throttle::new(0.0, 0).next_delay(1, 1), Delay::Forever);
    }
}
