//! Counts for rate limits of log lines, by key. Pure: the monotonic time is passed in.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// Lines of one key that are allowed in one [`WINDOW`].
pub const LINES: u64 = 10;
/// The length of a window. It begins with the first line of its key.
pub const WINDOW: Duration = Duration::from_secs(10);
/// Keys with a window of their own. The lines of all further keys share one window.
const MAX_KEYS: usize = 1_024;

/// Windows by key.
#[derive(Debug)]
pub struct LogWindows<K> {
    windows: HashMap<K, Window>,
    /// The shared window of keys beyond [`MAX_KEYS`].
    others: Option<Window>,
    /// Number of windows with suppressed lines.
    unreported: usize,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    start: Duration,
    lines: u64,
    /// How many of them pass.
    allowed: u64,
}

/// The number of suppressed lines of a key; without a key, of several keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report<K> {
    pub key: Option<K>,
    pub suppressed: u64,
    pub seconds: u64,
}

impl<K> Default for LogWindows<K> {
    fn default() -> Self {
        LogWindows { windows: HashMap::new(), others: None, unreported: 0 }
    }
}

impl<K: Hash + Eq> LogWindows<K> {
    /// Counts a line of this key and says whether it may be logged: the first [`LINES`] in each [`WINDOW`] may.
    pub fn allows(&mut self, key: K, now: Duration) -> bool {
        self.allows_up_to(LINES, key, now)
    }

    /// Like [`LogWindows::allows`], with another number of lines in each [`WINDOW`].
    pub fn allows_up_to(&mut self, allowed: u64, key: K, now: Duration) -> bool {
        let window = match self.windows.get_mut(&key) {
            Some(window) => window,
            None => {
                if self.windows.len() >= MAX_KEYS {
                    self.windows.retain(|_, window| window.end() > now || window.suppressed() > 0);
                }
                let fresh = Window { start: now, lines: 0, allowed };
                match self.windows.len() < MAX_KEYS {
                    true => self.windows.entry(key).or_insert(fresh),
                    false => self.others.get_or_insert(Window { allowed: LINES, ..fresh }),
                }
            }
        };
        // A window with suppressed lines ends when it is reported.
        if now >= window.end() && window.suppressed() == 0 {
            *window = Window { start: now, lines: 0, ..*window };
        }
        window.lines += 1;
        if window.suppressed() == 1 {
            self.unreported += 1;
        }
        window.suppressed() == 0
    }

    /// The time at which [`LogWindows::take_due`] next returns a report.
    pub fn next_report(&self) -> Option<Duration> {
        if self.unreported == 0 {
            return None;
        }
        let windows = self.windows.values().chain(&self.others);
        windows.filter(|window| window.suppressed() > 0).map(Window::end).min()
    }

    /// Removes the windows with suppressed lines that have ended, and reports them.
    pub fn take_due(&mut self, now: Duration) -> Vec<Report<K>> {
        self.take(now, |window| window.end() <= now)
    }

    /// Removes all windows with suppressed lines, and reports them.
    pub fn take_all(&mut self, now: Duration) -> Vec<Report<K>> {
        self.take(now, |_| true)
    }

    fn take(&mut self, now: Duration, is_due: impl Fn(&Window) -> bool) -> Vec<Report<K>> {
        if self.unreported == 0 {
            return Vec::new();
        }
        let due = |window: &Window| window.suppressed() > 0 && is_due(window);
        let report = |key, window: Window| Report {
            key,
            suppressed: window.suppressed(),
            seconds: now.saturating_sub(window.start).as_secs().max(1),
        };
        let taken = self.windows.extract_if(|_, window| due(window));
        let mut reports: Vec<_> = taken.map(|(key, window)| report(Some(key), window)).collect();
        reports.extend(self.others.take_if(|window| due(window)).map(|window| report(None, window)));
        self.unreported -= reports.len();
        reports
    }
}

impl Window {
    fn end(&self) -> Duration {
        self.start + WINDOW
    }

    fn suppressed(&self) -> u64 {
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
    fn lines_above_the_limit_are_suppressed_and_reported_when_the_window_ends() {
        let mut windows = LogWindows::default();
        assert!((0..LINES).all(|event| windows.allows("peer", at(5_000 + event))));
        assert_eq!(windows.next_report(), None);
        assert!(!windows.allows("peer", at(6_000)) && !windows.allows("peer", at(7_000)));
        assert_eq!(windows.next_report(), Some(at(15_000)));
        assert_eq!(windows.take_due(at(14_999)), []);
        // After the end of the window, but before the report.
        assert!(!windows.allows("peer", at(15_001)));
        assert_eq!(windows.take_due(at(15_001)), [Report { key: Some("peer"), suppressed: 3, seconds: 10 }]);
        assert_eq!((windows.next_report(), windows.take_due(at(99_000))), (None, Vec::new()));
        assert!(windows.allows("peer", at(15_002)));
    }

    #[test]
    fn fewer_lines_are_allowed_if_the_caller_says_so() {
        let mut windows = LogWindows::default();
        assert!(windows.allows_up_to(1, "peer", at(0)) && !windows.allows_up_to(1, "peer", at(1)));
        assert_eq!(windows.take_due(at(10_000)), [Report { key: Some("peer"), suppressed: 1, seconds: 10 }]);
        assert!(windows.allows_up_to(1, "peer", at(10_001)) && !windows.allows_up_to(1, "peer", at(10_002)));
    }

    #[test]
    fn lines_below_the_limit_are_all_allowed() {
        let mut windows = LogWindows::default();
        assert!((0..10 * LINES).all(|event| windows.allows("peer", at(event * 1_000))));
    }

    #[test]
    fn keys_above_the_limit_share_one_window() {
        let mut windows = LogWindows::default();
        let flood = |windows: &mut LogWindows<usize>, now| (0..100_000).filter(|&key| windows.allows(key, now)).count();
        let passed = flood(&mut windows, at(0));
        assert_eq!(passed, MAX_KEYS + LINES as usize);
        assert_eq!(windows.windows.len(), MAX_KEYS);
        let reports = windows.take_due(at(10_000));
        assert_eq!(reports, [Report { key: None, suppressed: (100_000 - passed) as u64, seconds: 10 }]);
        // Windows that have ended are removed.
        assert!(windows.allows(1_000_000, at(10_001)));
        assert!(windows.windows.len() < MAX_KEYS);
    }

    #[test]
    fn take_all_reports_windows_that_have_not_ended() {
        let mut windows = LogWindows::default();
        assert_eq!((0..LINES + 5).filter(|_| windows.allows("a", at(0))).count() as u64, LINES);
        assert_eq!(windows.take_all(at(2_500)), [Report { key: Some("a"), suppressed: 5, seconds: 2 }]);
        assert_eq!(windows.next_report(), None);
    }
}
