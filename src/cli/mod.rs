//! The command line: what the program is told, and what it says when it can't.

// First: its macros are for those that follow.
#[macro_use]
mod print;

pub mod admin;
mod check_log;
mod config;
mod configs;
mod consume;
mod dump_log;
mod groups;
mod healthcheck;
mod mistakes;
mod names;
mod parent;
mod produce;
mod ready_file;
mod say;
mod serve;
mod shutdown;
mod table;
pub mod tools;
mod topics;

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
/// Without a command, ottla serves: stock Kafka clients find a broker on port 9092, and its data is in ./ottla-data.
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
    /// Show the settings in force, and where each value came from.
    Config(config::ConfigArgs),
    /// List, describe, create, alter and delete topics.
    Topics(topics::TopicsArgs),
    /// Show and change settings of topics, brokers, groups and client metrics.
    Configs(configs::ConfigsArgs),
    /// List, describe and delete groups of consumers; move and delete their offsets.
    Groups(groups::GroupsArgs),
    /// Write records to a topic.
    Produce(produce::ProduceArgs),
    /// Print the records of a topic as they come.
    Consume(consume::ConsumeArgs),
    /// Verify the files of a data directory, and mend them when told to; no broker may run on it.
    CheckLog(check_log::CheckLogArgs),
    /// Print what is in the files of a data directory; needs no broker.
    DumpLog(dump_log::DumpLogArgs),
    /// Exit with 0 if the broker of these settings answers, else with 1.
    Healthcheck(healthcheck::HealthcheckArgs),
    /// Print a script that teaches a shell to complete this program's commands and flags.
    #[command(after_help = "For bash: source <(ottla completions bash)")]
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// What a broker is told on the command line.
#[derive(Debug, Clone, Default, Args)]
pub struct ServeArgs {
    /// Read settings from FILE: Kafka's server.properties, or TOML if its name ends in .toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Keep data in DIR [default: ./ottla-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Keep data in a fresh temporary directory, removed at exit; nothing is synced to disk
    #[arg(long, conflicts_with = "data_dir")]
    ephemeral: bool,

    /// Listen at port N; 0 picks a free one [default: 9092]
    #[arg(long, value_name = "N")]
    port: Option<u16>,

    /// Answer /health, /ready and /reset over HTTP at port N of localhost; 0 picks a free one [default: no such port]
    #[arg(long, value_name = "N")]
    admin_port: Option<u16>,

    /// Write PATH once the broker answers: JSON with pid, bootstrap_servers, admin_url, data_dir and ready_ms
    #[arg(long, value_name = "PATH")]
    ready_file: Option<PathBuf>,

    /// Log LEVEL and what is more severe: off, error, warn, info, debug, trace; or LOGGER=LEVEL, separated by commas
    /// [default: info]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,

    /// Log lines of text, or of JSON [default: text]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<LogFormat>,

    /// Stop as soon as the process that started this one is gone: when stdin ends, where that is a pipe, and on Linux
    /// when that process ends
    #[arg(long)]
    exit_with_parent: bool,

    /// Have this topic from the start: NAME[:PARTITIONS[:REPLICATION-FACTOR[:CLEANUP-POLICY]]]; may be given many times
    #[arg(long, value_name = "TOPIC")]
    create_topic: Vec<String>,

    /// Any broker setting by Kafka's name; may be given many times
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
}

/// `ottla.log.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

const AFTER_HELP: &str = "\
Settings come from FILE, then from environment variables, then from the command line; the last one counts.
KAFKA_NUM_PARTITIONS=3 in the environment is num.partitions=3. docs/config.md lists every setting.
RUST_LOG says what is logged where --log-level does not, in the same form.

Examples:
  ottla                                             a broker on port 9092
  ottla --ephemeral --port 0 --ready-file r.json    a throw-away broker for a test
  ottla --config server.properties --set num.partitions=12
  ottla kafka-topics --bootstrap-server localhost:9092 --list

Apache Kafka's command-line tools are all kafka-… commands of this program, and so is a link to it that bears a tool's
name, with or without .sh; docs/tools.md lists them.

