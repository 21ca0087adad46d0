//! Histograms of bounded size.
//!
//! The buckets are log-linear: eight for each power of two, so a value is known to about 6 %. Recording is two relaxed
//! atomic additions; it takes no lock and allocates nothing.
//!
//! Quantiles are those of about the last five minutes, whereas Kafka's are those of a sample in which older values count
//! exponentially less. They are computed when asked: from the difference between the buckets now and those of a scrape
//! that is at least five minutes old, or else of all values. So they cover five to six minutes if metrics are scraped at
//! least once a minute, and otherwise at least the time since the scrape before.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

/// Buckets for each power of two, as a power of two.
const PRECISION: u32 = 3;
const PER_OCTAVE: usize = 1 << PRECISION;
/// Values from 2 to the power of this on are in the last bucket: 19 hours in microseconds.
const OCTAVES: u32 = 36;
const BUCKETS: usize = PER_OCTAVE + (OCTAVES - PRECISION) as usize * PER_OCTAVE;

/// The time that quantiles are about.
const WINDOW: Duration = Duration::from_secs(300);
/// The shortest time between two kept states of the buckets.
const STEP: Duration = Duration::from_secs(60);

/// The quantiles of Kafka's histograms, with the values of the label that jmx_exporter gives them.
pub(crate) const QUANTILES: [(f64, &str); 6] =
    [(0.5, "0.50"), (0.75, "0.75"), (0.95, "0.95"), (0.98, "0.98"), (0.99, "0.99"), (0.999, "0.999")];

/// The distribution of values, such as times in microseconds.
#[derive(Debug)]
pub struct Histogram {
    buckets: Box<[AtomicU64; BUCKETS]>,
    sum: AtomicU64,
    /// Locked by scrapes only.
    past: Mutex<VecDeque<Past>>,
}

/// The buckets at an earlier scrape.
#[derive(Debug)]
struct Past {
    at: Duration,
    /// Those that were not empty, by index.
    buckets: Vec<(u16, u64)>,
}

/// What a histogram has at one time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    pub count: u64,
    pub sum: f64,
    /// For each of `QUANTILES`; `None` if there are no values of the last minutes.
    pub quantiles: [Option<f64>; QUANTILES.len()],
}

impl Default for Histogram {
    fn default() -> Self {
        let buckets = Box::new([const { AtomicU64::new(0) }; BUCKETS]);
        Histogram { buckets, sum: AtomicU64::new(0), past: Mutex::default() }
    }
}

impl Histogram {
    pub fn record(&self, value: u64) {
        if let Some(bucket) = self.buckets.get(index(value)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Records a time in microseconds.
    pub fn record_time(&self, time: Duration) {
        self.record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// How many values were recorded.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).sum()
    }

    /// What was recorded, with each value multiplied by `scale`. `now`: the monotonic time of the scrape.
    pub fn summary(&self, now: Duration, scale: f64) -> Summary {
        let current: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let count = current.iter().sum();
        let sum = self.sum.load(Ordering::Relaxed) as f64 * scale;
        if count == 0 {
            return Summary { count, sum, ..Summary::default() };
        }
        let recent = self.recent(now, &current);
        let total = recent.iter().sum();
        let quantile = |(quantile, _)| Some(value_at(&recent, total, quantile)? * scale);
        Summary { count, sum, quantiles: QUANTILES.map(quantile) }
    }

    /// The buckets of the last minutes, and keeps the current ones for later scrapes.
    fn recent(&self, now: Duration, current: &[u64]) -> Vec<u64> {
        let mut past = self.past.lock();
        let is_old = |past: &Past| now.saturating_sub(past.at) >= WINDOW;
        while past.get(1).is_some_and(is_old) {
            past.pop_front();
        }
        let mut recent = current.to_vec();
        if let Some(base) = past.front().filter(|past| is_old(past)) {
            for &(index, count) in &base.buckets {
                if let Some(bucket) = recent.get_mut(usize::from(index)) {
                    *bucket = bucket.saturating_sub(count);
                }
            }
        }
        if past.back().is_none_or(|last| now.saturating_sub(last.at) >= STEP) {
            let buckets = (0u16..).zip(current.iter().copied()).filter(|(_, count)| *count > 0).collect();
            past.push_back(Past { at: now, buckets });
        }
        recent
    }
}

/// The bucket of a value.
fn index(value: u64) -> usize {
    if value < PER_OCTAVE as u64 {
        return value as usize;
    }
    let octave = value.ilog2();
    if octave >= OCTAVES {
        return BUCKETS - 1;
    }
    let within = (value >> (octave - PRECISION)) as usize - PER_OCTAVE;
    PER_OCTAVE + (octave - PRECISION) as usize * PER_OCTAVE + within
}

/// The lowest value of a bucket.
fn lowest(index: usize) -> u64 {
    if index < PER_OCTAVE {
        return index as u64;
    }
    let (octave, within) = ((index - PER_OCTAVE) / PER_OCTAVE, (index - PER_OCTAVE) % PER_OCTAVE);
    ((PER_OCTAVE + within) as u64) << octave
}

/// The value at a quantile, in the middle of its bucket. `count`: of the values in all buckets. `None` without values.
fn value_at(buckets: &[u64], count: u64, quantile: f64) -> Option<f64> {
    if count == 0 {
        return None;
    }
    let rank = ((count as f64 * quantile).ceil() as u64).max(1);
    let mut before = 0;
    let bucket = buckets.iter().position(|bucket| {
        before += bucket;
        before >= rank
    })?;
    let (from, to) = (lowest(bucket), lowest(bucket + 1));
    Some((from + to - 1) as f64 / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn every_value_is_in_the_bucket_between_its_bounds() {
        let values = (0..5_000).chain((13..63).flat_map(|bits| [(1 << bits) - 1, 1 << bits, (1 << bits) + 1]));
        for value in values {
            let index = index(value);
            assert!(lowest(index) <= value, "{value}");
            assert!(value < lowest(index + 1) || index == BUCKETS - 1, "{value}");
        }
        assert_eq!(index(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_within_the_width_of_a_bucket() {
        let histogram = Histogram::default();
        (1..=10_000).for_each(|value| histogram.record(value));
        let summary = histogram.summary(Duration::ZERO, 1.0);
        assert_eq!((summary.count, summary.sum), (10_000, 50_005_000.0));
        for ((quantile, _), value) in QUANTILES.iter().zip(summary.quantiles) {
            let (value, exact) = (value.unwrap(), quantile * 10_000.0);
            assert!((value - exact).abs() / exact < 0.07, "{quantile}: {value}");
        }
    }

    #[test]
    fn quantiles_forget_values_after_the_window_and_the_count_does_not() {
        let histogram = Histogram::default();
        let median = |minute| histogram.summary(MINUTE * minute, 1.0).quantiles[0];
        assert_eq!(median(0), None);
        histogram.record(7);
        for minute in 1..=5 {
            assert_eq!(median(minute), Some(7.0), "{minute}");
        }
        (0..3).for_each(|_| histogram.record(2));
        assert_eq!(median(6), Some(2.0));
        assert_eq!(median(10), Some(2.0));
        assert_eq!(median(11), None);
        let summary = histogram.summary(MINUTE * 12, 0.5);
        assert_eq!((summary.count, summary.sum), (4, 6.5));
    }

    #[test]
    fn states_kept_for_quantiles_are_bounded() {
        let histogram = Histogram::default();
        for second in 0..10_000 {
            histogram.summary(Duration::from_secs(second), 1.0);
        }
        assert!(histogram.past.lock().len() <= 7);
    }
}
