//! DescribeConfigs, AlterConfigs, IncrementalAlterConfigs and ListConfigResources.

use ottla_wire::protocol::messages::alter_configs::{
    AlterConfigsRequest, AlterConfigsResource as Replaced, AlterableConfig as Replacement,
};
use ottla_wire::protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResult,
};
use ottla_wire::protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use ottla_wire::protocol::messages::list_config_resources::ListConfigResourcesRequest;

use crate::fixture::{BROKER, Fixture, TOPIC, code, text};
use common::Broker;

const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;
const LOGGER: i8 = 8;

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

async fn describe(fixture: &Fixture, resource_type: i8, name: &str, keys: Option<&[&str]>) -> DescribeConfigsResult {
    let resource = DescribeConfigsResource {
        resource_type,
        resource_name: text(name),
        configuration_keys: keys.map(|keys| keys.iter().copied().map(text).collect()),
    };
    let request =
        DescribeConfigsRequest { resources: vec![resource], include_synonyms: true, include_documentation: false };
    fixture.client.call(request).await.unwrap().results.remove(0)
}

/// `value@source {name=value@source, ...}`: a setting with its synonyms.
fn shown(config: &DescribeConfigsResourceResult) -> String {
    let value = |value: &Option<ottla_wire::codec::Str>| value.as_deref().unwrap_or("null").to_owned();
    let synonyms: Vec<_> =
        config.synonyms.iter().map(|one| format!("{}={}@{}", one.name, value(&one.value), one.source)).collect();
    format!("{}@{} {{{}}}", value(&config.value), config.config_source, synonyms.join(", "))
}

async fn one(fixture: &Fixture, resource_type: i8, name: &str, key: &str) -> String {
    shown(&describe(fixture, resource_type, name, Some(&[key])).await.configs[0])
}

#[tokio::test]
async fn describe_configs_of_an_unknown_resource_is_refused() {
    let fixture = Fixture::start().await;
    fixture.topic("t", &[]).await;
    for (resource_type, name, expect) in [
        (TOPIC, "t", "NONE"),
        (TOPIC, "missing", "UNKNOWN_TOPIC_OR_PARTITION"),
        (TOPIC, "a b", "INVALID_TOPIC_EXCEPTION"),
        (TOPIC, "", "INVALID_TOPIC_EXCEPTION"),
        (BROKER, "", "NONE"),
        (BROKER, "77", "INVALID_REQUEST"),
        (BROKER, "x", "INVALID_REQUEST"),
        (LOGGER, "x", "INVALID_REQUEST"),
        (GROUP, "any", "NONE"),
        (GROUP, "", "INVALID_REQUEST"),
        (CLIENT_METRICS, "", "INVALID_REQUEST"),
        (0, "x", "INVALID_REQUEST"),
        (99, "x", "INVALID_REQUEST"),
    ] {
        let described = describe(&fixture, resource_type, name, None).await;
        assert_eq!(code(described.error_code), expect, "{resource_type} {name:?}");
        assert_eq!((described.resource_type, &*described.resource_name), (resource_type, name));
        let has_no_message = expect == "NONE" || name == "missing";
        assert_eq!(described.error_message.is_some_and(|message| message.is_empty()), has_no_message);
    }
}

#[tokio::test]
async fn describe_configs_without_names_returns_all_settings() {
    let fixture = Fixture::start().await;
    fixture.topic("t", &[]).await;
    for (keys, count) in
        [(None, 42), (Some(&[][..]), 42), (Some(&["retention.ms", "no.such", "flush.ms", "flush.ms"]), 2)]
    {
        assert_eq!(describe(&fixture, TOPIC, "t", keys).await.configs.len(), count, "{keys:?}");
    }
}

