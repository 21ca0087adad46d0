//! Partition assignments, and their JSON format.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::Failure;
use crate::cli::tools::json_input::{array, field, integer, object, string, version_1};
use ottla_wire::types::{InOrder as _, TopicPartition};

/// The broker chooses the log directory.
const ANY: &str = "any";

/// A replica of a partition on one broker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Replica {
    pub(super) broker: i32,
    pub(super) partition: TopicPartition,
}

impl fmt::Display for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.partition, self.broker)
    }
}

/// The brokers of partitions, in the order of the replicas.
pub(super) type Assignment = BTreeMap<TopicPartition, Vec<i32>>;
/// The current or target log directories of replicas.
pub(super) type Dirs = BTreeMap<Replica, String>;

/// The content of a reassignment file. A partition can occur more than once.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) partitions: Vec<(TopicPartition, Vec<i32>)>,
    pub(super) dirs: Dirs,
}

impl Plan {
    pub(super) fn parse(text: &str) -> Result<Plan, Failure> {
        let json: Value = serde_json::from_str(text).map_err(|error| Failure::Error(error.to_string()))?;
        let fields = version_1(&json).map_err(Failure::local)?;
        let mut plan = Plan { partitions: Vec::new(), dirs: Dirs::new() };
        if let Some(partitions) = fields.get("partitions") {
            for partition in array(partitions).map_err(Failure::local)? {
                plan.add(partition)?;
            }
        }
        Ok(plan)
    }

    fn add(&mut self, json: &Value) -> Result<(), Failure> {
        let fields = object(json).map_err(Failure::local)?;
        let get = |name| field(fields, name).map_err(Failure::local);
        let topic = string(get("topic")?).map_err(Failure::local)?;
        let index = integer(get("partition")?).map_err(Failure::local)?;
        let brokers = array(get("replicas")?).map_err(Failure::local)?.iter();
        let brokers: Vec<i32> = brokers.map(integer).collect::<Result<_, _>>().map_err(Failure::local)?;
        let partition = TopicPartition::new(topic, index);
        if let Some(dirs) = fields.get("log_dirs") {
            let dirs = array(dirs).map_err(Failure::local)?.iter();
            let dirs: Vec<&str> = dirs.map(string).collect::<Result<_, _>>().map_err(Failure::local)?;
            if dirs.len() != brokers.len() {
                return Failure::error(format!(
                    "Size of replicas list {brokers:?} is different from size of log dirs list [{}] for partition \
                     {partition}",
                    dirs.join(", ")
                ));
            }
            for (broker, dir) in brokers.iter().zip(dirs).filter(|(_, dir)| *dir != ANY) {
                self.dirs.insert(Replica { broker: *broker, partition: partition.clone() }, dir.to_owned());
            }
        }
        self.partitions.push((partition, brokers));
        Ok(())
    }

    /// Validates the plan, and returns the partitions and their brokers.
    pub(super) fn assignment(&self) -> Result<Assignment, Failure> {
        if self.partitions.is_empty() {
            return Failure::error("Partition reassignment list cannot be empty");
        }
        if self.partitions.iter().any(|(_, brokers)| brokers.is_empty()) {
            return Failure::error("Partition replica list cannot be empty");
        }
        let repeated = duplicates(self.partitions.iter().map(|(partition, _)| partition));
        if !repeated.is_empty() {
            return Failure::error(format!(
                "Partition reassignment contains duplicate topic partitions: {}",
                commas(&repeated)
            ));
        }
        let of_partition = |(partition, brokers): &(TopicPartition, Vec<i32>)| {
            let repeated = duplicates(brokers.iter());
            (!repeated.is_empty()).then(|| format!("{partition} contains multiple entries for {}", commas(&repeated)))
        };
        let repeated: Vec<_> = self.partitions.iter().filter_map(of_partition).collect();
        if !repeated.is_empty() {
            let repeated = repeated.join(". ");
            return Failure::error(format!("Partition replica lists may not contain duplicate entries: {repeated}"));
        }
        Ok(self.partitions.iter().cloned().in_order())
    }
}

