//! The signals that stop the broker.

use std::io;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// A signal within this time after another one is a duplicate.
const DUPLICATE_WINDOW: Duration = Duration::from_millis(100);

/// SIGINT, SIGTERM and SIGHUP (the terminal was closed). While this exists, none of them ends the process by itself.
#[derive(Debug)]
pub struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl StopSignals {
    /// Starts listening. Needs a tokio runtime.
    pub fn listen() -> io::Result<StopSignals> {
        // With a handler for SIGXFSZ, a write beyond the file size limit fails instead of ending the process.
        let _ = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?;
        Ok(StopSignals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for a signal that is not a duplicate: `timeout` and terminals signal a process and then its group.
    pub async fn next_distinct(&mut self) {
        let before = Instant::now();
        while before.elapsed() < DUPLICATE_WINDOW {
            self.next().await;
        }
    }

    /// Waits for the next signal and returns its name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.hangup.recv() => "SIGHUP",
        }
    }
}
