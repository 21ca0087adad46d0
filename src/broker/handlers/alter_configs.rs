//! AlterConfigs (key 33, versions 0 to 2) and IncrementalAlterConfigs (44, 0 to 1): changes of the settings of topics, this
//! broker, groups and client metrics.
//!
//! BROKER_LOGGER resources are in [`super::broker_loggers`]; AlterConfigs does not support them, as in Kafka.
//!
//! Differences from Kafka: the error for an unknown operation, and for a resource that a request contains twice, is
//! INVALID_REQUEST; Kafka returns UNKNOWN_SERVER_ERROR or nothing.

use std::collections::HashMap;
use std::sync::Arc;

use super::authorizer::Operation;
use super::broker_loggers::{self, ResourceOutcome};
use super::configs::authorize;
use super::context::{Answer, Context};
use super::errors::{Refused, ToErrorCode};
use super::listener_security::Trial;
use crate::log_rate_limiter::log_limited;
use ottla_config::BrokerConfig;
use ottla_core::metadata::{
    AlterConfigs, Alteration, ConfigChange, ConfigKind, ConfigOp, ConfigResource, MetadataError, OpKind,
    check_broker_change, check_broker_name, check_without_resource,
};
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::alter_configs::{
    AlterConfigsRequest, AlterConfigsResourceResponse, AlterConfigsResponse,
};
use ottla_wire::protocol::messages::incremental_alter_configs::{
    AlterConfigsResourceResponse as IncrementalResourceResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use ottla_wire::types::ErrorCode;

pub(super) fn alter(context: &Context, request: AlterConfigsRequest) -> Answer {
    let requested = request.resources.into_iter().map(|resource| {
        let configs = resource
            .configs
            .into_iter()
            .map(|config| (config.name.to_string(), config.value.map(|value| value.to_string())))
            .collect();
        Requested {
            how: Ok(Alteration::Replace(configs)),
            ..Requested::of(resource.resource_type, resource.resource_name)
        }
    });
    let applied = apply(context, requested.collect(), request.validate_only);
    Answer::parked(async move {
        let responses = applied.await.into_iter().map(|altered| AlterConfigsResourceResponse {
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
    let requested = request.resources.into_iter().zip(loggers).map(|(resource, outcome)| {
        let mut requested = Requested::of(resource.resource_type, resource.resource_name);
        if let Some(outcome) = outcome {
            return Requested { how: Err(outcome), ..requested };
        }
        let ops = resource.configs.into_iter().map(|config| {
            let kind = OpKind::from_code(config.config_operation).unwrap_or_else(|| {
                requested.unknown_operation.get_or_insert(config.config_operation);
                OpKind::Set
            });
            ConfigOp { name: config.name.to_string(), kind, value: config.value.map(|value| value.to_string()) }
        });
        let ops = ops.collect();
        Requested { how: Ok(Alteration::Incremental(ops)), ..requested }
    });
    let applied = apply(context, requested.collect(), request.validate_only);
    Answer::parked(async move {
        let responses = applied.await.into_iter().map(|altered| IncrementalResourceResponse {
            error_code: altered.error.code(),
            error_message: altered.message,
            resource_type: altered.resource_type,
            resource_name: altered.resource_name,
        });
        IncrementalAlterConfigsResponse { responses: responses.collect(), ..Default::default() }
    })
}

/// The outcome for one resource.
struct Altered {
    resource_type: i8,
    resource_name: Str,
    error: ErrorCode,
    message: Option<Str>,
}

/// A requested change of one resource.
struct Requested {
    resource_type: i8,
    resource_name: Str,
    /// The change, or the outcome if it is already known.
    how: Result<Alteration, ResourceOutcome>,
    /// The first operation of the change that does not exist. It has another kind in `how`, which is never applied.
    unknown_operation: Option<i8>,
}

impl Requested {
    fn of(resource_type: i8, resource_name: Str) -> Requested {
        Requested {
            resource_type,
            resource_name,
            how: Ok(Alteration::Incremental(Vec::new())),
            unknown_operation: None,
        }
    }

    /// Checks the change in Kafka's order. Without any rights, a client learns what does not depend on them: in Kafka,
    /// the broker checks a request before the controller authorizes it. The stores of TLS are read after it, in
    /// [`Trial`].
    fn checked(self, context: &Context, is_repeated: bool) -> Result<ConfigChange, ResourceOutcome> {
        let how = self.how?;
        if is_repeated {
            return Err(refused("Each resource must appear at most once.".to_owned()));
        }
        check_without_resource(&how).map_err(outcome)?;
        let kind = ConfigKind::from_code(self.resource_type)
            .ok_or_else(|| refused(format!("Unknown resource type {}", self.resource_type)))?;
        let change = ConfigChange { resource: ConfigResource::new(kind, &*self.resource_name), how };
        if kind == ConfigKind::Broker {
            let node_id = context.broker.node_id();
            check_broker_name(node_id, &self.resource_name).map_err(outcome)?;
            if let Some(operation) = self.unknown_operation {
                return Err(refused(format!("Unknown operations type {operation}")));
            }
            let cluster = context.broker.cluster();
            check_broker_change(&change, cluster.image.configs().get(kind, &self.resource_name)).map_err(outcome)?;
        }
        authorize(context, Operation::AlterConfigs, self.resource_type, &self.resource_name)
            .map_err(|denied| (denied.error_code(), Some(Str::from_static(denied.message()))))?;
        match self.unknown_operation {
            Some(operation) => Err(refused(format!("Unknown operation type {operation}"))),
            None => Ok(change),
        }
    }
}

fn outcome(error: MetadataError) -> ResourceOutcome {
    (error.error_code(), Some(error.to_string().into()))
}

fn refused(message: String) -> ResourceOutcome {
    (ErrorCode::InvalidRequest, Some(message.into()))
}

fn apply(
    context: &Context,
    requested: Vec<Requested>,
    validate_only: bool,
) -> impl Future<Output = Vec<Altered>> + Send + use<> {
    let mut altered = Vec::with_capacity(requested.len());
    let mut changes = Vec::new();
    // The index in `altered` of each change.
    let mut indexes = Vec::new();
    let mut times: HashMap<(i8, Str), usize> = HashMap::new();
    for resource in &requested {
        *times.entry((resource.resource_type, resource.resource_name.clone())).or_default() += 1;
    }
    for resource in requested {
        let (resource_type, resource_name) = (resource.resource_type, resource.resource_name.clone());
        let is_repeated = times.get(&(resource_type, resource_name.clone())).is_some_and(|times| *times > 1);
        let change = resource.checked(context, is_repeated);
        let (error, message) = match change {
            Ok(change) => {
                changes.push(change);
                indexes.push(altered.len());
                (ErrorCode::None, None)
            }
            Err(outcome) => outcome,
        };
        altered.push(Altered { resource_type, resource_name, error, message });
    }
    let (broker, connection) = (Arc::clone(&context.broker), Arc::clone(&context.connection));
    let trials: Vec<Option<Trial>> = changes.iter().map(|change| Trial::of(context, change)).collect();
    let submit = {
        let broker = Arc::clone(&broker);
        move |changes| broker.metadata().submit(AlterConfigs { changes, validate_only })
    };
    // Only a change that must be tried first may lose its place in the order of requests.
    let begun = trials.iter().all(Option::is_none).then(|| submit(changes.clone()));
    async move {
        let submitted = match begun {
            Some(begun) => begun.await,
            None => {
                let mut kept = Vec::new();
                for ((change, index), trial) in std::mem::take(&mut changes).into_iter().zip(indexes).zip(trials) {
                    match trial.map(Trial::run) {
                        Some(tried) => match tried.await {
                            Ok(()) => kept.push((change, index)),
                            Err(refused) => refuse(&mut altered, index, Some(refused)),
                        },
                        None => kept.push((change, index)),
                    }
                }
                (changes, indexes) = kept.into_iter().unzip();
                submit(changes.clone()).await
            }
        };
        let outcomes: Vec<Option<Refused>> = match submitted {
            Ok(results) => {
                let settings = Arc::clone(&broker.settings().borrow());
                let ignored = changes.iter().map(|change| ignored_settings(change, &settings));
                let applied = ignored.zip(&results).filter(|(_, (_, result))| result.is_ok());
                for (ignored, _) in applied.filter(|(ignored, _)| !ignored.is_empty()) {
                    log_limited!(
                        INFO, broker.log_rate_limiter(), connection.peer.ip(), "settings without effect",
                        client = %connection, settings = ignored, "set settings that have no effect"
                    );
                }
                results.into_iter().map(|(_, result)| refusal(result)).collect()
            }
            Err(error) => indexes.iter().map(|_| Some((error.error_code(), error.to_string()))).collect(),
        };
        for (index, outcome) in indexes.into_iter().zip(outcomes) {
            refuse(&mut altered, index, outcome);
        }
        altered
    }
}

/// Notes the error of one resource.
fn refuse(altered: &mut [Altered], index: usize, outcome: Option<Refused>) {
    if let (Some(slot), Some((error, message))) = (altered.get_mut(index), outcome) {
        slot.error = error;
        slot.message = Some(message.into());
    }
}

/// The names of the broker settings in a change that are stored and have no effect, also because no listener reads them.
/// `settings` has the change.
fn ignored_settings(change: &ConfigChange, settings: &BrokerConfig) -> String {
    if change.resource.kind != ConfigKind::Broker {
        return String::new();
    }
    let names: Vec<&str> = match &change.how {
        Alteration::Replace(all) => all.iter().map(|(name, _)| name.as_str()).collect(),
        Alteration::Incremental(ops) => {
            ops.iter().filter(|op| op.kind != OpKind::Delete).map(|op| op.name.as_str()).collect()
        }
    };
    names.into_iter().filter(|name| !settings.has_effect(name)).collect::<Vec<_>>().join(", ")
}

fn refusal(result: Result<(), MetadataError>) -> Option<Refused> {
    result.err().map(|error| (error.error_code(), error.to_string()))
}
