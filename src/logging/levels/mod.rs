//! The level of each logger, set by `RUST_LOG` or `ottla.log.level` at start, and by Kafka's tools while the broker runs.
//!
//! A logger is a module of the code; what is within it inherits its level. Its name is the module's path with dots
//! (`ottla.server` for the target `ottla::server`), as Kafka's tools take no colons in names; both forms are
//! understood. Names say nothing of the crate that a module is in ([`CRATES`]), so that code can move without a change
//! for operators. The loggers that people of Kafka know have Kafka's names beside.

use std::borrow::Cow;
use std::collections::BTreeMap;

use parking_lot::RwLock;
use tracing::Level;
use tracing::level_filters::LevelFilter;

use ottla_broker::state::loggers::{LogLevel, Loggers, ROOT_LOGGER};
use ottla_config::table;

const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];

/// The target of the root logger, which contains all targets.
const ROOT: &str = "";

/// The loggers that exist from the start, and Kafka's names for them.
const LOGGERS: &[(&str, &[&str])] = &[
    (ROOT, &[ROOT_LOGGER]),
    ("ottla", &["kafka", "org.apache.kafka"]),
    (AUTHORIZER, &["kafka.authorizer.logger"]),
    ("ottla::broker", &["kafka.server", "org.apache.kafka.server"]),
    ("ottla::broker::cleaner", &["kafka.log.LogCleaner", "org.apache.kafka.storage.internals.log.LogCleaner"]),
    ("ottla::broker::groups", &["org.apache.kafka.coordinator.group.GroupCoordinatorService"]),
    ("ottla::broker::housekeeping", &["kafka.log.LogManager"]),
    (
        "ottla::broker::metadata",
        &["kafka.controller", "org.apache.kafka.controller", "org.apache.kafka.controller.QuorumController"],
    ),
    ("ottla::broker::partition", &["kafka.server.ReplicaManager"]),
    ("ottla::cli", &[]),
    ("ottla::coordinator", &["org.apache.kafka.coordinator.group"]),
    ("ottla::handlers", &["kafka.server.KafkaApis"]),
    ("ottla::http", &[]),
    (REQUESTS, &["kafka.request.logger"]),
    ("ottla::otlp", &[]),
    ("ottla::secure", &[]),
    ("ottla::server", &["kafka.network", "kafka.network.SocketServer", "org.apache.kafka.network"]),
    ("ottla::service", &[]),
    ("ottla::tls", &[]),
];

/// Modules that log and have no row in [`LOGGERS`], or whose names are similar to one that has.
const OTHER_MODULES: &[&str] = &[
    "ottla::broker::cluster",
    "ottla::client",
    "ottla::client_metrics",
    "ottla::config",
    "ottla::embedded",
    "ottla::log",
    "ottla::log_rate_limiter",
    "ottla::logging",
    "ottla::metadata",
];

/// The target of one line for each request, at DEBUG. It has its own level from the start, as in Kafka's configuration,
/// because debugging seldom needs a line for each request.
const REQUESTS: &str = "ottla::request";
/// The logger of the authorizer's decisions, which handlers log.
const AUTHORIZER: &str = "ottla::authorizer";
const REQUESTS_LEVEL: LogLevel = LogLevel::Warn;

/// The targets of the crates that log, and the paths of their loggers. The first match applies.
const CRATES: &[(&str, &str)] =
    &[("ottla_broker::state", "ottla::broker"), ("ottla_broker", "ottla"), ("ottla_core", "ottla")];

/// Levels by target.
pub(super) struct Levels {
    own: RwLock<BTreeMap<String, LogLevel>>,
}

impl Levels {
    /// Parses the value of `RUST_LOG`: a level, or `target=level` pairs, separated by commas. The level is INFO if the value
    /// is empty or invalid. The second result has a warning for each unknown logger, or the error as one line.
    pub fn parse(text: &str) -> (Levels, Result<Vec<String>, String>) {
        let (own, outcome) = match read(text) {
            Ok(own) => (own, Ok(unknown_loggers(text))),
            Err(error) => (read("").unwrap_or_default(), Err(error)),
        };
        (Levels { own: RwLock::new(own) }, outcome)
    }

