//! `ottla man`: writes manual pages, for packages.

use std::io;
use std::path::Path;

use clap::Command;
use clap_mangen::Man;

use super::tools;

/// Writes a page for `command` and for each command inside it, such as `ottla-topics-create.1`, and one for each of Kafka's
/// tools. The error is one line.
pub fn write(dir: &Path, command: Command) -> Result<(), String> {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let written = write_all(dir, &command)
        .and_then(|()| tools::commands().map(with_description).try_for_each(|tool| write_page(dir, tool)));
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

fn write_page(dir: &Path, command: Command) -> io::Result<()> {
    let source = concat!("Ottla ", env!("CARGO_PKG_VERSION"));
    Man::new(command).source(source).manual("Ottla").generate_to(dir).map(drop)
}
