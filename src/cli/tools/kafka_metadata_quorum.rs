//! kafka-metadata-quorum: describes the metadata quorum and the replication of the metadata log.
//!
//! Source of behaviour: `org.apache.kafka.tools.MetadataQuorumCommand`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::connect::run_to_exit;
use super::exceptions::Exception;
use super::options::ParserStyle;
use super::output::{Output, print_table};
use super::servers::{BROKERS, Servers, describe_cluster};
use super::{RunTool, Tool};
use ottla_broker::clock::wall_clock_ms;
use ottla_client::Client;
use ottla_core::metadata::names::METADATA_TOPIC;
use ottla_wire::protocol::messages::describe_quorum::{
    DescribeQuorumRequest, Node, ReplicaState, RequestPartitionData, RequestTopicData, ResponsePartitionData,
};
use ottla_wire::types::Uuid;

pub const TOOL: Tool = Tool::new::<Options>("kafka-metadata-quorum", ParserStyle::Argparse);

/// This tool describes kraft metadata quorum status.
#[derive(Debug, Parser)]
#[command(group = clap::ArgGroup::new("required servers").args(["bootstrap_server", "bootstrap_controller"]).required(true))]
pub struct Options {
    #[command(flatten)]
    servers: Servers,
    /// Property file containing configs to be passed to Admin Client.
    #[arg(long)]
    command_config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Describe the metadata quorum info
    Describe {
        /// Print a short summary of the quorum.
        #[arg(long)]
        status: bool,
        /// Print detailed information about each replica.
        #[arg(long)]
        replication: bool,
        /// Print times as durations.
        #[arg(long)]
        human_readable: bool,
    },
    /// Add a controller to the KRaft controller cluster
    AddController {
        /// Print what would be done, but do not do it.
        #[arg(long)]
        dry_run: bool,
    },
    /// Remove a controller from the KRaft controller cluster
    RemoveController {
        /// The id of the controller to remove.
        #[arg(long, short = 'i')]
        controller_id: i32,
        /// The directory ID of the controller to remove.
        #[arg(long, short = 'd')]
        controller_directory_id: String,
        /// Print what would be done, but do not do it.
        #[arg(long)]
        dry_run: bool,
    },
}

impl RunTool for Options {
    fn run(self, _tool: &Tool) -> ExitCode {
        run_to_exit(self.act())
    }
}

impl Options {
    async fn act(&self) -> Result<(), String> {
        if let Some(path) = self.command_config.as_deref().filter(|path| !path.exists()) {
            return Err(format!("Properties file {} does not exists!", path.display()));
        }
        let message = |error: Exception| error.to_string();
        let client = self.servers.connect(self.command_config.as_deref()).await?;
        match self.command {
            Command::Describe { status: true, replication: true, .. } => {
                Err("Only one of --status or --replication should be specified with describe sub-command".to_owned())
            }
            Command::Describe { replication: true, human_readable, .. } => {
                print_replication(&Quorum::describe(&client).await.map_err(message)?, human_readable)
            }
            Command::Describe { status: true, human_readable: true, .. } => {
                Err("The option --human-readable is only supported along with --replication".to_owned())
            }
            Command::Describe { status: true, .. } => print_status(&client).await.map_err(message),
            Command::Describe { .. } => {
                Err("One of --status or --replication must be specified with describe sub-command".to_owned())
            }
            Command::AddController { .. } if self.command_config.is_none() => {
                let why = "You must supply the configuration file of the controller you are adding when using \
                           add-controller.";
                Err(why.to_owned())
            }
            Command::AddController { .. } | Command::RemoveController { .. } => {
                let class = "org.apache.kafka.common.errors.UnsupportedVersionException";
                let why = "The voters of a quorum of one broker cannot be changed.";
                Err(message(Exception::new(class, why)))
            }
        }
    }
}

/// The state of the metadata log from DescribeQuorum.
struct Quorum {
    state: ResponsePartitionData,
    nodes: Vec<Node>,
}

impl Quorum {
    async fn describe(client: &Client) -> Result<Quorum, Exception> {
        let partitions = vec![RequestPartitionData { partition_index: 0 }];
        let topic = RequestTopicData { topic_name: METADATA_TOPIC.into(), partitions };
        let answer = client.call(DescribeQuorumRequest { topics: vec![topic] }).await?;
        if answer.error_code != 0 {
            return Err(Exception::refused(answer.error_code, answer.error_message.as_deref()));
        }
        let state = answer.topics.into_iter().next().and_then(|topic| topic.partitions.into_iter().next());
        let Some(state) = state else {
            let class = "org.apache.kafka.common.errors.UnknownServerException";
            return Err(Exception::new(class, "The response does not contain the metadata log."));
        };
        match state.error_code {
            0 => Ok(Quorum { state, nodes: answer.nodes }),
            code => Err(Exception::refused(code, state.error_message.as_deref())),
        }
    }

