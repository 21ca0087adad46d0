//! `ottla transactions`: lists, describes and aborts transactions; finds hanging ones.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::admin::topics;
use super::admin::transactions::{
    self, ProducerState, TransactionDescription, TransactionFilter, TransactionListing, find_open, retain_hanging,
};
use super::outcome::{Outcome, exit_code, print_json};
use super::table;
use super::tools::connect::{Bootstrap, block_on};
use super::tools::output::Output;
use ottla_broker::clock::wall_clock_ms;
use ottla_client::Client;
use ottla_config::table::nearest_of;
use ottla_wire::types::{Offset, PartitionIndex, ProducerId, ProducerIdEpoch, TimestampMs, TopicPartition, sort_by};

const EXAMPLES: &str = "\
Examples:
  ottla transactions
  ottla transactions describe billing-1
  ottla transactions abort billing-1
  ottla transactions find-hanging
  ottla transactions abort --topic orders --partition 0 --start-offset 7

Apache Kafka's own tool is included: ottla kafka-transactions --help";

const MINUTE_MS: i64 = 60_000;
/// The maximum number of partitions in one response.
const PARTITIONS_AT_A_TIME: i32 = 2000;

/// The arguments of `ottla transactions`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct TransactionsArgs {
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
    /// List transactional ids (the default command)
    List,
    /// Show producer, state and partitions of transactional ids
    Describe {
        /// The transactional ids
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
    /// Abort the open transactions of transactional ids, and fence their producers; or abort one hanging transaction
    Abort {
        /// The transactional ids
        #[arg(required_unless_present = "topic", conflicts_with = "topic", value_name = "ID")]
        ids: Vec<String>,

        #[command(flatten)]
        hanging: Option<Hanging>,
    },
    /// Find transactions that are open in a partition and that no coordinator will end
    FindHanging {
        /// Search only this topic; may be given many times [default: all topics]
        #[arg(long, value_name = "TOPIC")]
        topic: Vec<String>,

        /// Find only transactions that have been open for longer than this, in minutes
        #[arg(long, value_name = "MINUTES", default_value = "15")]
        longer_than: u32,
    },
}

/// A hanging transaction.
#[derive(Debug, Args)]
#[group(multiple = true)]
struct Hanging {
    /// The topic of a hanging transaction
    #[arg(long, required = false, requires_all = ["partition", "start_offset"], value_name = "TOPIC")]
    topic: String,

    /// The partition of a hanging transaction
    #[arg(long, required = false, requires = "topic", value_name = "N")]
    partition: PartitionIndex,

    /// The first offset of a hanging transaction
    #[arg(long, required = false, requires = "topic", value_name = "OFFSET")]
    start_offset: Offset,
}

/// Runs the command.
pub fn run(args: TransactionsArgs) -> ExitCode {
    block_on(async move { exit_code(act(args).await) })
}

async fn act(args: TransactionsArgs) -> Outcome {
    let client = args.bootstrap.connect().await?;
    match args.action.unwrap_or(Action::List) {
        Action::List => list(&client, args.json).await,
        Action::Describe { ids } => describe(&client, &ids, args.json).await,
        Action::Abort { hanging: Some(hanging), .. } => abort_hanging(&client, &hanging, args.json).await,
        Action::Abort { ids, hanging: None } => abort(&client, &ids, args.json).await,
        Action::FindHanging { topic, longer_than } => find_hanging(&client, topic, longer_than, args.json).await,
    }
}

#[derive(Serialize)]
struct Listed {
    transactional_id: String,
    state: String,
    producer_id: ProducerId,
}

async fn list(client: &Client, json: bool) -> Outcome {
    let listed = transactions::list(client, &TransactionFilter::default()).await?.into_iter();
    let listed = listed.map(|TransactionListing { transactional_id, producer_id, state }| Listed {
        transactional_id,
        state,
        producer_id,
    });
    let mut listed: Vec<_> = listed.collect();
    sort_by(&mut listed, |a, b| a.transactional_id.cmp(&b.transactional_id));
    if json {
        return print_json(&listed);
    }
    let row =
        |listed: &Listed| vec![listed.transactional_id.clone(), listed.state.clone(), listed.producer_id.to_string()];
    let rows: Vec<_> = listed.iter().map(row).collect();
    let mut output = Output::stdout();
    match rows.is_empty() {
        true => output.line("No transactional ids. One appears when a producer with it is initialized."),
        false => print_table(&["TRANSACTIONAL ID", "STATE", "PRODUCER ID"], &rows, &mut output),
    }
    Ok(())
}

