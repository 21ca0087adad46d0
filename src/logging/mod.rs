//! The log of the program: lines on stderr, which hold up nobody.
//!
//! [`Logging::start`] makes this the process's `tracing` subscriber. A log call builds one line (`line`) and puts it
//! into a bounded queue; a thread of its own writes the queue to stderr (`writer`). So a reader that doesn't read, a
//! full disk or a broken pipe cost log lines, which are counted and told of, and nothing else. What is logged is
//! decided by `levels`: `RUST_LOG` at the start, and the broker loggers that Kafka's tools set while the broker runs.
//!
//! An embedded broker has none of this: its host decides about logging.

mod levels;
mod line;
mod panics;
mod subscriber;
mod writer;

use std::fmt;
use std::io::IsTerminal as _;
use std::sync::Arc;

use levels::Levels;
use ottla_broker::state::loggers::Loggers;
use subscriber::Lines;
use writer::{LineWriter, Stderr};

/// The process's log. Dropping it waits until what was logged is written, as long as the writing advances.
pub struct Logging {
    writer: Arc<LineWriter>,
    levels: Arc<Levels>,
}

impl Logging {
    /// Sends what is logged to stderr from now on, panics included. `asked` is what `RUST_LOG` says: a level, or
    /// `target=level` pairs separated by commas; `info` where it says nothing.
    pub fn start(asked: Option<&str>) -> Logging {
        let (levels, mistake) = Levels::parse(asked.unwrap_or_default());
        let levels = Arc::new(levels);
        let writer = Arc::new(LineWriter::new(Box::new(Stderr)));
        let has_colors = std::io::stderr().is_terminal();
        let lines = Lines::new(Arc::clone(&levels), Arc::clone(&writer), has_colors);
        // Fails where there is a subscriber already, which then has the lines.
        if tracing::subscriber::set_global_default(lines).is_ok() {
            panics::log();
        }
        if let Some(mistake) = mistake {
            tracing::warn!("RUST_LOG is ignored: {mistake}");
        }
        Logging { writer, levels }
    }

    /// Writes a line for people, without time and level, after all that was logged before.
    pub fn say(&self, text: impl fmt::Display) {
        self.writer.push(line::plain(&text.to_string()).into_bytes(), true);
    }

    /// Waits until everything logged so far is written; gives up once the writing stands still.
    pub fn flush(&self) {
        self.writer.flush();
    }

    /// What broker loggers are read and changed through.
    pub fn loggers(&self) -> Arc<dyn Loggers> {
        Arc::clone(&self.levels) as Arc<dyn Loggers>
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        self.flush();
    }
}
