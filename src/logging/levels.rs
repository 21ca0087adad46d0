//! What is logged: a level for each logger, which `RUST_LOG` sets at the start and Kafka's tools while the broker runs.
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

/// The target of the root logger, which all targets are within.
const ROOT: &str = "";

/// The loggers that there are from the start, and Kafka's names of them.
const LOGGERS: &[(&str, &[&str])] = &[
    (ROOT, &[ROOT_LOGGER]),
    ("ottla", &["kafka", "org.apache.kafka"]),
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
    ("ottla::server", &["kafka.network", "kafka.network.SocketServer", "org.apache.kafka.network"]),
    ("ottla::service", &[]),
];

/// The target of a line for each request, at DEBUG. It has a level of its own from the start, as in Kafka's
/// configuration: whoever asks for debugging does not ask for that many lines.
const REQUESTS: &str = "ottla::request";
const REQUESTS_LEVEL: LogLevel = LogLevel::Warn;

/// The targets of the crates that log, and the paths of their loggers. The first match applies.
const CRATES: &[(&str, &str)] =
    &[("ottla_broker::state", "ottla::broker"), ("ottla_broker", "ottla"), ("ottla_core", "ottla")];

/// Levels by target.
pub(super) struct Levels {
    own: RwLock<BTreeMap<String, LogLevel>>,
}

impl Levels {
    /// Reads what `RUST_LOG` says: a level, or `target=level` pairs, separated by commas. Where it says nothing, or
    /// can't be read, INFO is what is logged; in the latter case with the reason.
    pub fn parse(asked: &str) -> (Levels, Option<String>) {
        let (own, mistake) = match read(asked) {
            Ok(own) => (own, None),
            Err(mistake) => (read("").unwrap_or_default(), Some(mistake)),
        };
        (Levels { own: RwLock::new(own) }, mistake)
    }

    /// Puts other levels in place of all that there are. The error is one plain line, and nothing is changed.
    pub fn replace(&self, asked: &str) -> Result<(), String> {
        *self.own.write() = read(asked)?;
        // Places in the code remember whether they are logged.
        tracing_core::callsite::rebuild_interest_cache();
        Ok(())
    }

    /// Whether an event is logged.
    pub fn allow(&self, target: &str, level: Level) -> bool {
        level <= filter(in_force(&self.own.read(), &logger_path(target)))
    }

    /// The most that any logger shows.
    pub fn most_verbose(&self) -> LevelFilter {
        self.own.read().values().map(|level| filter(*level)).max().unwrap_or(LevelFilter::OFF)
    }

    /// The target of a logger, if there is one of that name.
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
            let level = in_force(&own, target);
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
        // Places in the code remember whether they are logged.
        tracing_core::callsite::rebuild_interest_cache();
    }
}

/// The name of a target's logger.
fn name_of(target: &str) -> String {
    target.replace("::", ".")
}

/// The target of the logger of that name, if it is one of our modules.
fn target_of(logger: &str) -> String {
    logger_path(&logger.replace('.', "::")).into_owned()
}

/// The path of the logger that a module's events belong to.
fn logger_path(target: &str) -> Cow<'_, str> {
    let within = |outer: &str| target.strip_prefix(outer).filter(|rest| rest.is_empty() || rest.starts_with("::"));
    let found = CRATES.iter().find_map(|(outer, path)| Some((path, within(outer)?)));
    found.map_or(Cow::Borrowed(target), |(path, rest)| Cow::Owned(format!("{path}{rest}")))
}

/// The level of the nearest target that this one is within and that has one.
fn in_force(own: &BTreeMap<String, LogLevel>, target: &str) -> LogLevel {
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

/// Levels by target, from the text of `RUST_LOG`. The error is one plain line.
fn read(asked: &str) -> Result<BTreeMap<String, LogLevel>, String> {
    let parts = asked.split(',').map(str::trim).filter(|part| !part.is_empty());
    let directives = parts.map(directive).collect::<Result<Vec<_>, _>>()?;
    // With nothing but targets, the others are not asked for; but no error is hidden.
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
            None if is_known(part) => Ok((target_of(part), LogLevel::Trace)),
            None => Err(format!("\"{part}\" is neither a log level nor a logger{}", hint(part))),
        },
    }
}

/// Whether this is a logger of the table, or within one. All are within the root.
fn is_known(logger: &str) -> bool {
    let path = target_of(logger);
    let within = |outer: &str| path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
    LOGGERS.iter().any(|(target, names)| (*target != ROOT && within(target)) || names.contains(&logger))
}

