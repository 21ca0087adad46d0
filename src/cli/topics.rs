//! `ottla topics`: lists, describes, creates, alters and deletes topics.

use std::collections::{BTreeMap, HashMap};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::admin::configs::{self, Change, ConfigSource, ResourceType};
use super::admin::log_dirs;
use super::admin::topics::{self, MorePartitions, NewTopic, PartitionDescription, TopicDescription};
use super::names::{check_setting, has_effect, no_topic};
use super::outcome::{Outcome, exit_code, print_json};
use super::table::table;
use super::tools::connect::{Bootstrap, block_on};
use super::tools::kafka_topics::{PARTITIONS_AT_A_TIME, topic_settings};
use super::tools::output::Output;
use ottla_client::Client;
use ottla_config::Scope;
use ottla_wire::types::{InOrder as _, Offset, TopicPartition};

const EXAMPLES: &str = "\
Examples:
  ottla topics
  ottla topics create orders --partitions 6 --config retention.ms=60000
  ottla topics describe orders --json
  ottla topics alter orders --partitions 12
  ottla topics delete orders payments

Apache Kafka's own tool is included: ottla kafka-topics --help";

/// The arguments of `ottla topics`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct TopicsArgs {
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
    /// List topics (the default command)
    List {
        /// Include internal topics
        #[arg(long)]
        internal: bool,
    },
    /// Show partitions, offsets and settings of topics
    Describe {
        /// The topics' names
        #[arg(required = true, value_name = "TOPIC")]
        topics: Vec<String>,
    },
    /// Create a topic
    Create {
        /// The topic's name
        #[arg(value_name = "TOPIC")]
        topic: String,

        /// The number of partitions [default: the broker's num.partitions]
        #[arg(long, short, value_name = "N")]
        partitions: Option<i32>,

        /// A setting of the topic; may be given many times
        #[arg(long, short, value_name = "NAME=VALUE")]
        config: Vec<String>,

        /// Succeed if the topic exists already
        #[arg(long)]
        if_not_exists: bool,
    },
    /// Add partitions to topics, or change their settings
    Alter {
        /// The topics' names
        #[arg(required = true, value_name = "TOPIC")]
        topics: Vec<String>,

        /// The new number of partitions; it can only increase
        #[arg(long, short, value_name = "N")]
        partitions: Option<i32>,

        /// A setting to change; may be given many times
        #[arg(long, short, value_name = "NAME=VALUE")]
        config: Vec<String>,

        /// A setting to reset to the broker's value; may be given many times
        #[arg(long, value_name = "NAME")]
        unset: Vec<String>,
    },
    /// Delete topics
    Delete {
        /// The topics' names
        #[arg(required = true, value_name = "TOPIC")]
        topics: Vec<String>,

        /// Succeed if the topic does not exist
        #[arg(long)]
        if_exists: bool,
    },
}

/// Runs the command.
pub fn run(args: TopicsArgs) -> ExitCode {
    block_on(async move { exit_code(act(args).await) })
}

async fn act(args: TopicsArgs) -> Outcome {
    let client = args.bootstrap.connect().await?;
    match args.action.unwrap_or(Action::List { internal: false }) {
        Action::List { internal } => list(&client, internal, args.json).await,
        Action::Describe { topics } => describe(&client, &topics, args.json).await,
        Action::Create { topic, partitions, config, if_not_exists } => {
            let configs = known_settings(&config)?;
            let asked = NewTopic { name: topic, partitions, configs, ..NewTopic::default() };
            let created = match topics::create(&client, &asked).await {
                Err(error) if if_not_exists && error.simple_name() == "TopicExistsException" => Vec::new(),
                result => result.map(|()| vec![asked.name])?,
            };
            report(args.json, "created", &created)
        }
        Action::Alter { topics, partitions, config, unset } => {
            alter(&client, &topics, partitions, &config, unset).await?;
            report(args.json, "altered", &topics)
        }
        Action::Delete { topics, if_exists } => {
            let known = topics::list(&client).await?;
            let is_known = |name: &String| known.iter().any(|topic| topic.name == *name);
            let deleted: Vec<_> = topics.iter().filter(|name| !if_exists || is_known(name)).cloned().collect();
            if let Some(missing) = deleted.iter().find(|name| !is_known(name)) {
                return Err(no_topic(missing, known.iter().map(|topic| topic.name.as_str())));
            }
            topics::delete(&client, &deleted).await?;
            report(args.json, "deleted", &deleted)
        }
    }
}

