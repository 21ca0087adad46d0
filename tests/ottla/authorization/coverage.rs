//! Every served API is in a table of this module, or has a reason not to be.

use std::collections::BTreeSet;

use common::{Broker, command, run_command};

use super::{ANSWERS, tokens};
use crate::wire::WireClient;

/// The APIs that need no right.
const WITHOUT_RIGHTS: [(&str, &str); 5] = [
    ("ApiVersions", "is answered before a client has authenticated"),
    ("SaslHandshake", "begins the authentication"),
    ("SaslAuthenticate", "authenticates"),
    ("GetTelemetrySubscriptions", "every client may ask for its subscription, in Kafka too"),
    ("PushTelemetry", "every client may push its metrics, in Kafka too"),
];

#[test]
fn every_served_api_is_in_a_table_or_needs_no_right() {
    let broker = Broker::start();
    let address = super::address(&broker);
    // With a subscription, the APIs for client metrics are listed, too.
    let subscribe =
        ["kafka-client-metrics", "--alter", "--name", "all", "--metrics", "*", "--bootstrap-server", &address];
    let output = run_command(command(&[]).args(subscribe));
    assert!(output.status.success(), "{output:?}");
    let served = WireClient::new(&address, &[]).served();
    let served: BTreeSet<&str> = served.iter().map(|(api, _)| api.name()).collect();
    let of_tables = |file: &str, column: usize| -> BTreeSet<String> {
        let table = std::fs::read_to_string(file).unwrap();
        let names = table.lines().skip(1).filter(|line| !line.starts_with('#'));
        names.filter_map(|line| line.split('\t').nth(column).map(str::to_owned)).collect()
    };
    let mut covered = of_tables(ANSWERS, 0);
    covered.extend(of_tables(tokens::ANSWERS, 1));
    let without: BTreeSet<&str> = WITHOUT_RIGHTS.iter().map(|(api, _)| *api).collect();
    let missing: Vec<_> = served.iter().filter(|api| !covered.contains(**api) && !without.contains(**api)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let both: Vec<_> = without.iter().filter(|api| covered.contains(**api) || !served.contains(**api)).collect();
    assert!(both.is_empty(), "{both:?}");
}
