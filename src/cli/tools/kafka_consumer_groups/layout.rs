//! The output tables of kafka-consumer-groups: columns as wide as their widest cell, `-` for unknown values.
//!
//! Source: `org.apache.kafka.tools.consumer.group.ConsumerGroupCommand`.

use crate::cli::admin::groups::{GroupOffsets, PartitionRow, assignment_text};
use crate::cli::tools::output::row;
use ottla_client::{BrokerAddress, GroupDescription, ListedGroup, MemberDescription};
use ottla_wire::types::{Offset, TopicPartition};

/// Printed for a missing value.
pub const MISSING: &str = "-";
/// The minimum width of most columns with names.
const NAME_WIDTH: usize = 15;

/// Formats `--list` with types or states.
pub fn listing(groups: &[ListedGroup], with_type: bool, with_state: bool) -> String {
    let name = groups.iter().map(|group| length(&group.id)).fold(NAME_WIDTH, usize::max) + 10;
    let widths: &[usize] = &[name, 20, 20];
    let line = |group: &str, group_type: &str, state: &str| {
        let mut cells = vec![group];
        cells.extend(with_type.then_some(group_type));
        cells.extend(with_state.then_some(state));
        row(&cells, widths) + "\n"
    };
    let mut text = line("GROUP", "TYPE", "STATE");
    for group in groups {
        let group_type = group.group_type.as_deref().map_or_else(|| "Unknown".to_owned(), capitalized);
        text += &line(&group.id, &group_type, group.state.as_deref().unwrap_or("Unknown"));
    }
    text
}

/// Capitalizes a group type as Kafka's tools do: `classic` becomes `Classic`.
pub fn capitalized(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}

/// Formats `--describe`.
pub fn offsets(group: &str, offsets: &GroupOffsets, verbose: bool) -> String {
    let header = [
        "GROUP",
        "TOPIC",
        "PARTITION",
        "LEADER-EPOCH",
        "CURRENT-OFFSET",
        "LOG-END-OFFSET",
        "LAG",
        "CONSUMER-ID",
        "HOST",
        "CLIENT-ID",
    ];
    let mut lines = vec![header.map(str::to_owned)];
    lines.extend(offsets.rows.iter().map(|row| partition_cells(group, row)));
    let mut widths = [NAME_WIDTH, NAME_WIDTH, 10, 15, 15, 15, 15, NAME_WIDTH, NAME_WIDTH, 0];
    for column in [0, 1, 7, 8] {
        widths[column] = widest(&lines, column).max(widths[column]);
    }
    let shown = |line: &[String; 10]| {
        let columns = (0..line.len()).filter(|column| verbose || *column != 3);
        let (cells, widths): (Vec<_>, Vec<_>) = columns.map(|column| (&line[column], widths[column])).unzip();
        format!("\n{}", row(&cells, &widths))
    };
    lines.iter().map(shown).collect::<String>() + "\n"
}

fn partition_cells(group: &str, row: &PartitionRow) -> [String; 10] {
    let committed = row.committed.as_ref();
    let owner = row.owner.as_ref();
    let owned = |part: Option<&String>| part.cloned().unwrap_or_else(|| MISSING.to_owned());
    [
        group.to_owned(),
        row.partition.topic.to_string(),
        row.partition.partition.to_string(),
        or_missing(committed.and_then(|committed| committed.leader_epoch)),
        or_missing(committed.map(|committed| committed.offset)),
        or_missing(row.end),
        or_missing(row.lag()),
        owned(owner.map(|owner| &owner.member_id)),
        owned(owner.map(|owner| &owner.host)),
        owned(owner.map(|owner| &owner.client_id)),
    ]
}

/// Formats `--describe --members`; only the header for a group without members.
pub fn members(group: &GroupDescription, verbose: bool) -> String {
    let members = &group.members;
    let with_instances = members.iter().any(|member| member.instance_id.is_some());
    let is_partly_upgraded =
        [true, false].iter().all(|kind| members.iter().any(|member| member.upgraded == Some(*kind)));
    let header = [
        "GROUP",
        "CONSUMER-ID",
        "GROUP-INSTANCE-ID",
        "HOST",
        "CLIENT-ID",
        "#PARTITIONS",
        "CURRENT-EPOCH",
        "CURRENT-ASSIGNMENT",
        "TARGET-EPOCH",
        "TARGET-ASSIGNMENT",
        "UPGRADED",
    ];
    let mut lines = vec![header.map(str::to_owned)];
    lines.extend(members.iter().map(|member| member_cells(group, member)));
    let mut widths = [NAME_WIDTH, NAME_WIDTH, 17, NAME_WIDTH, NAME_WIDTH, 15, 15, 20, 15, 20, 0];
    for column in [0, 1, 2, 3, 4, 7, 9] {
        // Like Kafka's, these widths ignore the header.
        widths[column] = widest(&lines[1..], column).max(widths[column]);
    }
    let shown = |line: &[String; 11]| {
        let is_shown = |column: &usize| match column {
            2 => with_instances,
            0..=5 => true,
            10 => verbose && is_partly_upgraded,
            _ => verbose,
        };
        let columns = (0..line.len()).filter(is_shown);
        let (cells, widths): (Vec<_>, Vec<_>) = columns.map(|column| (&line[column], widths[column])).unzip();
        row(&cells, &widths) + if verbose { "\n" } else { " \n" }
    };
    format!("\n{}", lines.iter().map(shown).collect::<String>())
}

