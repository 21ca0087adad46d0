//! `redpanda start`: starts the broker with the arguments and files of Redpanda, for scripts, compose files and test
//! libraries that are written for its image.
//!
//! Code map: [`arguments`] and [`yaml`] read what is given, [`start`] makes settings of the broker of it, with
//! [`properties`] for cluster properties, [`kafka`] for the Kafka listeners and [`http`] for the other ports. What is about
//! security is done, or refuses the start. Other flags and properties that the broker does not have are named in one log
//! line.

mod address;
mod arguments;
mod http;
mod kafka;
mod properties;
mod start;
mod tls;
mod yaml;

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::serve;
use super::{CANNOT_START, ServeArgs};
use crate::logging::Logging;
use arguments::Arguments;
use ottla_broker::clock::Clock;
use properties::Properties;
use start::Given;
use yaml::Node;

const HELP: &str = "\
Starts the broker with Redpanda's arguments and files.

Usage: ottla redpanda start [FLAGS]

  --config FILE                Read FILE [default: /etc/redpanda/redpanda.yaml], and .bootstrap.yaml beside it
  --mode dev-container         Create topics when they are used
  --node-id N                  The broker's id
  --kafka-addr LIST            Listen at these addresses: [NAME://]HOST:PORT, separated by commas
  --advertise-kafka-addr LIST  Advertise these addresses
  --schema-registry-addr ADDR  Serve the schema registry here [default: 0.0.0.0:8081]
  --pandaproxy-addr ADDR       Answer GET /topics and GET /brokers here [default: 0.0.0.0:8082]
  --set NAME=VALUE             Set a property of redpanda.yaml; may be given many times

Other flags have no effect. docs/docker.md says which properties have one.";

/// The default of `--config`.
const CONFIG: &str = "/etc/redpanda/redpanda.yaml";
const BOOTSTRAP: &str = ".bootstrap.yaml";
/// The lines by which test libraries recognize that Redpanda is ready.
pub const READY_LINES: &str = "Started Kafka API server\nSuccessfully started Redpanda!\n";

/// How a broker was started.
#[derive(Clone, Debug)]
pub struct Started {
    /// The flags and properties without effect.
    ignored: Vec<String>,
}

impl Started {
    /// Logs what has no effect.
    pub fn log(&self) {
        if !self.ignored.is_empty() {
            tracing::info!("flags and properties of Redpanda without effect: {}", self.ignored.join(", "));
        }
    }
}

/// Whether a command line is `redpanda …`, with the program's name in front.
pub fn is_named(line: &[OsString]) -> bool {
    line.get(1).is_some_and(|word| word == OsStr::new("redpanda"))
}

/// Runs the words after `redpanda`.
pub fn run(words: &[OsString], clock: Clock, logging: &Logging) -> ExitCode {
    let done = serve_args(words).and_then(|args| match args {
        Some(args) => serve::run(&args, clock, logging),
        None => {
            out_line!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
    });
    done.unwrap_or_else(|why| {
        logging.print(format_args!("ottla: {why}"));
        ExitCode::from(CANNOT_START)
    })
}

/// The arguments of the broker; `None` if help is asked for. The error is one line.
fn serve_args(words: &[OsString]) -> Result<Option<ServeArgs>, String> {
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let words = match words.split_first() {
        Some((command, rest)) if command == "start" => rest,
        None => return Ok(None),
        Some((flag, _)) if flag == "--help" || flag == "-h" => return Ok(None),
        Some((other, _)) => {
            return Err(format!("unknown command redpanda {}; see ottla redpanda --help", other.escape_debug()));
        }
    };
    let mut arguments = Arguments::parse(words)?;
    if arguments.help {
        return Ok(None);
    }
    let variable = |name: &str| std::env::var(name).ok();
    arguments.add_environment(variable);
    let config = arguments.config.clone().unwrap_or_else(|| PathBuf::from(CONFIG));
    let mut node = read_yaml(&config, arguments.config.is_some())?;
    let bootstrap = read_yaml(&config.with_file_name(BOOTSTRAP), false)?;
    let has_file = !node.is_null();
    for (name, value) in &arguments.set {
        let value = Node::parse(value).map_err(|why| format!("--set {name}: {why}"))?;
        node.set(&path_of(name), value);
    }
    let is_dev_container = match arguments.mode.as_deref() {
        None => node.get("redpanda").get("developer_mode").is_true(),
        Some("dev-container") => true,
        Some(other) => return Err(format!("unknown mode \"{}\"; the mode is dev-container", other.escape_debug())),
    };
    let read = |path: &str| std::fs::read_to_string(path).map_err(|error| error.to_string());
    let properties = Properties::new(&node, &bootstrap, is_dev_container);
    let given = Given { arguments: &arguments, node: &node, has_file, properties, variable: &variable, read: &read };
    let settings = given.settings()?;
    Ok(Some(ServeArgs {
        set: settings.pairs,
        ready_file: arguments.ready_file.clone(),
        redpanda: Some(Started { ignored: settings.ignored }),
        ..ServeArgs::default()
    }))
}

/// The keys of a name such as `redpanda.auto_create_topics_enabled`. A name without a section is a property of redpanda.
fn path_of(name: &str) -> Vec<&str> {
    match name.contains('.') {
        true => name.split('.').collect(),
        false => vec!["redpanda", name],
    }
}

/// Reads a file; null if there is none, unless it is `needed`. The error is one line.
fn read_yaml(path: &Path, needed: bool) -> Result<Node, String> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound && !needed => return Ok(Node::Null),
        Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
    };
    Node::parse(&text).map_err(|why| format!("{}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_commands_and_modes_are_refused_with_one_line() {
        let parse = |line: &str| serve_args(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>());
        for (line, expect) in [
            ("stop", "unknown command redpanda stop; see ottla redpanda --help"),
            ("start --mode production", "unknown mode \"production\"; the mode is dev-container"),
            ("start --config /nowhere", "cannot read /nowhere: No such file or directory (os error 2)"),
            ("start --set a={", "--set a: line 2, column 1"),
        ] {
            let refused = parse(line).unwrap_err();
            assert!(refused.starts_with(expect), "{line}: {refused}");
        }
        assert!(parse("").unwrap().is_none() && parse("start --help").unwrap().is_none());
    }
}
