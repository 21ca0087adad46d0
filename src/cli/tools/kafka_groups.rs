//! kafka-groups: lists groups of all types.
//!
//! Source of behaviour: `org.apache.kafka.tools.GroupsCommand`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use super::connect::{Properties, block_on, connect};
use super::exceptions::Exception;
use super::options::ParserStyle;
use super::output::{Output, row};
use super::{RunTool, Tool};
use ottla_client::ListedGroup;
use ottla_wire::java::sort_by_name;

pub const TOOL: Tool = Tool::new::<Options>("kafka-groups", ParserStyle::JoptSimple);

/// Types of groups (`org.apache.kafka.common.GroupType`).
const TYPES: [&str; 4] = ["Classic", "Consumer", "Share", "Streams"];

/// This tool helps to list groups of all types.
#[derive(Debug, Parser)]
pub struct Options {
    /// REQUIRED: The servers to connect to.
    #[arg(long, required = true, value_name = "String: server to connect to")]
    bootstrap_server: String,
    /// Properties for the client.
    #[arg(long, value_name = "String: command config property file")]
    command_config: Option<PathBuf>,
    /// List the groups.
    #[arg(long)]
    list: bool,
    /// Only groups of this type: 'classic', 'consumer', 'share' or 'streams'.
    #[arg(long, value_name = "String: type")]
    group_type: Option<String>,
    /// Only groups with this protocol type.
    #[arg(long, value_name = "String: protocol")]
    protocol: Option<String>,
    /// Only consumer groups: those of type 'consumer', and those of type 'classic' whose protocol type is 'consumer' or
    /// empty.
    #[arg(long)]
    consumer: bool,
    /// Only share groups.
    #[arg(long)]
    share: bool,
    /// Only streams groups.
    #[arg(long)]
    streams: bool,
}

impl RunTool for Options {
    fn run(self, tool: &Tool) -> ExitCode {
        if !self.list {
            return tool.usage_error("Command must include exactly one action: --list.");
        }
        if self.group_type.as_ref().is_some_and(|name| type_name(name).is_none()) {
            err_line!("--group-type must be a valid group type.");
            return ExitCode::FAILURE;
        }
        if let Some(message) = self.find_conflict() {
            return tool.usage_error(&message);
        }
        block_on(async move {
            match self.print_groups().await {
                Ok(()) => ExitCode::SUCCESS,
                Err(why) => {
                    out_line!("Error while executing groups command : {why}");
                    ExitCode::FAILURE
                }
            }
        })
    }
}

impl Options {
    /// Returns the error for two flags that can't be used together, if there are any.
    fn find_conflict(&self) -> Option<String> {
        let flags = [
            ("consumer", self.consumer),
            ("share", self.share),
            ("streams", self.streams),
            ("group-type", self.group_type.is_some()),
            ("protocol", self.protocol.is_some()),
        ];
        let mut used = flags.iter().filter(|(_, used)| *used).map(|(name, _)| *name);
        match (used.next(), used.next()) {
            (Some("group-type"), _) | (_, None) | (None, _) => None,
            (Some(first), Some(second)) => {
                Some(format!("Option \"[{first}]\" can't be used with option \"[{second}]\""))
            }
        }
    }

    async fn print_groups(&self) -> Result<(), String> {
        let properties = Properties::read_optional(self.command_config.as_deref())?;
        let client = connect(&self.bootstrap_server, &properties).await?;
        let mut listed = client.list_groups(&[], &[]).await.map_err(|error| Exception::from(error).message)?;
        sort_by_name(&mut listed, |group| &group.id);
        Output::stdout().text(&self.table(&listed));
        Ok(())
    }

    fn table(&self, listed: &[ListedGroup]) -> String {
        let cells = |group: &ListedGroup| {
            let group_type = group.group_type.as_deref().map(|name| type_name(name).unwrap_or("Unknown"));
            [group.id.clone(), group_type.unwrap_or_default().to_owned(), group.protocol_type.clone()]
        };
        let lines: Vec<_> = listed.iter().filter(|group| self.allows(group)).map(cells).collect();
        let width = lines.iter().flatten().map(|cell| cell.chars().count()).fold(20, usize::max);
        let mut text = row(&["GROUP", "TYPE", "PROTOCOL"], &[width; 3]) + "\n";
        for line in &lines {
            text += &(row(line, &[width; 3]) + " \n");
        }
        text
    }

    fn allows(&self, group: &ListedGroup) -> bool {
        let is_of = |name: &str| group.group_type.as_deref().is_some_and(|found| found.eq_ignore_ascii_case(name));
        let has_protocol = self.protocol.as_ref().is_none_or(|protocol| *protocol == group.protocol_type);
        if let Some(name) = &self.group_type {
            is_of(name) && has_protocol
        } else if self.consumer {
            matches!(group.protocol_type.as_str(), "consumer" | "") || is_of("consumer")
        } else if self.share {
            is_of("share")
        } else if self.streams {
            is_of("streams")
        } else {
            has_protocol
        }
    }
}

/// Returns the name of a group type as it is printed; `None` for an unknown type.
fn type_name(name: &str) -> Option<&'static str> {
    TYPES.iter().find(|known| known.eq_ignore_ascii_case(name)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Options {
        let flags = ["kafka-groups", "--bootstrap-server", "a:1", "--list"].into_iter();
        Options::try_parse_from(flags.chain(line.split_whitespace())).unwrap()
    }

    #[test]
    fn flags_select_groups_by_type_and_protocol() {
        let check = |line, group_type: &str, protocol: &str, expect| {
            let group = ListedGroup {
                id: "g".to_owned(),
                protocol_type: protocol.to_owned(),
                state: None,
                group_type: Some(group_type.to_owned()),
            };
            assert_eq!(options(line).allows(&group), expect, "{line} {group_type} {protocol}");
        };
        check("", "classic", "connect", true);
        check("--consumer", "classic", "connect", false);
        check("--consumer", "classic", "", true);
        check("--consumer", "consumer", "consumer", true);
        check("--share", "share", "share", true);
        check("--streams", "share", "share", false);
        check("--group-type Classic", "classic", "connect", true);
        check("--group-type classic --protocol consumer", "classic", "connect", false);
        check("--protocol connect", "classic", "connect", true);
    }

    #[test]
    fn conflicting_flags_are_refused() {
        let check = |line, expect: Option<&str>| assert_eq!(options(line).find_conflict().as_deref(), expect, "{line}");
        check("--group-type classic --protocol consumer", None);
        check("--share --streams", Some("Option \"[share]\" can't be used with option \"[streams]\""));
        check("--consumer --protocol x", Some("Option \"[consumer]\" can't be used with option \"[protocol]\""));
    }
}