    /// Replaces all levels. Returns a warning for each unknown logger. On an error, one line, nothing is changed.
    pub fn replace(&self, text: &str) -> Result<Vec<String>, String> {
        *self.own.write() = read(text)?;
        // Callsites cache whether they are enabled.
        tracing_core::callsite::rebuild_interest_cache();
        Ok(unknown_loggers(text))
    }

    /// Whether an event is logged.
    pub fn allow(&self, target: &str, level: Level) -> bool {
        level <= filter(effective(&self.own.read(), &logger_path(target)))
    }

    /// The most verbose level of all loggers.
    pub fn most_verbose(&self) -> LevelFilter {
        self.own.read().values().map(|level| filter(*level)).max().unwrap_or(LevelFilter::OFF)
    }

    /// The target of a logger, if it exists.
    fn target(&self, logger: &str) -> Option<String> {
        let path = target_of(logger);
        let known = LOGGERS.iter().find(|(target, names)| *target == path || names.contains(&logger));
        match known {
            _ if logger.is_empty() => None,
            Some((target, _)) => Some((*target).to_owned()),
            None => self.own.read().contains_key(&path).then_some(path),
        }
    }
}

impl Loggers for Levels {
    fn levels(&self) -> Vec<(String, LogLevel)> {
        let own = self.own.read();
        let known = LOGGERS.iter().flat_map(|(target, names)| {
            let level = effective(&own, target);
            let names = names.iter().map(|name| (*name).to_owned());
            [name_of(target)].into_iter().chain(names).map(move |name| (name, level))
        });
        let mut levels: BTreeMap<String, LogLevel> =
            own.iter().map(|(target, level)| (name_of(target), *level)).collect();
        levels.extend(known);
        levels.remove(ROOT);
        levels.into_iter().collect()
    }

    fn exists(&self, logger: &str) -> bool {
        self.target(logger).is_some()
    }

    fn set(&self, logger: &str, level: Option<LogLevel>) {
        let Some(target) = self.target(logger) else { return };
        match level {
            Some(level) => self.own.write().insert(target, level),
            None => self.own.write().remove(&target),
        };
        // Callsites cache whether they are enabled.
        tracing_core::callsite::rebuild_interest_cache();
    }
}

/// The name of a target's logger.
fn name_of(target: &str) -> String {
    target.replace("::", ".")
}

/// The target of the logger with this name, if it is a module of the project.
fn target_of(logger: &str) -> String {
    logger_path(&logger.replace('.', "::")).into_owned()
}

/// The path of the logger that a module's events belong to.
fn logger_path(target: &str) -> Cow<'_, str> {
    let within = |outer: &str| target.strip_prefix(outer).filter(|rest| rest.is_empty() || rest.starts_with("::"));
    let found = CRATES.iter().find_map(|(outer, path)| Some((path, within(outer)?)));
    found.map_or(Cow::Borrowed(target), |(path, rest)| Cow::Owned(format!("{path}{rest}")))
}

