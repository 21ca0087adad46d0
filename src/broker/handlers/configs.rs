//! DescribeConfigs (key 32, versions 0 to 4) and ListConfigResources (74, 0 to 1): settings of topics, this broker, groups
//! and client metrics.
//!
//! Broker settings with an unknown name are described without their values, as in Kafka.
//! BROKER_LOGGER resources are in [`super::broker_loggers`].
//!
//! Difference from Kafka: version 0 of DescribeConfigs reports which values are defaults; Kafka reports `false` for each.

use std::collections::BTreeSet;

use super::authorizer::{Denied, Operation, Resource};
use super::broker_loggers::{self, BROKER_LOGGER};
use super::context::{Answer, Context};
use super::described_configs::{UNKNOWN_TYPE, describe_one, source};
use super::errors::{INVALID_REQUEST, Refused, ToErrorCode};
use ottla_config::{self as config, BrokerConfig, Described, Origin, Scope};
use ottla_core::metadata::{ConfigKind, Settings};
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::create_topics::CreatableTopicConfigs;
use ottla_wire::protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResponse,
    DescribeConfigsResult, DescribeConfigsSynonym,
};
use ottla_wire::protocol::messages::list_config_resources::{
    ConfigResource as ListedResource, ListConfigResourcesRequest, ListConfigResourcesResponse,
};
use ottla_wire::types::ErrorCode;

pub(super) fn describe(context: &Context, request: DescribeConfigsRequest) -> Answer {
    if request.resources.iter().any(|resource| !RESOURCE_TYPES.contains(&resource.resource_type)) {
        return refuse_all(request).into();
    }
    let (allowed, denied): (Vec<_>, Vec<_>) = request
        .resources
        .iter()
        .map(|resource| {
            let (resource_type, name) = (resource.resource_type, &resource.resource_name);
            (resource, authorize(context, Operation::DescribeConfigs, resource_type, name))
        })
        .partition(|(_, authorized)| authorized.is_ok());
    let denied =
        denied.into_iter().filter_map(|(resource, authorized)| Some(denied_result(resource, authorized.err()?)));
    let results = allowed.into_iter().map(|(resource, _)| match resource.resource_type {
        BROKER_LOGGER => broker_loggers::describe(context, resource),
        _ => described_result(context, &request, resource),
    });
    DescribeConfigsResponse { results: results.chain(denied).collect(), ..Default::default() }.into()
}

fn described_result(
    context: &Context,
    request: &DescribeConfigsRequest,
    resource: &DescribeConfigsResource,
) -> DescribeConfigsResult {
    let base = DescribeConfigsResult {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        ..Default::default()
    };
    let (kind, all) = match describe_resource(context, resource) {
        Ok(described) => described,
        Err((error, message)) => {
            return DescribeConfigsResult { error_code: error.code(), error_message: Some(message.into()), ..base };
        }
    };
    let is_requested = |name: &str| match &resource.configuration_keys {
        // No keys mean all keys.
        Some(keys) if !keys.is_empty() => keys.iter().any(|key| **key == *name),
        _ => true,
    };
    let known = all.into_iter().filter(|described| is_requested(&described.name));
    let known = known.map(|described| describe_one(kind, described, request));
    let unknown = unknown_settings(context, resource, request.include_synonyms);
    let configs = known.chain(unknown.into_iter().filter(|described| is_requested(&described.name))).collect();
    // In this API Kafka's message for success is empty, not null.
    DescribeConfigsResult { configs, error_message: Some(Str::new()), ..base }
}

/// Checks an operation on the settings of a resource. Those of brokers and of client metrics belong to the cluster.
pub(super) fn authorize(context: &Context, operation: Operation, resource_type: i8, name: &str) -> Result<(), Denied> {
    let resource = match ConfigKind::from_code(resource_type) {
        Some(ConfigKind::Topic) => Resource::Topic(name),
        Some(ConfigKind::Group) => Resource::Group(name),
        Some(ConfigKind::Broker | ConfigKind::ClientMetrics) => Resource::Cluster,
        None if resource_type == BROKER_LOGGER => Resource::Cluster,
        // Unknown types are refused later on.
        None => return Ok(()),
    };
    context.authorize(operation, resource)
}

