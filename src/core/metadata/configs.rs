//! Decisions on settings (Kafka's `ConfigurationControlManager` and `ConfigAdminManager`).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::commands::{AlterConfigs, Alteration, ConfigChange, ConfigOp, MetadataReply, OpKind};
use super::errors::MetadataError;
use super::image::{BrokerId, ConfigKind, ConfigResource, Settings};
use super::records::{ConfigRecord, MetadataRecord};
use super::{Decision, MetadataMachine, names, settings};

use ottla_wire::types::InOrder as _;

/// Changed settings: a new value, or `None` to unset.
pub(super) type Altered = BTreeMap<String, Option<String>>;

/// The record that sets one setting, or unsets it (`None`).
pub(super) fn config_record(resource: &ConfigResource, name: &str, value: Option<&String>) -> MetadataRecord {
    let record = ConfigRecord {
        resource_type: resource.kind.code(),
        resource_name: (&*resource.name).into(),
        name: name.into(),
        value: value.map(|value| value.as_str().into()),
    };
    MetadataRecord::new(0, record)
}

impl MetadataMachine {
    pub(super) fn alter_configs(&self, request: AlterConfigs) -> Decision {
        let mut times: HashMap<&ConfigResource, usize> = HashMap::new();
        for change in &request.changes {
            *times.entry(&change.resource).or_default() += 1;
        }
        let mut records = Vec::new();
        let mut results = Vec::with_capacity(request.changes.len());
        for change in &request.changes {
            let result = match times.get(&change.resource) {
                Some(2..) => Err(invalid("Each resource must appear at most once.".to_owned())),
                _ => self.alter_resource(change).map(|more| records.extend(more)),
            };
            results.push((change.resource.clone(), result));
        }
        Decision::new(records, MetadataReply::AlterConfigs(results)).drop_records_if(request.validate_only)
    }

    fn alter_resource(&self, change: &ConfigChange) -> Result<Vec<MetadataRecord>, MetadataError> {
        let resource = &change.resource;
        check_without_resource(&change.how)?;
        self.check_resource(resource)?;
        let current = self.image.configs().get(resource.kind, &resource.name);
        let altered = altered(change, current)?;
        let after = applied(&altered, current);
        match resource.kind {
            ConfigKind::Broker => settings::check_broker(&after, resource.name.is_empty())?,
            kind => settings::check(&self.effective_broker_config, kind, &after)?,
        }
        if resource.kind == ConfigKind::Topic {
            // A topic keeps what it has, so that its other settings can be altered.
            let set = altered.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
            let new = set.filter(|(name, value)| current.get(*name) != Some(*value));
            settings::check_new(&self.effective_broker_config, new)?;
        }
        self.check_min_insync_replicas(resource, &altered)?;
        if resource.kind == ConfigKind::Topic && self.image.topic(&resource.name).is_none() {
            return Err(MetadataError::UnknownTopic(Arc::clone(&resource.name)));
        }
        let changed = altered.iter().filter(|(name, value)| current.get(*name) != value.as_ref());
        Ok(changed.map(|(name, value)| config_record(resource, name, value.as_ref())).collect())
    }

    fn check_resource(&self, resource: &ConfigResource) -> Result<(), MetadataError> {
        let name = &*resource.name;
        match resource.kind {
            ConfigKind::Topic if name.is_empty() => Err(invalid("Default topic resources are not allowed.".to_owned())),
            ConfigKind::Topic => names::check(name).map_err(MetadataError::InvalidTopic),
            ConfigKind::Group if name.is_empty() => Err(invalid("Default group resources are not allowed.".to_owned())),
            ConfigKind::ClientMetrics if name.is_empty() => Err(invalid("Subscription name can't be empty".to_owned())),
            ConfigKind::Broker => check_broker_name(self.config.node_id, name),
            ConfigKind::Group | ConfigKind::ClientMetrics => Ok(()),
        }
    }
}

/// Checks the name of a broker resource: empty for all brokers, or the id of this one.
pub fn check_broker_name(node_id: BrokerId, name: &str) -> Result<(), MetadataError> {
    match name.parse::<BrokerId>() {
        _ if name.is_empty() => Ok(()),
        Ok(id) if id == node_id => Ok(()),
        Ok(_) => Err(invalid(format!("Unexpected broker id, expected {node_id}, but received {name}"))),
        Err(_) => Err(invalid(format!("Node id must be an integer, but it is: {name}"))),
    }
}

/// Checks the settings of a broker after a change of `current`.
pub fn check_broker_change(change: &ConfigChange, current: &Settings) -> Result<(), MetadataError> {
    settings::check_broker(&settings_after(change, current)?, change.resource.name.is_empty())
}

