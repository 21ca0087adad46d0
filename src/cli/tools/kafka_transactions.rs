//! kafka-transactions: lists and describes transactions, finds hanging ones, and aborts them.
//!
//! Source of behaviour: `org.apache.kafka.tools.TransactionsCommand`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use super::connect::{Properties, connect, run_to_exit};
use super::exceptions::Exception;
use super::options::ParserStyle;
use super::output::print_table;
use super::{RunTool, Tool};
use crate::cli::admin::topics;
use crate::cli::admin::transactions::{self, ProducerState, SearchError, TransactionFilter};
use ottla_broker::clock::wall_clock_ms;
use ottla_client::Client;
use ottla_wire::java::{sort_as_hash_map, topic_partition_hash};
use ottla_wire::types::{Offset, PartitionIndex, ProducerId, ProducerIdEpoch, TopicPartition};

pub const TOOL: Tool = Tool::new::<Options>("kafka-transactions", ParserStyle::Argparse);

const MINUTE_MS: i64 = 60_000;
/// The initial capacity of a `java.util.HashSet`.
const HASH_SET_CAPACITY: usize = 16;
/// The maximum number of partitions in one response.
const PARTITIONS_AT_A_TIME: i32 = 2000;

/// This tool is used to analyze the transactional state of producers in the cluster. It can be used to detect and
/// recover from hanging transactions.
#[derive(Debug, Parser)]
pub struct Options {
    /// The servers to connect to.
    #[arg(long, required = true, value_name = "host:port")]
    bootstrap_server: String,
    /// Properties for the client.
    #[arg(long, value_name = "FILE")]
    command_config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// list transactions
    List {
        /// Only transactions that have been running for longer than this, in milliseconds.
        #[arg(long)]
        duration_filter: Option<i64>,
        /// Only transactional ids that match this regular expression.
        #[arg(long)]
        transactional_id_pattern: Option<String>,
    },
    /// describe the state of an active transactional-id
    Describe {
        /// transactional id
        #[arg(long, required = true)]
        transactional_id: String,
    },
    /// describe the states of active producers for a topic partition
    DescribeProducers {
        /// The broker whose replica to query.
        #[arg(long)]
        broker_id: Option<i32>,
        #[command(flatten)]
        partition: Partition,
    },
    /// abort a hanging transaction (requires administrative privileges)
    Abort(Abort),
    /// find hanging transactions
    FindHanging(FindHanging),
    /// Force abort an ongoing transaction on transactionalId (requires administrative privileges)
    #[command(name = "forceTerminateTransaction")]
    ForceTerminateTransaction {
        /// transactional id
        #[arg(long = "transactionalId", required = true)]
        transactional_id: String,
    },
}

#[derive(Debug, Args)]
struct Partition {
    /// topic name
    #[arg(long, required = true)]
    topic: String,
    /// partition number
    #[arg(long, required = true)]
    partition: PartitionIndex,
}

#[derive(Debug, Args)]
struct Abort {
    #[command(flatten)]
    partition: Partition,
    /// The start offset of the transaction to abort; sufficient for brokers from 3.0 on.
    #[arg(long)]
    start_offset: Option<Offset>,
    /// The producer id of the transaction to abort, for older brokers.
    #[arg(long)]
    producer_id: Option<ProducerId>,
    /// The producer epoch of the transaction to abort, for older brokers.
    #[arg(long)]
    producer_epoch: Option<i16>,
    /// The coordinator epoch of the transaction to abort, for older brokers.
    #[arg(long)]
    coordinator_epoch: Option<i32>,
}

#[derive(Debug, Args)]
struct FindHanging {
    /// Only partitions of this broker.
    #[arg(long)]
    broker_id: Option<i32>,
    /// Only transactions that have been open for longer than this, in minutes.
    #[arg(long, default_value = "15")]
    max_transaction_timeout: i32,
    /// Only partitions of this topic; required with --partition.
    #[arg(long)]
    topic: Option<String>,
    /// Only this partition.
    #[arg(long)]
    partition: Option<PartitionIndex>,
}

impl RunTool for Options {
    fn run(self, _tool: &Tool) -> ExitCode {
        run_to_exit(self.act())
    }
}

impl Options {
    async fn act(&self) -> Result<(), String> {
        let properties = Properties::read_optional(self.command_config.as_deref());
        let properties = properties.map_err(|why| format!("Failed to load admin client properties: {why}"))?;
        let client = connect(&self.bootstrap_server, &properties).await?;
        match &self.command {
            Command::List { duration_filter, transactional_id_pattern } => {
                let filter = TransactionFilter {
                    longer_than_ms: *duration_filter,
                    id_pattern: transactional_id_pattern.clone(),
                    ..Default::default()
                };
                list(&client, &filter).await
            }
            Command::Describe { transactional_id } => describe(&client, transactional_id).await,
            Command::DescribeProducers { broker_id, partition } => {
                describe_producers(&client, &partition.topic_partition(), *broker_id).await
            }
            Command::Abort(abort) => abort.act(&client).await,
            Command::FindHanging(search) => search.act(&client).await,
            Command::ForceTerminateTransaction { transactional_id } => {
                let failed = format!("Failed to force terminate transactionalId `{transactional_id}`");
                transactions::force_terminate(&client, transactional_id).await.map_err(with_context(&failed))
            }
        }
    }
}