/// What was meant, or what there is.
fn hint(word: &str) -> String {
    match table::nearest_of(LEVELS.iter().copied(), &word.to_ascii_lowercase()) {
        Some(nearest) => format!("; did you mean {nearest}?"),
        None => format!(" ({})", LEVELS.join(", ")),
    }
}

/// A level by its name, in whatever case, or by its number: 0 is off, 5 is trace.
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
mod tests {
    use std::path::Path;

    use super::*;

    const SERVER: &str = "ottla::server::connection";

    fn level_of(levels: &Levels, logger: &str) -> Option<LogLevel> {
        levels.levels().into_iter().find(|(name, _)| name == logger).map(|(_, level)| level)
    }

    #[test]
    fn rust_log_sets_levels_at_the_start() {
        let check = |asked: &str, server, other| {
            let levels = Levels::parse(asked).0;
            let own = levels.own.read();
            assert_eq!((in_force(&own, SERVER), in_force(&own, "elsewhere")), (server, other), "{asked}");
        };
        check("", LogLevel::Info, LogLevel::Info);
        check("debug", LogLevel::Debug, LogLevel::Debug);
        check("WARN", LogLevel::Warn, LogLevel::Warn);
        check("4", LogLevel::Debug, LogLevel::Debug);
        check("off", LogLevel::Off, LogLevel::Off);
        check("warn,ottla::server=trace", LogLevel::Trace, LogLevel::Warn);
        check("ottla::server=debug , info", LogLevel::Debug, LogLevel::Info);
        check("ottla::server", LogLevel::Trace, LogLevel::Error);
        check("ottla.server=debug,info", LogLevel::Debug, LogLevel::Info);
        check("ottla::serve=trace", LogLevel::Error, LogLevel::Error);
        check("hyper=debug", LogLevel::Error, LogLevel::Error);
        check("ottla.server.connection", LogLevel::Trace, LogLevel::Error);
        check("ottla::server=loud", LogLevel::Info, LogLevel::Info);
    }

    #[test]
    fn level_or_logger_that_there_is_not_is_refused_with_what_was_meant() {
        let check = |asked: &str, expect: &str| {
            let (levels, mistake) = Levels::parse(asked);
            assert_eq!(mistake.as_deref(), Some(expect), "{asked}");
            assert!(levels.allow(SERVER, Level::INFO), "{asked}");
            assert_eq!(levels.replace(asked), Err(expect.to_owned()));
        };
        check("inof", "\"inof\" is neither a log level nor a logger; did you mean info?");
        check("warn,Inof", "\"Inof\" is neither a log level nor a logger; did you mean info?");
        let all = "(off, error, warn, info, debug, trace)";
        check("7", &format!("\"7\" is neither a log level nor a logger {all}"));
        check("ottla::server=loud", &format!("\"loud\" is not a log level {all}"));
        check("hyper", &format!("\"hyper\" is neither a log level nor a logger {all}"));
    }

    #[test]
    fn levels_can_be_replaced() {
        let levels = Levels::parse("trace,ottla::http=off").0;
        assert_eq!(levels.replace("warn"), Ok(()));
        assert!(levels.allow("ottla::http", Level::WARN) && !levels.allow("ottla::http", Level::INFO));
    }

    #[test]
    fn a_logger_without_a_level_of_its_own_inherits_one() {
        let levels = Levels::parse("").0;
        assert!(levels.allow(SERVER, Level::INFO) && !levels.allow(SERVER, Level::DEBUG));
        assert_eq!(levels.most_verbose(), LevelFilter::INFO);
        levels.set("root", Some(LogLevel::Error));
        assert!(!levels.allow(SERVER, Level::WARN) && levels.allow(SERVER, Level::ERROR));
        levels.set("ottla::server", Some(LogLevel::Trace));
        assert!(levels.allow(SERVER, Level::TRACE) && !levels.allow("ottla::http", Level::WARN));
        assert_eq!(levels.most_verbose(), LevelFilter::TRACE);
        levels.set("ottla", Some(LogLevel::Fatal));
        assert!(levels.allow(SERVER, Level::TRACE) && !levels.allow("ottla::http", Level::ERROR));
        levels.set("ottla::server", None);
        assert!(!levels.allow(SERVER, Level::ERROR));
    }