fn denied_result(resource: &DescribeConfigsResource, denied: Denied) -> DescribeConfigsResult {
    DescribeConfigsResult {
        error_code: denied.error_code().code(),
        error_message: Some(Str::from_static(denied.message())),
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        ..Default::default()
    }
}

/// The response to a request with an unknown resource type: every resource is refused.
fn refuse_all(request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    let results = request.resources.into_iter().map(|resource| DescribeConfigsResult {
        error_code: ErrorCode::InvalidRequest.code(),
        error_message: Some(Str::from_static(INVALID_REQUEST)),
        resource_type: resource.resource_type,
        resource_name: resource.resource_name,
        ..Default::default()
    });
    DescribeConfigsResponse { results: results.collect(), ..Default::default() }
}

/// Describes the dynamic broker settings with unknown names. They may be secrets, so their values are not shown, as in
/// Kafka.
fn unknown_settings(
    context: &Context,
    resource: &DescribeConfigsResource,
    include_synonyms: bool,
) -> Vec<DescribeConfigsResourceResult> {
    let cluster = context.broker.cluster();
    let cluster_default = (Origin::DynamicDefault, cluster.image.default_broker_configs());
    let this_broker = (Origin::DynamicBroker, cluster.image.broker_configs(context.broker.node_id()));
    let layers = match ConfigKind::from_code(resource.resource_type) {
        Some(ConfigKind::Broker) if resource.resource_name.is_empty() => vec![cluster_default],
        Some(ConfigKind::Broker) => vec![this_broker, cluster_default],
        _ => Vec::new(),
    };
    let names: BTreeSet<&String> = layers.iter().flat_map(|(_, settings)| settings.keys()).collect();
    let unknown = names.into_iter().filter(|name| config::listener_values::find_with_listener(name).is_none());
    let described = unknown.map(|name| {
        let given = layers.iter().filter(|(_, settings)| settings.contains_key(name));
        let sources: Vec<i8> = given.map(|(origin, _)| source(ConfigKind::Broker, *origin)).collect();
        let synonym = |&source: &i8| DescribeConfigsSynonym { name: name.as_str().into(), value: None, source };
        DescribeConfigsResourceResult {
            name: name.as_str().into(),
            value: None,
            read_only: true,
            config_source: sources.first().copied().unwrap_or_default(),
            is_sensitive: true,
            synonyms: sources.iter().filter(|_| include_synonyms).map(synonym).collect(),
            config_type: UNKNOWN_TYPE,
            ..Default::default()
        }
    });
    described.collect()
}

fn describe_resource(
    context: &Context,
    resource: &DescribeConfigsResource,
) -> Result<(ConfigKind, Vec<Described>), Refused> {
    let name = &*resource.resource_name;
    let cluster = context.broker.cluster();
    let broker = context.broker.config();
    let invalid = |message: String| (ErrorCode::InvalidRequest, message);
    let kind = ConfigKind::from_code(resource.resource_type);
    let described = match kind {
        Some(ConfigKind::Topic) => {
            ottla_core::metadata::names::check(name).map_err(|message| (ErrorCode::InvalidTopicException, message))?;
            if cluster.topic(name).is_none() {
                return Err((ErrorCode::UnknownTopicOrPartition, String::new()));
            }
            config::describe_topic(&cluster.config, cluster.image.topic_configs(name))
        }
        Some(ConfigKind::Broker) if name.is_empty() => {
            config::describe_simple(Scope::Broker, cluster.image.default_broker_configs())
                .into_iter()
                .filter(|described| described.origin != config::Origin::Default)
                .collect()
        }
        Some(ConfigKind::Broker) => {
            check_node_id(broker, name)?;
            config::describe_broker(&cluster.config)
        }
        Some(ConfigKind::Group) if name.is_empty() => return Err(invalid("Group name must not be empty".into())),
        Some(ConfigKind::Group) => config::describe_group(&cluster.config, cluster.image.group_configs(name)),
        Some(ConfigKind::ClientMetrics) if name.is_empty() => {
            return Err(invalid("Client metrics subscription name must not be empty".into()));
        }
        Some(ConfigKind::ClientMetrics) => {
            let overrides = cluster.image.configs().get(ConfigKind::ClientMetrics, name);
            config::describe_simple(Scope::ClientMetrics, overrides)
        }
        None => return Err(invalid(INVALID_REQUEST.to_owned())),
    };
    Ok((kind.unwrap_or(ConfigKind::Topic), described))
}

