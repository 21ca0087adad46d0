//! The command line of the program.

// First, because its macros are used by the other modules.
#[macro_use]
mod print;

pub mod admin;
mod check_log;
mod config;
mod configs;
mod consume;
mod dump_log;
mod ephemeral;
mod groups;
mod healthcheck;
mod http_errors;
mod man;
mod mistakes;
mod names;
mod outcome;
mod parent;
mod produce;
mod ready_file;
mod redpanda;
#[cfg(feature = "registry")]
mod registry;
#[cfg(feature = "registry")]
mod schemas;
mod serve;
mod shutdown;
mod table;
pub mod tools;
mod topics;
mod trace;
mod transactions;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::logging::Logging;
use ottla_broker::clock::Clock;
use tools::Tool;
use tools::output::Output;

/// A Kafka broker for one machine.
///
/// Without a command, ottla runs the broker: Kafka clients connect to port 9092, and the data is in ./ottla-data.
#[derive(Debug, Parser)]
#[command(name = "ottla", version, args_conflicts_with_subcommands = true, after_help = AFTER_HELP)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the broker (what ottla does without a command).
    #[command(after_help = AFTER_HELP)]
    Serve(ServeArgs),
    /// Show the broker's settings, and the source of each value.
    Config(config::ConfigArgs),
    /// List, describe, create, alter and delete topics.
    Topics(topics::TopicsArgs),
    /// Show and change settings of topics, brokers, groups and client metrics.
    Configs(configs::ConfigsArgs),
    /// List, describe and delete consumer groups; reset and delete their offsets.
    Groups(groups::GroupsArgs),
    /// List, describe and abort transactions; find hanging ones.
    Transactions(transactions::TransactionsArgs),
    /// Write records to a topic.
    Produce(produce::ProduceArgs),
    /// Print the records of a topic.
    Consume(consume::ConsumeArgs),
    /// Run a schema registry (Confluent's REST API) for any Kafka brokers, as a process of its own.
    #[cfg(feature = "registry")]
    Registry(registry::RegistryArgs),
    /// List, show, register, check and delete the schemas of a schema registry.
    #[cfg(feature = "registry")]
    Schemas(schemas::SchemasArgs),
    /// Show what clients send to a running broker and what it answers, as it happens.
    Trace(trace::TraceArgs),
    /// Verify the files of a data directory that no broker uses; with --repair, repair them.
    CheckLog(check_log::CheckLogArgs),
    /// Print the contents of files of a data directory; needs no broker.
    DumpLog(dump_log::DumpLogArgs),
    /// Exit with 0 if the broker with these settings answers, otherwise with 1.
    Healthcheck(healthcheck::HealthcheckArgs),
    /// Print a shell script for the completion of commands and flags.
    #[command(after_help = "For bash: source <(ottla completions bash)")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the manual pages of all commands and tools to a directory.
    #[command(hide = true)]
    Man {
        /// The directory; it must exist
        dir: PathBuf,
    },
}

/// The arguments of the broker.
#[derive(Debug, Clone, Default, Args)]
pub struct ServeArgs {
    /// Read settings from FILE: Kafka's server.properties, or TOML if its name ends in .toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Store data in DIR [default: ./ottla-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Store data in a new temporary directory that is removed at exit; nothing is synced to disk. With --data-dir, store it
    /// there, keep it for the next start, and remove it when --exit-with-parent stops the broker
    #[arg(long)]
    ephemeral: bool,

    /// Listen on port N; 0 chooses a free port [default: 9092]
    #[arg(long, value_name = "N")]
    port: Option<u16>,

    /// Serve /health, /ready, /metrics, /trace, /reset and others over HTTP on port N of localhost; 0 chooses a free port
    /// [default: off]
    #[arg(long, value_name = "N")]
    admin_port: Option<u16>,

    /// Serve the console, a web page, and its API on the admin port; without --admin-port on port 9644 of localhost
    #[arg(long)]
    console: bool,

    /// Serve a schema registry (Confluent's REST API) over HTTP on port N of localhost; 0 chooses a free port [default: off]
    #[arg(long, value_name = "N")]
    registry_port: Option<u16>,

    /// Also listen with TLS on port 9093 and with TLS and SASL on port 9094, with certificates of our own; the start
    /// message names the folder with them and with client configurations
    #[arg(long)]
    secure: bool,

    /// Add a user for SASL (PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512); may be given many times. Other users of this machine
    /// can see it; KAFKA_OTTLA_USERS_FILE names a file instead
    #[arg(long, value_name = "NAME:PASSWORD")]
    user: Vec<String>,

