//! Changes of settings without the right to them: what is checked before authorization, as in Apache Kafka 4.3.

use common::Broker;
use ottla_wire::protocol::ApiKey;

use super::{AUTHORIZER, address};
use crate::wire::WireClient;

const TOPIC: &str = "error_code=TOPIC_AUTHORIZATION_FAILED error_message=\"Topic authorization failed.\"";
const CLUSTER: &str = "error_code=CLUSTER_AUTHORIZATION_FAILED error_message=\"Cluster authorization failed.\"";
const GROUP: &str = "error_code=GROUP_AUTHORIZATION_FAILED error_message=\"Group authorization failed.\"";

fn invalid(message: &str) -> String {
    format!("error_code=INVALID_REQUEST error_message=\"{message}\"")
}

#[test]
fn change_of_settings_without_the_right_is_denied_after_the_checks_that_need_no_rights() {
    let broker = Broker::with().set("authorizer.class.name", AUTHORIZER).set("super.users", "User:admin").start();
    let mut client = WireClient::new(&address(&broker), &[]);
    let twice = invalid("Error due to duplicate config keys");
    let of_other = invalid("Unexpected broker id, expected 1, but received 2");
    let cases = [
        (2, "t", "retention.ms value=1", TOPIC),
        // Not even whether a value is valid, or the topic exists.
        (2, "t", "retention.ms value=soon", TOPIC),
        (2, "\"\"", "no.such value=1", TOPIC),
        (2, "t", "a value=1} {name=a value=1", &twice),
        (2, "t", "a", &invalid("Null value not supported for : a")),
        (4, "1", "log.retention.ms value=1", CLUSTER),
        (4, "1", "no.such value=1", CLUSTER),
        (4, "2", "log.retention.ms value=1", &of_other),
        (4, "x", "log.retention.ms value=1", &invalid("Node id must be an integer, but it is: x")),
        (4, "1", "node.id value=1", &invalid("Cannot update these configs dynamically: [node.id]")),
        (
            4,
            "\"\"",
            "log.retention.ms value=soon",
            &invalid("Invalid value soon for configuration log.retention.ms: Not a number of type LONG"),
        ),
        (16, "m", "interval.ms value=soon", CLUSTER),
        (16, "m", "a value=1} {name=a value=1", &twice),
        (32, "g", "no.such value=1", GROUP),
        (32, "g", "a value=1} {name=a value=1", &twice),
        (77, "t", "a value=1", &invalid("Unknown resource type 77")),
        (77, "t", "a value=1} {name=a value=1", &twice),
    ];
    for (kind, name, config, expect) in cases {
        let request = format!(
            "resources=[{{resource_type={kind} resource_name={name} configs=[{{name={config}}}]}}] validate_only=true"
        );
        for (api, version) in [(ApiKey::AlterConfigs, 0), (ApiKey::IncrementalAlterConfigs, 0)] {
            let answer = client.call(api, version, &request);
            let name = if name == "\"\"" { String::new() } else { format!(" resource_name={name}") };
            assert_eq!(answer, format!("responses=[{{{expect} resource_type={kind}{name}}}]"), "{api} {request}");
        }
    }
    let mut incremental = |resources: &str| {
        let request = format!("resources=[{resources}] validate_only=true");
        client.call(ApiKey::IncrementalAlterConfigs, 1, &request)
    };
    let unknown = "configs=[{name=a config_operation=9 value=1}]";
    let answer = incremental(&format!(
        "{{resource_type=2 resource_name=t {unknown}}} {{resource_type=4 resource_name=1 {unknown}}} {{resource_type=4 \
         resource_name=2 {unknown}}}"
    ));
    let operation = invalid("Unknown operations type 9");
    // The client sorts them.
    let answers = format!(
        "responses=[{{{of_other} resource_type=4 resource_name=2}} {{{operation} resource_type=4 resource_name=1}} \
         {{{TOPIC} resource_type=2 resource_name=t}}]"
    );
    assert_eq!(answer, answers);
    let topic = "{resource_type=2 resource_name=t}";
    let repeated = invalid("Each resource must appear at most once.");
    let of_topic = format!("{{{repeated} resource_type=2 resource_name=t}}");
    let answers = format!("responses=[{{{GROUP} resource_type=32 resource_name=g}} {of_topic} {of_topic}]");
    assert_eq!(incremental(&format!("{topic} {topic} {{resource_type=32 resource_name=g}}")), answers);
}
