//! Keeps a flood of one kind of event from flooding the log.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::clock::Clock;

/// Lines that may be written in one [`WINDOW`].
const LINES: u64 = 10;
const WINDOW: Duration = Duration::from_secs(10);

/// Lets the first few lines of a time through, and says how many it held back when that time is over.
#[derive(Debug)]
pub struct LogValve {
    /// Of what the lines tell, in the plural.
    of: &'static str,
    window: Mutex<Window>,
}

#[derive(Debug, Default)]
struct Window {
    /// On the monotonic clock.
    ends: Duration,
    events: u64,
}

/// What to do about an event.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Log,
    /// The first that is held back: someone has to tell of it when the window ends, so long from now.
    HoldBackAndTellIn(Duration),
    HoldBack,
}

impl LogValve {
    pub fn new(of: &'static str) -> Arc<LogValve> {
        Arc::new(LogValve { of, window: Mutex::default() })
    }

    /// Whether the event that just happened may be logged. Needs a tokio runtime.
    pub fn admits(self: &Arc<Self>, clock: Clock) -> bool {
        let verdict = self.window.lock().event(clock.monotonic());
        if let Verdict::HoldBackAndTellIn(wait) = verdict {
            let valve = Arc::clone(self);
            tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                let held_back = valve.window.lock().close();
                tracing::info!("{held_back} more {} in {} s are not listed here", valve.of, WINDOW.as_secs());
            });
        }
        verdict == Verdict::Log
    }
}

impl Window {
    fn event(&mut self, now: Duration) -> Verdict {
        // One in which something was held back is closed by whoever tells of that.
        if now >= self.ends && self.events <= LINES {
            *self = Window { ends: now + WINDOW, events: 0 };
        }
        self.events += 1;
        match self.events {
            ..=LINES => Verdict::Log,
            events if events == LINES + 1 => Verdict::HoldBackAndTellIn(self.ends.saturating_sub(now)),
            _ => Verdict::HoldBack,
        }
    }

    /// Ends the window: how many events were held back.
    fn close(&mut self) -> u64 {
        std::mem::take(self).events.saturating_sub(LINES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_first_few_are_logged_and_the_others_counted() {
        let mut window = Window::default();
        for event in 0..LINES {
            assert_eq!(window.event(at(5_000 + event)), Verdict::Log);
        }
        assert_eq!(window.event(at(6_000)), Verdict::HoldBackAndTellIn(at(9_000)));
        assert_eq!(window.event(at(7_000)), Verdict::HoldBack);
        // Late, but not yet told of.
        assert_eq!(window.event(at(15_001)), Verdict::HoldBack);
        assert_eq!(window.close(), 3);
        assert_eq!(window.event(at(15_002)), Verdict::Log);
    }

    #[test]
    fn few_events_are_all_logged() {
        let mut window = Window::default();
        for event in 0..10 * LINES {
            assert_eq!(window.event(at(event * 1_000)), Verdict::Log, "event {event}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_held_back_is_told_once() {
        let valve = LogValve::new("refusals");
        let clock = Clock::start();
        let logged = (0..100).filter(|_| valve.admits(clock)).count();
        assert_eq!(logged as u64, LINES);
        tokio::time::sleep(2 * WINDOW).await;
        assert_eq!(valve.window.lock().events, 0, "told and closed");
    }
}
