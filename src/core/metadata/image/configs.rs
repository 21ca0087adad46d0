//! Dynamic settings: overrides of the defaults by AlterConfigs and CreateTopics.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use super::SharedMap;
use crate::client_metrics::SubscriptionSettings;

/// The overrides of one resource, by name.
pub type Settings = BTreeMap<String, String>;

/// The type of a resource with settings; numbered as on the wire and in `ConfigRecord`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(i8)]
pub enum ConfigKind {
    Topic = 2,
    Broker = 4,
    ClientMetrics = 16,
    Group = 32,
}

impl ConfigKind {
    pub const ALL: [ConfigKind; 4] =
        [ConfigKind::Topic, ConfigKind::Broker, ConfigKind::ClientMetrics, ConfigKind::Group];

    /// Kafka's code (`ConfigResource.Type`).
    pub const fn code(self) -> i8 {
        self as i8
    }

    /// The kind with that code. There is no kind for BROKER_LOGGER (8), because log levels are not stored.
    pub fn from_code(code: i8) -> Option<ConfigKind> {
        ConfigKind::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// A topic, a broker, all brokers, a group or a client-metrics subscription.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConfigResource {
    pub kind: ConfigKind,
    /// The name of the topic, group or subscription; the broker's id; empty for the defaults of all brokers.
    pub name: Arc<str>,
}

impl ConfigResource {
    pub fn new(kind: ConfigKind, name: impl Into<Arc<str>>) -> Self {
        ConfigResource { kind, name: name.into() }
    }

    pub fn topic(name: impl Into<Arc<str>>) -> Self {
        ConfigResource::new(ConfigKind::Topic, name)
    }
}

/// Every override, by resource.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConfigsImage {
    topics: SharedMap<Arc<str>, Arc<Settings>>,
    groups: SharedMap<Arc<str>, Arc<Settings>>,
    /// By broker id; the empty name has the defaults of all brokers.
    brokers: Arc<BTreeMap<Arc<str>, Arc<Settings>>>,
    client_metrics: SubscriptionSettings,
}

/// The overrides of a resource that has none.
static NO_SETTINGS: LazyLock<Arc<Settings>> = LazyLock::new(Arc::default);

impl ConfigsImage {
    /// The overrides of a resource; empty if it has none.
    pub fn get(&self, kind: ConfigKind, name: &str) -> &Arc<Settings> {
        match kind {
            ConfigKind::Topic => self.topics.get(name),
            ConfigKind::Group => self.groups.get(name),
            ConfigKind::Broker => self.brokers.get(name),
            ConfigKind::ClientMetrics => self.client_metrics.get(name),
        }
        .unwrap_or(&NO_SETTINGS)
    }

    /// The settings of all client-metrics subscriptions. If they have not changed, the same allocation.
    pub fn client_metrics(&self) -> &SubscriptionSettings {
        &self.client_metrics
    }

    /// The names of all resources of one kind that have overrides, sorted.
    pub fn names(&self, kind: ConfigKind) -> Vec<Arc<str>> {
        match kind {
            ConfigKind::Topic => sorted(self.topics.iter().map(|(name, _)| name)),
            ConfigKind::Group => sorted(self.groups.iter().map(|(name, _)| name)),
            ConfigKind::Broker => self.brokers.keys().cloned().collect(),
            ConfigKind::ClientMetrics => self.client_metrics.keys().cloned().collect(),
        }
    }

    /// The names of all topics whose overrides differ from those in `before`. May include topics with equal overrides.
    pub(super) fn topics_touched_since<'a>(&'a self, before: &'a ConfigsImage) -> impl Iterator<Item = &'a Arc<str>> {
        let set = self.topics.touched_since(&before.topics);
        set.chain(before.topics.touched_since(&self.topics)).map(|(name, _)| name)
    }

    /// Sets one setting, or unsets it (`None`). Removes a resource without settings.
    pub(super) fn set(&mut self, kind: ConfigKind, name: &str, setting: &str, value: Option<&str>) {
        let mut settings = Arc::clone(self.get(kind, name));
        match value {
            Some(value) => Arc::make_mut(&mut settings).insert(setting.to_owned(), value.to_owned()),
            None => Arc::make_mut(&mut settings).remove(setting),
        };
        if settings.is_empty() { self.remove(kind, name) } else { self.insert(kind, name, settings) }
    }

    pub(super) fn remove(&mut self, kind: ConfigKind, name: &str) {
        match kind {
            ConfigKind::Topic => drop(self.topics.remove(name)),
            ConfigKind::Group => drop(self.groups.remove(name)),
            ConfigKind::Broker => drop(Arc::make_mut(&mut self.brokers).remove(name)),
            ConfigKind::ClientMetrics => drop(Arc::make_mut(&mut self.client_metrics).remove(name)),
        }
    }

    fn insert(&mut self, kind: ConfigKind, name: &str, settings: Arc<Settings>) {
        let name = Arc::from(name);
        match kind {
            ConfigKind::Topic => drop(self.topics.insert(name, settings)),
            ConfigKind::Group => drop(self.groups.insert(name, settings)),
            ConfigKind::Broker => drop(Arc::make_mut(&mut self.brokers).insert(name, settings)),
            ConfigKind::ClientMetrics => drop(Arc::make_mut(&mut self.client_metrics).insert(name, settings)),
        }
    }
}

fn sorted<'a>(names: impl Iterator<Item = &'a Arc<str>>) -> Vec<Arc<str>> {
    let mut names: Vec<Arc<str>> = names.cloned().collect();
    names.sort_unstable();
    names
}
