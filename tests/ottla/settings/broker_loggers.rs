//! Broker loggers (BROKER_LOGGER resources): their levels are described, changed while the broker runs, and reset by a
//! restart. Expected error messages are those of Apache Kafka 4.3.1.

use ottla::client::Client;
use ottla_wire::protocol::messages::alter_configs::{
    AlterConfigsRequest, AlterConfigsResource as OldResource, AlterableConfig as OldConfig,
};
use ottla_wire::protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResult,
};
use ottla_wire::protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};

use crate::fixture::{Fixture, code};
use common::Broker;

const BROKER_LOGGER: i8 = 8;
const SET: i8 = 0;
const DELETE: i8 = 1;

async fn describe(client: &Client, name: &str, keys: Option<&[&str]>) -> DescribeConfigsResult {
    let configuration_keys = keys.map(|keys| keys.iter().map(|key| (*key).into()).collect());
    let resource =
        DescribeConfigsResource { resource_type: BROKER_LOGGER, resource_name: name.into(), configuration_keys };
    let request =
        DescribeConfigsRequest { resources: vec![resource], include_synonyms: true, include_documentation: true };
    client.call(request).await.unwrap().results.remove(0)
}

async fn level(client: &Client, logger: &str) -> Option<String> {
    let configs = describe(client, "1", Some(&[logger])).await.configs;
    configs.into_iter().next().map(|config| config.value.unwrap().to_string())
}

type Op<'a> = (&'a str, i8, Option<&'a str>);

