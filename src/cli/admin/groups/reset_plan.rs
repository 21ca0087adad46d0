//! Offsets in a file of comma-separated values: what `--export` writes and `--from-file` reads.
//!
//! One line for each partition: `topic,partition,offset` where one group was asked about, `group,topic,partition,offset`
//! otherwise. Text is quoted where it has to be, and where it has more than 24 characters, which is what the library
//! under Kafka's tool does (`org.apache.kafka.tools.consumer.group.CsvUtils`).

use std::collections::BTreeMap;

use super::GroupsError;
use ottla_wire::types::{Offset, TopicPartition};

/// The longest text that may go without quotes.
const LONGEST_BARE: usize = 24;

/// Offsets of groups, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResetPlan(pub BTreeMap<String, BTreeMap<TopicPartition, Offset>>);

impl ResetPlan {
    /// Reads lines. With `only`, the group that is asked about, they may leave the group out.
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

/// Writes lines, with the group in each or without.
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
    // Below the dash stand the comma, the quote, blanks and line ends.
    if text.chars().count() > LONGEST_BARE || text.chars().any(|character| character < '-') {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// The values of a line; `None` if quotes don't match.
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

/// What stands up to the closing quote, and what follows it.
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
    fn what_is_read() {
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
    fn what_is_written() {
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
