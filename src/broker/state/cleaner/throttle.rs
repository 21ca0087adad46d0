//! `log.cleaner.io.max.bytes.per.second`, for all compactions together.

use std::time::Duration;

/// Longer than anybody waits: the rate may be changed meanwhile.
const FOR_EVER: Duration = Duration::from_secs(1 << 32);

/// Times are on the monotonic clock.
#[derive(Debug, Default)]
pub struct Throttle {
    /// When all that was allowed so far is paid for.
    paid_at: Duration,
}

impl Throttle {
    /// How long to wait after `bytes` were read or written at `now`, so that it isn't more than `rate` a second. A rate
    /// that isn't positive is none.
    pub fn wait(&mut self, now: Duration, bytes: u64, rate: f64) -> Duration {
        if rate <= 0.0 {
            return Duration::ZERO;
        }
        let takes = Duration::try_from_secs_f64(bytes as f64 / rate).unwrap_or(FOR_EVER);
        self.paid_at = self.paid_at.max(now).saturating_add(takes.min(FOR_EVER));
        self.paid_at - now
    }

    /// Forgives what isn't paid for yet: the rate has changed.
    pub fn forgive(&mut self) {
        self.paid_at = Duration::ZERO;
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
        assert_eq!(throttle.wait(ms(1200), 100, 1000.0), ms(100), "idle time is not saved up");
        throttle.forgive();
        assert_eq!(throttle.wait(ms(1200), 100, 1000.0), ms(100));
    }

    #[test]
    fn no_rate_is_no_wait() {
        for rate in [f64::MAX, f64::INFINITY, 0.0, -1.0] {
            assert_eq!(Throttle::default().wait(ms(7), u64::MAX, rate), ms(0), "{rate}");
        }
        for rate in [f64::MIN_POSITIVE, f64::NAN] {
            let mut throttle = Throttle::default();
            assert!(throttle.wait(ms(7), u64::MAX, rate) <= FOR_EVER, "{rate}");
            throttle.wait(ms(7), u64::MAX, rate);
        }
    }
}