fn check_node_id(broker: &BrokerConfig, name: &str) -> Result<(), Refused> {
    let expected = broker.node_id;
    let message = match name.parse::<i32>() {
        Ok(id) if id == expected => return Ok(()),
        Ok(_) => format!("Unexpected broker id, expected {expected} or empty string, but received {name}"),
        Err(_) => format!("Broker id must be an integer, but it is: {name}"),
    };
    Err((ErrorCode::InvalidRequest, message))
}

/// Describes a new topic's settings, for CreateTopics from version 5 on. The topic's own values are shown as they were
/// sent, including white space, whereas DescribeConfigs shows parsed values.
pub(super) fn describe_created(broker: &BrokerConfig, overrides: &Settings) -> Vec<CreatableTopicConfigs> {
    config::describe_topic(broker, overrides)
        .into_iter()
        .map(|described| CreatableTopicConfigs {
            name: Str::from_static(described.setting.name),
            value: overrides
                .get(described.setting.name)
                .filter(|_| !described.setting.is_sensitive())
                .cloned()
                .or(described.value)
                .map(Str::from),
            read_only: false,
            config_source: source(
                ConfigKind::Topic,
                config::origin_in_topic(broker, overrides, described.setting.name),
            ),
            is_sensitive: described.setting.is_sensitive(),
        })
        .collect()
}

/// The resource types that can be described and listed, in Kafka's order.
const RESOURCE_TYPES: [i8; 5] = [
    ConfigKind::Group.code(),
    ConfigKind::ClientMetrics.code(),
    BROKER_LOGGER,
    ConfigKind::Broker.code(),
    ConfigKind::Topic.code(),
];

pub(super) fn list_resources(context: &Context, request: ListConfigResourcesRequest) -> Answer {
    if let Err(denied) = context.authorize(Operation::DescribeConfigs, Resource::Cluster) {
        return ListConfigResourcesResponse { error_code: denied.error_code().code(), ..Default::default() }.into();
    }
    let requested: Vec<i8> = match context.version() {
        // Version 0 lists client metrics only.
        0 => vec![ConfigKind::ClientMetrics.code()],
        _ if request.resource_types.is_empty() => RESOURCE_TYPES.to_vec(),
        _ => request.resource_types,
    };
    if requested.iter().any(|kind| !RESOURCE_TYPES.contains(kind)) {
        let error_code = ErrorCode::UnsupportedVersion.code();
        return ListConfigResourcesResponse { error_code, ..Default::default() }.into();
    }
    let cluster = context.broker.cluster();
    let names = |resource_type: i8| -> Vec<Str> {
        match ConfigKind::from_code(resource_type) {
            Some(ConfigKind::Topic) => {
                cluster.topics_by_name().into_iter().map(|topic| Str::from(&**topic.name())).collect()
            }
            Some(ConfigKind::Broker) | None => vec![context.broker.node_id().to_string().into()],
            // Only resources with settings of their own.
            Some(kind) => cluster.image.configs().names(kind).iter().map(|name| Str::from(&**name)).collect(),
        }
    };
    let resources = RESOURCE_TYPES.into_iter().filter(|kind| requested.contains(kind)).flat_map(|resource_type| {
        names(resource_type).into_iter().map(move |resource_name| ListedResource { resource_name, resource_type })
    });
    ListConfigResourcesResponse { config_resources: resources.collect(), ..Default::default() }.into()
}
