//! The `--bootstrap-server` and `--bootstrap-controller` options of the tools that manage the whole cluster.

use std::path::Path;

use super::connect::{Properties, connect};
use super::exceptions::Exception;
use ottla_client::Client;
use ottla_wire::protocol::messages::describe_cluster::{DescribeClusterRequest, DescribeClusterResponse};

/// Endpoint types of DescribeCluster.
pub const BROKERS: i8 = 1;
pub const CONTROLLERS: i8 = 2;

/// `--bootstrap-server` or `--bootstrap-controller`.
#[derive(Clone, Debug, clap::Args)]
#[group(id = "servers", multiple = false)]
pub struct Servers {
    /// The brokers to connect to.
    #[arg(long)]
    pub bootstrap_server: Option<String>,
    /// The controllers to connect to, in a cluster whose controllers are separate from its brokers.
    #[arg(long)]
    pub bootstrap_controller: Option<String>,
}

impl Servers {
    /// Connects to the given servers. The error, also if no servers are given, is a message for stderr.
    pub async fn connect(&self, command_config: Option<&Path>) -> Result<Client, String> {
        let properties = Properties::read_optional(command_config)?;
        match (&self.bootstrap_server, &self.bootstrap_controller) {
            (Some(brokers), _) => Ok(connect(brokers, &properties).await?),
            (None, Some(controllers)) => {
                let client = connect(controllers, &properties).await?;
                describe_cluster(&client, CONTROLLERS, false).await.map_err(|error| error.to_string())?;
                Ok(client)
            }
            (None, None) => Err("You must specify either --bootstrap-controller or --bootstrap-server.".to_owned()),
        }
    }
}

/// Describes the cluster: its brokers or its controllers.
pub async fn describe_cluster(
    client: &Client,
    endpoint_type: i8,
    include_fenced_brokers: bool,
) -> Result<DescribeClusterResponse, Exception> {
    let request = DescribeClusterRequest { endpoint_type, include_fenced_brokers, ..Default::default() };
    let answer = client.call(request).await?;
    match answer.error_code {
        0 => Ok(answer),
        code => Err(Exception::refused(code, answer.error_message.as_deref())),
    }
}