/// Parses settings in the form NAME=VALUE. An unknown one is an error; one without effect is reported on stderr.
fn known_settings(given: &[String]) -> Result<Vec<(String, String)>, String> {
    let names = || given.iter().filter_map(|text| Some(text.split_once('=')?.0.trim()));
    names().try_for_each(|name| check_setting(Scope::Topic, name))?;
    let settings = topic_settings(given)?;
    for name in names().filter(|name| !has_effect(Scope::Topic, name)) {
        err_line!("ottla: {name} has no effect");
    }
    Ok(settings)
}

/// Prints what was done with which topics.
fn report(json: bool, done: &str, topics: &[String]) -> Outcome {
    if json {
        return print_json(&BTreeMap::from([(done, topics)]));
    }
    let mut output = Output::stdout();
    topics.iter().for_each(|topic| output.line(format_args!("{done} {topic}")));
    Ok(())
}

async fn alter(
    client: &Client,
    names: &[String],
    partitions: Option<i32>,
    config: &[String],
    unset: Vec<String>,
) -> Result<(), String> {
    unset.iter().try_for_each(|name| check_setting(Scope::Topic, name))?;
    let set = known_settings(config)?.into_iter().map(|(name, value)| Change::Set(name, value));
    let changes: Vec<_> = unset.into_iter().map(Change::Delete).chain(set).collect();
    if partitions.is_none() && changes.is_empty() {
        return Err("nothing to change: give --partitions, --config or --unset".to_owned());
    }
    if let Some(total) = partitions {
        let more = |name: &String| MorePartitions { topic: name.clone(), total, assignment: None };
        topics::create_partitions(client, &names.iter().map(more).collect::<Vec<_>>()).await?;
    }
    if !changes.is_empty() {
        for name in names {
            configs::alter(client, (ResourceType::Topic, name), &changes).await?;
        }
    }
    Ok(())
}

/// A topic in the list.
#[derive(Serialize)]
struct Listed {
    name: String,
    id: String,
    internal: bool,
    partitions: usize,
    /// The difference between end and start offset. After compaction or transactions there are fewer records.
    records: i64,
    /// `None` if the user may not describe log directories.
    bytes: Option<i64>,
}

async fn list(client: &Client, internal: bool, json: bool) -> Outcome {
    let listed = topics::list(client).await?;
    let listed: Vec<_> = listed.into_iter().filter(|topic| internal || !topic.is_internal).collect();
    let partitions = listed.iter().flat_map(|topic| {
        let count = i32::try_from(topic.partitions).unwrap_or(i32::MAX);
        (0..count).map(|index| TopicPartition::new(topic.name.as_str(), index))
    });
    let partitions: Vec<_> = partitions.collect();
    let offsets = Offsets::fetch(client, &partitions).await?;
    let bytes = bytes(client).await?;
    let sum = |name: &str, of: &dyn Fn(&TopicPartition) -> i64| {
        partitions.iter().filter(|partition| *partition.topic == *name).map(of).sum()
    };
    let listed = listed.into_iter().map(|topic| Listed {
        records: sum(&topic.name, &|partition| offsets.records(partition).unwrap_or(0)),
        bytes: bytes.as_ref().map(|bytes| sum(&topic.name, &|partition| bytes.get(partition).copied().unwrap_or(0))),
        id: topic.id.to_string(),
        internal: topic.is_internal,
        partitions: topic.partitions,
        name: topic.name,
    });
    let listed: Vec<_> = listed.collect();
    if json {
        return print_json(&listed);
    }
    let row = |topic: &Listed| {
        let [partitions, records, bytes] =
            [topic.partitions.to_string(), topic.records.to_string(), number(topic.bytes)];
        vec![topic.name.clone(), partitions, records, bytes]
    };
    let rows: Vec<_> = listed.iter().map(row).collect();
    let mut output = Output::stdout();
    match rows.is_empty() {
        true => output.line("No topics. Create one with: ottla topics create NAME"),
        false => table(&["TOPIC", "PARTITIONS", "RECORDS", "BYTES"], &rows).iter().for_each(|line| output.line(line)),
    }
    Ok(())
}

/// The description of a topic.
#[derive(Serialize)]
struct Described {
    name: String,
    id: String,
    /// Settings of the topic itself, without the broker's.
    settings: BTreeMap<String, Option<String>>,
    partitions: Vec<DescribedPartition>,
}

#[derive(Serialize)]
struct DescribedPartition {
    partition: i32,
    leader: Option<i32>,
    replicas: Vec<i32>,
    isr: Vec<i32>,
    start_offset: Option<Offset>,
    end_offset: Option<Offset>,
    bytes: Option<i64>,
}

