//! DescribeConfigs (key 32, versions 0 to 4), AlterConfigs (33, 0 to 2), IncrementalAlterConfigs (44, 0 to 1)
//! and ListConfigResources (74, 0 to 1): settings of topics, this broker, groups and client metrics.
//!
//! What is not in Kafka's table of a broker's settings is described without its value, as there.
//! BROKER_LOGGER resources are in [`super::broker_loggers`]; AlterConfigs doesn't know them, as in Kafka.
//!
//! Departures: version 0 of DescribeConfigs tells truly which values are defaults; Kafka says that none is. An
//! unknown operation, or a resource given twice, is INVALID_REQUEST, where Kafka fails with
//! UNKNOWN_SERVER_ERROR or doesn't answer.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::broker_loggers::{self, BROKER_LOGGER};
use super::context::{Answer, Context};
use super::errors::{INVALID_REQUEST, ToErrorCode};
use super::topics::unavailable;
use crate::log_rate_limiter::log_limited;
use ottla_config::setting::{Effect, Kind};
use ottla_config::{self as config, BrokerConfig, Described, Origin, Scope};
use ottla_core::metadata::{
    AlterConfigs, Alteration, Command, ConfigChange, ConfigKind, ConfigOp, ConfigResource, MetadataError, OpKind,
    Reply, Settings,
};
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::alter_configs::{
    AlterConfigsRequest, AlterConfigsResourceResponse, AlterConfigsResponse,
};
use ottla_wire::protocol::messages::create_topics::CreatableTopicConfigs;
use ottla_wire::protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResponse,
    DescribeConfigsResult, DescribeConfigsSynonym,
};
use ottla_wire::protocol::messages::incremental_alter_configs::{
    AlterConfigsResourceResponse as IncrementalResourceResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use ottla_wire::protocol::messages::list_config_resources::{
    ConfigResource as ListedResource, ListConfigResourcesRequest, ListConfigResourcesResponse,
};
use ottla_wire::types::ErrorCode;

pub(super) fn describe(context: &Context, request: DescribeConfigsRequest) -> Answer {
    if request.resources.iter().any(|resource| !LISTED.contains(&resource.resource_type)) {
        return refuse_all(request).into();
    }
    let results = request.resources.iter().map(|resource| {
        if resource.resource_type == BROKER_LOGGER {
            return broker_loggers::describe(context, resource);
        }
        let described = describe_resource(context, resource);
        let base = DescribeConfigsResult {
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.clone(),
            ..Default::default()
        };
        match described {
            Ok((kind, all)) => {
                let wanted = |name: &str| match &resource.configuration_keys {
                    // No keys are all keys.
                    Some(keys) if !keys.is_empty() => keys.iter().any(|key| **key == *name),
                    _ => true,
                };
                let known = all.into_iter().filter(|described| wanted(described.setting.name));
                let known = known.map(|described| describe_one(kind, described, &request));
                let unknown = unknown_settings(context, resource, request.include_synonyms);
                let configs = known.chain(unknown.into_iter().filter(|described| wanted(&described.name))).collect();
                // Kafka says "no error" with an empty message here, and null nowhere.
                DescribeConfigsResult { configs, error_message: Some(Str::new()), ..base }
            }
            Err((error, message)) => {
                DescribeConfigsResult { error_code: error.code(), error_message: Some(message.into()), ..base }
            }
        }
    });
    DescribeConfigsResponse { results: results.collect(), ..Default::default() }.into()
}

/// The answer to a request that names a kind of resource that Kafka does not know: nothing of it is answered.
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

/// A broker's dynamic settings of names that are in no table. Whose they are is not known, so their values are not
/// shown, as in Kafka.
fn unknown_settings(
    context: &Context,
    resource: &DescribeConfigsResource,
    include_synonyms: bool,
) -> Vec<DescribeConfigsResourceResult> {
    let cluster = context.broker.cluster();
    let for_all = (Origin::DynamicDefault, cluster.image.default_broker_configs());
    let for_this = (Origin::DynamicBroker, cluster.image.broker_configs(context.broker.node_id()));
    let layers = match ConfigKind::from_code(resource.resource_type) {
        Some(ConfigKind::Broker) if resource.resource_name.is_empty() => vec![for_all],
        Some(ConfigKind::Broker) => vec![for_this, for_all],
        _ => Vec::new(),
    };
    let names: BTreeSet<&String> = layers.iter().flat_map(|(_, settings)| settings.keys()).collect();
    let unknown = names.into_iter().filter(|name| config::table::find(Scope::Broker, name).is_none());
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

pub(super) type Refused = (ErrorCode, String);

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
            ottla_core::metadata::names::check(name).map_err(|why| (ErrorCode::InvalidTopicException, why))?;
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

fn describe_one(
    kind: ConfigKind,
    described: Described,
    request: &DescribeConfigsRequest,
) -> DescribeConfigsResourceResult {
    let synonyms = match request.include_synonyms {
        false => Vec::new(),
        true => described
            .synonyms
            .iter()
            .map(|synonym| DescribeConfigsSynonym {
                name: Str::from_static(synonym.name),
                value: synonym.value.as_deref().map(Str::from),
                source: source(kind, synonym.origin),
            })
            .collect(),
    };
    let setting = described.setting;
    DescribeConfigsResourceResult {
        name: Str::from_static(setting.name),
        value: described.value.map(Str::from),
        read_only: !setting.is_dynamic(),
        is_default: described.origin == config::Origin::Default,
        config_source: source(kind, described.origin),
        is_sensitive: setting.is_sensitive(),
        synonyms,
        config_type: config_type(setting.kind),
        documentation: request.include_documentation.then(|| Str::from_static(setting.doc)),
    }
}

/// Kafka's `ConfigSource`: which layer a value is from.
fn source(kind: ConfigKind, origin: config::Origin) -> i8 {
    match (origin, kind) {
        (config::Origin::Resource, ConfigKind::Topic) => 1,
        (config::Origin::DynamicBroker, _) => 2,
        (config::Origin::Resource, ConfigKind::Broker) | (config::Origin::DynamicDefault, _) => 3,
        (config::Origin::Static, _) => 4,
        (config::Origin::Default, _) => 5,
        (config::Origin::Resource, ConfigKind::ClientMetrics) => 7,
        (config::Origin::Resource, ConfigKind::Group) => 8,
    }
}

/// Kafka's `ConfigType` of what no table has.
const UNKNOWN_TYPE: i8 = 0;

/// Kafka's `ConfigType`.
fn config_type(kind: Kind) -> i8 {
    match kind {
        Kind::Boolean => 1,
        Kind::String => 2,
        Kind::Int => 3,
        Kind::Short => 4,
        Kind::Long => 5,
        Kind::Double => 6,
        Kind::List => 7,
        Kind::Class => 8,
        Kind::Password => 9,
    }
}

/// A new topic's settings, as CreateTopics tells them from version 5: those that it sets itself as they were sent, blanks
/// included, where DescribeConfigs shows every value as its type reads it.
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

pub(super) fn alter(context: &Context, request: AlterConfigsRequest) -> Answer {
    let asked = request.resources.into_iter().map(|resource| {
        let configs = resource
            .configs
            .into_iter()
            .map(|config| (config.name.to_string(), config.value.map(|value| value.to_string())))
            .collect();
        (resource.resource_type, resource.resource_name, Ok(Alteration::Replace(configs)))
    });
    let done = apply(context, asked.collect(), request.validate_only);
    Answer::parked(async move {
        let responses = done.await.into_iter().map(|altered| AlterConfigsResourceResponse {
            error_code: altered.error.code(),
            error_message: altered.message,
            resource_type: altered.resource_type,
            resource_name: altered.resource_name,
        });
        AlterConfigsResponse { responses: responses.collect(), ..Default::default() }
    })
}

pub(super) fn alter_incrementally(context: &Context, request: IncrementalAlterConfigsRequest) -> Answer {
    let loggers = broker_loggers::alter(context, &request);
    let asked = request.resources.into_iter().zip(loggers).map(|(resource, settled)| {
        if let Some(settled) = settled {
            return (resource.resource_type, resource.resource_name, Err(settled));
        }
        let ops = resource.configs.into_iter().map(|config| {
            let kind = OpKind::from_code(config.config_operation)
                .ok_or_else(|| refused(format!("Unknown operation type {}", config.config_operation)))?;
            Ok(ConfigOp { name: config.name.to_string(), kind, value: config.value.map(|value| value.to_string()) })
        });
        let ops: Result<Vec<ConfigOp>, Settled> = ops.collect();
        (resource.resource_type, resource.resource_name, ops.map(Alteration::Incremental))
    });
    let done = apply(context, asked.collect(), request.validate_only);
    Answer::parked(async move {
        let responses = done.await.into_iter().map(|altered| IncrementalResourceResponse {
            error_code: altered.error.code(),
            error_message: altered.message,
            resource_type: altered.resource_type,
            resource_name: altered.resource_name,
        });
        IncrementalAlterConfigsResponse { responses: responses.collect(), ..Default::default() }
    })
}

/// What became of one resource.
struct Altered {
    resource_type: i8,
    resource_name: Str,
    error: ErrorCode,
    message: Option<Str>,
}

/// What became of a resource, and the message of that.
pub(super) type Settled = (ErrorCode, Option<Str>);

/// What is asked of one resource: its type, its name, and the change, or what has become of it already.
type Asked = (i8, Str, Result<Alteration, Settled>);

fn refused(message: String) -> Settled {
    (ErrorCode::InvalidRequest, Some(message.into()))
}

fn apply(
    context: &Context,
    asked: Vec<Asked>,
    validate_only: bool,
) -> impl Future<Output = Vec<Altered>> + Send + use<> {
    let mut altered = Vec::with_capacity(asked.len());
    let mut changes = Vec::new();
    let mut places = Vec::new();
    for (resource_type, resource_name, how) in asked {
        let change = how.and_then(|how| {
            let kind = ConfigKind::from_code(resource_type)
                .ok_or_else(|| refused(format!("Unknown resource type {resource_type}")))?;
            Ok(ConfigChange { resource: ConfigResource::new(kind, &*resource_name), how })
        });
        let (error, message) = match change {
            Ok(change) => {
                changes.push(change);
                places.push(altered.len());
                (ErrorCode::None, None)
            }
            Err(settled) => settled,
        };
        altered.push(Altered { resource_type, resource_name, error, message });
    }
    let (broker, connection) = (Arc::clone(&context.broker), Arc::clone(&context.connection));
    let idle: Vec<String> = changes.iter().map(without_effect).collect();
    let command = Command::AlterConfigs(AlterConfigs { changes, validate_only });
    let submitted = context.broker.metadata().submit(command);
    async move {
        let outcomes: Vec<Option<Refused>> = match submitted.await {
            Ok(Reply::ConfigsAltered(results)) => {
                for (idle, _) in
                    idle.iter().zip(&results).filter(|(idle, (_, result))| !idle.is_empty() && result.is_ok())
                {
                    log_limited!(
                        INFO,
                        broker.log_rate_limiter(),
                        connection.peer.ip(),
                        "settings without effect",
                        "{connection} set what has no effect here: {idle}"
                    );
                }
                results.into_iter().map(|(_, result)| refusal(result)).collect()
            }
            other => {
                let error = unavailable(other);
                places.iter().map(|_| Some((error.error_code(), error.to_string()))).collect()
            }
        };
        for (place, outcome) in places.into_iter().zip(outcomes) {
            if let (Some(slot), Some((error, message))) = (altered.get_mut(place), outcome) {
                slot.error = error;
                slot.message = Some(message.into());
            }
        }
        altered
    }
}

/// The names of a broker's settings in a change that are remembered and change nothing else.
fn without_effect(change: &ConfigChange) -> String {
    if change.resource.kind != ConfigKind::Broker {
        return String::new();
    }
    let names: Vec<&str> = match &change.how {
        Alteration::Replace(all) => all.iter().map(|(name, _)| name.as_str()).collect(),
        Alteration::Incremental(ops) => {
            ops.iter().filter(|op| op.kind != OpKind::Delete).map(|op| op.name.as_str()).collect()
        }
    };
    let is_idle = |name: &&str| {
        config::table::find(Scope::Broker, name).is_none_or(|setting| setting.effect != Effect::Implemented)
    };
    names.into_iter().filter(is_idle).collect::<Vec<_>>().join(", ")
}

fn refusal(result: Result<(), MetadataError>) -> Option<Refused> {
    result.err().map(|error| (error.error_code(), error.to_string()))
}

/// The kinds of resources that can be listed, in the order in which Kafka lists them.
const LISTED: [i8; 5] = [
    ConfigKind::Group.code(),
    ConfigKind::ClientMetrics.code(),
    BROKER_LOGGER,
    ConfigKind::Broker.code(),
    ConfigKind::Topic.code(),
];

pub(super) fn list_resources(context: &Context, request: ListConfigResourcesRequest) -> Answer {
    let wanted: Vec<i8> = match context.version() {
        // Version 0 knew client metrics only.
        0 => vec![ConfigKind::ClientMetrics.code()],
        _ if request.resource_types.is_empty() => LISTED.to_vec(),
        _ => request.resource_types,
    };
    if wanted.iter().any(|kind| !LISTED.contains(kind)) {
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
            // Only those that have settings of their own.
            Some(kind) => cluster.image.configs().names(kind).iter().map(|name| Str::from(&**name)).collect(),
        }
    };
    let resources = LISTED.into_iter().filter(|kind| wanted.contains(kind)).flat_map(|resource_type| {
        names(resource_type).into_iter().map(move |resource_name| ListedResource { resource_name, resource_type })
    });
    ListConfigResourcesResponse { config_resources: resources.collect(), ..Default::default() }.into()
}
