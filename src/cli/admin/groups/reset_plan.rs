//! Offsets as comma-separated values: `--export` writes them and `--from-file` reads them.
//!
//! One line for each partition: `topic,partition,offset` for a single group, otherwise `group,topic,partition,offset`.
//! Text is quoted if necessary, and if it has more than 24 characters, as the library of Kafka's tool does (`org.apache.kafka.tools.consumer.group.CsvUtils`).

use std::collections::BTreeMap;

use super::GroupsError;
use ottla_wire::types::{Offset, TopicPartition};

/// Length limit of text without quotes.
const MAX_UNQUOTED: usize = 24;

/// Offsets by group and partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResetPlan(pub BTreeMap<String, BTreeMap<TopicPartition, Offset>>);

impl ResetPlan {
    /// Parses lines. Lines without a group belong to `only`, if given.
    pub fn parse(text: &str, only: Option<&str>) -> Result<ResetPlan, GroupsError> {
        let mut plan = ResetPlan::default();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let wrong = || {
                let columns =
                    if only.is_some() { "[group,]topic,partition,offset" } else { "group,topic,partition,offset" };
                GroupsError::Refused(format!("line {} is not {columns}: {line}", index + 1))
            };
            let values = values(line).ok_or_else(wrong)?;
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            let (group, topic, partition, offset) = match (values.as_slice(), only) {
                ([topic, partition, offset], Some(group)) => (group, topic, partition, offset),
                ([group, topic, partition, offset], _) => (*group, topic, partition, offset),
                _ => return Err(wrong()),
            };
            let partition = partition.trim().parse().map_err(|_| wrong())?;
            let offset = offset.trim().parse().map_err(|_| wrong())?;
            let offsets = plan.0.entry(group.to_owned()).or_default();
            offsets.insert(TopicPartition::new(*topic, partition), offset);
        }
        Ok(plan)
    }
}

/// Formats lines, with or without the group.
pub fn to_csv(groups: &[(String, Vec<(TopicPartition, Offset)>)], with_group: bool) -> String {
    let mut lines = String::new();
    for (group, offsets) in groups {
        let group = if with_group { format!("{},", quoted(group)) } else { String::new() };
        for (TopicPartition { topic, partition }, offset) in offsets {
            lines += &format!("{group}{},{partition},{offset}\n", quoted(topic));
        }
    }
    lines
}

fn quoted(text: &str) -> String {
    // Comma, quote, blanks and line ends are below the dash in ASCII.
    if text.chars().count() > MAX_UNQUOTED || text.chars().any(|character| character < '-') {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// Parses the values of a line; `None` if quotes don't match.
fn values(line: &str) -> Option<Vec<String>> {
    let mut values = Vec::new();
    let mut rest = line;
    loop {
        let (value, after) = match rest.strip_prefix('"') {
            Some(text) => quoted_value(text)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (value, after) = rest.split_at(end);
                (value.to_owned(), after)
            }
        };
        values.push(value);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None => return after.trim().is_empty().then_some(values),
        }
    }
}

/// Splits text after its closing quote: the value, and the rest.
fn quoted_value(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('"')?;
        value += before;
        match after.strip_prefix('"') {
            Some(next) => {
                value.push('"');
                rest = next;
            }
            None => return Some((value, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(rows: &[(&str, &str, i32, i64)]) -> ResetPlan {
        let mut plan = ResetPlan::default();
        for (group, topic, partition, offset) in rows {
            let offsets = plan.0.entry((*group).to_owned()).or_default();
            offsets.insert(TopicPartition::new(*topic, *partition), *offset);
        }
        plan
    }

    #[test]
    fn plan_is_parsed() {
        let check = |text, only, expect: Option<&[(&str, &str, i32, i64)]>| {
            assert_eq!(ResetPlan::parse(text, only).ok(), expect.map(plan), "{text}");
        };
        check("", None, Some(&[]));
        check("t,0,5\nt,1,6\r\n\n", Some("g"), Some(&[("g", "t", 0, 5), ("g", "t", 1, 6)]));
        check("h,t,0,5", Some("g"), Some(&[("h", "t", 0, 5)]));
        check("g,t,0, 5", None, Some(&[("g", "t", 0, 5)]));
        check("\"a \"\"b\"\", c\",\"t\",0,5", None, Some(&[("a \"b\", c", "t", 0, 5)]));
        check("t,0,5", None, None);
        check("g,t,0,5,6", None, None);
        check("g,t,x,5", None, None);
        check("\"g,t,0,5", None, None);
        check("\"g\"x,t,0,5", None, None);
    }

    #[test]
    fn plan_is_formatted_with_quotes_where_kafka_has_them() {
        let check = |group, topic: &str, with_group, expect| {
            let rows = vec![(TopicPartition::new(topic, 0), 5)];
            assert_eq!(to_csv(&[(String::from(group), rows)], with_group), expect);
        };
        check("g", "t", false, "t,0,5\n");
        check("g", "t", true, "g,t,0,5\n");
        check("a b", "t", true, "\"a b\",t,0,5\n");
        check("a\"b", "t", true, "\"a\"\"b\",t,0,5\n");
        check("g", "a.topic_of-24-characters", false, "a.topic_of-24-characters,0,5\n");
        check("g", "a.topic_of-25-characters.", false, "\"a.topic_of-25-characters.\",0,5\n");
    }
}
