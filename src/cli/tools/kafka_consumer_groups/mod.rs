//! kafka-consumer-groups: lists, describes and deletes consumer groups, and resets and deletes their offsets.
//!
//! Like Kafka's tool, it reports an error of the broker or of the connection on stdout and exits with 0; it reports a
//! usage error on stderr and exits with 1.
//!
//! Source of behaviour: `org.apache.kafka.tools.consumer.group.ConsumerGroupCommand`.

mod layout;
mod options;
mod pattern;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use self::options::UsageError;
pub use self::options::{InvalidTime, Options, TargetArgs};
use super::connect::{ConnectError, Properties, block_on, connect};
use super::exceptions::{Exception, default_message, java_error};
use super::options::ParserStyle;
use super::output::Output;
use super::{RunTool, Tool};
use crate::cli::admin::groups::{
    CONSUMER_STATES, CONSUMER_TYPES, GroupOffsets, Groups, GroupsError, Note, OffsetsDeleted, Scope, Target, to_csv,
};
use ottla_client::{ClientError, GroupDescription};
use ottla_wire::java::{sort_as_hash_map, sort_by_name, topic_partition_hash};
use ottla_wire::types::{ErrorCode, InOrder as _, Offset, TopicPartition, sort_by_key};

pub const TOOL: Tool = Tool::new::<Options>("kafka-consumer-groups", ParserStyle::JoptSimple);

impl RunTool for Options {
    fn run(self, tool: &Tool) -> ExitCode {
        match self.check() {
            Ok(()) => {}
            Err(UsageError::WithHelp(message)) => return tool.usage_error(&message),
            Err(UsageError::WithoutHelp(message)) => {
                err_line!("{message}");
                return ExitCode::FAILURE;
            }
        }
        let mut output = Output::stdout();
        if let Some(pattern) = &self.validate_regex {
            validate(pattern, &mut output);
            return ExitCode::SUCCESS;
        }
        block_on(async move {
            match self.act(&mut output).await {
                Ok(()) => ExitCode::SUCCESS,
                Err(GroupsError::Usage(message)) => {
                    output.flush();
                    tool.usage_error(&message)
                }
                Err(error) => {
                    let why = match &error {
                        GroupsError::Usage(message) | GroupsError::Refused(message) => message.clone(),
                        GroupsError::Client(error) => java_error(error),
                        GroupsError::Step(error) => {
                            format!("java.util.concurrent.ExecutionException: {}", java_error(error))
                        }
                    };
                    print_error(&mut output, &format!("Executing consumer group command failed due to {why}"));
                    ExitCode::SUCCESS
                }
            }
        })
    }
}

impl Options {
    async fn act(&self, output: &mut Output) -> Result<(), GroupsError> {
        if self.list {
            self.list(output).await
        } else if self.describe {
            self.describe(output).await
        } else if self.delete {
            self.delete(output).await
        } else if self.reset_offsets {
            self.reset(output).await
        } else {
            self.delete_offsets(output).await
        }
    }

    async fn groups(&self) -> Result<Groups, GroupsError> {
        let properties = Properties::read_optional(self.command_config.as_deref());
        let mut properties = properties.map_err(GroupsError::Refused)?;
        let timeout = self.timeout.to_string();
        properties.set("default.api.timeout.ms", &timeout);
        properties.set("request.timeout.ms", &timeout);
        let client = connect(self.bootstrap_server.as_deref().unwrap_or_default(), &properties).await;
        Ok(Groups::new(client.map_err(connect_failure)?, Duration::from_millis(self.timeout)))
    }

    /// Returns the groups of --group, or all groups.
    async fn chosen(&self, groups: &Groups) -> Result<BTreeSet<String>, GroupsError> {
        if self.all_groups {
            Ok(groups.names().await?.into_iter().in_order())
        } else {
            Ok(self.group.iter().cloned().in_order())
        }
    }

    async fn list(&self, output: &mut Output) -> Result<(), GroupsError> {
        let states = words(self.state.as_ref(), &CONSUMER_STATES, "state")?;
        let types = words(self.group_type.as_ref(), &CONSUMER_TYPES, "types")?;
        let groups = self.groups().await?;
        if self.state.is_none() && self.group_type.is_none() {
            let mut names = groups.names().await?;
            sort_by_name(&mut names, |name| name);
            names.iter().for_each(|name| output.line(name));
            return Ok(());
        }
        let mut listed = groups.list(&states, &types).await?;
        sort_by_name(&mut listed, |group| &group.id);
        output.text(&layout::listing(&listed, self.group_type.is_some(), self.state.is_some()));
        Ok(())
    }

