//! kafka-broker-api-versions: prints the API versions that a broker serves.
//!
//! Source of behaviour: `org.apache.kafka.tools.BrokerApiVersionsCommand` and
//! `org.apache.kafka.clients.NodeApiVersions`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use super::connect::{Properties, connect, run_to_exit};
use super::options::ParserStyle;
use super::output::Output;
use super::servers::{BROKERS, describe_cluster};
use super::{RunTool, Tool};
use ottla_client::Client;
use ottla_wire::protocol::ApiKey;
use ottla_wire::protocol::messages::api_versions::ApiVersionsRequest;
use ottla_wire::types::InOrder as _;

pub const TOOL: Tool = Tool::new::<Options>("kafka-broker-api-versions", ParserStyle::JoptSimple);

/// This tool helps to retrieve broker version information.
#[derive(Debug, Parser)]
pub struct Options {
    /// REQUIRED: The server to connect to.
    #[arg(long, required = true, value_name = "String: server(s) to use for bootstrapping")]
    bootstrap_server: String,
    /// A file with properties for the client.
    #[arg(long, value_name = "String: command config property file")]
    command_config: Option<PathBuf>,
}

/// The newest API key of Apache Kafka 4.3. APIs with greater keys are printed only if the broker serves them.
const NEWEST_API: i16 = 92;

/// APIs that only brokers call but Apache Kafka lists: key, name, oldest and newest version.
const INTER_BROKER_APIS: [(i16, &str, i16, i16); 7] = [
    (80, "AddRaftVoter", 0, 1),
    (81, "RemoveRaftVoter", 0, 0),
    (83, "InitializeShareGroupState", 0, 0),
    (84, "ReadShareGroupState", 0, 0),
    (85, "WriteShareGroupState", 0, 1),
    (86, "DeleteShareGroupState", 0, 0),
    (87, "ReadShareGroupStateSummary", 0, 1),
];

impl RunTool for Options {
    fn run(self, _tool: &Tool) -> ExitCode {
        run_to_exit(self.print_versions())
    }
}

impl Options {
    async fn print_versions(&self) -> Result<(), String> {
        let properties = Properties::read_optional(self.command_config.as_deref())?;
        let client = connect(&self.bootstrap_server, &properties).await?;
        let cluster = describe_cluster(&client, BROKERS, false).await.map_err(|error| error.to_string())?;
        let versions = served_versions(&client).await?;
        let mut output = Output::stdout();
        // A cluster has one broker. In a larger cluster, only one broker is queried.
        if let Some(broker) = cluster.brokers.first() {
            let rack = broker.rack.as_deref().unwrap_or("null");
            let (host, port, id, fenced) = (&broker.host, broker.port, broker.broker_id, broker.is_fenced);
            output.line(format_args!("{host}:{port} (id: {id} rack: {rack} isFenced: {fenced}) -> ("));
            output.line(format_args!("{}\n)", describe(&versions).join(",\n")));
        }
        Ok(())
    }
}

/// Returns the oldest and newest versions that the broker serves, by API key.
async fn served_versions(client: &Client) -> Result<BTreeMap<i16, (i16, i16)>, String> {
    let request = ApiVersionsRequest {
        client_software_name: "ottla".into(),
        client_software_version: env!("CARGO_PKG_VERSION").into(),
        ..Default::default()
    };
    let answer = client.call(request).await.map_err(|error| error.to_string())?;
    Ok(answer.api_keys.iter().map(|api| (api.api_key, (api.min_version, api.max_version))).in_order())
}

/// Formats a line for each API that the broker serves or that Apache Kafka has.
fn describe(served: &BTreeMap<i16, (i16, i16)>) -> Vec<String> {
    let ours =
        ApiKey::ALL.iter().map(|key| (*key as i16, (key.name(), *key.versions().start(), *key.versions().end())));
    let others = INTER_BROKER_APIS.iter().map(|&(key, name, oldest, newest)| (key, (name, oldest, newest)));
    let known: BTreeMap<i16, (&str, i16, i16)> = ours.chain(others).in_order();
    let expected = known.keys().filter(|key| **key <= NEWEST_API);
    let mut keys: Vec<i16> = served.keys().chain(expected).copied().collect();
    keys.sort_unstable();
    keys.dedup();
    keys.into_iter().map(|key| format!("\t{}", describe_api(key, known.get(&key), served.get(&key)))).collect()
}

fn describe_api(key: i16, known: Option<&(&str, i16, i16)>, served: Option<&(i16, i16)>) -> String {
    let name = known.map_or("UNKNOWN", |(name, ..)| name);
    let Some(&(oldest, newest)) = served else { return format!("{name}({key}): UNSUPPORTED") };
    let range = if oldest == newest { newest.to_string() } else { format!("{oldest} to {newest}") };
    let usable = match known {
        None => String::new(),
        Some((_, from, _)) if newest < *from => " [unusable: node too old]".to_owned(),
        Some((.., to)) if oldest > *to => " [unusable: node too new]".to_owned(),
        Some((.., to)) => format!(" [usable: {}]", newest.min(*to)),
    };
    format!("{name}({key}): {range}{usable}")
}

#[cfg(test)]
mod tests {
    use super::describe_api;

    #[test]
    fn api_line_shows_the_usable_version() {
        let check = |key, known, served, expect: &str| assert_eq!(describe_api(key, known, served), expect);
        check(0, Some(&("Produce", 3, 11)), Some(&(0, 13)), "Produce(0): 0 to 13 [usable: 11]");
        check(46, Some(&("List", 0, 1)), Some(&(0, 0)), "List(46): 0 [usable: 0]");
        check(71, Some(&("Get", 0, 0)), None, "Get(71): UNSUPPORTED");
        check(999, None, Some(&(0, 1)), "UNKNOWN(999): 0 to 1");
        check(1, Some(&("Fetch", 4, 18)), Some(&(0, 3)), "Fetch(1): 0 to 3 [unusable: node too old]");
        check(1, Some(&("Fetch", 4, 18)), Some(&(19, 20)), "Fetch(1): 19 to 20 [unusable: node too new]");
    }
}
