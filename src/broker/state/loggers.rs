//! Broker loggers: what Kafka's BROKER_LOGGER resources read and change (KIP-412).
//!
//! Whoever runs the broker decides about logging and hands in what controls it. Levels last as long as the process.

use std::fmt;
use std::str::FromStr;

/// The level of a logger, from the quietest on, by Kafka's names.
///
/// Nothing here is logged as fatal, so FATAL shows as little as OFF.
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
    /// Every level.
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

    /// Reads exactly Kafka's names.
    fn from_str(name: &str) -> Result<LogLevel, ()> {
        LogLevel::ALL.into_iter().find(|level| level.name() == name).ok_or(())
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name of the logger that all others inherit from.
pub const ROOT_LOGGER: &str = "root";

/// Reads and sets the levels of loggers while the broker runs.
pub trait Loggers: Send + Sync {
    /// Every logger and the level in force for it, its own or an inherited one.
    fn levels(&self) -> Vec<(String, LogLevel)>;

    /// Whether there is a logger of that name.
    fn exists(&self, logger: &str) -> bool {
        self.levels().iter().any(|(name, _)| name == logger)
    }

    /// Gives a logger a level of its own, or with `None` has it inherit one again. A name that doesn't exist is left
    /// alone.
    fn set(&self, logger: &str, level: Option<LogLevel>);
}

/// The loggers of a broker that has no say over logging, such as one that is embedded in another program: none.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoLoggers;

impl Loggers for NoLoggers {
    fn levels(&self) -> Vec<(String, LogLevel)> {
        Vec::new()
    }

    fn set(&self, _logger: &str, _level: Option<LogLevel>) {}
}