    async fn describe(&self, output: &mut Output) -> Result<(), GroupsError> {
        let groups = self.groups().await?;
        let chosen = self.chosen(&groups).await?;
        // As in Kafka's tool, an error for one group replaces the output for all of them.
        let mut described = Vec::new();
        for group in &chosen {
            described.push(if self.members || self.state.is_some() {
                Described::Group(groups.describe(group).await?)
            } else {
                Described::Offsets(groups.offsets(group).await?)
            });
        }
        for (group, described) in chosen.iter().zip(described) {
            match described {
                Described::Offsets(offsets) => {
                    if print_state(group, &offsets.group.state, output)? && !offsets.rows.is_empty() {
                        output.text(&layout::offsets(group, &offsets, self.verbose));
                    }
                }
                Described::Group(description) if self.members => {
                    print_state(group, &description.state, output)?;
                    output.text(&layout::members(&description, self.verbose));
                }
                Described::Group(description) => {
                    let coordinator = groups.coordinator(group).await?;
                    if print_state(group, &description.state, output)? {
                        output.text(&layout::state(&description, &coordinator, self.verbose));
                    }
                }
            }
        }
        Ok(())
    }

    async fn delete(&self, output: &mut Output) -> Result<(), GroupsError> {
        let groups = self.groups().await?;
        let mut deleted = Vec::new();
        let mut failed = Vec::new();
        for group in self.chosen(&groups).await? {
            match groups.delete(&group).await {
                Ok(()) => deleted.push(group),
                Err(error) => failed.push((group, error)),
            }
        }
        sort_by_name(&mut deleted, |group| group);
        sort_by_name(&mut failed, |(group, _)| group);
        let deleted: Vec<_> = deleted.iter().map(|group| format!("'{group}'")).collect();
        let deleted = deleted.join(", ");
        if failed.is_empty() {
            output.line(format_args!("Deletion of requested consumer groups ({deleted}) was successful."));
            return Ok(());
        }
        print_error(output, "Deletion of some consumer groups failed:");
        for (group, error) in failed {
            let why = java_error(&error);
            output.line(format_args!("* Group '{group}' could not be deleted due to: {why}"));
        }
        if !deleted.is_empty() {
            output.line(format_args!("\nThese consumer groups were deleted successfully: {deleted}"));
        }
        Ok(())
    }

    async fn reset(&self, output: &mut Output) -> Result<(), GroupsError> {
        let scope = self.scope()?;
        let target = self.target()?;
        let groups = self.groups().await?;
        let mut chosen: Vec<_> = self.chosen(&groups).await?.into_iter().collect();
        sort_by_name(&mut chosen, |group| group);
        let mut resets = Vec::new();
        for group in chosen {
            let state = match groups.describe(&group).await {
                Ok(description) => description.state,
                Err(error) if error.code() == Some(ErrorCode::GroupIdNotFound) => "Dead".to_owned(),
                Err(error) => return Err(GroupsError::Step(error)),
            };
            let offsets = if matches!(state.as_str(), "Empty" | "Dead") {
                self.reset_group(&groups, &group, &scope, &target, output).await?
            } else {
                let message = format!(
                    "Assignments can only be reset if the group '{group}' is inactive, but the current state is {state}."
                );
                print_error(output, &message);
                Vec::new()
            };
            resets.push((group, offsets));
        }
        if self.export {
            output.line(to_csv(&resets, self.group.len() != 1));
        } else {
            output.text(&layout::reset(&resets));
        }
        Ok(())
    }

    async fn reset_group(
        &self,
        groups: &Groups,
        group: &str,
        scope: &Scope,
        target: &Target,
        output: &mut Output,
    ) -> Result<Vec<(TopicPartition, Offset)>, GroupsError> {
        let reset = groups.plan_reset(group, scope, target).await?;
        reset.notes.iter().for_each(|note| print_note(note, output));
        if self.execute {
            groups.commit(group, &reset.offsets).await?;
        }
        let mut offsets: Vec<_> = reset.offsets.into_iter().collect();
        // Kafka's tool fills this map topic by topic, in the order of another map.
        sort_by_name(&mut offsets, |(partition, _)| &partition.topic);
        sort_as_hash_map(&mut offsets, 16, |(TopicPartition { topic, partition }, _)| {
            topic_partition_hash(topic, *partition)
        });
        Ok(offsets)
    }

    async fn delete_offsets(&self, output: &mut Output) -> Result<(), GroupsError> {
        let [group] = self.group.as_slice() else {
            let message = "Found multiple arguments for option group, but you asked for only one";
            return Err(GroupsError::Refused(message.to_owned()));
        };
        let selections = self.selections()?;
        let deleted = self.groups().await?.delete_offsets(group, &selections).await?;
        match deleted.error.as_ref().map(|error| (error, error.code())) {
            None => output.line(format_args!("Request succeeded for deleting offsets from group {group}.")),
            Some((_, Some(code))) => print_error(output, &deletion_error(code)),
            Some((error, None)) => print_error(output, &format!("Encountered some unknown error: {error}")),
        }
        output.text(&layout::deleted_offsets(&statuses(deleted)));
        Ok(())
    }
}

