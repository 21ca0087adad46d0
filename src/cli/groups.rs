//! `ottla groups`: lists, describes and deletes consumer groups; resets and deletes their offsets.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::admin::groups::{
    GroupOffsets, Groups, GroupsError, Note, PartitionRow, Reset, Scope, TopicSelection, assignment_text,
};
use super::outcome::{Outcome, exit_code, print_json};
use super::table;
use super::tools::connect::{Bootstrap, block_on};
use super::tools::exceptions::Exception;
use super::tools::kafka_consumer_groups::TargetArgs;
use super::tools::output::Output;
use ottla_client::{ClientError, MemberDescription};
use ottla_config::table::nearest_of;
use ottla_wire::types::{ErrorCode, Offset, TopicPartition, sort_by};

const EXAMPLES: &str = "\
Examples:
  ottla groups
  ottla groups describe billing
  ottla groups reset-offsets billing --to-earliest --topic orders
  ottla groups reset-offsets billing --by-duration PT1H --dry-run
  ottla groups delete billing

Apache Kafka's own tool is included: ottla kafka-consumer-groups --help";

/// How long to wait for a coordinator.
const COORDINATOR_TIMEOUT: Duration = Duration::from_secs(30);

/// The arguments of `ottla groups`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct GroupsArgs {
    #[command(flatten)]
    bootstrap: Bootstrap,

    /// Print JSON
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List groups (the default command)
    List,
    /// Show state, members, committed offsets and lag of groups
    Describe {
        /// The groups' ids
        #[arg(required = true, value_name = "GROUP")]
        groups: Vec<String>,
    },
    /// Reset the offsets of a group without active members
    ResetOffsets {
        /// The group's id
        #[arg(value_name = "GROUP")]
        group: String,

        /// A topic, or partitions of it as in orders:0,1; may be given many times [default: all partitions with committed
        /// offsets]
        #[arg(long, value_name = "TOPIC")]
        topic: Vec<String>,

        #[command(flatten)]
        target: TargetArgs,

        /// Print the new offsets without changing anything
        #[arg(long)]
        dry_run: bool,
    },
    /// Delete a group's committed offsets of topics
    DeleteOffsets {
        /// The group's id
        #[arg(value_name = "GROUP")]
        group: String,

        /// A topic, or partitions of it as in orders:0,1; may be given many times
        #[arg(long, required = true, value_name = "TOPIC")]
        topic: Vec<String>,
    },
    /// Delete groups without active members
    Delete {
        /// The groups' ids
        #[arg(required = true, value_name = "GROUP")]
        groups: Vec<String>,
    },
}

/// Runs the command.
pub fn run(args: GroupsArgs) -> ExitCode {
    block_on(async move { exit_code(act(args).await) })
}

async fn act(args: GroupsArgs) -> Outcome {
    let groups = Groups::new(args.bootstrap.connect().await?, COORDINATOR_TIMEOUT);
    match args.action.unwrap_or(Action::List) {
        Action::List => list(&groups, args.json).await,
        Action::Describe { groups: names } => describe(&groups, &names, args.json).await,
        Action::ResetOffsets { group, topic, target, dry_run } => {
            reset(&groups, &group, &topic, &target, dry_run, args.json).await
        }
        Action::DeleteOffsets { group, topic } => delete_offsets(&groups, &group, &topic, args.json).await,
        Action::Delete { groups: names } => delete(&groups, &names, args.json).await,
    }
}

/// The error as one line.
fn why(error: GroupsError) -> String {
    match error {
        GroupsError::Usage(message) | GroupsError::Refused(message) => message,
        GroupsError::Client(error) | GroupsError::Step(error) => in_words(&error),
    }
}

/// A suggestion if there is no group `name` but one with a similar name.
async fn hint(groups: &Groups, name: &str) -> String {
    let listed = groups.list(&[], &[]).await.unwrap_or_default();
    let names = || listed.iter().map(|group| group.id.as_str());
    match nearest_of(names(), name).filter(|_| !names().any(|known| known == name)) {
        Some(nearest) => format!(" Did you mean {nearest}?"),
        None => String::new(),
    }
}

fn in_words(error: &ClientError) -> String {
    Exception::from(error).message
}

#[derive(Serialize)]
struct Listed {
    group: String,
    #[serde(rename = "type")]
    group_type: Option<String>,
    state: Option<String>,
}