    #[test]
    fn event_of_a_member_crate_belongs_to_the_logger_of_its_module() {
        for (target, path) in [
            ("ottla_broker::state::cleaner::run", "ottla::broker::cleaner::run"),
            ("ottla_broker::state", "ottla::broker"),
            ("ottla_broker::states", "ottla::states"),
            ("ottla_broker::server::connection", "ottla::server::connection"),
            ("ottla_core::metadata", "ottla::metadata"),
            ("ottla_cores::x", "ottla_cores::x"),
            ("ottla::cli", "ottla::cli"),
            ("hyper::client", "hyper::client"),
        ] {
            assert_eq!(logger_path(target), path);
        }
        let levels = Levels::parse("warn,ottla::server=debug,ottla_core::coordinator=trace").0;
        assert!(levels.allow("ottla_broker::server::accept", Level::DEBUG));
        assert!(!levels.allow("ottla_broker::http", Level::INFO));
        assert!(levels.allow("ottla_core::coordinator::group", Level::TRACE));
    }

    /// The logger paths of the source files below `folder` that log.
    fn logging_files(folder: &Path, module: &str) -> Vec<String> {
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = entry.file_stem().unwrap().to_str().unwrap();
            let inner = match name {
                "mod" | "lib" => module.to_owned(),
                "wire" | "config" | "log" | "core" | "broker" | "client" if module == "ottla" => {
                    format!("ottla_{name}")
                }
                _ => format!("{module}::{name}"),
            };
            if entry.is_dir() {
                paths.extend(logging_files(&entry, &inner));
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&entry).unwrap();
                let macros = ["error!", "warn!", "info!", "debug!", "trace!"].map(|name| format!("tracing::{name}("));
                if text.contains("log_limited") || macros.iter().any(|name| text.contains(name)) {
                    paths.push(logger_path(&inner).into_owned());
                }
            }
        }
        paths
    }

    #[test]
    fn every_offered_logger_logs_and_every_log_line_belongs_to_an_offered_logger() {
        let paths = logging_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "ottla");
        let is_within = |path: &str, target: &str| path == target || path.starts_with(&format!("{target}::"));
        for (target, _) in LOGGERS.iter().filter(|(target, _)| ![ROOT, REQUESTS].contains(target)) {
            assert!(paths.iter().any(|path| is_within(path, target)), "{target} logs nothing");
        }
        for path in &paths {
            assert!(is_within(path, "ottla"), "{path} is not within ottla: add its crate to CRATES");
        }
        for (target, path) in CRATES {
            assert!(paths.iter().any(|logging| is_within(logging, path)), "{target} logs nothing");
        }
    }

    #[test]
    fn kafkas_names_are_names_of_our_loggers() {
        let levels = Levels::parse("").0;
        levels.set("kafka.network", Some(LogLevel::Debug));
        for name in ["kafka.network", "org.apache.kafka.network", "ottla.server"] {
            assert_eq!(level_of(&levels, name), Some(LogLevel::Debug), "{name}");
        }
        assert_eq!(level_of(&levels, "kafka.server"), Some(LogLevel::Info));
        assert_eq!(level_of(&levels, "root"), Some(LogLevel::Info));
    }

    #[test]
    fn requests_are_logged_only_where_their_own_logger_says_so() {
        let levels = Levels::parse("trace").0;
        assert!(!levels.allow(REQUESTS, Level::DEBUG));
        levels.set("kafka.request.logger", Some(LogLevel::Debug));
        assert!(levels.allow(REQUESTS, Level::DEBUG));
        assert!(Levels::parse("ottla::request=debug").0.allow(REQUESTS, Level::DEBUG));
    }

    #[test]
    fn loggers_are_those_of_the_table_and_of_rust_log() {
        let levels = Levels::parse("info,ottla::broker::partition=debug").0;
        assert_eq!(level_of(&levels, "ottla.broker.partition"), Some(LogLevel::Debug));
        for (name, exists) in [
            ("root", true),
            ("ottla.http", true),
            ("ottla.broker.partition", true),
            ("kafka.request.logger", true),
            ("kafka.server.BrokerServer", false),
            ("", false),
            ("ROOT", false),
        ] {
            assert_eq!(levels.exists(name), exists, "{name}");
            assert_eq!(level_of(&levels, name).is_some(), exists, "{name}");
        }
        assert!(levels.exists("ottla::http"), "a target is a name as well");
        levels.set("kafka.server.BrokerServer", Some(LogLevel::Trace));
        levels.set("", Some(LogLevel::Trace));
        assert_eq!(levels.most_verbose(), LevelFilter::DEBUG);
    }
}
