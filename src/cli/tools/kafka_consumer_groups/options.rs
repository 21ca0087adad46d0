//! The flags of kafka-consumer-groups, and checks for which of them can be used together.
//!
//! Source of behaviour: `org.apache.kafka.tools.consumer.group.ConsumerGroupCommandOptions`.

use std::path::PathBuf;

use clap::{Args, Parser};

use crate::cli::admin::groups::{GroupsError, ResetPlan, Scope, Target, TopicSelection, date_and_time};
use ottla_broker::clock::wall_clock_ms;
use ottla_wire::java::parse_duration_ms;

/// This tool helps to list all consumer groups, describe a consumer group, delete consumer group info, or reset consumer
/// group offsets.
#[derive(Debug, Parser)]
pub struct Options {
    /// The servers to connect to. REQUIRED, except with --validate-regex.
    #[arg(long, value_name = "String: server to connect to")]
    pub bootstrap_server: Option<String>,
    /// Properties for the client.
    #[arg(long, value_name = "String: command config property file")]
    pub command_config: Option<PathBuf>,

    /// List consumer groups.
    #[arg(long)]
    pub list: bool,
    /// Describe consumer groups: their committed offsets and their lag.
    #[arg(long)]
    pub describe: bool,
    /// Delete consumer groups with all their committed offsets.
    #[arg(long)]
    pub delete: bool,
    /// Reset the offsets of consumer groups that have no active members. Shows the new offsets (--dry-run, the
    /// default), or also commits them (--execute). Choose the new offsets with one of --to-earliest, --to-latest,
    /// --to-current, --to-offset, --shift-by, --to-datetime, --by-duration, --from-file. Choose the partitions with
    /// --topic or --all-topics; with --from-file, both are optional.
    #[arg(long)]
    pub reset_offsets: bool,
    /// Delete the committed offsets of a consumer group for topics.
    #[arg(long)]
    pub delete_offsets: bool,
    /// Check whether a regular expression is valid in a consumer's subscription.
    #[arg(long, value_name = "String: regex")]
    pub validate_regex: Option<String>,

    /// The consumer group. Can be given more than once.
    #[arg(long, value_name = "String: consumer group")]
    pub group: Vec<String>,
    /// All consumer groups.
    #[arg(long)]
    pub all_groups: bool,
    /// The topic whose offsets to reset or delete, or some of its partitions, as in 'topic1:0,1,2'. Can be given more
    /// than once.
    #[arg(long, value_name = "String: topic")]
    pub topic: Vec<String>,
    /// Reset the offsets of all topics for which the group has committed offsets.
    #[arg(long)]
    pub all_topics: bool,

    /// With --describe: the members of the group.
    #[arg(long)]
    pub members: bool,
    /// With --describe: partitions and their offsets, which is the default.
    #[arg(long)]
    pub offsets: bool,
    /// With --describe: the state of the group. With --list: show states; with a value such as 'stable,empty', list
    /// only groups in these states.
    #[arg(long, value_name = "String")]
    pub state: Option<Option<String>>,
    /// With --list: show types; with a value such as 'classic,consumer', list only groups of these types.
    #[arg(long = "type", value_name = "String")]
    pub group_type: Option<Option<String>>,
    /// With --describe: show more columns.
    #[arg(long)]
    pub verbose: bool,

    #[command(flatten)]
    pub target: TargetArgs,
    /// Reset offsets to those in a CSV file.
    #[arg(long, value_name = "String: path to CSV file")]
    pub from_file: Option<PathBuf>,
    /// Show the new offsets without committing them.
    #[arg(long)]
    pub dry_run: bool,
    /// Commit the new offsets.
    #[arg(long)]
    pub execute: bool,
    /// Print the new offsets as CSV, for --from-file.
    #[arg(long)]
    pub export: bool,

    /// The timeout of requests in milliseconds, for example while a group is rebalancing.
    #[arg(long, value_name = "Long: timeout (ms)", default_value = "30000")]
    pub timeout: u64,
}

/// The new position of offsets.
#[derive(Clone, Debug, Default, Args)]
pub struct TargetArgs {
    /// Reset to the log start offset.
    #[arg(long)]
    pub to_earliest: bool,
    /// Reset to the log end offset.
    #[arg(long)]
    pub to_latest: bool,
    /// Reset to the committed offset, or to the log end offset of partitions without one.
    #[arg(long)]
    pub to_current: bool,
    /// Reset to this offset.
    #[arg(long, value_name = "Long: offset")]
    pub to_offset: Option<i64>,
    /// Move by this number of offsets: forward, or backward if it is negative.
    #[arg(long, value_name = "Long: number-of-offsets", allow_hyphen_values = true)]
    pub shift_by: Option<i64>,
    /// Reset to the first record at or after a time: 'YYYY-MM-DDThh:mm:ss.sss', in UTC unless an offset such as
    /// '+01:00' follows.
    #[arg(long, value_name = "String: datetime")]
    pub to_datetime: Option<String>,
    /// Reset to the first record at or after a time that is this duration ago: 'PnDTnHnMnS'.
    #[arg(long, value_name = "String: duration")]
    pub by_duration: Option<String>,
}

