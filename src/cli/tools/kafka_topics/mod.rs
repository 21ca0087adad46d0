//! kafka-topics: creates, lists, describes, alters and deletes topics.
//!
//! Source of behaviour: `org.apache.kafka.tools.TopicCommand`.

mod checks;
mod describe;
mod settings;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use super::connect::{ConnectError, Properties, block_on, connect};
use super::exceptions::Exception;
use super::log_line::log_error;
use super::options::{ParserStyle, one_number, one_value};
use super::output::Output;
use super::topic_filter::{TopicFilter, is_internal};
use super::{RunTool, Tool};
use crate::cli::admin::topics::{self, MorePartitions, NewTopic};
use ottla_client::Client;

pub use settings::topic_settings;

pub const TOOL: Tool = Tool::new::<Options>("kafka-topics", ParserStyle::JoptSimple);

/// The class under which this tool's errors are logged.
const CLASS: &str = "org.apache.kafka.tools.TopicCommand";

#[derive(Debug, Parser)]
#[command(about = "This tool helps to create, delete, describe, or change a topic.")]
pub struct Options {
    /// REQUIRED: The servers to connect to.
    #[arg(long, value_name = "String: server to connect to")]
    bootstrap_server: Vec<String>,
    /// Properties for the client.
    #[arg(long, value_name = "String: command config property file")]
    command_config: Vec<String>,
    /// Print the names of all topics, or of those that --topic matches.
    #[arg(long)]
    list: bool,
    /// Create a topic.
    #[arg(long)]
    create: bool,
    /// Delete topics.
    #[arg(long)]
    delete: bool,
    /// Increase the number of partitions. (To change settings, use kafka-configs.)
    #[arg(long)]
    alter: bool,
    /// Describe the partitions and settings of topics.
    #[arg(long)]
    describe: bool,
    /// The topic; except with --create, a regular expression for topics.
    #[arg(long, value_name = "String: topic")]
    topic: Vec<String>,
    /// The id of the topic to describe.
    #[arg(long, value_name = "String: topic-id")]
    topic_id: Vec<String>,
    /// With --create: a setting of the topic that differs from the broker's, such as retention.ms=60000; can be given
    /// more than once. (To change it later, use kafka-configs.)
    #[arg(long, value_name = "String: name=value")]
    config: Vec<String>,
    /// No longer supported, since Kafka 4.0.
    #[arg(long, value_name = "String: name")]
    delete_config: Vec<String>,
    /// With --create: the number of partitions; if not given, the broker's default. With --alter: the new number of
    /// partitions; new records with a key may then go to a different partition than before.
    #[arg(long, value_name = "Integer: # of partitions")]
    partitions: Vec<String>,
    /// With --create: the number of replicas; if not given, the broker's default.
    #[arg(long, value_name = "Integer: replication factor")]
    replication_factor: Vec<String>,
    /// The brokers of each partition, in place of --partitions and --replication-factor.
    #[arg(
        long,
        value_name = "String: broker_id_for_part1_replica1 : broker_id_for_part1_replica2 , \
                      broker_id_for_part2_replica1 : broker_id_for_part2_replica2 , ..."
    )]
    replica_assignment: Vec<String>,
    /// With --describe: only partitions that lack in-sync replicas.
    #[arg(long)]
    under_replicated_partitions: bool,
    /// With --describe: only partitions whose leader is not available.
    #[arg(long)]
    unavailable_partitions: bool,
    /// With --describe: only partitions with fewer in-sync replicas than min.insync.replicas.
    #[arg(long)]
    under_min_isr_partitions: bool,
    /// With --describe: only partitions with exactly as many in-sync replicas as min.insync.replicas.
    #[arg(long)]
    at_min_isr_partitions: bool,
    /// With --describe: only topics with settings of their own.
    #[arg(long)]
    topics_with_overrides: bool,
    /// With --alter, --delete and --describe: don't fail if the topic doesn't exist.
    #[arg(long)]
    if_exists: bool,
    /// With --create: don't fail if the topic already exists.
    #[arg(long)]
    if_not_exists: bool,
    /// With --list and --describe: exclude internal topics.
    #[arg(long)]
    exclude_internal: bool,
    /// With --describe: the maximum number of partitions in one response.
    #[arg(long, value_name = "Integer: maximum number of partitions per response")]
    partition_size_limit_per_response: Vec<String>,
}

impl RunTool for Options {
    fn run(self, tool: &Tool) -> ExitCode {
        if let Some(message) = self.find_usage_error() {
            return tool.usage_error(&message);
        }
        block_on(async move {
            let client = match self.connect().await {
                Ok(client) => client,
                Err(ConnectFailure::Thrown(message)) => {
                    err_line!("{message}");
                    return ExitCode::FAILURE;
                }
                Err(ConnectFailure::Unreachable(error)) => return report_failure(&error),
            };
            match self.act(&client).await {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => report_failure(&error),
            }
        })
    }
}

/// Prints on stdout why the command failed, and logs it.
fn report_failure(error: &Exception) -> ExitCode {
    Output::stdout().line(format_args!("Error while executing topic command : {}", error.message));
    log_error(CLASS, error);
    ExitCode::FAILURE
}

/// Why connecting failed.
enum ConnectFailure {
    /// An error in the options or settings, printed on stderr.
    Thrown(String),
    Unreachable(Exception),
}