#[tokio::test]
async fn describe_configs_lists_all_synonyms_in_order() {
    let fixture = Fixture::with(Broker::with().set("message.max.bytes", "5000").set("node.id", "3")).await;
    fixture.topic("t", &[("max.message.bytes", "8000")]).await;
    assert_eq!(fixture.set(BROKER, "", "message.max.bytes", "6000").await, "NONE");
    assert_eq!(fixture.set(BROKER, "3", "message.max.bytes", "7000").await, "NONE");
    let layers = "message.max.bytes=7000@2, message.max.bytes=6000@3, message.max.bytes=5000@4, \
                  message.max.bytes=1048588@5";
    let of_topic = format!("8000@1 {{max.message.bytes=8000@1, {layers}}}");
    assert_eq!(one(&fixture, TOPIC, "t", "max.message.bytes").await, of_topic);
    assert_eq!(one(&fixture, BROKER, "3", "message.max.bytes").await, format!("7000@2 {{{layers}}}"));
    assert_eq!(one(&fixture, BROKER, "", "message.max.bytes").await, "6000@3 {message.max.bytes=6000@3}");
    assert_eq!(one(&fixture, TOPIC, "t", "retention.ms").await, "604800000@5 {}");
    let of_group = "45000@5 {group.consumer.session.timeout.ms=45000@5}";
    assert_eq!(one(&fixture, GROUP, "g", "consumer.session.timeout.ms").await, of_group);
}

#[tokio::test]
async fn describe_configs_hides_passwords() {
    let fixture = Fixture::start().await;
    let node = fixture.client.metadata(None).await.unwrap().brokers[0].node_id.to_string();
    let described = describe(&fixture, BROKER, &node, Some(&["ssl.keystore.password", "node.id"])).await;
    let secret = described.configs.iter().find(|config| &*config.name == "ssl.keystore.password").unwrap();
    assert!(secret.is_sensitive && secret.value.is_none());
    let fixed = described.configs.iter().find(|config| &*config.name == "node.id").unwrap();
    assert!(fixed.read_only && !fixed.is_sensitive);
}

type Op<'a> = (&'a str, i8, Option<&'a str>);