async fn describe(client: &Client, names: &[String], json: bool) -> Outcome {
    let known = topics::list(client).await?;
    if let Some(missing) = names.iter().find(|name| !known.iter().any(|topic| topic.name == **name)) {
        return Err(no_topic(missing, known.iter().map(|topic| topic.name.as_str())));
    }
    let described = topics::describe(client, names, PARTITIONS_AT_A_TIME).await?;
    let resources: Vec<_> = described.iter().map(|topic| (ResourceType::Topic, topic.name.as_str())).collect();
    let settings = configs::describe(client, &resources, false).await?;
    let place = |topic: &TopicDescription, partition: &PartitionDescription| {
        TopicPartition::new(topic.name.as_str(), partition.index)
    };
    let partitions: Vec<_> =
        described.iter().flat_map(|topic| topic.partitions.iter().map(|partition| place(topic, partition))).collect();
    let offsets = Offsets::fetch(client, &partitions).await?;
    let bytes = bytes(client).await?;
    let described = described.iter().zip(settings).map(|(topic, settings)| {
        let own = settings.into_iter().filter(|entry| entry.source == ConfigSource::DynamicTopic);
        let partition = |partition: &PartitionDescription| {
            let place = place(topic, partition);
            DescribedPartition {
                partition: partition.index,
                leader: partition.leader,
                replicas: partition.replicas.clone(),
                isr: partition.isr.clone(),
                start_offset: offsets.start.get(&place).copied(),
                end_offset: offsets.end.get(&place).copied(),
                bytes: bytes.as_ref().and_then(|bytes| bytes.get(&place).copied()),
            }
        };
        Described {
            name: topic.name.clone(),
            id: topic.id.to_string(),
            settings: own.map(|entry| (entry.name, entry.value)).in_order(),
            partitions: topic.partitions.iter().map(partition).collect(),
        }
    });
    let described: Vec<_> = described.collect();
    if json {
        return print_json(&described);
    }
    let mut output = Output::stdout();
    for (number, topic) in described.iter().enumerate() {
        if number > 0 {
            output.line("");
        }
        print(&mut output, topic);
    }
    Ok(())
}

fn print(output: &mut Output, topic: &Described) {
    output.line(format_args!("{} (id {})", topic.name, topic.id));
    for (name, value) in &topic.settings {
        output.line(format_args!("  {name}={}", value.as_deref().unwrap_or_default()));
    }
    let row = |partition: &DescribedPartition| {
        let records = partition.end_offset.zip(partition.start_offset).map(|(end, start)| end - start);
        vec![
            partition.partition.to_string(),
            number(partition.leader.map(i64::from)),
            number(partition.start_offset),
            number(partition.end_offset),
            number(records),
            number(partition.bytes),
        ]
    };
    let rows: Vec<_> = topic.partitions.iter().map(row).collect();
    let headings = ["PARTITION", "LEADER", "START", "END", "RECORDS", "BYTES"];
    table(&headings, &rows).iter().for_each(|line| output.line(line));
}

/// Formats a number for a table.
fn number(number: Option<i64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

/// Start and end offsets of partitions, as far as the broker reports them.
struct Offsets {
    start: HashMap<TopicPartition, Offset>,
    end: HashMap<TopicPartition, Offset>,
}

impl Offsets {
    async fn fetch(client: &Client, partitions: &[TopicPartition]) -> Result<Offsets, String> {
        const EARLIEST: i64 = -2;
        const LATEST: i64 = -1;
        Ok(Offsets {
            start: Offsets::at(client, partitions, EARLIEST).await?,
            end: Offsets::at(client, partitions, LATEST).await?,
        })
    }

    async fn at(
        client: &Client,
        partitions: &[TopicPartition],
        timestamp: i64,
    ) -> Result<HashMap<TopicPartition, Offset>, String> {
        let asked: Vec<_> =
            partitions.iter().map(|partition| (&*partition.topic, partition.partition, timestamp)).collect();
        let found = client.list_offsets(&asked).await.map_err(|error| error.to_string())?;
        let found = partitions.iter().zip(found);
        Ok(found.filter_map(|(partition, listed)| Some((partition.clone(), listed.ok()?.offset))).collect())
    }

    fn records(&self, partition: &TopicPartition) -> Option<i64> {
        Some(self.end.get(partition)? - self.start.get(partition)?)
    }
}

/// The sizes of partitions' logs, in bytes; `None` if the user may not describe log directories, which needs DESCRIBE on
/// the cluster.
async fn bytes(client: &Client) -> Result<Option<HashMap<TopicPartition, i64>>, String> {
    let dirs = match log_dirs::describe(client).await {
        Err(error) if error.simple_name() == "ClusterAuthorizationException" => return Ok(None),
        dirs => dirs?,
    };
    let replicas = dirs.into_iter().flat_map(|dir| dir.replicas).filter(|replica| !replica.is_future);
    Ok(Some(replicas.map(|replica| (replica.partition, replica.size)).collect()))
}
