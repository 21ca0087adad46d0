//! Parses the command line. An error is one line, like the error of a setting.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, FromArgMatches as _};

use super::{CANNOT_START, Cli, tools};
use ottla_config::table;

/// Parses the command line. Otherwise prints help or the error, and returns the exit code.
pub fn parse(line: Vec<OsString>) -> Result<Cli, ExitCode> {
    read(&line).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // There is nowhere to report a failure to.
            let _ = error.print();
            ExitCode::SUCCESS
        }
        _ => {
            err_line!("ottla: {}", explain(&error, &command_of(&line)));
            ExitCode::from(CANNOT_START)
        }
    })
}

fn read(line: &[OsString]) -> Result<Cli, clap::Error> {
    Cli::from_arg_matches(&Cli::whole_command().try_get_matches_from(line)?)
}

/// The full name of the own command in a command line: `ottla topics create`.
fn command_of(line: &[OsString]) -> String {
    let mut command = Cli::command();
    let mut name = "ottla".to_owned();
    for word in line.iter().skip(1) {
        // Flags may be in between; their values are seldom names of commands.
        let Some(inner) = word.to_str().and_then(|word| command.find_subcommand(word)).cloned() else { continue };
        name = format!("{name} {}", inner.get_name());
        command = inner;
    }
    name
}

/// Prints an error if the program was started under the name of a Kafka tool that it does not have.
pub fn unknown_tool(name: &OsStr) -> Option<ExitCode> {
    let name = Path::new(name).file_name()?.to_str().filter(|name| name.starts_with("kafka-"))?;
    err_line!("ottla: unknown tool {name}; see ottla --help");
    Some(ExitCode::from(CANNOT_START))
}

/// The error for `command` as one line, with a suggestion or a reference to the help.
fn explain(error: &clap::Error, command: &str) -> String {
    let what = |kind| error.get(kind).map(plain);
    let word = what(ContextKind::InvalidSubcommand);
    let suggested = [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand].into_iter().find_map(what);
    let hint = match suggested.or_else(|| nearest_tool(word.as_deref()?)) {
        Some(suggested) => format!("; did you mean {suggested}?"),
        None => format!("; see {command} --help"),
    };
    // Without the name of its value.
    let flag = what(ContextKind::InvalidArg).and_then(|flag| flag.split_whitespace().next().map(str::to_owned));
    match (error.kind(), flag, what(ContextKind::InvalidValue)) {
        (ErrorKind::UnknownArgument, Some(flag), _) if flag.starts_with('-') => format!("unknown flag {flag}{hint}"),
        (ErrorKind::UnknownArgument, Some(word), _) if command == "ottla" => format!("unknown command {word}{hint}"),
        (ErrorKind::UnknownArgument, Some(word), _) => format!("unexpected argument {word}{hint}"),
        (ErrorKind::ValueValidation, Some(flag), Some(value)) => {
            let why = std::error::Error::source(error).map_or_else(String::new, |why| format!(": {why}"));
            format!("{flag} cannot be \"{value}\"{why}")
        }
        (ErrorKind::InvalidValue, Some(flag), Some(value)) if value.is_empty() => {
            format!("{flag} needs a value{hint}")
        }
        (ErrorKind::InvalidValue, Some(flag), Some(value)) => {
            let allowed = what(ContextKind::ValidValue).map_or_else(String::new, |all| format!("; allowed: {all}"));
            format!("{flag} cannot be \"{value}\"{allowed}")
        }
        (ErrorKind::MissingRequiredArgument, Some(flag), _) => format!("{flag} is missing{hint}"),
        (ErrorKind::InvalidSubcommand, ..) => format!("unknown command {}{hint}", word.unwrap_or_default()),
        _ => {
            let text = error.render().to_string();
            let first = text.lines().next().unwrap_or_default();
            let first = first.strip_prefix("error: ").unwrap_or(first).replace('\'', "");
            format!("{}{hint}", first.trim_end_matches('.'))
        }
    }
}

/// The nearest name of a Kafka tool. clap doesn't know the tools, because they are found before the command line is parsed.
fn nearest_tool(word: &str) -> Option<String> {
    let names = tools::commands().map(|command| command.get_name().to_owned());
    table::nearest_of(names, word.strip_suffix(".sh").unwrap_or(word))
}

/// A value of clap's error, without quotes and colors.
fn plain(value: &ContextValue) -> String {
    match value {
        ContextValue::String(text) => text.clone(),
        ContextValue::Strings(all) => all.join(", "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expect: &str) {
        let words: Vec<_> = std::iter::once("ottla").chain(line.split_whitespace()).map(OsString::from).collect();
        assert_eq!(explain(&read(&words).unwrap_err(), &command_of(&words)), expect, "{line}");
    }

    #[test]
    fn error_of_command_line_is_one_line() {
        check("--prot 1", "unknown flag --prot; did you mean --port?");
        check("serve --ephemral", "unknown flag --ephemral; did you mean --ephemeral?");
        check("--xyzzy", "unknown flag --xyzzy; see ottla --help");
        check("--port many", "--port cannot be \"many\": invalid digit found in string");
        check("--port 70000", "--port cannot be \"70000\": 70000 is not in 0..=65535");
        check("--port", "--port needs a value; see ottla --help");
        check(
            "--set num.partitions",
            "--set cannot be \"num.partitions\": give it as NAME=VALUE, such as num.partitions=3",
        );
        check("topics create", "<TOPIC> is missing; see ottla topics create --help");
        check("topics --json describe", "<TOPIC>... is missing; see ottla topics describe --help");
        check("topics --nope", "unknown flag --nope; see ottla topics --help");
        check("topics creat", "unknown command creat; did you mean create?");
        check("config num.partitions node.id", "unexpected argument node.id; see ottla config --help");
        check("produce t --header x", "--header cannot be \"x\": give it as NAME=VALUE, such as trace-id=7");
        check("produce t --set x", "--set cannot be \"x\": give it as NAME=VALUE, such as acks=1");
        check("serv", "unknown command serv; did you mean serve?");
        check("kafka-get-ofsets.sh", "unknown command kafka-get-ofsets.sh; did you mean kafka-get-offsets?");
        check("xyzzy", "unknown command xyzzy; see ottla --help");
    }
}