/// Converts a connection error; an unreachable broker is reported as Kafka's exception.
fn connect_failure(error: ConnectError) -> GroupsError {
    GroupsError::Refused(match error {
        ConnectError::Misconfigured(why) => why,
        failed @ (ConnectError::Unreachable(_) | ConnectError::Refused(_)) => Exception::from(failed).to_string(),
    })
}

/// The description of a group, or its offsets.
enum Described {
    Offsets(GroupOffsets),
    Group(GroupDescription),
}

/// Prints the note for a group's state, if there is one. Returns whether to print a table: false for a dead group.
fn print_state(group: &str, state: &str, output: &mut Output) -> Result<bool, GroupsError> {
    match state {
        "Dead" => print_error(output, &format!("Consumer group '{group}' does not exist.")),
        "Empty" => output.error_line(format_args!("\nConsumer group '{group}' has no active members.")),
        "Stable" => {}
        "PreparingRebalance" | "CompletingRebalance" | "Assigning" | "Reconciling" => {
            output.error_line(format_args!("\nWarning: Consumer group '{group}' is rebalancing."));
        }
        other => {
            let message = format!("Expected a valid consumer group state, but found '{other}'.");
            return Err(GroupsError::Refused(message));
        }
    }
    Ok(state != "Dead")
}

fn print_note(note: &Note, output: &mut Output) {
    match note {
        Note::TooHigh { asked, partition, end } => output.error_line(format_args!(
            "WARN New offset ({asked}) is higher than latest offset for topic partition {partition}. Value will be set \
             to {end}"
        )),
        Note::TooLow { asked, partition, start } => output.error_line(format_args!(
            "WARN New offset ({asked}) is lower than earliest offset for topic partition {partition}. Value will be set \
             to {start}"
        )),
        Note::NothingSoLate(TopicPartition { topic, partition }) => output.line(format_args!(
            "\nWarn: Partition {partition} from topic {topic} is empty. Falling back to latest known offset."
        )),
        Note::NoPlan(group) => print_error(output, &format!("No reset plan for group {group} found")),
    }
}

fn print_error(output: &mut Output, message: &str) {
    output.line(format_args!("\nError: {message}"));
}

/// Parses a list such as `stable,empty`, ignoring case; returns the values as spelled in `known`.
fn words<'a>(list: Option<&Option<String>>, known: &[&'a str], what: &str) -> Result<Vec<&'a str>, GroupsError> {
    let list = list.and_then(Option::as_deref).unwrap_or_default();
    if list.is_empty() {
        return Ok(Vec::new());
    }
    let find = |word: &str| known.iter().find(|known| known.eq_ignore_ascii_case(word.trim())).copied();
    list.split(',').map(find).collect::<Option<_>>().ok_or_else(|| {
        let valid = if what == "state" { "states" } else { what };
        GroupsError::Usage(format!("Invalid {what} list '{list}'. Valid {valid} are: {}", known.join(", ")))
    })
}

/// Returns the message for an error of OffsetDelete.
fn deletion_error(code: ErrorCode) -> String {
    match code {
        ErrorCode::InvalidGroupId
        | ErrorCode::GroupIdNotFound
        | ErrorCode::GroupAuthorizationFailed
        | ErrorCode::NonEmptyGroup => default_message(code).to_owned(),
        ErrorCode::GroupSubscribedToTopic
        | ErrorCode::TopicAuthorizationFailed
        | ErrorCode::UnknownTopicOrPartition => {
            "Encountered some partition-level error, see the follow-up details.".to_owned()
        }
        other => format!("Encountered some unknown error: {}", other.name()),
    }
}

/// Returns the result for each partition, sorted as text, like Kafka's tool.
fn statuses(deleted: OffsetsDeleted) -> Vec<(TopicPartition, String)> {
    let error = |error: &ClientError| format!("Error: {}", java_error(error));
    let unknown = deleted.unknown_topics.iter();
    let unknown = unknown.map(|(topic, why)| (TopicPartition::new(topic.as_str(), -1), error(why)));
    let mut all: Vec<_> = unknown.collect();
    all.extend(deleted.partitions.into_iter().map(|(partition, result)| {
        let status = result.as_ref().map_or_else(|why| error(why), |()| "Successful".to_owned());
        (partition, status)
    }));
    sort_by_key(&mut all, |(TopicPartition { topic, partition }, _)| format!("{topic}{partition}"));
    all
}

fn validate(regex: &str, output: &mut Output) {
    match pattern::check(regex) {
        Ok(()) => output.line(format_args!("The regular expression `{regex}` is valid.")),
        Err(why) => output.line(format_args!("The regular expression `{regex}` is invalid: {why}.")),
    }
}