impl Partition {
    fn topic_partition(&self) -> TopicPartition {
        TopicPartition::new(self.topic.as_str(), self.partition)
    }
}

/// Adds what failed to the message of an error.
fn with_context(what: &str) -> impl Fn(Exception) -> String {
    move |error| format!("{what}: {}. Enable debug logging for additional detail.", error.message)
}

async fn list(client: &Client, filter: &TransactionFilter) -> Result<(), String> {
    let failed = with_context("Failed to list transactions");
    let listed = transactions::list(client, filter).await.map_err(&failed)?;
    // The only broker coordinates all transactions.
    let cluster = client.metadata(Some(&[])).await.map_err(|error| failed(error.into()))?;
    let coordinator = cluster.brokers.first().map_or(-1, |broker| broker.node_id).to_string();
    let row = |listing: transactions::TransactionListing| {
        [listing.transactional_id, coordinator.clone(), listing.producer_id.to_string(), listing.state]
    };
    let rows: Vec<_> = listed.into_iter().map(row).collect();
    print_table(["TransactionalId", "Coordinator", "ProducerId", "TransactionState"], &rows);
    Ok(())
}

async fn describe(client: &Client, id: &str) -> Result<(), String> {
    let failed = format!("Failed to describe transaction state of transactional-id `{id}`");
    let described = transactions::describe(client, id).await.map_err(with_context(&failed))?;
    let mut described = described.ok_or_else(|| {
        let unknown =
            format!("DescribeTransactions request for transactionalId `{id}` failed because the ID could not be found");
        with_context(&failed)(Exception::new("TransactionalIdNotFoundException", unknown))
    })?;
    sort_as_hash_map(&mut described.partitions, HASH_SET_CAPACITY, hash);
    let or_none = |value: Option<i64>| value.map_or_else(|| "None".to_owned(), |value| value.to_string());
    let partitions: Vec<_> = described.partitions.iter().map(TopicPartition::to_string).collect();
    let row = [
        described.coordinator_id.to_string(),
        id.to_owned(),
        described.producer.producer_id.to_string(),
        described.producer.epoch.to_string(),
        described.state,
        described.timeout_ms.to_string(),
        or_none(described.start),
        or_none(described.start.map(|start| wall_clock_ms() - start)),
        partitions.join(","),
    ];
    let header = [
        "CoordinatorId",
        "TransactionalId",
        "ProducerId",
        "ProducerEpoch",
        "TransactionState",
        "TransactionTimeoutMs",
        "CurrentTransactionStartTimeMs",
        "TransactionDurationMs",
        "TopicPartitions",
    ];
    print_table(header, &[row]);
    Ok(())
}

fn hash(partition: &TopicPartition) -> i32 {
    topic_partition_hash(&partition.topic, partition.partition)
}

async fn describe_producers(client: &Client, partition: &TopicPartition, broker_id: Option<i32>) -> Result<(), String> {
    let replica = broker_id.map_or_else(|| "leader".to_owned(), |id| format!("broker {id}"));
    let failed = format!("Failed to describe producers for partition {partition} on {replica}");
    let producers = transactions::describe_producers(client, partition).await.map_err(with_context(&failed))?;
    let row = |producer: &ProducerState| {
        [
            producer.producer_id.to_string(),
            producer.epoch.to_string(),
            producer.coordinator_epoch.max(-1).to_string(),
            producer.last_sequence.to_string(),
            producer.last_timestamp.to_string(),
            producer.open_from.map_or_else(|| "None".to_owned(), |offset| offset.to_string()),
        ]
    };
    let rows: Vec<_> = producers.iter().map(row).collect();
    let header = [
        "ProducerId",
        "ProducerEpoch",
        "LatestCoordinatorEpoch",
        "LastSequence",
        "LastTimestamp",
        "CurrentTransactionStartOffset",
    ];
    print_table(header, &rows);
    Ok(())
}

impl Abort {
    async fn act(&self, client: &Client) -> Result<(), String> {
        let partition = self.partition.topic_partition();
        let (producer, coordinator_epoch) = match (self.start_offset, self.producer_id) {
            (Some(start), _) => find_producer(client, &partition, start).await?,
            (None, Some(producer_id)) => {
                let epoch = self.producer_epoch.ok_or("Missing required argument --producer-epoch")?;
                let coordinator = self.coordinator_epoch.ok_or("Missing required argument --coordinator-epoch")?;
                (ProducerIdEpoch { producer_id, epoch }, coordinator)
            }
            (None, None) => {
                return Err(
                    "The transaction to abort must be identified either with --start-offset (for brokers on 3.0 \
                            or above) or with --producer-id, --producer-epoch, and --coordinator-epoch (for older \
                            brokers)"
                        .to_owned(),
                );
            }
        };
        // The epoch is -1 if the coordinator has written no marker yet. Any epoch is accepted then, so 0 is sent.
        let coordinator_epoch = coordinator_epoch.max(0);
        let failed = format!(
            "Failed to abort transaction AbortTransactionSpec(topicPartition={partition}, producerId={}, \
             producerEpoch={}, coordinatorEpoch={coordinator_epoch})",
            producer.producer_id, producer.epoch
        );
        transactions::abort(client, &partition, producer, coordinator_epoch).await.map_err(with_context(&failed))
    }
}

