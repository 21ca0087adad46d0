//! Broker loggers: the resources of Kafka's type BROKER_LOGGER (KIP-412).
//!
//! The program that runs the broker controls logging, and passes in an implementation of [`Loggers`]. Changed levels
//! are kept until the process ends.

use std::fmt;
use std::str::FromStr;

/// The level of a logger, with Kafka's names, from the least to the most verbose.
///
/// No line has the level FATAL, so FATAL has the same effect as OFF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    Off,
    Fatal,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    /// All levels.
    pub const ALL: [LogLevel; 7] = [
        LogLevel::Off,
        LogLevel::Fatal,
        LogLevel::Error,
        LogLevel::Warn,
        LogLevel::Info,
        LogLevel::Debug,
        LogLevel::Trace,
    ];

    /// Kafka's name.
    pub const fn name(self) -> &'static str {
        match self {
            LogLevel::Off => "OFF",
            LogLevel::Fatal => "FATAL",
            LogLevel::Error => "ERROR",
            LogLevel::Warn => "WARN",
            LogLevel::Info => "INFO",
            LogLevel::Debug => "DEBUG",
            LogLevel::Trace => "TRACE",
        }
    }
}

impl FromStr for LogLevel {
    type Err = ();

    /// Parses Kafka's name of a level, in upper case.
    fn from_str(name: &str) -> Result<LogLevel, ()> {
        LogLevel::ALL.into_iter().find(|level| level.name() == name).ok_or(())
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name of the logger from which all others inherit.
pub const ROOT_LOGGER: &str = "root";

/// Reads and sets the levels of loggers while the broker runs.
pub trait Loggers: Send + Sync {
    /// All loggers with their effective levels, which may be inherited.
    fn levels(&self) -> Vec<(String, LogLevel)>;

    /// Whether a logger of this name exists.
    fn exists(&self, logger: &str) -> bool {
        self.levels().iter().any(|(name, _)| name == logger)
    }

    /// Sets the level of a logger; with `None`, the logger inherits a level again. An unknown name has no effect.
    fn set(&self, logger: &str, level: Option<LogLevel>);
}

/// No loggers, for a broker that does not control logging, such as one that is embedded in another program.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoLoggers;

impl Loggers for NoLoggers {
    fn levels(&self) -> Vec<(String, LogLevel)> {
        Vec::new()
    }

    fn set(&self, _logger: &str, _level: Option<LogLevel>) {}
}
