//! Limits the I/O of all compactions together (`log.cleaner.io.max.bytes.per.second`).

use std::time::Duration;

/// The longest wait, so that times do not overflow. A wait ends earlier if the rate is changed.
const UNBOUNDED: Duration = Duration::from_secs(1 << 32);

/// A rate limiter for bytes. Times are on the monotonic clock.
#[derive(Debug, Default)]
pub struct Throttle {
    /// The time at which the bytes so far do not exceed the rate any more.
    free_at: Duration,
}

impl Throttle {
    /// Returns how long to wait after `bytes` were read or written at `now`, so that the rate is at most `rate` bytes
    /// per second. A rate that is not positive is no limit.
    pub fn wait(&mut self, now: Duration, bytes: u64, rate: f64) -> Duration {
        if rate <= 0.0 {
            return Duration::ZERO;
        }
        let duration = Duration::try_from_secs_f64(bytes as f64 / rate).unwrap_or(UNBOUNDED);
        self.free_at = self.free_at.max(now).saturating_add(duration.min(UNBOUNDED));
        self.free_at - now
    }

    /// Forgets the bytes so far, because the rate has changed.
    pub fn reset(&mut self) {
        self.free_at = Duration::ZERO;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn waits_add_up_to_the_rate() {
        let mut throttle = Throttle::default();
        assert_eq!(throttle.wait(ms(0), 500, 1000.0), ms(500));
        assert_eq!(throttle.wait(ms(0), 500, 1000.0), ms(1000), "another worker");
        assert_eq!(throttle.wait(ms(1200), 100, 1000.0), ms(100), "idle time gives no credit");
        throttle.reset();
        assert_eq!(throttle.wait(ms(1200), 100, 1000.0), ms(100));
    }

    #[test]
    fn extreme_rates_do_not_overflow() {
        for rate in [f64::MAX, f64::INFINITY, 0.0, -1.0] {
            assert_eq!(Throttle::default().wait(ms(7), u64::MAX, rate), ms(0), "{rate}");
        }
        for rate in [f64::MIN_POSITIVE, f64::NAN] {
            let mut throttle = Throttle::default();
            assert!(throttle.wait(ms(7), u64::MAX, rate) <= UNBOUNDED, "{rate}");
            throttle.wait(ms(7), u64::MAX, rate);
        }
    }
}