/// An invalid time or duration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTime {
    #[error("'{0}' is not a date and time such as 2026-01-31T12:00:00.000")]
    Date(String),
    #[error("'{0}' is not a duration such as P1DT12H or PT30M")]
    Duration(String),
}

impl TargetArgs {
    /// Returns the chosen target, if there is one.
    pub fn target(&self) -> Result<Option<Target>, InvalidTime> {
        Ok(Some(if self.to_earliest {
            Target::Earliest
        } else if self.to_latest {
            Target::Latest
        } else if self.to_current {
            Target::Current
        } else if let Some(offset) = self.to_offset {
            Target::Offset(offset)
        } else if let Some(steps) = self.shift_by {
            Target::ShiftBy(steps)
        } else if let Some(text) = &self.to_datetime {
            Target::Time(date_and_time(text).ok_or_else(|| InvalidTime::Date(text.clone()))?)
        } else if let Some(text) = &self.by_duration {
            let back = parse_duration_ms(text).ok_or_else(|| InvalidTime::Duration(text.clone()))?;
            Target::Time(wall_clock_ms().saturating_sub(back))
        } else {
            return Ok(None);
        }))
    }

    /// Returns the names of the target flags that are given.
    pub fn chosen(&self) -> impl Iterator<Item = &'static str> {
        let flags = [
            ("to-offset", self.to_offset.is_some()),
            ("to-datetime", self.to_datetime.is_some()),
            ("by-duration", self.by_duration.is_some()),
            ("to-earliest", self.to_earliest),
            ("to-latest", self.to_latest),
            ("to-current", self.to_current),
            ("shift-by", self.shift_by.is_some()),
        ];
        flags.into_iter().filter_map(|(name, is_chosen)| is_chosen.then_some(name))
    }
}

/// Returns Java's message for an invalid time. Kafka's tool appends `Z` to a time without a zone.
fn java_message(error: &InvalidTime) -> GroupsError {
    GroupsError::Refused(match error {
        InvalidTime::Duration(_) => "Text cannot be parsed to a Duration".to_owned(),
        InvalidTime::Date(text) => match text.split_once('T') {
            None => {
                "java.text.ParseException: Error parsing timestamp. It does not contain a 'T' according to ISO8601 \
                     format"
                    .to_owned()
            }
            Some((_, time)) => {
                let zone = if time.contains(['+', '-', 'Z']) { "" } else { "Z" };
                format!("java.text.ParseException: Unparseable date: \"{text}{zone}\"")
            }
        },
    })
}

impl Options {
    /// Checks the flags in Kafka's order, with Kafka's messages.
    pub fn check(&self) -> Result<(), UsageError> {
        self.check_unavailable()?;
        if self.validate_regex.is_none() && self.bootstrap_server.is_none() {
            return Err(usage("Missing required argument \"[bootstrap-server]\""));
        }
        self.check_describe()?;
        let has_groups = !self.group.is_empty() || self.all_groups;
        if self.delete {
            if !has_groups {
                return Err(usage("Option [delete] takes one of these options: [group], [all-groups]"));
            }
            if !self.topic.is_empty() {
                let message = "The consumer does not support topic-specific offset deletion from a consumer group.";
                return Err(usage(message));
            }
        }
        if self.delete_offsets && (self.group.is_empty() || self.topic.is_empty()) {
            return Err(usage("Option [delete-offsets] takes the following options: [group], [topic]"));
        }
        self.check_reset()?;
        let actions = [("list", self.list), ("describe", self.describe), ("delete", self.delete)];
        let reset = ("reset-offsets", self.reset_offsets);
        exclude("group", !self.group.is_empty(), &[("all-groups", self.all_groups), ("list", self.list)])?;
        exclude("topic", !self.topic.is_empty(), &actions[..2])?;
        let rest = [reset, ("delete-offsets", self.delete_offsets), ("regex", self.validate_regex.is_some())];
        if actions.iter().chain(&rest).filter(|(_, chosen)| *chosen).count() != 1 {
            let message = "Command must include exactly one action: --list, --describe, --delete, --reset-offsets, \
                           --delete-offsets, --validate-regex";
            return Err(usage(message));
        }
        Ok(())
    }