async fn list(groups: &Groups, json: bool) -> Outcome {
    let listed = groups.list(&[], &[]).await.map_err(|error| in_words(&error))?;
    let listed = listed.into_iter();
    let mut listed: Vec<_> =
        listed.map(|group| Listed { group: group.id, group_type: group.group_type, state: group.state }).collect();
    sort_by(&mut listed, |a, b| a.group.cmp(&b.group));
    if json {
        return print_json(&listed);
    }
    let row = |listed: &Listed| {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        vec![listed.group.clone(), or_dash(&listed.group_type), or_dash(&listed.state)]
    };
    let rows: Vec<_> = listed.iter().map(row).collect();
    let mut output = Output::stdout();
    match rows.is_empty() {
        true => output.line("No groups. One appears when a consumer joins it or commits an offset."),
        false => table::table(&["GROUP", "TYPE", "STATE"], &rows).iter().for_each(|line| output.line(line)),
    }
    Ok(())
}

#[derive(Serialize)]
struct Described {
    group: String,
    state: String,
    assignor: Option<String>,
    members: Vec<DescribedMember>,
    partitions: Vec<DescribedPartition>,
}

#[derive(Serialize)]
struct DescribedMember {
    id: String,
    instance_id: Option<String>,
    client_id: String,
    host: String,
    assignment: Vec<Partition>,
}

#[derive(Serialize)]
struct DescribedPartition {
    topic: String,
    partition: i32,
    committed_offset: Option<Offset>,
    end_offset: Option<Offset>,
    lag: Option<i64>,
    member_id: Option<String>,
}

#[derive(Serialize)]
struct Partition {
    topic: String,
    partition: i32,
}

impl Described {
    fn new(offsets: &GroupOffsets) -> Described {
        let partition = |row: &PartitionRow| DescribedPartition {
            topic: row.partition.topic.to_string(),
            partition: row.partition.partition,
            committed_offset: row.committed.as_ref().map(|committed| committed.offset),
            end_offset: row.end,
            lag: row.lag(),
            member_id: row.owner.as_ref().map(|owner| owner.member_id.clone()),
        };
        let assigned = |it: &TopicPartition| Partition { topic: it.topic.to_string(), partition: it.partition };
        let member = |member: &MemberDescription| DescribedMember {
            id: member.id.clone(),
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            host: member.host.clone(),
            assignment: member.assignment.iter().map(assigned).collect(),
        };
        Described {
            group: offsets.group.id.clone(),
            state: offsets.group.state.clone(),
            assignor: Some(offsets.group.assignor.clone()).filter(|name| !name.is_empty()),
            members: offsets.group.members.iter().map(member).collect(),
            partitions: offsets.rows.iter().map(partition).collect(),
        }
    }
}

async fn describe(groups: &Groups, names: &[String], json: bool) -> Outcome {
    let mut described = Vec::new();
    for name in names {
        match groups.offsets(name).await {
            Ok(offsets) => described.push(offsets),
            Err(error) => return Err(why(error) + &hint(groups, name).await),
        }
    }
    if json {
        return print_json(&described.iter().map(Described::new).collect::<Vec<_>>());
    }
    let mut output = Output::stdout();
    for (index, offsets) in described.iter().enumerate() {
        if index > 0 {
            output.line("");
        }
        print_group(offsets, &mut output);
    }
    Ok(())
}

fn print_group(offsets: &GroupOffsets, output: &mut Output) {
    let group = &offsets.group;
    let assignor = if group.assignor.is_empty() { String::new() } else { format!(", assignor {}", group.assignor) };
    output.line(format_args!("{}: {}{assignor}", group.id, group.state));
    if !group.members.is_empty() {
        let row = |member: &MemberDescription| {
            let id = member.instance_id.clone().unwrap_or_else(|| member.id.clone());
            vec![id, member.client_id.clone(), member.host.clone(), assignment_text(&member.assignment)]
        };
        let rows: Vec<_> = group.members.iter().map(row).collect();
        output.line("");
        table::table(&["MEMBER", "CLIENT", "HOST", "PARTITIONS"], &rows).iter().for_each(|line| output.line(line));
    }
    if !offsets.rows.is_empty() {
        let or_dash = |number: Option<i64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        let row = |row: &PartitionRow| {
            vec![
                row.partition.topic.to_string(),
                row.partition.partition.to_string(),
                or_dash(row.committed.as_ref().map(|committed| committed.offset)),
                or_dash(row.end),
                or_dash(row.lag()),
            ]
        };
        let rows: Vec<_> = offsets.rows.iter().map(row).collect();
        output.line("");
        table::table(&["TOPIC", "PARTITION", "COMMITTED", "END", "LAG"], &rows)
            .iter()
            .for_each(|line| output.line(line));
    }
}

#[derive(Serialize)]
struct ResetResult {
    group: String,
    dry_run: bool,
    offsets: Vec<ResetPartition>,
}

#[derive(Serialize)]
struct ResetPartition {
    topic: String,
    partition: i32,
    offset: Offset,
}