async fn alter(fixture: &Fixture, resource_type: i8, name: &str, ops: &[Op<'_>]) -> &'static str {
    let config = |(name, config_operation, value): &Op<'_>| AlterableConfig {
        name: text(name),
        config_operation: *config_operation,
        value: value.map(text),
    };
    let resource =
        AlterConfigsResource { resource_type, resource_name: text(name), configs: ops.iter().map(config).collect() };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    code(fixture.client.call(request).await.unwrap().responses[0].error_code)
}

#[tokio::test]
async fn invalid_config_changes_are_refused() {
    let fixture = Fixture::with(Broker::with().set("node.id", "3")).await;
    fixture.topic("t", &[]).await;
    for (resource_type, name, ops, expect) in [
        (TOPIC, "t", &[("flush.ms", SET, Some("x"))][..], "INVALID_CONFIG"),
        (TOPIC, "t", &[("no.such", SET, Some("x"))], "INVALID_CONFIG"),
        (TOPIC, "t", &[("flush.ms", SET, None)], "INVALID_REQUEST"),
        (TOPIC, "t", &[("flush.ms", APPEND, Some("1"))], "INVALID_CONFIG"),
        (TOPIC, "t", &[("flush.ms", SUBTRACT, Some("1"))], "INVALID_CONFIG"),
        (TOPIC, "t", &[("flush.ms", 9, Some("1"))], "INVALID_REQUEST"),
        (TOPIC, "t", &[("flush.ms", SET, Some("1")), ("flush.ms", SET, Some("2"))], "INVALID_REQUEST"),
        (TOPIC, "missing", &[("flush.ms", SET, Some("1"))], "UNKNOWN_TOPIC_OR_PARTITION"),
        (TOPIC, "", &[("flush.ms", SET, Some("1"))], "INVALID_REQUEST"),
        (BROKER, "7", &[("background.threads", SET, Some("11"))], "INVALID_REQUEST"),
        (BROKER, "3", &[("node.id", SET, Some("4"))], "INVALID_REQUEST"),
        (BROKER, "3", &[("background.threads", SET, Some("x"))], "INVALID_REQUEST"),
        (GROUP, "", &[("consumer.session.timeout.ms", SET, Some("50000"))], "INVALID_REQUEST"),
        (CLIENT_METRICS, "m", &[("no.such", SET, Some("1"))], "INVALID_REQUEST"),
        (99, "x", &[("a", SET, Some("b"))], "INVALID_REQUEST"),
    ] {
        assert_eq!(alter(&fixture, resource_type, name, ops).await, expect, "{resource_type} {name:?} {ops:?}");
    }
    assert_eq!(one(&fixture, TOPIC, "t", "flush.ms").await, "9223372036854775807@5 {}");
}

#[tokio::test]
async fn append_and_subtract_change_list_entries() {
    let fixture = Fixture::start().await;
    fixture.topic("t", &[]).await;
    let default = "log.cleanup.policy=delete@5";
    for (op, entry, expect) in [
        (APPEND, Some("compact"), "delete,compact@1"),
        (APPEND, Some("compact"), "delete,compact@1"),
        (SUBTRACT, Some("delete"), "compact@1"),
        (DELETE, None, "delete@5"),
        (DELETE, None, "delete@5"),
    ] {
        assert_eq!(alter(&fixture, TOPIC, "t", &[("cleanup.policy", op, entry)]).await, "NONE");
        let described = one(&fixture, TOPIC, "t", "cleanup.policy").await;
        assert!(
            described.starts_with(&format!("{expect} {{")) && described.ends_with(&format!("{default}}}")),
            "{described}"
        );
    }
}

#[tokio::test]
async fn alter_configs_replaces_all_dynamic_settings() {
    let fixture = Fixture::start().await;
    fixture.topic("t", &[("retention.ms", "1000")]).await;
    for version in 0..=2 {
        for (validate_only, flush, retention) in
            [(true, "9223372036854775807@5", "1000@1"), (false, "5@1", "604800000@5")]
        {
            let config = Replacement { name: text("flush.ms"), value: Some(text("5")) };
            let resource = Replaced { resource_type: TOPIC, resource_name: text("t"), configs: vec![config] };
            let request = AlterConfigsRequest { resources: vec![resource], validate_only };
            let answer = fixture.client.call_at(request, version).await.unwrap();
            assert_eq!(code(answer.responses[0].error_code), "NONE");
            assert!(one(&fixture, TOPIC, "t", "flush.ms").await.starts_with(flush));
            assert!(one(&fixture, TOPIC, "t", "retention.ms").await.starts_with(retention));
        }
        let back = [("flush.ms", DELETE, None), ("retention.ms", SET, Some("1000"))];
        assert_eq!(alter(&fixture, TOPIC, "t", &back).await, "NONE");
    }
}

#[tokio::test]
async fn list_config_resources_filters_by_type() {
    let fixture = Fixture::start().await;
    fixture.topic("t", &[]).await;
    fixture.topic("b", &[]).await;
    let list = async |version, types: &[i8]| {
        let request = ListConfigResourcesRequest { resource_types: types.to_vec() };
        let answer = fixture.client.call_at(request, version).await.unwrap();
        let listed = answer.config_resources.iter().map(|it| format!("{}:{}", it.resource_type, it.resource_name));
        let listed: Vec<_> = listed.collect();
        format!("{} {}", code(answer.error_code), listed.join(" "))
    };
    assert_eq!(list(1, &[]).await, "NONE 8:1 4:1 2:b 2:t");
    assert_eq!(list(0, &[]).await, "NONE ");
    assert_eq!(fixture.set(CLIENT_METRICS, "m", "interval.ms", "5000").await, "NONE");
    assert_eq!(fixture.set(GROUP, "g", "consumer.session.timeout.ms", "50000").await, "NONE");
    for (version, types, expect) in [
        (0, &[][..], "NONE 16:m"),
        (1, &[], "NONE 32:g 16:m 8:1 4:1 2:b 2:t"),
        (1, &[TOPIC], "NONE 2:b 2:t"),
        (1, &[BROKER], "NONE 4:1"),
        (1, &[LOGGER], "NONE 8:1"),
        (1, &[CLIENT_METRICS], "NONE 16:m"),
        (1, &[GROUP], "NONE 32:g"),
        (1, &[TOPIC, GROUP, TOPIC], "NONE 32:g 2:b 2:t"),
        (1, &[0], "UNSUPPORTED_VERSION "),
        (1, &[TOPIC, 99], "UNSUPPORTED_VERSION "),
    ] {
        assert_eq!(list(version, types).await, expect, "{version} {types:?}");
    }
}
