//! BROKER_LOGGER resources of DescribeConfigs and IncrementalAlterConfigs (KIP-412): the levels of loggers, read and
//! changed while the broker runs, and forgotten when it ends. What the loggers are, [`crate::state::loggers`] says.
//!
//! Behaviour: `org.apache.kafka.server.logger.RuntimeLoggerManager`. The operations of one resource are checked before
//! any is applied, and then applied in their order.
//!
//! Departures: an unknown operation is INVALID_REQUEST, where Kafka fails with UNKNOWN_SERVER_ERROR; a broker that is
//! embedded in another program has no loggers, as its host decides about logging.

use std::collections::{HashMap, HashSet};

use super::configs::{Refused, Settled};
use super::context::Context;
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
/// What the log limiter calls changes of levels.
const CHANGES: &str = "changes of log levels";
/// Kafka's `AlterConfigOp.OpType`.
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;
/// The levels that can be set, in the order in which Kafka lists them (`LogLevelConfig.VALID_LOG_LEVELS`).
const SETTABLE: [LogLevel; 6] =
    [LogLevel::Debug, LogLevel::Error, LogLevel::Fatal, LogLevel::Info, LogLevel::Trace, LogLevel::Warn];

/// The loggers that are asked for, or all, and their levels.
pub(super) fn describe(context: &Context, resource: &DescribeConfigsResource) -> DescribeConfigsResult {
    let result = DescribeConfigsResult {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        ..Default::default()
    };
    match described(context, resource) {
        // Kafka says "no error" with an empty message here, and null nowhere.
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
    // No keys are all keys.
    let keys = resource.configuration_keys.as_deref().unwrap_or_default();
    let keys: HashSet<&str> = keys.iter().map(|key| &**key).collect();
    let wanted = |logger: &str| keys.is_empty() || keys.contains(logger);
    let levels = context.broker.loggers().levels().into_iter().filter(|(logger, _)| wanted(logger));
    let result = |(logger, level): (String, LogLevel)| DescribeConfigsResourceResult {
        name: logger.into(),
        value: Some(Str::from_static(level.name())),
        read_only: false,
        is_default: false,
        config_source: DYNAMIC_BROKER_LOGGER_CONFIG,
        is_sensitive: false,
        synonyms: Vec::new(),
        config_type: UNKNOWN_TYPE,
        // Empty, asked for or not, as in Kafka.
        documentation: Some(Str::new()),
    };
    Ok(levels.map(result).collect())
}

/// What becomes of each resource of a request, in their order; nothing yet of those of other types.
pub(super) fn alter(context: &Context, request: &IncrementalAlterConfigsRequest) -> Vec<Option<Settled>> {
    let mut times: HashMap<&str, usize> = HashMap::new();
    for resource in request.resources.iter().filter(|resource| resource.resource_type == BROKER_LOGGER) {
        *times.entry(&resource.resource_name).or_default() += 1;
    }
    let settle = |resource: &AlterConfigsResource| {
        if resource.resource_type != BROKER_LOGGER {
            return None;
        }
        let altered = match times.get(&*resource.resource_name) {
            Some(1) => alter_one(context, resource, request.validate_only),
            _ => Err(invalid("Each resource must appear at most once.")),
        };
        Some(altered.map_or_else(|(error, message)| (error, Some(message.into())), |()| (ErrorCode::None, None)))
    };
    request.resources.iter().map(settle).collect()
}

/// Checks the operations of a resource, and applies them unless they are only to be checked.
fn alter_one(context: &Context, resource: &AlterConfigsResource, validate_only: bool) -> Result<(), Refused> {
    check_keys(&resource.configs)?;
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

/// What Kafka checks of every resource first.
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

/// A logger and the level that it is to have; `None` has it inherit one.
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
    let (limiter, connection) = (context.broker.log_rate_limiter(), &context.connection);
    match level {
        Some(level) => log_limited!(
            WARN,
            limiter,
            connection.peer.ip(),
            CHANGES,
            "{connection} set the log level of {logger} to {level}"
        ),
        None => {
            log_limited!(WARN, limiter, connection.peer.ip(), CHANGES, "{connection} unset the log level of {logger}")
        }
    }
}

fn invalid(message: impl Into<String>) -> Refused {
    (ErrorCode::InvalidRequest, message.into())
}
