//! The signals that stop the broker.

use std::io;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// A signal so soon after another means the same.
const ECHO: Duration = Duration::from_millis(100);

/// SIGINT, SIGTERM and SIGHUP (a terminal that closes). From the moment this exists, none ends the process by itself.
#[derive(Debug)]
pub struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl StopSignals {
    /// Needs a tokio runtime.
    pub fn listen() -> io::Result<StopSignals> {
        // Caught so that a file which reaches the process's limit is an error of that write alone.
        let _ = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?;
        Ok(StopSignals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one that is not the echo of one before: `timeout` and terminals signal a process, and then its group.
    pub async fn next_in_earnest(&mut self) {
        let before = Instant::now();
        while before.elapsed() < ECHO {
            self.next().await;
        }
    }

    /// Waits for the next one; its name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.hangup.recv() => "SIGHUP",
        }
    }
}
