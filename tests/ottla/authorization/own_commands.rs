//! Ottla's own commands for users with few rights.

use std::process::Output;

use common::{Broker, command, run_command};
use ottla_wire::protocol::ApiKey;
use serde_json::json;

use super::{ADMIN, address, rights, start};
use crate::wire::WireClient;

#[test]
fn topics_commands_without_rights_on_the_cluster_show_everything_but_sizes() {
    let (broker, _dir) = start(Broker::with);
    let mut admin = WireClient::new(&address(&broker), &[]).bound_to(ADMIN);
    let topics = ["orders", "payments"].map(|name| format!("{{name={name} num_partitions=1 replication_factor=1}}"));
    admin.until("orders", ApiKey::CreateTopics, 7, &format!("topics=[{}]", topics.join(" ")));
    // DESCRIBE and DESCRIBE_CONFIGS.
    let acls = [8, 10].map(|operation| {
        format!(
            "{{resource_type=2 resource_name=orders principal=User:ANONYMOUS host={} operation={operation} \
             permission_type=3}}",
            rights::HOST
        )
    });
    let created = admin.call(ApiKey::CreateAcls, 3, &format!("creations=[{}]", acls.join(" ")));
    assert!(!created.contains("error_code"), "{created}");

    let run = |arguments: &[&str]| {
        let output: Output = run_command(command(&[]).args(["topics", "-b", &address(&broker)]).args(arguments));
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let json = |arguments: &[&str]| serde_json::from_str::<serde_json::Value>(&run(arguments)).unwrap();
    assert_eq!(run(&["list"]), "TOPIC   PARTITIONS  RECORDS  BYTES\norders           1        0      -\n");
    let listed = json(&["list", "--json"]);
    assert_eq!((&listed[0]["name"], &listed[0]["bytes"]), (&json!("orders"), &json!(null)));
    let described = run(&["describe", "orders"]);
    assert!(described.ends_with("        0       1      0    0        0      -\n"), "{described}");
    let partition = &json(&["describe", "orders", "--json"])[0]["partitions"][0];
    assert_eq!((&partition["end_offset"], &partition["bytes"]), (&json!(0), &json!(null)));
}
