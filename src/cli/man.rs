//! `ottla man`: writes manual pages, for packages.

use std::io;
use std::path::Path;

use clap::{Arg, Command};
use clap_mangen::Man;

use super::tools;

/// Writes a page for `command` and for each command inside it, such as `ottla-topics-create.1`, and the same for each of Kafka's
/// tools. The error is one line.
pub fn write(dir: &Path, command: Command) -> Result<(), String> {
    let tools = tools::commands().map(with_description).map(with_required_options);
    let mut commands = [command].into_iter().chain(tools).map(|command| command.disable_help_subcommand(true));
    let written = commands.try_for_each(|mut command| {
        command.build();
        write_all(dir, &command)
    });
    written.map_err(|error| format!("cannot write manual pages to {}: {error}", dir.display()))
}

fn write_all(dir: &Path, command: &Command) -> io::Result<()> {
    let mut inner = command.get_subcommands().filter(|inner| !inner.is_hide_set());
    inner.try_for_each(|inner| write_all(dir, inner))?;
    write_page(dir, command.clone())
}

/// A page must have a description, but the help of some of Kafka's tools has none.
fn with_description(tool: Command) -> Command {
    if tool.get_about().is_some() {
        return tool;
    }
    let text = format!("Apache Kafka's tool {}, on a client of Ottla.", tool.get_name());
    tool.about(text)
}

/// Marks the options of Kafka's tools that the help calls required. Most tools have no such mark, because they report a missing
/// option themselves, with Kafka's text.
fn with_required_options(tool: Command) -> Command {
    let is_required = |arg: &Arg| arg.get_help().is_some_and(|help| help.to_string().starts_with("REQUIRED"));
    let mark = |arg: Arg| if is_required(&arg) { arg.required(true) } else { arg };
    tool.mut_args(mark).mut_subcommands(with_required_options)
}

fn write_page(dir: &Path, command: Command) -> io::Result<()> {
    let source = concat!("Ottla ", env!("CARGO_PKG_VERSION"));
    Man::new(command).source(source).manual("Ottla").generate_to(dir).map(drop)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::Cli;
    use super::*;

    #[test]
    fn pages_of_tools_show_required_options_and_exist_for_their_commands() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), Cli::whole_command()).unwrap();
        let page = |name: &str| fs::read_to_string(dir.path().join(format!("{name}.1"))).unwrap();
        let synopsis = |name: &str| {
            let text = page(name).replace("\\-", "-").replace("\\fB", "").replace("\\fR", "").replace("\\fI", "");
            text.lines().skip_while(|line| *line != ".SH SYNOPSIS").nth(1).unwrap_or_default().trim().to_owned()
        };
        let topics = synopsis("kafka-topics");
        assert!(topics.contains("<--bootstrap-server>") && topics.contains("[--topic]"), "{topics}");
        assert!(synopsis("kafka-storage-format").starts_with("kafka-storage format "));
        assert_eq!(
            synopsis("kafka-run-class"),
            "kafka-run-class [-daemon] [-name servicename] [-loggc] classname [opts]"
        );
        for entry in fs::read_dir(dir.path()).unwrap() {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            let mut references =
                text.lines().filter_map(|line| line.strip_suffix("(1)")).map(|name| name.replace('\\', ""));
            let missing = references.find(|name| !dir.path().join(format!("{name}.1")).exists());
            assert_eq!(missing, None, "{}", path.display());
        }
    }
}
