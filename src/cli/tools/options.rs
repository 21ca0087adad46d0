//! Parses command lines as Kafka's tools parse them.
//!
//! Kafka's tools use two parsers. Most use JOpt Simple: long options in full, a value after a space or `=`, any text as
//! a value, errors on stderr followed by the help, exit code 1 for `--help` too. Some use argparse4j: options that can
//! be abbreviated if the abbreviation is unambiguous, subcommands, a usage line, help on stdout with exit code 0. Here
//! clap is configured to behave like either.

use std::any::TypeId;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command};

use super::exceptions::Exception;
use super::output::Output;

use ottla_wire::types::sort_by_key;

/// Terminal width in columns that Kafka's tools assume.
const WIDTH: usize = 80;
/// Width in columns of the option names, before the descriptions.
const OPTION_WIDTH: usize = 39;

/// Which of Kafka's two parsers a tool uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParserStyle {
    /// Adds `--help` and `--version` to every tool; without arguments, the tool prints the help.
    JoptSimple,
    /// Like Python's argparse; adds `-h` to every tool.
    Argparse,
}

/// Text printed instead of running the tool (help, version or an error), and the exit code.
#[derive(Debug, PartialEq, Eq)]
pub struct Usage {
    out: String,
    err: String,
    code: u8,
}

impl Usage {
    /// Prints the text, and returns the exit code.
    pub fn show(&self) -> ExitCode {
        Output::stdout().text(&self.out);
        err_text!("{}", self.err);
        ExitCode::from(self.code)
    }
}

/// Parses a command line, without the program's name.
pub fn parse<O: clap::Parser>(command: Command, style: ParserStyle, arguments: Vec<OsString>) -> Result<O, Usage> {
    let command = prepare(command, style);
    let arguments = match style {
        ParserStyle::JoptSimple if arguments.is_empty() => return Err(usage_error(&command, style, &about(&command))),
        ParserStyle::JoptSimple => long_options(&command, arguments),
        ParserStyle::Argparse if arguments.is_empty() && !command.has_subcommands() => {
            let out = command.clone().render_help().to_string();
            return Err(Usage { out, err: String::new(), code: 0 });
        }
        ParserStyle::Argparse => arguments,
    };
    let matches = match command.clone().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => return Err(explain(&command, style, &error)),
    };
    O::from_arg_matches(&matches).map_err(|error| explain(&command, style, &error))
}

/// Builds the report of a usage error, as Kafka's tools print it: for JOpt Simple, the message and then the help; for
/// argparse, the usage line and then the message.
pub fn usage_error(command: &Command, style: ParserStyle, message: &str) -> Usage {
    let err = match style {
        ParserStyle::JoptSimple => format!("{message}\n{}", option_table(command)),
        ParserStyle::Argparse => format!("{}{}: error: {message}\n", usage_line(command), command.get_name()),
    };
    Usage { out: String::new(), err, code: 1 }
}

/// Returns the value of an option that can be given once. As in Kafka's tools, a repeated option is an error only
/// where its value is used.
pub fn one_value<'a>(option: &str, values: &'a [String]) -> Result<Option<&'a str>, Exception> {
    match values {
        [] => Ok(None),
        [value] => Ok(Some(value)),
        _ => {
            let message = format!("Found multiple arguments for option {option}, but you asked for only one");
            Err(Exception::new("joptsimple.MultipleArgumentsForOptionException", message))
        }
    }
}

/// Like [`one_value`], for a number.
pub fn one_number<T: std::str::FromStr>(option: &str, values: &[String]) -> Result<Option<T>, Exception> {
    let read = |value: &str| {
        value.parse().map_err(|_| {
            let message = format!("Cannot parse argument '{value}' of option {option}");
            Exception::new("joptsimple.OptionArgumentConversionException", message)
        })
    };
    one_value(option, values)?.map(read).transpose()
}

/// Returns the error message for the first of these options that is missing.
pub fn required(options: &[(&str, &Vec<String>)]) -> Option<String> {
    let (missing, _) = options.iter().find(|(_, values)| values.is_empty())?;
    Some(format!("Missing required argument \"[{missing}]\""))
}

