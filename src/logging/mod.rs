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

pub use line::Format;

use levels::Levels;
use line::{AtomicFormat, Line};
use ottla_broker::state::loggers::Loggers;
use subscriber::Lines;
use tracing::Level;
use writer::{LineWriter, Stderr};

/// The process's log. Dropping it waits until what was logged is written, as long as the writing advances.
pub struct Logging {
    writer: Arc<LineWriter>,
    levels: Arc<Levels>,
    format: Arc<AtomicFormat>,
    /// What is wrong with `RUST_LOG`, in one plain line.
    mistake: Option<String>,
}

impl Logging {
    /// Sends what is logged to stderr from now on, panics included. `asked` is what `RUST_LOG` says: a level, or
    /// `target=level` pairs separated by commas; `info` where it says nothing.
    pub fn start(asked: Option<&str>) -> Logging {
        let (levels, mistake) = Levels::parse(asked.unwrap_or_default());
        let levels = Arc::new(levels);
        let writer = Arc::new(LineWriter::new(Box::new(Stderr)));
        let has_colors = std::io::stderr().is_terminal();
        let format = Arc::new(AtomicFormat::default());
        let lines = Lines::new(Arc::clone(&levels), Arc::clone(&writer), Arc::clone(&format), has_colors);
        // Fails where there is a subscriber already, which then has the lines.
        if tracing::subscriber::set_global_default(lines).is_ok() {
            panics::log();
        }
        let mistake = mistake.map(|mistake| format!("RUST_LOG: {mistake}"));
        Logging { writer, levels, format, mistake }
    }

    /// What is wrong with `RUST_LOG`: INFO is logged where it can't be read.
    pub fn mistake(&self) -> Option<&str> {
        self.mistake.as_deref()
    }

    /// Logs what `asked` says from now on, in place of `RUST_LOG`, whose form it has. The error is one plain line.
    pub fn set_levels(&self, asked: &str) -> Result<(), String> {
        self.levels.replace(asked)
    }

    /// Writes lines in this form from now on.
    pub fn set_format(&self, format: Format) {
        self.format.store(format);
        self.writer.set_format(format);
    }

    /// Writes a line for people after all that was logged before: without time and level, but as an error in JSON.
    pub fn say(&self, text: impl fmt::Display) {
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
