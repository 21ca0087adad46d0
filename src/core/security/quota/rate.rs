//! The rate of a quantity over the last windows (Kafka's `Rate` over a `WindowedSum`).

use super::{Windows, round};

/// A sum per window, for as many windows as are measured and one more, which overlaps the beginning of the measured time.
#[derive(Clone, Debug, Default)]
pub struct Rate {
    samples: Vec<Sample>,
    current: usize,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    start_ms: i64,
    last_event_ms: i64,
    sum: f64,
}

impl Sample {
    fn new(now_ms: i64) -> Sample {
        Sample { start_ms: now_ms, last_event_ms: now_ms, sum: 0.0 }
    }
}

impl Rate {
    /// Adds a value. A negative value takes back an earlier one.
    pub fn record(&mut self, windows: Windows, value: f64, now_ms: i64) {
        if self.samples.is_empty() {
            self.samples.push(Sample::new(now_ms));
        }
        let is_complete =
            self.samples.get(self.current).is_none_or(|sample| now_ms - sample.start_ms >= windows.window_ms);
        if is_complete {
            self.current = (self.current + 1) % (windows.samples + 1);
            match self.samples.get_mut(self.current) {
                Some(oldest) => *oldest = Sample::new(now_ms),
                None => self.samples.push(Sample::new(now_ms)),
            }
        }
        if let Some(sample) = self.samples.get_mut(self.current) {
            sample.sum += value;
            sample.last_event_ms = now_ms;
        }
    }

    /// The rate per second.
    pub fn measure(&mut self, windows: Windows, now_ms: i64) -> f64 {
        let window_ms = self.window_ms(windows, now_ms);
        let sum: f64 = self.samples.iter().map(|sample| sample.sum).sum();
        sum / (window_ms as f64 / 1000.0)
    }

    /// The time that the client must wait until its rate is within `bound`, in milliseconds; 0 if it is.
    pub fn throttle_ms(&mut self, windows: Windows, bound: f64, now_ms: i64) -> i64 {
        let rate = self.measure(windows, now_ms);
        if rate <= bound {
            return 0;
        }
        round((rate - bound) / bound * self.window_ms(windows, now_ms) as f64)
    }

    /// The time that the rate is measured over: since the oldest sample began, but at least all windows but the last.
    /// So a burst after a pause counts as if it were spread over these.
    fn window_ms(&mut self, windows: Windows, now_ms: i64) -> i64 {
        let total_ms = windows.total_ms();
        for sample in &mut self.samples {
            if now_ms - sample.last_event_ms >= total_ms {
                *sample = Sample::new(now_ms);
            }
        }
        let oldest_ms = self.samples.iter().map(|sample| sample.start_ms).min().unwrap_or(now_ms);
        let elapsed_ms = now_ms - oldest_ms;
        let full = elapsed_ms / windows.window_ms.max(1);
        let missing = (windows.samples as i64 - 1 - full).max(0);
        (elapsed_ms + missing * windows.window_ms).max(1)
    }
}