async fn reset(
    groups: &Groups,
    group: &str,
    topics: &[String],
    target: &TargetArgs,
    dry_run: bool,
    json: bool,
) -> Outcome {
    let chosen: Vec<_> = target.chosen().collect();
    if let [first, second, ..] = chosen.as_slice() {
        return Err(format!("--{first} cannot be used with --{second}"));
    }
    let target = target.target().map_err(|moment| moment.to_string())?;
    let target = target.ok_or(
        "the new offsets are missing: give one of --to-earliest, --to-latest, --to-current, --to-offset, --shift-by, \
         --to-datetime, --by-duration",
    )?;
    let scope = if topics.is_empty() { Scope::Committed } else { Scope::Topics(selections(topics)?) };
    match groups.describe(group).await {
        Ok(found) if !matches!(found.state.as_str(), "Empty" | "Dead") => {
            return Err(format!(
                "the group {group} is {}: offsets can be reset only without active members",
                found.state
            ));
        }
        Err(error) if error.code() != Some(ErrorCode::GroupIdNotFound) => return Err(in_words(&error)),
        _ => {}
    }
    let reset = groups.plan_reset(group, &scope, &target).await.map_err(why)?;
    reset.notes.iter().for_each(warn);
    if !dry_run {
        groups.commit(group, &reset.offsets).await.map_err(why)?;
    }
    report_reset(group, &reset, dry_run, json)
}

fn report_reset(group: &str, reset: &Reset, dry_run: bool, json: bool) -> Outcome {
    let reset_partition = |(partition, offset): (&TopicPartition, &Offset)| ResetPartition {
        topic: partition.topic.to_string(),
        partition: partition.partition,
        offset: *offset,
    };
    let offsets: Vec<_> = reset.offsets.iter().map(reset_partition).collect();
    if json {
        return print_json(&ResetResult { group: group.to_owned(), dry_run, offsets });
    }
    let mut output = Output::stdout();
    if offsets.is_empty() {
        output.line(format_args!("{group} has no offsets to reset. Name topics with --topic."));
        return Ok(());
    }
    let rows = offsets.iter().map(|it| vec![it.topic.clone(), it.partition.to_string(), it.offset.to_string()]);
    let rows: Vec<_> = rows.collect();
    table::table(&["TOPIC", "PARTITION", "NEW OFFSET"], &rows).iter().for_each(|line| output.line(line));
    if dry_run {
        output.line("Nothing was changed (--dry-run).");
    }
    Ok(())
}

fn warn(note: &Note) {
    match note {
        Note::TooHigh { asked, partition, end } => {
            err_line!("{partition}: {asked} is above the end offset, using {end}")
        }
        Note::TooLow { asked, partition, start } => {
            err_line!("{partition}: {asked} is below the start offset, using {start}")
        }
        Note::NothingSoLate(partition) => {
            err_line!("{partition}: no record at or after that time, using the end offset")
        }
        Note::NoPlan(group) => err_line!("the plan has no offsets for {group}"),
    }
}

fn selections(topics: &[String]) -> Result<Vec<TopicSelection>, String> {
    topics.iter().map(|text| TopicSelection::parse(text).map_err(why)).collect()
}

#[derive(Serialize)]
struct OffsetsDeleted {
    group: String,
    deleted: Vec<Partition>,
}

async fn delete_offsets(groups: &Groups, group: &str, topics: &[String], json: bool) -> Outcome {
    let deleted = groups.delete_offsets(group, &selections(topics)?).await.map_err(why)?;
    if let Some((topic, error)) = deleted.unknown_topics.first() {
        return Err(format!("{topic}: {}", in_words(error)));
    }
    if let Some(error) = &deleted.error {
        return Err(in_words(error));
    }
    let partitions = deleted.partitions.iter().map(|(partition, _)| partition);
    if json {
        let deleted = partitions.map(|it| Partition { topic: it.topic.to_string(), partition: it.partition }).collect();
        return print_json(&OffsetsDeleted { group: group.to_owned(), deleted });
    }
    let mut output = Output::stdout();
    partitions.for_each(|partition| output.line(format_args!("deleted the offset of {partition}")));
    Ok(())
}

#[derive(Serialize)]
struct Deleted<'a> {
    deleted: &'a [String],
}

async fn delete(groups: &Groups, names: &[String], json: bool) -> Outcome {
    for name in names {
        if let Err(error) = groups.delete(name).await {
            return Err(format!("{name}: {}{}", in_words(&error), hint(groups, name).await));
        }
    }
    if json {
        return print_json(&Deleted { deleted: names });
    }
    let mut output = Output::stdout();
    names.iter().for_each(|name| output.line(format_args!("deleted {name}")));
    Ok(())
}