/// The settings of a resource after a change of `current`.
pub fn settings_after(change: &ConfigChange, current: &Settings) -> Result<Settings, MetadataError> {
    Ok(applied(&altered(change, current)?, current))
}

fn altered(change: &ConfigChange, current: &Settings) -> Result<Altered, MetadataError> {
    match &change.how {
        Alteration::Replace(all) => Ok(replacement(all, current)),
        Alteration::Incremental(ops) => increments(change.resource.kind, ops, current),
    }
}

fn applied(altered: &Altered, current: &Settings) -> Settings {
    let mut after = Settings::clone(current);
    for (name, value) in altered {
        match value {
            Some(value) => after.insert(name.clone(), value.clone()),
            None => after.remove(name),
        };
    }
    after
}

/// AlterConfigs: sets the given settings and unsets all others.
fn replacement(all: &[(String, Option<String>)], current: &Settings) -> Altered {
    let unset = current.keys().map(|name| (name.clone(), None));
    unset.chain(all.iter().cloned()).in_order()
}

fn increments(kind: ConfigKind, ops: &[ConfigOp], current: &Settings) -> Result<Altered, MetadataError> {
    let after = |op: &ConfigOp| {
        let value = op.value.clone().unwrap_or_default();
        match op.kind {
            OpKind::Set => Ok(Some(value)),
            OpKind::Delete => Ok(None),
            OpKind::Append | OpKind::Subtract => {
                if !settings::is_list(kind, &op.name) {
                    return Err(MetadataError::InvalidConfig(not_a_list(kind, op)));
                }
                let before = current.get(&op.name).map_or(settings::default_list(kind, &op.name), String::as_str);
                Ok(Some(change_list(before, &value, op.kind)))
            }
        }
    };
    ops.iter().map(|op| Ok((op.name.clone(), after(op)?))).collect()
}

/// Appends entries that the list lacks, or removes the first occurrence of each entry.
fn change_list(before: &str, entries: &str, kind: OpKind) -> String {
    let mut list: Vec<&str> = before.split(',').filter(|entry| !entry.is_empty()).collect();
    for entry in entries.split(',') {
        match (kind, list.iter().position(|known| *known == entry)) {
            (OpKind::Append, None) => list.push(entry),
            (OpKind::Subtract, Some(at)) => drop(list.remove(at)),
            _ => {}
        }
    }
    list.join(",")
}

/// Kafka's error message: from the broker for broker settings, from the controller for all others.
fn not_a_list(kind: ConfigKind, op: &ConfigOp) -> String {
    let name = &op.name;
    match (kind, op.kind) {
        (ConfigKind::Broker, _) if !settings::is_known(kind, name) => format!("Unknown config name: {name}"),
        (ConfigKind::Broker, OpKind::Append) => format!("Config value append is not allowed for config key: {name}"),
        (ConfigKind::Broker, _) => format!("Config value subtract is not allowed for config key: {name}"),
        (_, OpKind::Append) => format!("Can't APPEND to key {name} because its type is not LIST."),
        _ => format!("Can't SUBTRACT to key {name} because its type is not LIST."),
    }
}

/// Checks the parts of a change that do not depend on the resource.
pub fn check_without_resource(how: &Alteration) -> Result<(), MetadataError> {
    match how {
        Alteration::Replace(all) => {
            check_distinct(all.iter().map(|(name, _)| name))?;
            check_values(all.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| name))
        }
        Alteration::Incremental(ops) => {
            check_distinct(ops.iter().map(|op| &op.name))?;
            check_values(ops.iter().filter(|op| op.kind != OpKind::Delete && op.value.is_none()).map(|op| &op.name))
        }
    }
}

fn check_distinct<'a>(mut names: impl Iterator<Item = &'a String>) -> Result<(), MetadataError> {
    let mut seen = HashSet::new();
    match names.any(|name| !seen.insert(name.as_str())) {
        true => Err(invalid("Error due to duplicate config keys".to_owned())),
        false => Ok(()),
    }
}

fn check_values<'a>(nulls: impl Iterator<Item = &'a String>) -> Result<(), MetadataError> {
    let nulls: Vec<&str> = nulls.map(String::as_str).collect();
    match nulls.is_empty() {
        true => Ok(()),
        false => Err(invalid(format!("Null value not supported for : {}", nulls.join(", ")))),
    }
}

fn invalid(message: String) -> MetadataError {
    MetadataError::InvalidRequest(message)
}
