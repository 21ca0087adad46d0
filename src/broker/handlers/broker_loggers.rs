//! BROKER_LOGGER resources of DescribeConfigs and IncrementalAlterConfigs (KIP-412): log levels, read and changed while
//! the broker runs, and not kept over a restart. [`crate::state::loggers`] lists the loggers.
//!
//! Behaviour: `org.apache.kafka.server.logger.RuntimeLoggerManager`. All operations of a resource are checked before
//! any is applied; they are applied in order.
//!
//! Departures: an unknown operation is INVALID_REQUEST, where Kafka answers UNKNOWN_SERVER_ERROR; a broker embedded in
//! another program has no loggers, because that program controls logging.

use std::collections::{HashMap, HashSet};

use super::authorizer::{Operation, Resource};
use super::context::Context;
use super::errors::{Refused, ToErrorCode};
use crate::log_rate_limiter::log_limited;
use crate::state::loggers::{LogLevel, Loggers, ROOT_LOGGER};
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::describe_configs::{
    DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsResult,
};
use ottla_wire::protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use ottla_wire::types::ErrorCode;

/// Kafka's `ConfigResource.Type`.
pub(super) const BROKER_LOGGER: i8 = 8;
/// Kafka's `ConfigSource` and `ConfigType` of a logger's level.
const DYNAMIC_BROKER_LOGGER_CONFIG: i8 = 6;
const UNKNOWN_TYPE: i8 = 0;
/// The kind of log line for changes of levels.
const CHANGES: &str = "changed log levels";
/// Kafka's `AlterConfigOp.OpType`.
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;
/// The levels that can be set, in the order in which Kafka lists them (`LogLevelConfig.VALID_LOG_LEVELS`).
const SETTABLE: [LogLevel; 6] =
    [LogLevel::Debug, LogLevel::Error, LogLevel::Fatal, LogLevel::Info, LogLevel::Trace, LogLevel::Warn];

/// The outcome for one resource, and its message.
pub(super) type ResourceOutcome = (ErrorCode, Option<Str>);

/// Describes the levels of the requested loggers, or of all.
pub(super) fn describe(context: &Context, resource: &DescribeConfigsResource) -> DescribeConfigsResult {
    let result = DescribeConfigsResult {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        ..Default::default()
    };
    match described(context, resource) {
        // In this API Kafka's message for success is empty, not null.
        Ok(configs) => DescribeConfigsResult { configs, error_message: Some(Str::new()), ..result },
        Err((error, message)) => {
            DescribeConfigsResult { error_code: error.code(), error_message: Some(message.into()), ..result }
        }
    }
}

fn described(
    context: &Context,
    resource: &DescribeConfigsResource,
) -> Result<Vec<DescribeConfigsResourceResult>, Refused> {
    let name = &*resource.resource_name;
    if name.is_empty() {
        return Err(invalid("Broker id must not be empty"));
    }
    let node_id = context.broker.node_id();
    match name.parse::<i32>() {
        Ok(id) if id == node_id => {}
        Ok(_) => return Err(invalid(format!("Unexpected broker id, expected {node_id} but received {name}"))),
        Err(_) => return Err(invalid(format!("Broker id must be an integer, but it is: {name}"))),
    }
    // No keys mean all keys.
    let keys = resource.configuration_keys.as_deref().unwrap_or_default();
    let keys: HashSet<&str> = keys.iter().map(|key| &**key).collect();
    let is_requested = |logger: &str| keys.is_empty() || keys.contains(logger);
    let levels = context.broker.loggers().levels().into_iter().filter(|(logger, _)| is_requested(logger));
    let result = |(logger, level): (String, LogLevel)| DescribeConfigsResourceResult {
        name: logger.into(),
        value: Some(Str::from_static(level.name())),
        read_only: false,
        is_default: false,
        config_source: DYNAMIC_BROKER_LOGGER_CONFIG,
        is_sensitive: false,
        synonyms: Vec::new(),
        config_type: UNKNOWN_TYPE,
        // Empty, requested or not, as in Kafka.
        documentation: Some(Str::new()),
    };
    Ok(levels.map(result).collect())
}