/// Parses the file of --topics-to-move-json-file.
pub(super) fn topics(text: &str) -> Result<Vec<String>, Failure> {
    let json: Value =
        serde_json::from_str(text).map_err(|_| Failure::Error("The input string is not a valid JSON".to_owned()))?;
    let fields = version_1(&json).map_err(Failure::local)?;
    let Some(topics) = fields.get("topics") else { return Ok(Vec::new()) };
    let name = |topic: &Value| object(topic).and_then(|topic| Ok(string(field(topic, "topic")?)?.to_owned()));
    array(topics).and_then(|topics| topics.iter().map(name).collect()).map_err(Failure::local)
}

/// Returns the items that occur more than once, without repetitions.
pub(super) fn duplicates<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = BTreeSet::new();
    let mut repeated = BTreeSet::new();
    for item in items {
        if let Some(item) = seen.replace(item) {
            repeated.insert(item);
        }
    }
    repeated.into_iter().collect()
}

pub(super) fn commas<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(",")
}

/// The JSON format of a plan, with fields in Kafka's order.
#[derive(Serialize)]
struct PlanJson<'a> {
    version: i32,
    partitions: Vec<PartitionJson<'a>>,
}

#[derive(Serialize)]
struct PartitionJson<'a> {
    topic: &'a str,
    partition: i32,
    replicas: &'a [i32],
    log_dirs: Vec<&'a str>,
}

/// Formats an assignment as JSON, with the known log directories.
pub(super) fn json(assignment: &Assignment, dirs: &Dirs) -> Result<String, Failure> {
    let log_dirs = |(partition, brokers): (&'_ TopicPartition, &'_ Vec<i32>)| {
        let dir = |broker: &i32| {
            let replica = Replica { broker: *broker, partition: partition.clone() };
            dirs.get(&replica).map_or(ANY, String::as_str)
        };
        brokers.iter().map(dir).collect::<Vec<_>>()
    };
    let partitions = assignment.iter().map(|(partition, brokers)| PartitionJson {
        topic: &partition.topic,
        partition: partition.partition,
        replicas: brokers,
        log_dirs: log_dirs((partition, brokers)),
    });
    let plan = PlanJson { version: 1, partitions: partitions.collect() };
    serde_json::to_string(&plan).map_err(|error| Failure::Error(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(failure: Failure) -> String {
        match failure {
            Failure::Terse(message) | Failure::Error(message) => message,
        }
    }

    #[test]
    fn plans_are_parsed_and_invalid_ones_refused() {
        let check = |partitions: &str, expect: Result<&str, &str>| {
            let text = format!(r#"{{"partitions":[{partitions}],"version":1}}"#);
            let plan = Plan::parse(&text).and_then(|plan| json(&plan.assignment()?, &plan.dirs));
            let expect = expect.map(|partitions| format!(r#"{{"version":1,"partitions":[{partitions}]}}"#));
            assert_eq!(plan.map_err(message), expect.map_err(str::to_owned), "{partitions}");
        };
        check(
            r#"{"topic":"a","partition":1,"replicas":[1]}"#,
            Ok(r#"{"topic":"a","partition":1,"replicas":[1],"log_dirs":["any"]}"#),
        );
        check(
            r#"{"topic":"a","partition":1,"replicas":[1,2],"log_dirs":["any","/d"]}"#,
            Ok(r#"{"topic":"a","partition":1,"replicas":[1,2],"log_dirs":["any","/d"]}"#),
        );
        check("", Err("Partition reassignment list cannot be empty"));
        check(r#"{"topic":"a","partition":1,"replicas":[]}"#, Err("Partition replica list cannot be empty"));
        check(
            r#"{"topic":"a","partition":1,"replicas":[1,1]}"#,
            Err("Partition replica lists may not contain duplicate entries: a-1 contains multiple entries for 1"),
        );
        check(
            r#"{"topic":"a","partition":1,"replicas":[1]},{"topic":"a","partition":1,"replicas":[1]}"#,
            Err("Partition reassignment contains duplicate topic partitions: a-1"),
        );
        check(
            r#"{"topic":"a","partition":1,"replicas":[1],"log_dirs":["any","any"]}"#,
            Err("Size of replicas list [1] is different from size of log dirs list [any, any] for partition a-1"),
        );
        check(r#"{"topic":"a"}"#, Err("No such field exists: `partition`"));
    }
}
