//! Collects latencies and rates, and formats them.

use ottla_wire::types::TimestampMs;

/// The maximum number of latencies kept for the percentiles.
const MAX_SAMPLES: u64 = 500_000;
const MB: f64 = 1024.0 * 1024.0;

/// Statistics of all records and of those since the last progress line; see
/// `org.apache.kafka.tools.ProducerPerformance.Stats`.
#[derive(Debug)]
pub struct Stats {
    is_steady_state: bool,
    /// The time between two progress lines, in milliseconds.
    interval: i64,
    /// Prints no more progress lines, because those of the steady state are printed.
    is_quiet: bool,
    all: Sum,
    window: Sum,
    /// One of this many latencies is kept.
    sampling: u64,
    samples: Vec<u32>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    started: TimestampMs,
    count: u64,
    bytes: u64,
    /// The sum of all latencies, in milliseconds.
    latency: u64,
    max_latency: u32,
}

impl Stats {
    /// Creates statistics for this many records.
    pub fn new(records: u64, interval: i64, is_steady_state: bool, now: TimestampMs) -> Stats {
        let sum = Sum { started: now, ..Sum::default() };
        let sampling = records / records.clamp(1, MAX_SAMPLES);
        Stats { is_steady_state, interval, is_quiet: false, all: sum, window: sum, sampling, samples: Vec::new() }
    }

    /// Stops progress lines.
    pub fn stop_progress_lines(&mut self) {
        self.is_quiet = true;
    }

    /// Adds a record that took `latency` milliseconds. Returns the lines to print, if they are due.
    pub fn record(&mut self, latency: u32, bytes: u32, now: TimestampMs) -> Option<String> {
        if self.all.count.checked_rem(self.sampling) == Some(0) {
            self.samples.push(latency);
        }
        self.all.add(latency, bytes);
        self.window.add(latency, bytes);
        if now - self.window.started < self.interval {
            return None;
        }
        let mut lines = String::new();
        if self.is_steady_state && self.window.count == self.all.count {
            lines.push_str("In steady state.\n");
        }
        if !self.is_quiet {
            let Rates { records, megabytes, latency } = self.window.rates(now);
            lines.push_str(&format!(
                "{} records sent, {records:.1} records/sec ({megabytes:.2} MB/sec), {latency:.1} ms avg latency, {:.1} \
                 ms max latency.\n",
                self.window.count,
                f64::from(self.window.max_latency)
            ));
        }
        self.window = Sum { started: now, ..Sum::default() };
        Some(lines)
    }

    /// Returns the line at the end.
    pub fn total(&mut self, now: TimestampMs) -> String {
        self.samples.sort_unstable();
        let percentile = |part: f64| {
            let index = (part * self.samples.len() as f64) as usize;
            self.samples.get(index).copied().unwrap_or(0)
        };
        let Rates { records, megabytes, latency } = self.all.rates(now);
        let steady = if self.is_steady_state { " steady state" } else { "" };
        format!(
            "{}{steady} records sent, {records:.6} records/sec ({megabytes:.2} MB/sec), {latency:.2} ms avg latency, \
             {:.2} ms max latency, {} ms 50th, {} ms 95th, {} ms 99th, {} ms 99.9th.\n",
            self.all.count,
            f64::from(self.all.max_latency),
            percentile(0.5),
            percentile(0.95),
            percentile(0.99),
            percentile(0.999),
        )
    }
}

/// Records and megabytes per second, and the average latency in milliseconds.
struct Rates {
    records: f64,
    megabytes: f64,
    latency: f64,
}

impl Sum {
    fn add(&mut self, latency: u32, bytes: u32) {
        self.count += 1;
        self.bytes += u64::from(bytes);
        self.latency += u64::from(latency);
        self.max_latency = self.max_latency.max(latency);
    }

    fn rates(&self, now: TimestampMs) -> Rates {
        // At least 1 ms, to avoid a division by zero.
        let seconds = (now - self.started).max(1) as f64 / 1000.0;
        Rates {
            records: self.count as f64 / seconds,
            megabytes: self.bytes as f64 / seconds / MB,
            latency: self.latency as f64 / self.count.max(1) as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_kafkas_layout() {
        let mut stats = Stats::new(10, 1000, false, 0);
        for latency in 1..10 {
            assert_eq!(stats.record(latency, 1 << 20, 500), None);
        }
        let window = "10 records sent, 10.0 records/sec (10.00 MB/sec), 5.5 ms avg latency, 10.0 ms max latency.\n";
        assert_eq!(stats.record(10, 1 << 20, 1000).as_deref(), Some(window));
        let total = "10 records sent, 5.000000 records/sec (5.00 MB/sec), 5.50 ms avg latency, 10.00 ms max latency, \
                     6 ms 50th, 10 ms 95th, 10 ms 99th, 10 ms 99.9th.\n";
        assert_eq!(stats.total(2000), total);
    }

    #[test]
    fn steady_state_lines_are_marked() {
        let mut stats = Stats::new(2, 1000, true, 0);
        let first = stats.record(1, 1, 1000).unwrap();
        assert!(first.starts_with("In steady state.\n1 records sent, "), "{first}");
        assert!(!stats.record(1, 1, 2000).unwrap().contains("steady"));
        assert!(stats.total(2000).starts_with("2 steady state records sent, "));
        let mut quiet = Stats::new(2, 1000, false, 0);
        quiet.stop_progress_lines();
        assert_eq!(quiet.record(1, 1, 1000).as_deref(), Some(""));
    }
}