    fn leader(&self) -> Option<&ReplicaState> {
        self.state.current_voters.iter().find(|voter| voter.replica_id == self.state.leader_id)
    }

    /// Formats replicas as `[{"id": 1, "directoryId": "…", "endpoints": ["CONTROLLER://localhost:9093"]}]`.
    fn format_replicas(&self, replicas: &[ReplicaState]) -> String {
        let replica = |it: &ReplicaState| {
            let mut parts = vec![format!("\"id\": {}", it.replica_id)];
            if it.replica_directory_id != Uuid::ZERO {
                parts.push(format!("\"directoryId\": \"{}\"", it.replica_directory_id));
            }
            let listeners = self.nodes.iter().filter(|node| node.node_id == it.replica_id).flat_map(|it| &it.listeners);
            let endpoints: Vec<_> = listeners.map(|it| format!("\"{}://{}:{}\"", it.name, it.host, it.port)).collect();
            if !endpoints.is_empty() {
                parts.push(format!("\"endpoints\": [{}]", endpoints.join(", ")));
            }
            format!("{{{}}}", parts.join(", "))
        };
        format!("[{}]", replicas.iter().map(replica).collect::<Vec<_>>().join(", "))
    }
}

async fn print_status(client: &Client) -> Result<(), Exception> {
    let cluster_id = describe_cluster(client, BROKERS, false).await?.cluster_id;
    let quorum = Quorum::describe(client).await?;
    let state = &quorum.state;
    let leader = quorum.leader();
    let slowest = state.current_voters.iter().min_by_key(|voter| voter.log_end_offset);
    let (lag, lag_ms) = match (leader, slowest) {
        (Some(leader), Some(slowest)) if leader.replica_id != slowest.replica_id => {
            let known = leader.last_caught_up_timestamp >= 0 && slowest.last_caught_up_timestamp >= 0;
            let lag_ms = leader.last_caught_up_timestamp - slowest.last_caught_up_timestamp;
            (leader.log_end_offset - slowest.log_end_offset, if known { lag_ms } else { -1 })
        }
        _ => (0, 0),
    };
    let mut output = Output::stdout();
    output.line(format_args!("ClusterId:              {cluster_id}"));
    output.line(format_args!("LeaderId:               {}", state.leader_id));
    output.line(format_args!("LeaderEpoch:            {}", state.leader_epoch));
    output.line(format_args!("HighWatermark:          {}", state.high_watermark));
    output.line(format_args!("MaxFollowerLag:         {lag}"));
    output.line(format_args!("MaxFollowerLagTimeMs:   {lag_ms}"));
    output.line(format_args!("CurrentVoters:          {}", quorum.format_replicas(&state.current_voters)));
    output.line(format_args!("CurrentObservers:       {}", quorum.format_replicas(&state.observers)));
    Ok(())
}

const COLUMNS: [&str; 7] =
    ["NodeId", "DirectoryId", "LogEndOffset", "Lag", "LastFetchTimestamp", "LastCaughtUpTimestamp", "Status"];

fn print_replication(quorum: &Quorum, human_readable: bool) -> Result<(), String> {
    let leader_id = quorum.state.leader_id;
    let leader_end = quorum.leader().ok_or_else(|| format!("Leader {leader_id} is not a voter."))?.log_end_offset;
    let now = wall_clock_ms();
    let time = |timestamp: i64| match (timestamp, human_readable) {
        (..0, _) => "-1".to_owned(),
        (_, true) => format!("{} ms ago", now - timestamp),
        (_, false) => timestamp.to_string(),
    };
    let row = |it: &ReplicaState, status: &str| {
        [
            it.replica_id.to_string(),
            it.replica_directory_id.to_string(),
            it.log_end_offset.to_string(),
            (leader_end - it.log_end_offset).to_string(),
            time(it.last_fetch_timestamp),
            time(it.last_caught_up_timestamp),
            status.to_owned(),
        ]
    };
    let (leaders, followers): (Vec<_>, Vec<_>) =
        quorum.state.current_voters.iter().partition(|voter| voter.replica_id == leader_id);
    let leaders = leaders.into_iter().map(|it| row(it, "Leader"));
    let followers = followers.into_iter().map(|it| row(it, "Follower"));
    let observers = quorum.state.observers.iter().map(|it| row(it, "Observer"));
    let rows: Vec<_> = leaders.chain(followers).chain(observers).collect();
    print_table(COLUMNS, &rows);
    Ok(())
}