    /// Write PATH (- is stdout) when the broker is ready: JSON with pid, bootstrap_servers, listeners, data_dir and ready_ms;
    /// with admin_url and schema_registry_url if these ports are open; and with ca and secure_dir if --secure is given
    #[arg(long, value_name = "PATH")]
    ready_file: Option<PathBuf>,

    /// The log level: off, error, warn, info, debug or trace; or LOGGER=LEVEL for single loggers, separated by commas
    /// [default: info]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,

    /// The format of log lines [default: text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<LogFormat>,

    /// Stop when the parent process ends: when stdin ends, if it is a pipe, and on Linux when the parent process ends
    #[arg(long)]
    exit_with_parent: bool,

    /// Create this topic at start: NAME[:PARTITIONS[:REPLICATION-FACTOR[:CLEANUP-POLICY]]]; may be given many times
    #[arg(long, value_name = "TOPIC")]
    create_topic: Vec<String>,

    /// Set any broker setting by Kafka's name; may be given many times
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,

    /// How `redpanda start` started it.
    #[arg(skip)]
    redpanda: Option<redpanda::Started>,
}

/// `ottla.log.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

const AFTER_HELP: &str = "\
Settings are read from FILE, then from environment variables, then from the command line; the last one counts.
KAFKA_NUM_PARTITIONS=3 in the environment means num.partitions=3. docs/config.md lists all settings.
RUST_LOG has the same format as --log-level, which takes precedence.

Examples:
  ottla                                             a broker on port 9092
  ottla --ephemeral --port 0 --ready-file r.json    a temporary broker for a test
  ottla --secure --user ann:secret                  also SSL on port 9093 and SASL_SSL on port 9094
  ottla --config server.properties --set num.partitions=12
  ottla kafka-topics --bootstrap-server localhost:9092 --list

Apache Kafka's command-line tools are commands of this program: ottla kafka-topics. A link to the program with the name
of a tool (kafka-topics or kafka-topics.sh) runs that tool. docs/tools.md lists the tools.

The broker stops cleanly on SIGINT (Ctrl-C) or SIGTERM, and at once on a second signal.
Exit code 0: stopped cleanly. 1: stopped before everything was closed. 2: could not start; the reason is on stderr.";

/// The exit code when the broker cannot start.
const CANNOT_START: u8 = 2;

/// Runs a command line, which starts with the program's name: one of Kafka's tools if that name or the first argument is the
/// name of a tool, otherwise a command of our own. `clock` and `logging` were started with the process.
///
/// Kafka's tools parse flags differently, so they are found before our own flags are parsed.
pub fn main(clock: Clock, logging: &Logging, line: Vec<OsString>) -> ExitCode {
    let mut words = line.iter();
    if let Some(name) = words.next() {
        if let Some(tool) = Tool::find(name) {
            return tool.run(words.cloned().collect());
        }
        if let Some(code) = mistakes::unknown_tool(name) {
            return code;
        }
    }
    if let Some(tool) = words.next().and_then(|name| Tool::find(name)) {
        return tool.run(words.cloned().collect());
    }
    // Redpanda's flags are parsed differently, too: unknown ones are allowed.
    if redpanda::is_named(&line) {
        return redpanda::run(line.get(2..).unwrap_or_default(), clock, logging);
    }
    match mistakes::parse(line) {
        Ok(cli) => cli.run(clock, logging),
        Err(code) => code,
    }
}

impl Cli {
    /// The complete command, with other descriptions for flags that Kafka's tools share: theirs name Java types.
    fn whole_command() -> clap::Command {
        let value = |name: &'static str| move |arg: clap::Arg| arg.value_name(name);
        let decoders = "StringDecoder (the default), IntegerDecoder, LongDecoder or DefaultDecoder";
        let dump_log = |command: clap::Command| {
            command
                .mut_arg("max_message_size", value("BYTES"))
                .mut_arg("max_bytes", value("BYTES"))
                .mut_arg("key_decoder_class", |arg| {
                    arg.value_name("DECODER").help(format!("The decoder of keys: {decoders}"))
                })
                .mut_arg("value_decoder_class", |arg| {
                    arg.value_name("DECODER").help(format!("The decoder of values: {decoders}"))
                })
        };
        let reset_offsets = |command: clap::Command| {
            command
                .mut_arg("to_offset", value("OFFSET"))
                .mut_arg("shift_by", value("N"))
                .mut_arg("to_datetime", value("TIME"))
                .mut_arg("by_duration", value("DURATION"))
        };
        Cli::command()
            .mut_subcommand("dump-log", dump_log)
            .mut_subcommand("groups", |groups| groups.mut_subcommand("reset-offsets", reset_offsets))
    }

