//! Holding a tool to so many records a second.

use std::time::Duration;

use ottla_wire::types::TimestampMs;

/// Sleeps of less than this aren't worth it: they add up until they are.
const SHORTEST: Duration = Duration::from_millis(2);

/// Says when to rest so that there are about so many records a second; see
/// `org.apache.kafka.server.util.ThroughputThrottler`.
#[derive(Debug)]
pub struct Throttle {
    /// Records a second; no limit if negative, none at all if 0.
    target: f64,
    started: TimestampMs,
    owed: Duration,
}

/// What to do before the next record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    None,
    For(Duration),
    /// Until the process is told to end.
    Forever,
}

impl Throttle {
    pub fn new(target: f64, started: TimestampMs) -> Throttle {
        Throttle { target, started, owed: Duration::ZERO }
    }

    /// The rest that is due when `so_far` records were sent before the one sent at `now`.
    pub fn rest(&mut self, so_far: u64, now: TimestampMs) -> Rest {
        // The first millisecond is no time in which anything goes.
        let elapsed = (now - self.started).max(1) as f64 / 1000.0;
        if self.target < 0.0 || so_far as f64 / elapsed <= self.target {
            return Rest::None;
        }
        if self.target == 0.0 {
            return Rest::Forever;
        }
        self.owed += Duration::try_from_secs_f64(1.0 / self.target).unwrap_or(Duration::MAX);
        if self.owed < SHORTEST {
            return Rest::None;
        }
        Rest::For(std::mem::take(&mut self.owed))
    }
}

impl Rest {
    /// Rests.
    pub async fn take(self) {
        match self {
            Rest::None => {}
            Rest::For(time) => tokio::time::sleep(time).await,
            Rest::Forever => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_add_up() {
        let mut throttle = Throttle::new(1000.0, 0);
        assert_eq!(throttle.rest(500, 1000), Rest::None, "behind");
        assert_eq!(throttle.rest(2000, 1000), Rest::None, "a millisecond");
        assert_eq!(throttle.rest(2000, 1000), Rest::For(Duration::from_millis(2)));
        assert_eq!(throttle.rest(2000, 1000), Rest::None);
        assert_eq!(Throttle::new(5.0, 0).rest(1, 0), Rest::For(Duration::from_millis(200)), "at once");
        assert_eq!(Throttle::new(-1.0, 0).rest(1_000_000, 1), Rest::None);
        assert_eq!(Throttle::new(0.0, 0).rest(1, 1), Rest::Forever);
    }
}
