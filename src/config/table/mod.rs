//! The table of settings: every setting of Apache Kafka 4.4, plus Ottla's own.
//!
//! The typed structs, the responses of DescribeConfigs and `docs/config.md` are derived from it. A row is one line:
//! name, type, default, rule, how it may change, its effect here, and its description. If our default differs from
//! Kafka's, a second line has Kafka's default and the reason.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use strsim::osa_distance;

use super::setting::Setting;

mod client_metrics;
mod cluster;
mod group;
mod groups;
mod network;
mod ottla;
mod remote;
mod removed;
mod replication;
mod security;
mod share_and_streams;
mod storage;
pub mod synonyms;
mod topic;
mod transactions;

/// The kind of resource that a setting belongs to. A name may occur in several scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    Broker,
    Topic,
    Group,
    ClientMetrics,
}

impl Scope {
    pub const ALL: [Scope; 4] = [Scope::Broker, Scope::Topic, Scope::Group, Scope::ClientMetrics];

    /// The name in messages, such as `topic`.
    pub fn name(self) -> &'static str {
        match self {
            Scope::Broker => "broker",
            Scope::Topic => "topic",
            Scope::Group => "group",
            Scope::ClientMetrics => "client-metrics",
        }
    }
}

/// Finds the setting with exactly this name.
pub fn find(scope: Scope, name: &str) -> Option<&'static Setting> {
    SETTINGS.get(&scope)?.get(name).copied()
}

/// All settings of a scope, sorted by name.
pub fn all(scope: Scope) -> impl Iterator<Item = &'static Setting> {
    SETTINGS.get(&scope).into_iter().flat_map(|settings| settings.values().copied())
}

/// The broker's settings in the chapters of the documentation: heading and rows.
pub fn broker_chapters() -> impl Iterator<Item = (&'static str, &'static [Setting])> {
    BROKER.iter().copied()
}

/// Whether this is a setting of older Kafka releases. It is accepted without effect.
pub fn is_removed(scope: Scope, name: &str) -> bool {
    match scope {
        Scope::Broker => {
            removed::BROKER.contains(&name) || removed::BROKER_PREFIXES.iter().any(|p| name.starts_with(p))
        }
        Scope::Topic => removed::TOPIC.contains(&name),
        Scope::Group | Scope::ClientMetrics => false,
    }
}

/// Whether this is a broker setting of a Kafka plug-in (an authorizer, the security of one listener, tiered storage),
/// which is not in Kafka's table either. It is accepted without effect.
pub fn is_plugin_setting(name: &str) -> bool {
    removed::PLUGIN_SETTINGS.contains(&name) || removed::PLUGIN_PREFIXES.iter().any(|p| name.starts_with(p))
}

/// The setting of `scope` whose name is most similar to `name`, if it is similar enough for a suggestion.
pub fn nearest(scope: Scope, name: &str) -> Option<&'static str> {
    let wanted = name.to_ascii_lowercase().replace(['_', '-'], ".");
    nearest_of(all(scope).map(|setting| setting.name), &wanted)
}

/// The setting of `scope` with the same meaning as `name` in another scope: `log.retention.ms` of the broker for
/// `retention.ms` of topics, and vice versa.
pub fn counterpart(scope: Scope, name: &str) -> Option<&'static str> {
    let found = match scope {
        Scope::Broker if find(Scope::Topic, name).is_some() => synonyms::of_topic(name).first().map(|found| found.name),
        Scope::Broker => find(Scope::Group, name).and_then(|_| Some(find(scope, &format!("group.{name}"))?.name)),
        Scope::Topic => {
            let mut topics = all(scope).map(|setting| setting.name);
            topics.find(|topic| synonyms::of_topic(topic).iter().any(|synonym| synonym.name == name))
        }
        Scope::Group => name.strip_prefix("group.").and_then(|name| Some(find(scope, name)?.name)),
        Scope::ClientMetrics => None,
    };
    found.filter(|found| *found != name)
}