/// Configures clap to parse the tool's options in the given style.
fn prepare(command: Command, style: ParserStyle) -> Command {
    let shortened = style == ParserStyle::Argparse;
    let command = command.no_binary_name(true).infer_long_args(shortened).mut_args(allow_hyphens_and_repetition);
    match style {
        ParserStyle::JoptSimple => command
            .disable_help_flag(true)
            .disable_version_flag(true)
            // Positional arguments are ignored.
            .arg(Arg::new("ignored").num_args(0..).hide(true))
            .arg(Arg::new("help").long("help").action(ArgAction::Help).help("Print this text."))
            .arg(Arg::new("version").long("version").action(ArgAction::Version).help("Print the version."))
            .version(env!("CARGO_PKG_VERSION")),
        ParserStyle::Argparse => command
            .disable_version_flag(true)
            .disable_help_subcommand(true)
            .mut_subcommands(|sub| sub.infer_long_args(true).mut_args(allow_hyphens_and_repetition)),
    }
}

/// Lets required values begin with a dash (`--offset -1`), and lets a flag without a value be repeated.
fn allow_hyphens_and_repetition(argument: Arg) -> Arg {
    let id = argument.get_id().clone();
    match argument.get_action() {
        _ if may_lack_value(&argument) || takes_many(&argument) => argument,
        ArgAction::Set | ArgAction::Append => argument.allow_hyphen_values(true),
        ArgAction::SetTrue => argument.overrides_with(id),
        _ => argument,
    }
}

fn takes_many(argument: &Arg) -> bool {
    argument.get_num_args().is_some_and(|range| range.max_values() > 1)
}

fn may_lack_value(argument: &Arg) -> bool {
    argument.get_num_args().is_some_and(|range| range.min_values() == 0 && range.takes_values())
}

/// Replaces `-topic` with `--topic` if such an option exists.
fn long_options(command: &Command, arguments: Vec<OsString>) -> Vec<OsString> {
    let is_long = |text: &str| {
        let name = text.split_once('=').map_or(text, |(name, _)| name);
        name.len() > 1 && command.get_arguments().any(|argument| argument.get_long() == Some(name))
    };
    let lengthened = |argument: OsString| match argument.to_str().and_then(|text| text.strip_prefix('-')) {
        Some(name) if is_long(name) => OsString::from(format!("--{name}")),
        _ => argument,
    };
    arguments.into_iter().map(lengthened).collect()
}

/// Converts an error of clap to the message that Kafka's tools print.
fn explain(command: &Command, style: ParserStyle, error: &clap::Error) -> Usage {
    match (error.kind(), style) {
        (ErrorKind::DisplayVersion, _) => {
            return Usage { out: format!("{}\n", env!("CARGO_PKG_VERSION")), err: String::new(), code: 0 };
        }
        (ErrorKind::DisplayHelp, ParserStyle::JoptSimple) => return usage_error(command, style, &about(command)),
        (ErrorKind::DisplayHelp, ParserStyle::Argparse) => {
            return Usage { out: error.to_string(), err: String::new(), code: 0 };
        }
        _ => {}
    }
    let option = error.get(ContextKind::InvalidArg).map(ToString::to_string).unwrap_or_default();
    let name = option.trim_start_matches('-').split([' ', '=']).next().unwrap_or_default().to_owned();
    let message = match (error.kind(), style) {
        (ErrorKind::UnknownArgument, ParserStyle::JoptSimple) => format!("{name} is not a recognized option"),
        (ErrorKind::UnknownArgument, ParserStyle::Argparse) => format!("unrecognized arguments: '{option}'"),
        (ErrorKind::MissingRequiredArgument, ParserStyle::JoptSimple) => {
            format!("Missing required argument \"[{name}]\"")
        }
        (ErrorKind::MissingRequiredArgument, ParserStyle::Argparse) => missing_arguments(error),
        (ErrorKind::ArgumentConflict, ParserStyle::Argparse) => {
            // The argument that clap calls "prior" is the later one on the command line.
            let later = error.get(ContextKind::PriorArg).map(ToString::to_string).unwrap_or_default();
            let later = later.split([' ', '=']).next().unwrap_or_default().to_owned();
            format!("argument {later}: not allowed with argument --{name}")
        }
        (ErrorKind::ValueValidation, ParserStyle::Argparse) => {
            let value = error.get(ContextKind::InvalidValue).map(ToString::to_string).unwrap_or_default();
            let kind = java_type(command, &name);
            format!("argument --{name}: could not convert '{value}' to {kind} (For input string: \"{value}\")")
        }
        (ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand, _) => {
            "too few arguments".to_owned()
        }
        (ErrorKind::ArgumentConflict, ParserStyle::JoptSimple) => {
            format!("Found multiple arguments for option {name}, but you asked for only one")
        }
        (ErrorKind::InvalidValue, ParserStyle::JoptSimple)
            if error.get(ContextKind::InvalidValue).is_none_or(is_empty) =>
        {
            format!("Option {name} requires an argument")
        }
        (ErrorKind::ValueValidation | ErrorKind::InvalidValue, ParserStyle::JoptSimple) => {
            let value = error.get(ContextKind::InvalidValue).map(ToString::to_string).unwrap_or_default();
            format!("Cannot parse argument '{value}' of option {name}")
        }
        _ => {
            let text = error.to_string();
            let text = text.strip_prefix("error: ").unwrap_or(&text);
            text.split("\n\nUsage").next().unwrap_or(text).trim_end().to_owned()
        }
    };
    match error.kind() {
        // In Kafka's tools these are exceptions, which are printed without the help.
        ErrorKind::UnknownArgument | ErrorKind::InvalidValue | ErrorKind::ValueValidation
            if style == ParserStyle::JoptSimple =>
        {
            Usage { out: String::new(), err: format!("{message}\n"), code: 1 }
        }
        _ => usage_error(command, style, &message),
    }
}