fn member_cells(group: &GroupDescription, member: &MemberDescription) -> [String; 11] {
    let partitions = |partitions: &[TopicPartition]| match partitions {
        [] => MISSING.to_owned(),
        some => assignment_text(some),
    };
    [
        group.id.clone(),
        member.id.clone(),
        member.instance_id.clone().unwrap_or_default(),
        member.host.clone(),
        member.client_id.clone(),
        member.assignment.len().to_string(),
        or_missing(member.epoch),
        partitions(&member.assignment),
        or_missing(group.epochs.map(|epochs| epochs.target_assignment)),
        partitions(&member.target_assignment),
        or_missing(member.upgraded),
    ]
}

/// Formats `--describe --state`.
pub fn state(group: &GroupDescription, coordinator: &BrokerAddress, verbose: bool) -> String {
    let coordinator = format!("{}:{}  ({})", coordinator.host, coordinator.port, coordinator.node_id);
    let assignor = if group.assignor.is_empty() { MISSING } else { &group.assignor };
    let epochs = group.epochs;
    let header = [
        "GROUP",
        "COORDINATOR (ID)",
        "ASSIGNMENT-STRATEGY",
        "STATE",
        "GROUP-EPOCH",
        "TARGET-ASSIGNMENT-EPOCH",
        "#MEMBERS",
    ];
    let cells = [
        group.id.clone(),
        coordinator,
        assignor.to_owned(),
        group.state.clone(),
        or_missing(epochs.map(|epochs| epochs.group)),
        or_missing(epochs.map(|epochs| epochs.target_assignment)),
        group.members.len().to_string(),
    ];
    let widths = [length(&cells[0]).max(NAME_WIDTH), length(&cells[1]).max(25), 20, 20, 15, 25, 0];
    let shown = |line: &[String; 7]| {
        let columns = (0..line.len()).filter(|column| verbose || !matches!(column, 4 | 5));
        let (cells, widths): (Vec<_>, Vec<_>) = columns.map(|column| (&line[column], widths[column])).unzip();
        format!("\n{}", row(&cells, &widths))
    };
    format!("{}{}\n", shown(&header.map(str::to_owned)), shown(&cells))
}

/// Formats `--reset-offsets`: the new offsets by group.
pub fn reset(groups: &[(String, Vec<(TopicPartition, Offset)>)]) -> String {
    let topics = groups.iter().flat_map(|(_, offsets)| offsets).map(|(partition, _)| length(&partition.topic));
    let widths = [
        groups.iter().map(|(group, _)| length(group)).fold(NAME_WIDTH, usize::max),
        topics.fold(NAME_WIDTH, usize::max),
        10,
        0,
    ];
    let line = |cells: [&str; 4]| format!("\n{}", row(&cells, &widths));
    let mut text = String::new();
    if !groups.is_empty() {
        text += &line(["GROUP", "TOPIC", "PARTITION", "NEW-OFFSET"]);
    }
    for (group, offsets) in groups {
        for (TopicPartition { topic, partition }, offset) in offsets {
            text += &line([group, topic, &partition.to_string(), &offset.to_string()]);
        }
    }
    text + "\n"
}

/// Formats `--delete-offsets`: the result for each partition. Partition -1 means a topic whose partitions are unknown.
pub fn deleted_offsets(results: &[(TopicPartition, String)]) -> String {
    let topic = results.iter().map(|(partition, _)| length(&partition.topic)).fold(NAME_WIDTH, usize::max);
    let line = |topic_name: &str, partition: &str, status: &str| {
        format!("\n{}", row(&[topic_name, partition, status], &[topic, 10, 15]))
    };
    let mut text = line("TOPIC", "PARTITION", "STATUS");
    for (TopicPartition { topic, partition }, status) in results {
        let partition = if *partition < 0 { MISSING.to_owned() } else { partition.to_string() };
        text += &line(topic, &partition, status);
    }
    text + "\n"
}

fn or_missing(value: Option<impl ToString>) -> String {
    value.map_or_else(|| MISSING.to_owned(), |value| value.to_string())
}

fn length(text: &str) -> usize {
    text.chars().count()
}

fn widest<const COLUMNS: usize>(lines: &[[String; COLUMNS]], column: usize) -> usize {
    lines.iter().map(|line| length(&line[column])).max().unwrap_or_default()
}