/// Text to append to the error for an unknown setting `name` of `scope`: the setting that was probably meant, or the
/// scope that has a setting of this name.
pub fn hint(scope: Scope, name: &str) -> String {
    if let Some(other) = Scope::ALL.into_iter().find(|other| *other != scope && find(*other, name).is_some()) {
        let of_scope = match counterpart(scope, name) {
            Some(counterpart) => format!(", the {} setting is {counterpart}", scope.name()),
            None => String::new(),
        };
        return format!("; {name} is a {} setting{of_scope}", other.name());
    }
    nearest(scope, name).map_or_else(String::new, |nearest| format!("; did you mean {nearest}?"))
}

/// The one of `names` that is most similar to `wanted`, if it is similar enough for a suggestion.
pub fn nearest_of<N: AsRef<str> + Ord>(names: impl Iterator<Item = N>, wanted: &str) -> Option<N> {
    let max_distance = (wanted.len() / 5).clamp(1, 3);
    names
        .map(|name| (osa_distance(wanted, name.as_ref()), name))
        .filter(|(distance, _)| *distance <= max_distance)
        .min()
        .map(|(_, name)| name)
}

const BROKER: &[(&str, &[Setting])] = &[
    ("Ottla's own", ottla::OTTLA),
    ("Listeners, connections and requests", network::NETWORK),
    ("Records on disk", storage::STORAGE),
    ("Broker, controller and topics", cluster::CLUSTER),
    ("Groups and offsets", groups::GROUPS),
    ("Transactions", transactions::TRANSACTIONS),
    ("Share groups and streams groups", share_and_streams::SHARE_AND_STREAMS),
    ("Security", security::SECURITY),
    ("Replication", replication::REPLICATION),
    ("Tiered storage", remote::REMOTE),
];

static SETTINGS: LazyLock<BTreeMap<Scope, BTreeMap<&'static str, &'static Setting>>> = LazyLock::new(|| {
    let by_name = |rows: &'static [Setting]| rows.iter().map(|setting| (setting.name, setting));
    BTreeMap::from([
        (Scope::Broker, BROKER.iter().flat_map(|(_, rows)| by_name(rows)).collect()),
        (Scope::Topic, by_name(topic::TOPIC).collect()),
        (Scope::Group, by_name(group::GROUP).collect()),
        (Scope::ClientMetrics, by_name(client_metrics::CLIENT_METRICS).collect()),
    ])
});

const COMPRESSION_TYPES: &[&str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];
const TIMESTAMP_TYPES: &[&str] = &["CreateTime", "LogAppendTime"];
const SUBJECT_NAME_STRATEGY_CLASSES: &[&str] = &[
    "io.confluent.kafka.serializers.subject.TopicNameStrategy",
    "io.confluent.kafka.serializers.subject.RecordNameStrategy",
    "io.confluent.kafka.serializers.subject.TopicRecordNameStrategy",
];
/// The same classes without their package, as Redpanda names them.
const SUBJECT_NAME_STRATEGIES: &[&str] = &["TopicNameStrategy", "RecordNameStrategy", "TopicRecordNameStrategy"];
const CLEANUP_POLICIES: &[&str] = &["compact", "delete"];

/// Defines a table from rows; see the module documentation.
macro_rules! settings {
    ($vis:vis const $table:ident: $(
        $($internal:ident)? $name:literal, $kind:ident, $default:tt, $rule:expr, $update:ident, $effect:ident,
        $doc:literal $(, kafka $kafka:literal, $reason:literal)?;
    )*) => {
        $vis const $table: &[$crate::setting::Setting] = {
            use $crate::setting::Rule::*;
            &[$($crate::setting::Setting {
                name: $name,
                kind: $crate::setting::Kind::$kind,
                default: settings!(@default $default),
                rule: $rule,
                update: $crate::setting::Update::$update,
                effect: $crate::setting::Effect::$effect,
                internal: settings!(@internal $($internal)?),
                doc: $doc,
                departure: settings!(@departure $($kafka, $reason)?),
            }),*]
        };
    };
    (@default null) => { None };
    (@default $value:literal) => { Some($value) };
    (@internal internal) => { true };
    (@internal) => { false };
    (@departure $kafka:literal, $reason:literal) => {
        Some($crate::setting::Departure { kafka_default: $kafka, reason: $reason })
    };
    (@departure) => { None };
}
use settings;

#[cfg(test)]
mod tests;