/// Returns Java's name for the type of an option's value.
fn java_type(command: &Command, name: &str) -> &'static str {
    let argument = command.get_arguments().find(|argument| argument.get_long() == Some(name));
    match argument.map(|argument| argument.get_value_parser().type_id()) {
        Some(id) if id == TypeId::of::<i32>() => "Integer",
        Some(id) if id == TypeId::of::<i64>() => "Long",
        Some(id) if id == TypeId::of::<f64>() => "Double",
        _ => "String",
    }
}

/// Reports the first missing argument; arguments without alternatives come first. Clap shows a group of alternatives
/// as `<--one <VALUE>|--other>`.
fn missing_arguments(error: &clap::Error) -> String {
    let Some(ContextValue::Strings(missing)) = error.get(ContextKind::InvalidArg) else {
        return "too few arguments".to_owned();
    };
    let options = |shown: &str| {
        let words = shown.split(['<', '>', '|', ' ']).filter(|word| word.starts_with("--"));
        words.collect::<Vec<_>>().join(" ")
    };
    match (missing.iter().find(|shown| !shown.contains('|')), missing.first()) {
        (Some(single), _) => format!("argument {} is required", options(single)),
        (None, group) => {
            format!("one of the arguments {} is required", group.map_or_else(String::new, |group| options(group)))
        }
    }
}

fn is_empty(value: &ContextValue) -> bool {
    value.to_string().is_empty()
}

fn about(command: &Command) -> String {
    command.get_about().map(StyledStr::to_string).unwrap_or_default()
}

/// Formats the usage line: `usage: NAME [--option VALUE] {sub,commands} ...`
fn usage_line(command: &Command) -> String {
    let option = |argument: &Arg| {
        let name = argument.get_long().map_or_else(|| argument.get_id().to_string(), |long| format!("--{long}"));
        let takes_value = matches!(argument.get_action(), ArgAction::Set | ArgAction::Append);
        let value = name.trim_start_matches('-').replace('-', "_").to_uppercase();
        let text = if takes_value { format!("{name} {value}") } else { name };
        if argument.is_required_set() { text } else { format!("[{text}]") }
    };
    let mut words = vec!["[-h]".to_owned()];
    words.extend(command.get_arguments().filter(|argument| argument.get_id() != "help").map(option));
    let commands: Vec<_> = command.get_subcommands().map(Command::get_name).collect();
    if !commands.is_empty() {
        words.push(format!("{{{}}} ...", commands.join(",")));
    }
    let start = format!("usage: {} ", command.get_name());
    let indent = " ".repeat(start.len());
    let lines = wrap(words.iter().map(String::as_str), WIDTH.saturating_sub(start.len()));
    format!("{start}{}\n", lines.join(&format!("\n{indent}")))
}

