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

/// Modules that log and have no row in [`LOGGERS`], or whose names are similar to one that has.
const OTHER_MODULES: &[&str] = &[
    "ottla::broker::cluster",
    "ottla::client",
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
            assert_eq!((effective(&own, SERVER), effective(&own, "elsewhere")), (server, other), "{asked}");
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
    fn unknown_level_or_logger_is_refused_with_nearest_level() {
        let check = |asked: &str, expect: &str| {
            let (levels, outcome) = Levels::parse(asked);
            assert_eq!(outcome, Err(expect.to_owned()), "{asked}");
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
    fn unknown_logger_has_a_warning_with_the_nearest_name() {
        let check = |text: &str, expect: &[&str]| {
            let expect: Vec<_> = expect.iter().map(|one| format!("unknown logger {one}")).collect();
            assert_eq!(check(text), Ok(expect), "{text}");
        };
        check("info,ottla::serve=trace", &["\"ottla::serve\"; did you mean ottla.server?"]);
        check("ottla.broker.clenaer=debug,warn", &["\"ottla.broker.clenaer\"; did you mean ottla.broker.cleaner?"]);
        check("kafka.controler=debug", &["\"kafka.controler\"; did you mean kafka.controller?"]);
        let list = "kafka-configs --entity-type broker-loggers lists the loggers";
        check("hyper=debug", &[&*format!("\"hyper\"; {list}")]);
        check("ottla::xyzzy", &[&*format!("\"ottla::xyzzy\"; {list}")]);
        check("info,ottla=debug,ottla.server.connection=trace,root=warn,4,kafka.network=off", &[]);
    }

    /// With the target of each file that logs, as `tracing` builds it from the crate and the path.
    #[test]
    fn no_logging_module_is_an_unknown_logger() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut directories = vec![root.clone()];
        let mut count = 0;
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
                if entry.is_dir() {
                    directories.push(entry);
                    continue;
                }
                let is_rust = entry.extension().is_some_and(|extension| extension == "rs");
                if !is_rust || !std::fs::read_to_string(&entry).unwrap().contains("tracing::") {
                    continue;
                }
                let path = entry.strip_prefix(&root).unwrap().with_extension("");
                let parts: Vec<_> = path.iter().map(|part| part.to_str().unwrap()).collect();
                let parts = parts.strip_suffix(&["mod"]).unwrap_or(&parts);
                let target = match parts {
                    [name @ ("broker" | "client" | "config" | "core" | "log" | "wire"), rest @ ..] => {
                        [&[&*format!("ottla_{name}")], rest].concat().join("::")
                    }
                    _ => [&["ottla"], parts].concat().join("::"),
                };
                let path = logger_path(&target).into_owned();
                let is_file_of_a_crate = path.starts_with("ottla::lib") || path.starts_with("ottla::main");
                assert!(is_file_of_a_crate || unknown_logger(&path).is_none(), "{path}");
                count += 1;
            }
        }
        assert!(count > 20, "{count}");
    }

    #[test]
    fn levels_can_be_replaced() {
        let levels = Levels::parse("trace,ottla::http=off").0;
        assert_eq!(levels.replace("warn"), Ok(vec![]));
        assert!(levels.allow("ottla::http", Level::WARN) && !levels.allow("ottla::http", Level::INFO));
    }

    #[test]
    fn logger_without_level_inherits_one() {
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
    fn name_of_a_kafka_logger_sets_the_same_level() {
        let levels = Levels::parse("").0;
        levels.set("kafka.network", Some(LogLevel::Debug));
        for name in ["kafka.network", "org.apache.kafka.network", "ottla.server"] {
            assert_eq!(level_of(&levels, name), Some(LogLevel::Debug), "{name}");
        }
        assert_eq!(level_of(&levels, "kafka.server"), Some(LogLevel::Info));
        assert_eq!(level_of(&levels, "root"), Some(LogLevel::Info));
    }

    #[test]
    fn requests_are_logged_only_at_the_level_of_their_own_logger() {
        let levels = Levels::parse("trace").0;
        assert!(!levels.allow(REQUESTS, Level::DEBUG));
        levels.set("kafka.request.logger", Some(LogLevel::Debug));
        assert!(levels.allow(REQUESTS, Level::DEBUG));
        assert!(Levels::parse("ottla::request=debug").0.allow(REQUESTS, Level::DEBUG));
    }

    #[test]
    fn loggers_of_the_table_and_of_rust_log_exist() {
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
