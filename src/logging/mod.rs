//! The log of the program: lines on stderr. A log call never waits for stderr.
//!
//! [`Logging::start`] sets the process's `tracing` subscriber. A log call builds one line (`line`) and puts it into a
//! bounded queue; a thread writes the queue to stderr (`writer`). If stderr is not read, or its disk is full, or its pipe
//! is broken, log lines are dropped, and their number is logged. `levels` decides what is logged: `RUST_LOG` and
//! `ottla.log.level` at start, and the broker loggers that Kafka's tools set while the broker runs.
//!
//! An embedded broker does not use this module: its program decides about logging.

mod levels;
mod line;
mod panics;
mod recent;
mod subscriber;
mod writer;

use std::fmt;
use std::io::IsTerminal as _;
use std::sync::Arc;

pub use line::Format;

use levels::Levels;
use line::{AtomicFormat, Line};
use ottla_broker::state::loggers::Loggers;
use subscriber::Lines;
use tracing::Level;
use writer::{LineWriter, Stderr};

/// The process's log. Drop waits until the queue is written, as long as the writing makes progress.
pub struct Logging {
    writer: Arc<LineWriter>,
    levels: Arc<Levels>,
    format: Arc<AtomicFormat>,
    /// A warning for each unknown logger in `RUST_LOG`, or the error of an invalid value, as one line.
    rust_log: Result<Vec<String>, String>,
}

impl Logging {
    /// Starts logging to stderr, panics included. `rust_log` is the value of `RUST_LOG`: a level, or `target=level` pairs
    /// separated by commas; `info` if empty.
    pub fn start(rust_log: Option<&str>) -> Logging {
        let (levels, outcome) = Levels::parse(rust_log.unwrap_or_default());
        let levels = Arc::new(levels);
        let writer = Arc::new(LineWriter::new(Box::new(Stderr)));
        let has_colors = std::io::stderr().is_terminal();
        let format = Arc::new(AtomicFormat::default());
        let lines = Lines::new(Arc::clone(&levels), Arc::clone(&writer), Arc::clone(&format), has_colors);
        // Fails if the process has a subscriber already, which then gets the events.
        if tracing::subscriber::set_global_default(lines).is_ok() {
            panics::log();
        }
        let named = |text: String| format!("RUST_LOG: {text}");
        let rust_log = outcome.map(|unknown| unknown.into_iter().map(named).collect()).map_err(named);
        Logging { writer, levels, format, rust_log }
    }

    /// The outcome of reading `RUST_LOG`: a warning for each unknown logger; or the error, in which case the level is
    /// INFO.
    pub fn rust_log(&self) -> &Result<Vec<String>, String> {
        &self.rust_log
    }

    /// Replaces the levels of `RUST_LOG`; `text` has the same format. Returns a warning for each unknown logger. The error is
    /// one line.
    pub fn set_levels(&self, text: &str) -> Result<Vec<String>, String> {
        self.levels.replace(text)
    }

    /// Checks a text for [`Logging::set_levels`] without applying it.
    pub fn check_levels(text: &str) -> Result<Vec<String>, String> {
        levels::check(text)
    }

    /// Sets the format of later lines.
    pub fn set_format(&self, format: Format) {
        self.format.store(format);
        self.writer.set_format(format);
    }

    /// Writes a message after all earlier log lines: in the text format without time and level, in the JSON format with
    /// the level ERROR.
    pub fn print(&self, text: impl fmt::Display) {
        let text = text.to_string();
        let line = match self.format.load() {
            Format::Text => line::plain(&text).into_bytes(),
            Format::Json => {
                let mut line = Line::begin(Level::ERROR, Format::Json, false);
                line.message(format_args!("{text}"));
                line.finish()
            }
        };
        self.writer.push(line, true);
    }

    /// Waits until everything logged so far is written, or until the writing makes no progress.
    pub fn flush(&self) {
        self.writer.flush();
    }

    /// Keeps the last lines in memory from now on, and returns what reads them, oldest first.
    pub fn keep_recent(&self) -> Arc<dyn Fn() -> Vec<String> + Send + Sync> {
        let writer = Arc::clone(&self.writer);
        writer.recent().enable();
        Arc::new(move || writer.recent().lines())
    }

    /// The broker loggers, for reading and changing their levels.
    pub fn loggers(&self) -> Arc<dyn Loggers> {
        Arc::clone(&self.levels) as Arc<dyn Loggers>
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        self.flush();
    }
}