impl Options {
    async fn connect(&self) -> Result<Client, ConnectFailure> {
        let thrown = |error: Exception| ConnectFailure::Thrown(error.message);
        let servers = one_value("bootstrap-server", &self.bootstrap_server).map_err(thrown)?;
        let servers =
            servers.ok_or_else(|| ConnectFailure::Thrown("--bootstrap-server must be specified".to_owned()))?;
        let file = one_value("command-config", &self.command_config).map_err(thrown)?.map(PathBuf::from);
        let properties = Properties::read_optional(file.as_deref()).map_err(ConnectFailure::Thrown)?;
        connect(servers, &properties).await.map_err(|error| match error {
            ConnectError::Misconfigured(_) => {
                let cause = Exception::from(error);
                ConnectFailure::Thrown(format!("Failed to create new KafkaAdminClient\nCaused by: {cause}"))
            }
            ConnectError::Unreachable(_) | ConnectError::Refused(_) => ConnectFailure::Unreachable(error.into()),
        })
    }

    async fn act(&self, client: &Client) -> Result<(), Exception> {
        if self.create {
            self.create(client).await
        } else if self.alter {
            self.alter(client).await
        } else if self.list {
            let names = self.names(client).await?;
            Output::stdout().line(names.join("\n"));
            Ok(())
        } else if self.describe {
            self.describe(client).await
        } else {
            let names = self.existing_names(client).await?;
            if names.is_empty() { Ok(()) } else { topics::delete(client, &names).await }
        }
    }

    async fn create(&self, client: &Client) -> Result<(), Exception> {
        let topic = self.new_topic()?;
        let mut output = Output::stdout();
        if topic.name.contains(['.', '_']) {
            output.line(COLLISION_WARNING);
        }
        let replication_factor = self.replication_factor()?;
        let factor = |factor: i32| i16::try_from(factor).ok().filter(|factor| *factor >= 1);
        if replication_factor.is_some_and(|number| factor(number).is_none()) {
            let message = format!("The replication factor must be between 1 and {} inclusive", i16::MAX);
            return Err(Exception::illegal_argument(message));
        }
        if topic.partitions.is_some_and(|partitions| partitions < 1) {
            return Err(Exception::illegal_argument("The partitions must be greater than 0"));
        }
        let topic = NewTopic { replication_factor: replication_factor.and_then(factor), ..topic };
        if topic.name.is_empty() {
            return Err(Exception::new(
                "org.apache.kafka.common.errors.InvalidTopicException",
                "The given topic name '' cannot be represented in a request.",
            ));
        }
        match topics::create(client, &topic).await {
            Ok(()) => output.line(format_args!("Created topic {}.", topic.name)),
            Err(error) if self.if_not_exists && error.simple_name() == "TopicExistsException" => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Returns the topic that the options describe, without its replication factor.
    fn new_topic(&self) -> Result<NewTopic, Exception> {
        let name = one_value("topic", &self.topic)?.unwrap_or_default().to_owned();
        let partitions = one_number("partitions", &self.partitions)?;
        self.replication_factor()?;
        let assignment = self.assignment()?;
        let configs = topic_settings(&self.config)?;
        Ok(NewTopic { name, partitions, replication_factor: None, assignment, configs })
    }

    fn replication_factor(&self) -> Result<Option<i32>, Exception> {
        one_number("replication-factor", &self.replication_factor)
    }

    fn assignment(&self) -> Result<Vec<Vec<i32>>, Exception> {
        match one_value("replica-assignment", &self.replica_assignment)? {
            None | Some("") => Ok(Vec::new()),
            Some(text) => settings::assignment(text),
        }
    }

    async fn alter(&self, client: &Client) -> Result<(), Exception> {
        let requested = self.new_topic()?;
        let names = self.existing_names(client).await?;
        if names.is_empty() {
            return Ok(());
        }
        let total = requested.partitions.unwrap_or_default();
        let mut changes: Vec<_> =
            names.iter().map(|name| MorePartitions { topic: name.clone(), total, assignment: None }).collect();
        if !requested.assignment.is_empty() {
            let described = topics::describe(client, &names, PARTITIONS_AT_A_TIME).await?;
            for (change, topic) in changes.iter_mut().zip(described) {
                // Skips the brokers of the existing partitions, which come first.
                let new = requested.assignment.iter().skip(topic.partitions.len());
                change.assignment = Some(new.cloned().collect());
            }
        }
        topics::create_partitions(client, &changes).await
    }

    /// Lists the topics that --topic matches, or all.
    async fn names(&self, client: &Client) -> Result<Vec<String>, Exception> {
        let pattern = one_value("topic", &self.topic)?;
        let listed = topics::list(client).await?;
        let filter = pattern.map(TopicFilter::new).transpose();
        let filter = filter.map_err(|message| Exception::new("java.lang.RuntimeException", message))?;
        let is_chosen = |topic: &topics::TopicListing| {
            let is_excluded = self.exclude_internal && (topic.is_internal || is_internal(&topic.name));
            !is_excluded && filter.as_ref().is_none_or(|filter| filter.allows(&topic.name))
        };
        Ok(listed.into_iter().filter(is_chosen).map(|topic| topic.name).collect())
    }

    /// Like [`Options::names`], but fails if --topic matches no topic, unless --if-exists is given.
    async fn existing_names(&self, client: &Client) -> Result<Vec<String>, Exception> {
        let names = self.names(client).await?;
        match one_value("topic", &self.topic)? {
            Some(topic) if names.is_empty() && !topic.is_empty() && !self.if_exists => {
                Err(Exception::illegal_argument(format!("Topic '{topic}' does not exist as expected")))
            }
            _ => Ok(names),
        }
    }
}

/// The warning for names that can collide in metrics (`Topic.hasCollisionChars`).
const COLLISION_WARNING: &str = "WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') \
                         could collide. To avoid issues it is best to use either, but not both.";

/// The maximum number of partitions in one response.
pub const PARTITIONS_AT_A_TIME: i32 = 2000;
