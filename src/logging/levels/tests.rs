//! Tests of loggers and their levels.

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
    for (target, _) in LOGGERS.iter().filter(|(target, _)| ![ROOT, REQUESTS, AUTHORIZER].contains(target)) {
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