/// Lays out the options in two columns, sorted by name.
fn option_table(command: &Command) -> String {
    let mut arguments: Vec<&Arg> = command.get_arguments().filter(|argument| argument.get_long().is_some()).collect();
    sort_by_key(&mut arguments, |argument| argument.get_long());
    let mut table = String::new();
    row(&mut table, "Option", "Description");
    row(&mut table, "------", "-----------");
    for argument in arguments {
        let short = argument.get_short().map_or_else(String::new, |short| format!("-{short}, "));
        let name = argument.get_long().unwrap_or_default();
        let takes_value = matches!(argument.get_action(), ArgAction::Set | ArgAction::Append);
        let value = match argument.get_value_names() {
            Some([value, ..]) if may_lack_value(argument) => format!(" [{value}]"),
            Some([value, ..]) if takes_value => format!(" <{value}>"),
            _ => String::new(),
        };
        let help = argument.get_help().map(StyledStr::to_string).unwrap_or_default();
        row(&mut table, &format!("{short}--{name}{value}"), &help);
    }
    table
}

fn row(table: &mut String, option: &str, description: &str) {
    let left = wrap(option.split(' '), OPTION_WIDTH - 2);
    let right: Vec<String> =
        description.lines().flat_map(|line| wrap(line.split(' '), WIDTH - OPTION_WIDTH - 4)).collect();
    for index in 0..left.len().max(right.len()) {
        let indent = if index == 0 { "" } else { "  " };
        let (left, right) = (left.get(index), right.get(index));
        let left = left.map(|text| format!("{indent}{text}")).unwrap_or_default();
        let right = right.map(|text| format!("{indent}{text}")).unwrap_or_default();
        table.push_str(format!("{left:<0$}  {right}", OPTION_WIDTH).trim_end());
        table.push('\n');
    }
}

/// Wraps words into lines of at most `width` columns; a longer word gets a line of its own.
fn wrap<'a>(words: impl Iterator<Item = &'a str>, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    /// Tries things out.
    #[derive(Debug, Parser)]
    struct Options {
        /// Where.
        #[arg(long, required = true, value_name = "String: server to connect to")]
        bootstrap_server: String,
        /// Which.
        #[arg(long)]
        topic: Option<String>,
        /// How many.
        #[arg(long)]
        partitions: Option<i32>,
        /// All.
        #[arg(long)]
        list: bool,
    }

    fn read(line: &str) -> Result<Options, Usage> {
        let arguments = line.split_whitespace().map(OsString::from).collect();
        parse(<Options as clap::CommandFactory>::command().name("kafka-try"), ParserStyle::JoptSimple, arguments)
    }

    #[test]
    fn option_forms_of_jopt_simple_are_accepted() {
        let check = |line, topic: Option<&str>, list| {
            let options = read(line).unwrap();
            assert_eq!((options.topic.as_deref(), options.list), (topic, list), "{line}");
        };
        check("--bootstrap-server a:1 --topic x", Some("x"), false);
        check("--bootstrap-server=a:1 --topic=x --list --list", Some("x"), true);
        check("-bootstrap-server a:1 -topic=x -list", Some("x"), true);
        check("--bootstrap-server a:1 --topic -x", Some("-x"), false);
    }

    #[test]
    fn usage_errors_have_kafkas_messages_and_exit_code_1() {
        let check = |line, first: &str, with_help| {
            let usage = read(line).unwrap_err();
            assert_eq!((usage.err.lines().next(), usage.code), (Some(first), 1), "{line}");
            assert_eq!(usage.err.contains("------"), with_help, "{line}");
        };
        check("", "Tries things out", true);
        check("--help", "Tries things out", true);
        check("--bogus", "bogus is not a recognized option", false);
        check("--bootstrap a:1", "bootstrap is not a recognized option", false);
        check("--bootstrap-server a:1 --topic", "Option topic requires an argument", false);
        check("--list", "Missing required argument \"[bootstrap-server]\"", true);
        check(
            "--bootstrap-server a:1 --topic a --topic b",
            "Found multiple arguments for option topic, but you asked for only one",
            true,
        );
        check("--bootstrap-server a:1 --partitions x", "Cannot parse argument 'x' of option partitions", false);
        assert_eq!(read("--version").unwrap_err().code, 0);
    }

    #[test]
    fn help_is_laid_out_in_two_columns() {
        let help = option_table(&prepare(<Options as clap::CommandFactory>::command(), ParserStyle::JoptSimple));
        let lines: Vec<_> = help.lines().take(4).collect();
        assert_eq!(
            lines,
            [
                "Option                                   Description",
                "------                                   -----------",
                "--bootstrap-server <String: server to    Where",
                "  connect to>"
            ]
        );
    }
}
