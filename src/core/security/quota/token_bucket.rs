//! A token bucket (KIP-599): a burst takes tokens at once, and they come back at the rate of the quota.

use super::{Windows, round};

/// The tokens left; below 0 after a burst that was larger.
#[derive(Clone, Debug, Default)]
pub struct TokenBucket {
    /// `None` before the first use: full.
    tokens: Option<f64>,
    updated_ms: i64,
}

impl TokenBucket {
    /// Takes tokens, whether or not there are enough.
    pub fn record(&mut self, windows: Windows, bound: f64, value: f64, now_ms: i64) {
        let left = self.measure(windows, bound, now_ms) - value;
        self.tokens = Some(left.min(burst(windows, bound)));
    }

    /// The number of tokens left.
    pub fn measure(&mut self, windows: Windows, bound: f64, now_ms: i64) -> f64 {
        let burst = burst(windows, bound);
        let tokens = match self.tokens {
            Some(tokens) => burst.min(tokens + bound * ((now_ms - self.updated_ms) as f64 / 1000.0)),
            None => burst,
        };
        self.tokens = Some(tokens);
        self.updated_ms = now_ms;
        tokens
    }

    /// The time until there are no tokens missing, in milliseconds.
    pub fn throttle_ms(&mut self, windows: Windows, bound: f64, now_ms: i64) -> i64 {
        let tokens = self.measure(windows, bound, now_ms);
        if tokens < 0.0 { round(-tokens / bound * 1000.0) } else { 0 }
    }
}

/// The capacity of a bucket.
fn burst(windows: Windows, bound: f64) -> f64 {
    windows.samples as f64 * (windows.window_ms as f64 / 1000.0) * bound
}