It stops cleanly on SIGINT (Ctrl-C) and SIGTERM, and at once on a second one.
Exit code 0: stopped as asked. 1: stopped before everything was put away. 2: could not start; one line on stderr
says why.";

/// The exit code when the broker cannot start.
const CANNOT_START: u8 = 2;

/// Does what a command line asks for, the program's name first: one of Kafka's tools if that name or the first argument
/// says so, else a command of our own. `clock` and `logging` were started with the process.
///
/// Kafka's tools have their own way with flags, so they are looked for before our own flags are read.
pub fn main(clock: Clock, logging: &Logging, line: Vec<OsString>) -> ExitCode {
    let mut words = line.iter();
    if let Some(name) = words.next() {
        if let Some(tool) = Tool::find(name) {
            return tool.run(words.cloned().collect());
        }
        if let Some(code) = mistakes::name_of_no_tool(name) {
            return code;
        }
    }
    if let Some(tool) = words.next().and_then(|name| Tool::find(name)) {
        return tool.run(words.cloned().collect());
    }
    match mistakes::parse(line) {
        Ok(cli) => cli.run(clock, logging),
        Err(code) => code,
    }
}

impl Cli {
    /// The command line as it is read and explained. Flags that Kafka's tools have as well are described there in their
    /// words, with Java's types; here they are described as ours.
    fn whole_command() -> clap::Command {
        let value = |name: &'static str| move |arg: clap::Arg| arg.value_name(name);
        let decodes = "StringDecoder (the default), IntegerDecoder, LongDecoder or DefaultDecoder";
        let dump_log = |command: clap::Command| {
            command
                .mut_arg("max_message_size", value("BYTES"))
                .mut_arg("max_bytes", value("BYTES"))
                .mut_arg("key_decoder_class", |arg| {
                    arg.value_name("DECODER").help(format!("How keys are read: {decodes}"))
                })
                .mut_arg("value_decoder_class", |arg| {
                    arg.value_name("DECODER").help(format!("How values are read: {decodes}"))
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
        // The broker refuses to start; what a tool does is done without a log.
        if let Some(mistake) = logging.mistake()
            && !matches!(self.command, None | Some(Command::Serve(_)))
        {
            tracing::warn!("{mistake}");
        }
        let done = match self.command {
            Some(Command::Serve(args)) => serve::run(&args, clock, logging),
            Some(Command::Config(args)) => config::run(&args),
            Some(Command::Topics(args)) => Ok(topics::run(args)),
            Some(Command::Configs(args)) => Ok(configs::run(args)),
            Some(Command::Groups(args)) => Ok(groups::run(args)),
            Some(Command::Produce(args)) => produce::run(args),
            Some(Command::Consume(args)) => Ok(consume::run(&args)),
            Some(Command::CheckLog(args)) => Ok(check_log::run(&args, clock)),
            Some(Command::DumpLog(args)) => Ok(dump_log::run(&args)),
            Some(Command::Healthcheck(args)) => healthcheck::run(&args),
            Some(Command::Completions { shell }) => {
                let mut command = Cli::whole_command().subcommands(tools::commands());
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut command, "ottla", &mut script);
                Output::stdout().bytes(&script);
                Ok(ExitCode::SUCCESS)
            }
            None => serve::run(&self.serve, clock, logging),
        };
        match done {
            Ok(code) => code,
            Err(why) => {
                logging.say(format_args!("ottla: {why}"));
                ExitCode::from(CANNOT_START)
            }
        }
    }
}

fn setting(text: &str) -> Result<(String, String), String> {
    name_and_value(text, "num.partitions=3")
}

/// Reads a name and a value; a mistake is explained by this example.
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
    fn the_command_line_is_consistent() {
        Cli::whole_command().debug_assert();
    }

    /// All commands, with the words that lead to them.
    fn commands(path: &str, command: &clap::Command, all: &mut Vec<(String, clap::Command)>) {
        all.push((path.to_owned(), command.clone()));
        command.get_subcommands().for_each(|inner| commands(&format!("{path} {}", inner.get_name()), inner, all));
    }

    #[test]
    fn every_argument_of_ours_has_a_help_text_without_java() {
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
    fn serve_is_what_happens_without_a_command() {
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
    fn settings_on_the_command_line() {
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