/// The outcome for each resource of a request, in order; `None` for resources of other types.
pub(super) fn alter(context: &Context, request: &IncrementalAlterConfigsRequest) -> Vec<Option<ResourceOutcome>> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for resource in request.resources.iter().filter(|resource| resource.resource_type == BROKER_LOGGER) {
        *counts.entry(&resource.resource_name).or_default() += 1;
    }
    let alter = |resource: &AlterConfigsResource| {
        if resource.resource_type != BROKER_LOGGER {
            return None;
        }
        let altered = match counts.get(&*resource.resource_name) {
            Some(1) => alter_one(context, resource, request.validate_only),
            _ => Err(invalid("Each resource must appear at most once.")),
        };
        Some(match altered {
            Ok(()) => (ErrorCode::None, None),
            // As in Kafka, without a message.
            Err((error @ ErrorCode::ClusterAuthorizationFailed, _)) => (error, None),
            Err((error, message)) => (error, Some(message.into())),
        })
    };
    request.resources.iter().map(alter).collect()
}

/// Checks the operations of a resource, and applies them unless `validate_only`.
fn alter_one(context: &Context, resource: &AlterConfigsResource, validate_only: bool) -> Result<(), Refused> {
    check_keys(&resource.configs)?;
    context
        .authorize(Operation::AlterConfigs, Resource::Cluster)
        .map_err(|denied| (denied.error_code(), denied.message().to_owned()))?;
    let (name, node_id) = (&*resource.resource_name, context.broker.node_id());
    match name.parse::<i32>() {
        Ok(id) if id == node_id => {}
        Ok(id) => return Err(invalid(format!("Unexpected node id. Expected {node_id}, but received {id}"))),
        Err(_) => return Err(invalid(format!("Node id must be an integer, but it is: {name}"))),
    }
    let loggers = context.broker.loggers();
    let changes = resource.configs.iter().map(|config| change(loggers, config));
    let changes = changes.collect::<Result<Vec<_>, _>>()?;
    if !validate_only {
        for (logger, level) in changes {
            apply(context, loggers, logger, level);
        }
    }
    Ok(())
}

/// Kafka's first checks of every resource: unique keys, and values for all operations but DELETE.
fn check_keys(configs: &[AlterableConfig]) -> Result<(), Refused> {
    let mut names = HashSet::new();
    if !configs.iter().all(|config| names.insert(&*config.name)) {
        return Err(invalid("Error due to duplicate config keys"));
    }
    let without_value = configs.iter().filter(|config| config.config_operation != DELETE && config.value.is_none());
    let without_value: Vec<&str> = without_value.map(|config| &*config.name).collect();
    match without_value.is_empty() {
        true => Ok(()),
        false => Err(invalid(format!("Null value not supported for : {}", without_value.join(", ")))),
    }
}

/// The logger and its new level; `None` means that it inherits one.
fn change<'a>(loggers: &dyn Loggers, config: &'a AlterableConfig) -> Result<(&'a str, Option<LogLevel>), Refused> {
    let logger = &*config.name;
    let not_allowed =
        |operation: &str| invalid(format!("{operation} operation is not allowed for the BROKER_LOGGER resource"));
    match config.config_operation {
        SET | DELETE if !loggers.exists(logger) => {
            Err((ErrorCode::InvalidConfig, format!("Logger {logger} does not exist!")))
        }
        SET => {
            let value = config.value.as_deref().unwrap_or_default();
            let level = value.parse().ok().filter(|level| SETTABLE.contains(level));
            let level = level.ok_or_else(|| {
                let valid = SETTABLE.map(LogLevel::name).join(", ");
                let message = format!(
                    "Cannot set the log level of {logger} to {value} as it is not a supported log level. Valid log \
                     levels are {valid}"
                );
                (ErrorCode::InvalidConfig, message)
            })?;
            Ok((logger, Some(level)))
        }
        DELETE if logger == ROOT_LOGGER => {
            Err(invalid(format!("Removing the log level of the {ROOT_LOGGER} logger is not allowed")))
        }
        DELETE => Ok((logger, None)),
        APPEND => Err(not_allowed("APPEND")),
        SUBTRACT => Err(not_allowed("SUBTRACT")),
        other => Err(invalid(format!("Unknown operation type {other} is not allowed for the BROKER_LOGGER resource"))),
    }
}

fn apply(context: &Context, loggers: &dyn Loggers, logger: &str, level: Option<LogLevel>) {
    loggers.set(logger, level);
    let new_level = level.map_or("inherited", LogLevel::name);
    log_limited!(
        WARN, context.broker.log_rate_limiter(), context.connection.peer.ip(), CHANGES,
        client = %context.connection, logger, new_level, "changed a log level"
    );
}

fn invalid(message: impl Into<String>) -> Refused {
    (ErrorCode::InvalidRequest, message.into())
}