fn print_table(headings: &[&str], rows: &[Vec<String>], output: &mut Output) {
    table::table(headings, rows).iter().for_each(|line| output.line(line));
}

#[derive(Serialize)]
struct Described {
    transactional_id: String,
    state: String,
    producer_id: ProducerId,
    producer_epoch: i16,
    timeout_ms: i32,
    /// When the last transaction began.
    start_ms: Option<TimestampMs>,
    partitions: Vec<Partition>,
}

#[derive(Serialize)]
struct Partition {
    topic: String,
    partition: i32,
}

impl Described {
    fn new(transactional_id: &str, described: TransactionDescription) -> Described {
        let partition = |it: &TopicPartition| Partition { topic: it.topic.to_string(), partition: it.partition };
        Described {
            transactional_id: transactional_id.to_owned(),
            state: described.state,
            producer_id: described.producer.producer_id,
            producer_epoch: described.producer.epoch,
            timeout_ms: described.timeout_ms,
            start_ms: described.start,
            partitions: described.partitions.iter().map(partition).collect(),
        }
    }

    fn print(&self, now: TimestampMs, output: &mut Output) {
        let Described { transactional_id, state, producer_id, producer_epoch, timeout_ms, .. } = self;
        output.line(format_args!(
            "{transactional_id}: {state}, producer {producer_id}, epoch {producer_epoch}, timeout {timeout_ms} ms"
        ));
        if self.partitions.is_empty() {
            return;
        }
        if let Some(start) = self.start_ms {
            output.line(format_args!("open for {} ms", now.saturating_sub(start)));
        }
        let row = |it: &Partition| vec![it.topic.clone(), it.partition.to_string()];
        output.line("");
        print_table(&["TOPIC", "PARTITION"], &self.partitions.iter().map(row).collect::<Vec<_>>(), output);
    }
}

async fn describe(client: &Client, ids: &[String], json: bool) -> Outcome {
    let mut described = Vec::new();
    for id in ids {
        described.push(Described::new(id, describe_one(client, id).await?));
    }
    if json {
        return print_json(&described);
    }
    let mut output = Output::stdout();
    for (index, one) in described.iter().enumerate() {
        if index > 0 {
            output.line("");
        }
        one.print(wall_clock_ms(), &mut output);
    }
    Ok(())
}

/// Describes a transactional id that must exist. The error has a suggestion if another id is similar.
async fn describe_one(client: &Client, id: &str) -> Result<TransactionDescription, String> {
    if let Some(described) = transactions::describe(client, id).await? {
        return Ok(described);
    }
    let listed = transactions::list(client, &TransactionFilter::default()).await.unwrap_or_default();
    let hint = nearest_of(listed.iter().map(|listed| listed.transactional_id.as_str()), id);
    let hint = hint.map_or_else(String::new, |nearest| format!(" Did you mean {nearest}?"));
    Err(format!("there is no transactional id {id}.{hint}"))
}

#[derive(Serialize)]
struct Aborted<'a> {
    aborted: &'a [String],
}

async fn abort(client: &Client, ids: &[String], json: bool) -> Outcome {
    for id in ids {
        // Without this check, an unknown id would be created.
        describe_one(client, id).await?;
        transactions::force_terminate(client, id).await.map_err(|error| format!("{id}: {}", error.message))?;
    }
    if json {
        return print_json(&Aborted { aborted: ids });
    }
    let mut output = Output::stdout();
    ids.iter().for_each(|id| output.line(format_args!("aborted {id}")));
    Ok(())
}