async fn alter(
    client: &Client,
    names: &[&str],
    ops: &[Op<'_>],
    validate_only: bool,
) -> Vec<(&'static str, Option<String>)> {
    let config = |(name, config_operation, value): &Op| AlterableConfig {
        name: (*name).into(),
        config_operation: *config_operation,
        value: value.map(Into::into),
    };
    let resource = |name: &&str| AlterConfigsResource {
        resource_type: BROKER_LOGGER,
        resource_name: (*name).into(),
        configs: ops.iter().map(config).collect(),
    };
    let request = IncrementalAlterConfigsRequest { resources: names.iter().map(resource).collect(), validate_only };
    let answer = client.call(request).await.unwrap();
    let responses = answer.responses.into_iter();
    responses.map(|one| (code(one.error_code), one.error_message.map(|message| message.to_string()))).collect()
}

async fn set(client: &Client, logger: &str, level: &str) {
    assert_eq!(alter(client, &["1"], &[(logger, SET, Some(level))], false).await, [("NONE", None)], "{logger}={level}");
}

#[tokio::test]
async fn loggers_are_described_with_their_levels() {
    let fixture = Fixture::start().await;
    let all = describe(&fixture.client, "1", None).await;
    assert_eq!((code(all.error_code), all.error_message.as_deref()), ("NONE", Some("")));
    let names: Vec<_> = all.configs.iter().map(|config| config.name.to_string()).collect();
    for name in ["root", "kafka", "kafka.request.logger", "org.apache.kafka.controller", "ottla.server"] {
        assert!(names.iter().any(|known| known == name), "{name} is missing from {names:?}");
    }
    assert!(names.is_sorted() && !names.iter().any(String::is_empty), "{names:?}");
    for config in &all.configs {
        let facts =
            (config.read_only, config.is_default, config.config_source, config.is_sensitive, config.config_type);
        assert_eq!(facts, (false, false, 6, false, 0), "{config:?}");
        assert!(config.synonyms.is_empty() && config.documentation.as_deref() == Some(""), "{config:?}");
        let expect = if ["kafka.request.logger", "ottla.request"].contains(&&*config.name) { "WARN" } else { "INFO" };
        assert_eq!(config.value.as_deref(), Some(expect), "{config:?}");
    }
    let selected = describe(&fixture.client, "1", Some(&["root", "nope"])).await.configs;
    assert_eq!(selected.iter().map(|config| &*config.name).collect::<Vec<_>>(), ["root"]);
    for (name, message) in [
        ("", "Broker id must not be empty"),
        ("x", "Broker id must be an integer, but it is: x"),
        ("7", "Unexpected broker id, expected 1 but received 7"),
    ] {
        let response = describe(&fixture.client, name, None).await;
        assert_eq!((code(response.error_code), response.error_message.as_deref()), ("INVALID_REQUEST", Some(message)));
    }
}

#[tokio::test]
async fn invalid_logger_changes_are_refused_as_by_kafka() {
    let fixture = Fixture::start().await;
    let requests = "kafka.request.logger";
    let unsupported = |value: &str| {
        format!(
            "Cannot set the log level of {requests} to {value} as it is not a supported log level. Valid log levels \
             are DEBUG, ERROR, FATAL, INFO, TRACE, WARN"
        )
    };
    let not_allowed = |operation: &str| format!("{operation} operation is not allowed for the BROKER_LOGGER resource");
    let cases: &[(&str, &[Op], &str, String)] = &[
        ("1", &[(requests, SET, Some("debug"))], "INVALID_CONFIG", unsupported("debug")),
        ("1", &[(requests, SET, Some("OFF"))], "INVALID_CONFIG", unsupported("OFF")),
        ("1", &[(requests, SET, Some(""))], "INVALID_CONFIG", unsupported("")),
        ("1", &[(requests, SET, None)], "INVALID_REQUEST", format!("Null value not supported for : {requests}")),
        (
            "1",
            &[("root", DELETE, None)],
            "INVALID_REQUEST",
            "Removing the log level of the root logger is not allowed".into(),
        ),
        ("1", &[("ROOT", SET, Some("INFO"))], "INVALID_CONFIG", "Logger ROOT does not exist!".into()),
        ("1", &[("", SET, Some("INFO"))], "INVALID_CONFIG", "Logger  does not exist!".into()),
        ("1", &[("nope", DELETE, None)], "INVALID_CONFIG", "Logger nope does not exist!".into()),
        ("1", &[("root", 2, Some("INFO"))], "INVALID_REQUEST", not_allowed("APPEND")),
        ("1", &[("root", 3, Some("INFO"))], "INVALID_REQUEST", not_allowed("SUBTRACT")),
        (
            "1",
            &[("root", SET, Some("INFO")), ("root", DELETE, None)],
            "INVALID_REQUEST",
            "Error due to duplicate config keys".into(),
        ),
        (
            "1",
            &[(requests, SET, Some("DEBUG")), ("nope", SET, Some("INFO"))],
            "INVALID_CONFIG",
            "Logger nope does not exist!".into(),
        ),
        ("", &[("root", SET, Some("INFO"))], "INVALID_REQUEST", "Node id must be an integer, but it is: ".into()),
        ("x", &[("root", SET, Some("INFO"))], "INVALID_REQUEST", "Node id must be an integer, but it is: x".into()),
        (
            "7",
            &[("root", SET, Some("INFO"))],
            "INVALID_REQUEST",
            "Unexpected node id. Expected 1, but received 7".into(),
        ),
    ];
    for (name, ops, error, message) in cases {
        let altered = alter(&fixture.client, &[name], ops, false).await;
        assert_eq!(altered, [(*error, Some(message.clone()))], "{name:?} {ops:?}");
        assert_eq!(level(&fixture.client, requests).await.as_deref(), Some("WARN"), "{name:?} {ops:?}");
    }
    // Kafka 4.3.1 fails with UNKNOWN_SERVER_ERROR here.
    let unknown = alter(&fixture.client, &["1"], &[("root", 9, Some("INFO"))], false).await;
    assert_eq!(unknown[0].0, "INVALID_REQUEST");
    let twice = ("INVALID_REQUEST", Some("Each resource must appear at most once.".to_owned()));
    assert_eq!(
        alter(&fixture.client, &["1", "1"], &[("root", SET, Some("INFO"))], false).await,
        [twice.clone(), twice]
    );

    let config = OldConfig { name: "root".into(), value: Some("INFO".into()) };
    let resource = OldResource { resource_type: BROKER_LOGGER, resource_name: "1".into(), configs: vec![config] };
    let old =
        fixture.client.call(AlterConfigsRequest { resources: vec![resource], validate_only: false }).await.unwrap();
    assert_eq!(code(old.responses[0].error_code), "INVALID_REQUEST");
}

#[tokio::test]
async fn logger_level_takes_effect_at_once_and_ends_with_the_process() {
    let mut fixture = Fixture::start().await;
    let requests = "kafka.request.logger";
    let logged = |broker: &Broker| broker.log().matches(" DEBUG DescribeConfigs ").count();
    assert_eq!(alter(&fixture.client, &["1"], &[(requests, SET, Some("DEBUG"))], true).await, [("NONE", None)]);
    assert_eq!(level(&fixture.client, requests).await.as_deref(), Some("WARN"), "only validated");
    set(&fixture.client, requests, "DEBUG").await;
    fixture.broker.wait_for_log("logger=\"kafka.request.logger\" new_level=\"DEBUG\"");
    assert_eq!(level(&fixture.client, "ottla.request").await.as_deref(), Some("DEBUG"));
    fixture.broker.wait_for_log(" DEBUG DescribeConfigs client=127.0.0.1:");

    assert_eq!(alter(&fixture.client, &["1"], &[(requests, DELETE, None)], false).await, [("NONE", None)]);
    assert_eq!(level(&fixture.client, requests).await.as_deref(), Some("INFO"), "the level of its parent");
    set(&fixture.client, "ottla.request", "DEBUG").await;
    set(&fixture.client, "root", "FATAL").await;
    set(&fixture.client, "ottla.request", "FATAL").await;
    level(&fixture.client, requests).await;
    fixture.broker.stop();
    // Only the first of the three DescribeConfigs was logged at DEBUG; FATAL hides everything, also the stop.
    assert_eq!(logged(&fixture.broker), 1, "{}", fixture.broker.log());
    assert!(!fixture.broker.log().contains("SIGTERM"), "{}", fixture.broker.log());

    fixture.broker.restart();
    let client = crate::fixture::connect(&fixture.broker).await;
    assert_eq!(level(&client, requests).await.as_deref(), Some("WARN"));
    assert_eq!(level(&client, "root").await.as_deref(), Some("INFO"));
}

#[tokio::test]
async fn rust_log_sets_the_initial_levels() {
    let fixture = Fixture::with(Broker::with().env("RUST_LOG", "warn,ottla::broker::partition=debug")).await;
    for (logger, expect) in
        [("root", Some("WARN")), ("ottla.broker.partition", Some("DEBUG")), ("kafka.network", Some("WARN"))]
    {
        assert_eq!(level(&fixture.client, logger).await.as_deref(), expect, "{logger}");
    }
}

#[tokio::test]
async fn kafka_configs_reads_and_changes_levels() {
    let fixture = Fixture::start().await;
    let configs = |arguments: &str| {
        let line = format!("kafka-configs --bootstrap-server {} {arguments}", fixture.broker.bootstrap_servers());
        let output = common::run(&line.split(' ').collect::<Vec<_>>());
        (output.status.success(), format!("{}{}", text(output.stdout), text(output.stderr)))
    };
    let loggers = "--entity-type broker-loggers --entity-name 1";
    for logger in ["ottla.http", "kafka.request.logger"] {
        let (is_done, printed) = configs(&format!("--alter {loggers} --add-config {logger}=TRACE"));
        assert!(is_done && printed.contains("Completed updating config for broker-logger 1."), "{printed}");
        let described = configs(&format!("--describe {loggers}")).1;
        assert!(described.contains(&format!("  {logger}=TRACE sensitive=false")), "{described}");
    }
    fixture.broker.wait_for_log(" DEBUG DescribeConfigs client=");
    assert!(configs(&format!("--alter {loggers} --delete-config ottla.http")).0);
    assert_eq!(level(&fixture.client, "ottla.http").await.as_deref(), Some("INFO"));
    let (is_done, printed) = configs(&format!("--alter {loggers} --add-config nope=INFO"));
    assert!(!is_done && printed.contains("Invalid broker logger(s): nope"), "{printed}");
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}