/// Finds the producer whose open transaction starts at an offset, and the epoch of its coordinator.
async fn find_producer(
    client: &Client,
    partition: &TopicPartition,
    start: Offset,
) -> Result<(ProducerIdEpoch, i32), String> {
    let failed = format!("Failed to validate producer state for partition {partition}");
    let found = transactions::find_open(client, partition, start).await.map_err(with_context(&failed))?;
    let found = found.and_then(|producer| {
        let epoch = i16::try_from(producer.epoch).ok()?;
        Some((ProducerIdEpoch { producer_id: producer.producer_id, epoch }, producer.coordinator_epoch))
    });
    found.ok_or_else(|| {
        format!("Could not find any open transactions starting at offset {start} on partition {partition}")
    })
}

impl FindHanging {
    async fn act(&self, client: &Client) -> Result<(), String> {
        if self.topic.is_none() && self.broker_id.is_none() {
            let why =
                "The `find-hanging` command requires either --topic or --broker-id to limit the scope of the search";
            return Err(why.to_owned());
        }
        if self.partition.is_some() && self.topic.is_none() {
            return Err("The --partition argument requires --topic to be provided".to_owned());
        }
        let mut partitions = self.partitions(client).await?;
        let capacity = partitions.len();
        sort_as_hash_map(&mut partitions, capacity, hash);
        let now = wall_clock_ms();
        let open = self.find_long_running(client, &partitions, now).await?;
        let hanging = transactions::retain_hanging(client, open).await;
        let hanging = hanging.map_err(|SearchError { what, error }| with_context(&what)(error))?;
        let row = |(partition, producer): &(TopicPartition, ProducerState)| {
            [
                partition.topic.to_string(),
                partition.partition.to_string(),
                producer.producer_id.to_string(),
                producer.epoch.to_string(),
                producer.coordinator_epoch.max(-1).to_string(),
                producer.open_from.unwrap_or(-1).to_string(),
                producer.last_timestamp.to_string(),
                ((now - producer.last_timestamp) / MINUTE_MS).to_string(),
            ]
        };
        let header = [
            "Topic",
            "Partition",
            "ProducerId",
            "ProducerEpoch",
            "CoordinatorEpoch",
            "StartOffset",
            "LastTimestamp",
            "Duration(min)",
        ];
        print_table(header, &hanging.iter().map(row).collect::<Vec<_>>());
        Ok(())
    }

    /// Lists the partitions to search.
    async fn partitions(&self, client: &Client) -> Result<Vec<TopicPartition>, String> {
        let names = match (&self.topic, self.partition) {
            (Some(topic), Some(partition)) => return Ok(vec![TopicPartition::new(topic.as_str(), partition)]),
            (Some(topic), None) => vec![topic.clone()],
            (None, _) => {
                let listed = topics::list(client).await.map_err(with_context("Failed to list topics"))?;
                listed.into_iter().map(|topic| topic.name).collect()
            }
        };
        let failed = format!("Failed to describe {} topics", names.len());
        let described = topics::describe(client, &names, PARTITIONS_AT_A_TIME).await.map_err(with_context(&failed))?;
        let mut partitions = Vec::new();
        for topic in described {
            let is_on_broker = |replicas: &[i32]| self.broker_id.is_none_or(|broker| replicas.contains(&broker));
            let found = topic.partitions.iter().filter(|partition| is_on_broker(&partition.replicas));
            partitions.extend(found.map(|partition| TopicPartition::new(topic.name.as_str(), partition.index)));
        }
        Ok(partitions)
    }

    /// Finds the transactions that have been open for longer than the maximum duration.
    async fn find_long_running(
        &self,
        client: &Client,
        partitions: &[TopicPartition],
        now: i64,
    ) -> Result<Vec<(TopicPartition, ProducerState)>, String> {
        let broker = self.broker_id.map_or_else(|| "Optional.empty".to_owned(), |id| format!("Optional[{id}]"));
        let failed = format!("Failed to describe producers for {} partitions on broker {broker}", partitions.len());
        let max_ms = i64::from(self.max_transaction_timeout) * MINUTE_MS;
        let mut open = Vec::new();
        for partition in partitions {
            let producers = transactions::describe_producers(client, partition).await.map_err(with_context(&failed))?;
            let late = producers.into_iter().filter(|it| it.open_from.is_some() && now - it.last_timestamp > max_ms);
            open.extend(late.map(|producer| (partition.clone(), producer)));
        }
        Ok(open)
    }
}
