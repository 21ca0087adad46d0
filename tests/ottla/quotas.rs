//! Quotas that need real time or real connections. Those on bytes and on changes of topics are tested in simulated time
//! beside the broker, and answers to their changes in `cluster::admin_answers`.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use common::{Broker, ottla};
use ottla::client::Client;
use ottla_wire::protocol::messages::alter_client_quotas::{
    AlterClientQuotasRequest, EntityData, OpData, RequestEntryData,
};
use ottla_wire::protocol::messages::heartbeat::HeartbeatRequest;

async fn set_quota(client: &Client, kind: &'static str, name: &'static str, key: &'static str, value: f64) {
    let entity = vec![EntityData { entity_type: kind.into(), entity_name: Some(name.into()) }];
    let ops = vec![OpData { key: key.into(), value, remove: false }];
    let entries = vec![RequestEntryData { entity, ops }];
    let response = client.call(AlterClientQuotasRequest { entries, validate_only: false }).await.unwrap();
    assert_eq!(response.entries[0].error_code, 0);
}

/// A request of any version has a throttle time of at most one window if the handler time of its client is too long.
#[tokio::test]
async fn handler_time_above_the_quota_throttles_for_at_most_one_window() {
    let broker = Broker::start();
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    let heartbeat = || HeartbeatRequest { group_id: "g".into(), ..Default::default() };
    assert_eq!(client.call(heartbeat()).await.unwrap().throttle_time_ms, 0);
    set_quota(&client, "user", "ANONYMOUS", "request_percentage", 1e-6).await;
    assert_eq!(client.call(heartbeat()).await.unwrap().throttle_time_ms, 1_000);
}

/// Whether a request on a connection is answered; otherwise the broker closes it.
fn is_served(mut connection: TcpStream) -> bool {
    const API_VERSIONS: &[u8] = &[0, 0, 0, 11, 0, 18, 0, 0, 0, 0, 0, 7, 0, 1, b'c'];
    connection.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    connection.write_all(API_VERSIONS).unwrap();
    let mut size = [0; 4];
    connection.read_exact(&mut size).is_ok()
}

#[tokio::test]
async fn connections_of_an_address_above_its_quota_are_closed_without_an_answer() {
    let broker = Broker::start();
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    set_quota(&client, "ip", "127.0.0.1", "connection_creation_rate", 1.0).await;
    let port = broker.port();
    let refused = || {
        let connections: Vec<_> = (0..30).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
        connections.into_iter().filter(|connection| !is_served(connection.try_clone().unwrap())).count()
    };
    // The quota is applied after the answer, because a name would have to be resolved.
    let deadline = Instant::now() + Duration::from_secs(30);
    while refused() < 15 {
        assert!(Instant::now() < deadline, "all connections are served");
    }
}

/// What the tool prints is what Kafka's tool printed for the same arguments, in this order and with an Apache Kafka
/// 4.3.1 (without stack traces).
#[test]
fn kafka_configs_shows_and_changes_quotas_with_kafkas_words() {
    let broker = Broker::start();
    let tool = |arguments: &str| {
        let arguments = arguments.split(' ').filter(|argument| !argument.is_empty());
        let mut command = std::process::Command::new(ottla());
        command.args(["kafka-configs", "--bootstrap-server", broker.bootstrap_servers()]).args(arguments);
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        text.replace(broker.bootstrap_servers(), "BOOTSTRAP")
    };
    for line in include_str!("../data/quota-tool-output.tsv").lines().skip(1) {
        let (arguments, expected) = line.split_once('\t').unwrap();
        assert_eq!(tool(arguments).trim_end().replace('\n', "\\n"), expected, "{arguments}");
    }
}