/// The effective level: that of the innermost target that contains this one and has a level.
fn effective(own: &BTreeMap<String, LogLevel>, target: &str) -> LogLevel {
    let mut within = target;
    loop {
        if let Some(level) = own.get(within) {
            return *level;
        }
        match within.rsplit_once("::") {
            Some((outer, _)) => within = outer,
            None if within == ROOT => return LogLevel::Off,
            None => within = ROOT,
        }
    }
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Off | LogLevel::Fatal => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

/// Checks a value of `RUST_LOG` or `ottla.log.level`. Returns a warning for each unknown logger. The error is one line.
pub(super) fn check(text: &str) -> Result<Vec<String>, String> {
    read(text).map(|_| unknown_loggers(text))
}

/// The comma-separated parts of the text of `RUST_LOG`.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// Parses the text of `RUST_LOG` into levels by target. The error is one line.
fn read(text: &str) -> Result<BTreeMap<String, LogLevel>, String> {
    let directives = parts(text).map(directive).collect::<Result<Vec<_>, _>>()?;
    // If only targets are given, other loggers log errors only.
    let root = if directives.is_empty() { LogLevel::Info } else { LogLevel::Error };
    let mut own = BTreeMap::from([(REQUESTS.to_owned(), REQUESTS_LEVEL), (ROOT.to_owned(), root)]);
    own.extend(directives);
    Ok(own)
}

/// One part of `RUST_LOG`. A logger alone is logged whole; it has to be one of ours, as a level that is misspelled
/// looks like a target.
fn directive(part: &str) -> Result<(String, LogLevel), String> {
    match part.split_once('=') {
        Some((target, name)) => {
            let level = level(name.trim())
                .ok_or_else(|| format!("\"{}\" is not a log level{}", name.trim(), hint(name.trim())))?;
            Ok((target_of(target.trim()), level))
        }
        None => match level(part) {
            Some(level) => Ok((ROOT.to_owned(), level)),
            None if is_project_logger(part) => Ok((target_of(part), LogLevel::Trace)),
            None => Err(format!("\"{part}\" is neither a log level nor a logger{}", hint(part))),
        },
    }
}

/// Whether this is a logger of the table, or in one other than the root.
fn is_project_logger(logger: &str) -> bool {
    let path = target_of(logger);
    LOGGERS.iter().any(|(target, names)| (*target != ROOT && is_within(&path, target)) || names.contains(&logger))
}

fn is_within(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// A warning for each logger in the text of `RUST_LOG` that doesn't exist, with the nearest one.
fn unknown_loggers(text: &str) -> Vec<String> {
    let named = parts(text).map(|part| part.split_once('=').map_or(part, |(logger, _)| logger.trim()));
    let loggers = named.filter(|name| level(name).is_none());
    loggers.filter_map(unknown_logger).collect()
}

fn unknown_logger(name: &str) -> Option<String> {
    let path = target_of(name);
    let targets = LOGGERS.iter().map(|(target, _)| *target).filter(|target| *target != ROOT);
    let mut modules = targets.clone().chain(OTHER_MODULES.iter().copied());
    if LOGGERS.iter().any(|(target, names)| *target == path || names.contains(&name)) || OTHER_MODULES.contains(&&*path)
    {
        return None;
    }
    let kafkas = LOGGERS.iter().flat_map(|(_, names)| names.iter().map(|name| (*name).to_owned()));
    match table::nearest_of(targets.map(name_of).chain(kafkas), &name_of(&path)) {
        Some(nearest) => Some(format!("unknown logger \"{name}\"; did you mean {nearest}?")),
        None if modules.any(|module| module != "ottla" && is_within(&path, module)) => None,
        None => {
            Some(format!("unknown logger \"{name}\"; kafka-configs --entity-type broker-loggers lists the loggers"))
        }
    }
}

/// Text for an error: the nearest level, or all levels.
fn hint(word: &str) -> String {
    match table::nearest_of(LEVELS.iter().copied(), &word.to_ascii_lowercase()) {
        Some(nearest) => format!("; did you mean {nearest}?"),
        None => format!(" ({})", LEVELS.join(", ")),
    }
}

/// A level by its name, in any case, or by its number: 0 is off, 5 is trace.
fn level(text: &str) -> Option<LogLevel> {
    match text.parse() {
        Ok(number) => match number {
            0_u8 => Some(LogLevel::Off),
            1 => Some(LogLevel::Error),
            2 => Some(LogLevel::Warn),
            3 => Some(LogLevel::Info),
            4 => Some(LogLevel::Debug),
            5 => Some(LogLevel::Trace),
            _ => None,
        },
        Err(_) => text.to_ascii_uppercase().parse().ok(),
    }
}

#[cfg(test)]
mod tests;