    fn check_unavailable(&self) -> Result<(), UsageError> {
        let unavailable: Vec<_> = [
            ("members", self.members && !self.describe),
            ("offsets", self.offsets && !self.describe),
            ("state", self.state.is_some() && !self.describe && !self.list),
            ("type", self.group_type.is_some() && !self.list),
            ("verbose", self.verbose && !self.describe),
        ]
        .into_iter()
        .filter_map(|(name, is_unavailable)| is_unavailable.then_some(name))
        .collect();
        if unavailable.is_empty() {
            return Ok(());
        }
        let names = unavailable.join(", ");
        Err(UsageError::WithoutHelp(format!(
            "Option(s) [{names}] are unavailable given other options on the command line"
        )))
    }

    fn check_describe(&self) -> Result<(), UsageError> {
        if !self.describe {
            return Ok(());
        }
        if self.group.is_empty() && !self.all_groups {
            return Err(usage("Option [describe] takes one of these options: [group], [all-groups]"));
        }
        if [self.members, self.offsets, self.state.is_some()].iter().filter(|chosen| **chosen).count() > 1 {
            return Err(usage("Option [describe] takes at most one of these options: [members], [offsets], [state]"));
        }
        if matches!(self.state, Some(Some(_))) {
            return Err(usage("Option [describe] does not take a value for [state]"));
        }
        Ok(())
    }

    fn check_reset(&self) -> Result<(), UsageError> {
        if !self.reset_offsets {
            return Ok(());
        }
        if self.dry_run && self.execute {
            return Err(usage("Option [reset-offsets] only accepts one of [execute] and [dry-run]"));
        }
        if !self.dry_run && !self.execute {
            err_line!(
                "WARN: No action will be performed as the --execute option is missing. In version 5.0, this command \
                 will require either --dry-run or --execute to be specified. You should add the --dry-run option \
                 explicitly if you are scripting this command and want to keep the current default behavior without \
                 prompting."
            );
        }
        if self.group.is_empty() && !self.all_groups {
            return Err(usage("Option [reset-offsets] takes one of these options: [group], [all-groups]"));
        }
        let mut chosen = self.target.chosen().chain(self.from_file.is_some().then_some("from-file"));
        match (chosen.next(), chosen.next()) {
            (Some(name), Some(other)) => exclude(name, true, &[(other, true)]),
            _ => Ok(()),
        }
    }

    /// Returns the target of --reset-offsets.
    pub fn target(&self) -> Result<Target, GroupsError> {
        if let Some(path) = &self.from_file {
            let unreadable = |_| format!("java.io.IOException: Unable to read file {}", path.display());
            let text = std::fs::read_to_string(path).map_err(|error| GroupsError::Refused(unreadable(error)))?;
            let only = if let [group] = self.group.as_slice() { Some(group.as_str()) } else { None };
            return Ok(Target::Plan(ResetPlan::parse(&text, only)?));
        }
        let names = "[[to-offset], [shift-by], [to-datetime], [by-duration], [to-earliest], [to-latest], [to-current], \
                     [from-file]]";
        let missing = format!("Option '[reset-offsets]' requires one of the following scenarios: {names}");
        self.target.target().map_err(|error| java_message(&error))?.ok_or(GroupsError::Usage(missing))
    }

    /// Returns the partitions that --reset-offsets applies to.
    pub fn scope(&self) -> Result<Scope, GroupsError> {
        if self.all_topics {
            Ok(Scope::Committed)
        } else if !self.topic.is_empty() {
            self.selections().map(Scope::Topics)
        } else if self.from_file.is_some() {
            Ok(Scope::Planned)
        } else {
            let missing = "One of the reset scopes should be defined: --all-topics, --topic.";
            Err(GroupsError::Usage(missing.to_owned()))
        }
    }

    /// Returns the topics and partitions of --topic.
    pub fn selections(&self) -> Result<Vec<TopicSelection>, GroupsError> {
        self.topic.iter().map(|text| TopicSelection::parse(text)).collect()
    }
}

/// An error in the combination of flags.
#[derive(Debug, PartialEq, Eq)]
pub enum UsageError {
    /// Printed before the help.
    WithHelp(String),
    /// Printed alone.
    WithoutHelp(String),
}

fn usage(message: &str) -> UsageError {
    UsageError::WithHelp(message.to_owned())
}

fn exclude(name: &str, is_used: bool, others: &[(&str, bool)]) -> Result<(), UsageError> {
    match others.iter().find(|(_, used)| is_used && *used) {
        Some((other, _)) => {
            Err(UsageError::WithHelp(format!("Option \"[{name}]\" can't be used with option \"[{other}]\"")))
        }
        None => Ok(()),
    }
}