    fn run(self, clock: Clock, logging: &Logging) -> ExitCode {
        // The broker reports these itself; it does not start with an invalid value.
        if !matches!(self.command, None | Some(Command::Serve(_))) {
            match logging.rust_log() {
                Ok(notices) => notices.iter().for_each(|notice| tracing::warn!("{notice}")),
                Err(error) => tracing::warn!("{error}"),
            }
        }
        let done = match self.command {
            Some(Command::Serve(args)) => serve::run(&args, clock, logging),
            Some(Command::Config(args)) => config::run(&args),
            Some(Command::Topics(args)) => Ok(topics::run(args)),
            Some(Command::Configs(args)) => Ok(configs::run(args)),
            Some(Command::Groups(args)) => Ok(groups::run(args)),
            Some(Command::Transactions(args)) => Ok(transactions::run(args)),
            Some(Command::Produce(args)) => produce::run(args),
            Some(Command::Consume(args)) => Ok(consume::run(&args)),
            #[cfg(feature = "registry")]
            Some(Command::Registry(args)) => registry::run(&args, clock, logging),
            #[cfg(feature = "registry")]
            Some(Command::Schemas(args)) => Ok(schemas::run(&args)),
            Some(Command::Trace(args)) => Ok(trace::run(&args)),
            Some(Command::CheckLog(args)) => Ok(check_log::run(&args, clock)),
            Some(Command::DumpLog(args)) => Ok(dump_log::run(&args)),
            Some(Command::Healthcheck(args)) => healthcheck::run(&args),
            Some(Command::Completions { shell }) => {
                let mut command = Cli::whole_command().subcommands(tools::commands());
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut command, "ottla", &mut script);
                if shell == Shell::Bash {
                    script.extend(tools::bash_completions().into_bytes());
                }
                Output::stdout().bytes(&script);
                Ok(ExitCode::SUCCESS)
            }
            Some(Command::Man { dir }) => man::write(&dir, Cli::whole_command()).map(|()| ExitCode::SUCCESS),
            None => serve::run(&self.serve, clock, logging),
        };
        match done {
            Ok(code) => code,
            Err(why) => {
                logging.print(format_args!("ottla: {why}"));
                ExitCode::from(CANNOT_START)
            }
        }
    }
}

fn setting(text: &str) -> Result<(String, String), String> {
    name_and_value(text, "num.partitions=3")
}

/// Parses NAME=VALUE; the error contains `example`.
fn name_and_value(text: &str, example: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        _ => Err(format!("give it as NAME=VALUE, such as {example}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_definition_is_consistent() {
        Cli::whole_command().debug_assert();
    }

    /// All commands, with their full names.
    fn commands(path: &str, command: &clap::Command, all: &mut Vec<(String, clap::Command)>) {
        all.push((path.to_owned(), command.clone()));
        command.get_subcommands().for_each(|inner| commands(&format!("{path} {}", inner.get_name()), inner, all));
    }

    #[test]
    fn every_own_argument_has_a_help_text_without_java_types() {
        let mut all = Vec::new();
        commands("ottla", &Cli::whole_command(), &mut all);
        assert!(all.len() > 20);
        for (path, mut command) in all {
            for arg in command.get_arguments() {
                assert!(arg.get_help().is_some_and(|help| !help.to_string().is_empty()), "{path}: {}", arg.get_id());
            }
            let help = command.render_long_help().to_string();
            for java in ["org.apache.", "java.", "<String", "<Long", "<Integer", "Exception"] {
                assert!(!help.contains(java), "{path}: {java}\n{help}");
            }
        }
    }

    #[test]
    fn command_line_without_command_is_serve() {
        let port = |line: &[&str]| {
            let cli = Cli::try_parse_from(line).unwrap();
            match cli.command {
                Some(Command::Serve(args)) => args.port,
                _ => cli.serve.port,
            }
        };
        assert_eq!(port(&["ottla", "--port", "7"]), Some(7));
        assert_eq!(port(&["ottla", "serve", "--port", "7"]), Some(7));
        assert_eq!(port(&["ottla"]), None);
    }

    #[test]
    fn setting_is_parsed_as_name_and_value() {
        let check = |text, expect: Option<(&str, &str)>| {
            let expect = expect.map(|(name, value)| (name.to_owned(), value.to_owned()));
            assert_eq!(setting(text).ok(), expect, "{text}");
        };
        check("a.b=c", Some(("a.b", "c")));
        check("a=b=c", Some(("a", "b=c")));
        check("a=", Some(("a", "")));
        check("a", None);
        check("=b", None);
    }
}
