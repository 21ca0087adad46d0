//! What a log rate limiter counts, by keys. Pure: the monotonic time is passed in.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// Lines of a key that pass in one [`WINDOW`].
pub const LINES: u64 = 10;
/// The time that begins with a key's first line.
pub const WINDOW: Duration = Duration::from_secs(10);
/// Keys that are counted each by itself; the lines of further ones are counted together.
const MOST_KEYS: usize = 1_024;

/// Counts lines by keys.
#[derive(Debug)]
pub struct Windows<K> {
    windows: HashMap<K, Window>,
    /// That of keys beyond [`MOST_KEYS`].
    others: Option<Window>,
    /// Windows in which lines were held back.
    to_report: usize,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    began: Duration,
    lines: u64,
    /// How many of them pass.
    allowed: u64,
}

/// What was held back of a key's lines; without a key, of the lines of many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report<K> {
    pub key: Option<K>,
    pub held_back: u64,
    pub seconds: u64,
}

impl<K> Default for Windows<K> {
    fn default() -> Self {
        Windows { windows: HashMap::new(), others: None, to_report: 0 }
    }
}

impl<K: Hash + Eq> Windows<K> {
    /// Whether a line of this key may pass now: the first [`LINES`] in each [`WINDOW`].
    pub fn admits(&mut self, key: K, now: Duration) -> bool {
        self.admits_up_to(LINES, key, now)
    }

    /// Whether a line of this key may pass now: the first `allowed` in each [`WINDOW`].
    pub fn admits_up_to(&mut self, allowed: u64, key: K, now: Duration) -> bool {
        let window = match self.windows.get_mut(&key) {
            Some(window) => window,
            None => {
                if self.windows.len() >= MOST_KEYS {
                    self.windows.retain(|_, window| window.end() > now || window.held_back() > 0);
                }
                let fresh = Window { began: now, lines: 0, allowed };
                match self.windows.len() < MOST_KEYS {
                    true => self.windows.entry(key).or_insert(fresh),
                    false => self.others.get_or_insert(Window { allowed: LINES, ..fresh }),
                }
            }
        };
        // One in which lines were held back ends with its report.
        if now >= window.end() && window.held_back() == 0 {
            *window = Window { began: now, lines: 0, ..*window };
        }
        window.lines += 1;
        if window.held_back() == 1 {
            self.to_report += 1;
        }
        window.held_back() == 0
    }

    /// When [`Windows::take_due`] has something to give next.
    pub fn next_report(&self) -> Option<Duration> {
        if self.to_report == 0 {
            return None;
        }
        let windows = self.windows.values().chain(&self.others);
        windows.filter(|window| window.held_back() > 0).map(Window::end).min()
    }

    /// What was held back in windows that are over; they are closed.
    pub fn take_due(&mut self, now: Duration) -> Vec<Report<K>> {
        self.take(now, |window| window.end() <= now)
    }

    /// What was held back so far, in every window; they are closed.
    pub fn take_all(&mut self, now: Duration) -> Vec<Report<K>> {
        self.take(now, |_| true)
    }

    fn take(&mut self, now: Duration, is_due: impl Fn(&Window) -> bool) -> Vec<Report<K>> {
        if self.to_report == 0 {
            return Vec::new();
        }
        let due = |window: &Window| window.held_back() > 0 && is_due(window);
        let report = |key, window: Window| Report {
            key,
            held_back: window.held_back(),
            seconds: now.saturating_sub(window.began).as_secs().max(1),
        };
        let taken = self.windows.extract_if(|_, window| due(window));
        let mut reports: Vec<_> = taken.map(|(key, window)| report(Some(key), window)).collect();
        reports.extend(self.others.take_if(|window| due(window)).map(|window| report(None, window)));
        self.to_report -= reports.len();
        reports
    }
}

impl Window {
    fn end(&self) -> Duration {
        self.began + WINDOW
    }

    fn held_back(&self) -> u64 {
        self.lines.saturating_sub(self.allowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_first_few_pass_and_the_others_are_counted() {
        let mut windows = Windows::default();
        assert!((0..LINES).all(|event| windows.admits("peer", at(5_000 + event))));
        assert_eq!(windows.next_report(), None);
        assert!(!windows.admits("peer", at(6_000)) && !windows.admits("peer", at(7_000)));
        assert_eq!(windows.next_report(), Some(at(15_000)));
        assert_eq!(windows.take_due(at(14_999)), []);
        // Late, but not yet reported.
        assert!(!windows.admits("peer", at(15_001)));
        assert_eq!(windows.take_due(at(15_001)), [Report { key: Some("peer"), held_back: 3, seconds: 10 }]);
        assert_eq!((windows.next_report(), windows.take_due(at(99_000))), (None, Vec::new()));
        assert!(windows.admits("peer", at(15_002)));
    }

    #[test]
    fn fewer_lines_of_a_key_pass_where_it_says_so() {
        let mut windows = Windows::default();
        assert!(windows.admits_up_to(1, "peer", at(0)) && !windows.admits_up_to(1, "peer", at(1)));
        assert_eq!(windows.take_due(at(10_000)), [Report { key: Some("peer"), held_back: 1, seconds: 10 }]);
        assert!(windows.admits_up_to(1, "peer", at(10_001)) && !windows.admits_up_to(1, "peer", at(10_002)));
    }

    #[test]
    fn few_lines_all_pass() {
        let mut windows = Windows::default();
        assert!((0..10 * LINES).all(|event| windows.admits("peer", at(event * 1_000))));
    }

    #[test]
    fn keys_are_bounded_and_those_beyond_are_counted_together() {
        let mut windows = Windows::default();
        let flood = |windows: &mut Windows<usize>, now| (0..100_000).filter(|&key| windows.admits(key, now)).count();
        let passed = flood(&mut windows, at(0));
        assert_eq!(passed, MOST_KEYS + LINES as usize);
        assert_eq!(windows.windows.len(), MOST_KEYS);
        let reports = windows.take_due(at(10_000));
        assert_eq!(reports, [Report { key: None, held_back: (100_000 - passed) as u64, seconds: 10 }]);
        // Those of another time have made room.
        assert!(windows.admits(1_000_000, at(10_001)));
        assert!(windows.windows.len() < MOST_KEYS);
    }

    #[test]
    fn everything_can_be_reported_before_its_time() {
        let mut windows = Windows::default();
        assert_eq!((0..LINES + 5).filter(|_| windows.admits("a", at(0))).count() as u64, LINES);
        assert_eq!(windows.take_all(at(2_500)), [Report { key: Some("a"), held_back: 5, seconds: 2 }]);
        assert_eq!(windows.next_report(), None);
    }
}