async fn abort_hanging(client: &Client, hanging: &Hanging, json: bool) -> Outcome {
    let partition = TopicPartition::new(hanging.topic.as_str(), hanging.partition);
    let start = hanging.start_offset;
    let producer = find_open(client, &partition, start).await?;
    let producer = producer.ok_or_else(|| format!("no open transaction starts at offset {start} of {partition}"))?;
    let found = HangingTransaction::new(&partition, &producer);
    // A coordinator that still knows the transaction ends it itself.
    if retain_hanging(client, vec![(partition.clone(), producer.clone())]).await.map_err(in_words)?.is_empty() {
        return Err(format!(
            "the transaction at offset {start} of {partition} does not hang: its coordinator will end it. To abort it now, \
             name its transactional id: ottla transactions abort ID"
        ));
    }
    let epoch = i16::try_from(producer.epoch).map_err(|_| format!("{} is not a producer epoch", producer.epoch))?;
    let id_epoch = ProducerIdEpoch { producer_id: producer.producer_id, epoch };
    // The coordinator epoch is -1 if no marker has been written yet. Then each epoch is accepted.
    transactions::abort(client, &partition, id_epoch, producer.coordinator_epoch.max(0)).await?;
    if json {
        return print_json(&found);
    }
    Output::stdout().line(format_args!("aborted the transaction at offset {start} of {partition}"));
    Ok(())
}

fn in_words(error: transactions::SearchError) -> String {
    error.error.message
}

#[derive(Serialize)]
struct HangingTransaction {
    topic: String,
    partition: PartitionIndex,
    start_offset: Option<Offset>,
    producer_id: ProducerId,
    producer_epoch: i32,
    /// When the producer last wrote to the partition.
    last_timestamp_ms: TimestampMs,
}

impl HangingTransaction {
    fn new(partition: &TopicPartition, producer: &ProducerState) -> HangingTransaction {
        HangingTransaction {
            topic: partition.topic.to_string(),
            partition: partition.partition,
            start_offset: producer.open_from,
            producer_id: producer.producer_id,
            producer_epoch: producer.epoch,
            last_timestamp_ms: producer.last_timestamp,
        }
    }
}

async fn find_hanging(client: &Client, names: Vec<String>, longer_than: u32, json: bool) -> Outcome {
    let names = match names.is_empty() {
        true => topics::list(client).await?.into_iter().map(|topic| topic.name).collect(),
        false => names,
    };
    let now = wall_clock_ms();
    let mut open = Vec::new();
    for topic in topics::describe(client, &names, PARTITIONS_AT_A_TIME).await? {
        for described in &topic.partitions {
            let partition = TopicPartition::new(topic.name.as_str(), described.index);
            let producers = transactions::describe_producers(client, &partition).await;
            let producers = producers.map_err(|error| format!("{partition}: {}", error.message))?;
            let is_late = |producer: &ProducerState| now - producer.last_timestamp > i64::from(longer_than) * MINUTE_MS;
            let late = producers.into_iter().filter(|producer| producer.open_from.is_some() && is_late(producer));
            open.extend(late.map(|producer| (partition.clone(), producer)));
        }
    }
    let found = retain_hanging(client, open).await.map_err(in_words)?;
    let mut found: Vec<_> =
        found.iter().map(|(partition, producer)| HangingTransaction::new(partition, producer)).collect();
    sort_by(&mut found, |a, b| (&a.topic, a.partition, a.start_offset).cmp(&(&b.topic, b.partition, b.start_offset)));
    if json {
        return print_json(&found);
    }
    let mut output = Output::stdout();
    let Some(first) = found.first() else {
        output.line("No hanging transactions.");
        return Ok(());
    };
    let row = |it: &HangingTransaction| {
        vec![
            it.topic.clone(),
            it.partition.to_string(),
            it.start_offset.unwrap_or(-1).to_string(),
            it.producer_id.to_string(),
            it.producer_epoch.to_string(),
            (now.saturating_sub(it.last_timestamp_ms) / MINUTE_MS).to_string(),
        ]
    };
    let headings = ["TOPIC", "PARTITION", "START OFFSET", "PRODUCER ID", "PRODUCER EPOCH", "IDLE MINUTES"];
    print_table(&headings, &found.iter().map(row).collect::<Vec<_>>(), &mut output);
    output.line(format_args!(
        "Abort one with: ottla transactions abort --topic {} --partition {} --start-offset {}",
        first.topic,
        first.partition,
        first.start_offset.unwrap_or(-1)
    ));
    Ok(())
}
