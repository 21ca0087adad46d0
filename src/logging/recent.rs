//! The last log lines, kept in memory for the console.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

/// Limits of what is kept: lines, and their bytes.
const MAX_LINES: usize = 1000;
const MAX_BYTES: usize = 256 << 10;

/// A ring of log lines. It is empty until it is enabled.
#[derive(Default)]
pub(super) struct Recent {
    enabled: AtomicBool,
    ring: Mutex<Ring>,
}

#[derive(Default)]
struct Ring {
    lines: VecDeque<Box<[u8]>>,
    bytes: usize,
}

impl Recent {
    /// Keeps lines from now on.
    pub fn enable(&self) {
        self.enabled.store(true, Ordering::Relaxed);
    }

    /// Keeps a copy of a line, in place of the oldest ones.
    pub fn add(&self, line: &[u8]) {
        if !self.enabled.load(Ordering::Relaxed) {
            return;
        }
        let line: Box<[u8]> = line.get(..MAX_BYTES).unwrap_or(line).into();
        let mut ring = self.ring.lock();
        ring.bytes += line.len();
        ring.lines.push_back(line);
        while ring.lines.len() > MAX_LINES || ring.bytes > MAX_BYTES {
            let Some(oldest) = ring.lines.pop_front() else { return };
            ring.bytes -= oldest.len();
        }
    }

    /// The lines without their ends and colours, oldest first.
    pub fn lines(&self) -> Vec<String> {
        let lines: Vec<Box<[u8]>> = self.ring.lock().lines.iter().cloned().collect();
        lines.iter().map(|line| without_colors(&String::from_utf8_lossy(line))).collect()
    }
}

/// Removes the sequences that set colours.
fn without_colors(line: &str) -> String {
    let mut parts = line.trim_end().split("\u{1b}[");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('m') {
            Some((codes, rest)) if codes.bytes().all(|code| code.is_ascii_digit() || code == b';') => text += rest,
            _ => text += part,
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_lines_are_kept_without_colors_once_enabled() {
        let recent = Recent::default();
        recent.add(b"too early\n");
        assert!(recent.lines().is_empty());
        recent.enable();
        recent.add(b"\x1b[2m12:00\x1b[0m \x1b[1;31mERROR\x1b[0m a [b]m\n");
        assert_eq!(recent.lines(), ["12:00 ERROR a [b]m"]);
        (0..MAX_LINES).for_each(|number| recent.add(format!("{number}\n").as_bytes()));
        let lines = recent.lines();
        assert_eq!((lines.len(), lines[0].as_str(), lines[MAX_LINES - 1].as_str()), (MAX_LINES, "0", "999"));
        recent.add(&vec![b'x'; 2 * MAX_BYTES]);
        let lines = recent.lines();
        assert_eq!((lines.len(), lines[0].len()), (1, MAX_BYTES));
    }
}
