//! The one table of settings: every name that Apache Kafka 4.4 knows, plus our own.
//!
//! All else is made from it: the typed structs, what DescribeConfigs answers, `docs/config.md`. A row is one line:
//! name, type, default, rule, how it may change, whether it takes effect here, and what it does. Where our default
//! is not Kafka's, a second line says what Kafka's is, and why.

use std::collections::BTreeMap;
use std::sync::LazyLock;

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

/// Whose setting it is; the same name may stand in several scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    Broker,
    Topic,
    Group,
    ClientMetrics,
}

impl Scope {
    pub const ALL: [Scope; 4] = [Scope::Broker, Scope::Topic, Scope::Group, Scope::ClientMetrics];

    /// As messages name it: `topic`.
    pub fn name(self) -> &'static str {
        match self {
            Scope::Broker => "broker",
            Scope::Topic => "topic",
            Scope::Group => "group",
            Scope::ClientMetrics => "client-metrics",
        }
    }
}

/// The setting of that exact name.
pub fn find(scope: Scope, name: &str) -> Option<&'static Setting> {
    SETTINGS.get(&scope)?.get(name).copied()
}

/// All settings of a scope, by name.
pub fn all(scope: Scope) -> impl Iterator<Item = &'static Setting> {
    SETTINGS.get(&scope).into_iter().flat_map(|settings| settings.values().copied())
}

/// The broker's settings as the documentation groups them: a heading and its rows.
pub fn broker_chapters() -> impl Iterator<Item = (&'static str, &'static [Setting])> {
    BROKER.iter().copied()
}

/// Whether an older Kafka had this setting and today's has not. Such a one is accepted and does nothing.
pub fn is_removed(scope: Scope, name: &str) -> bool {
    match scope {
        Scope::Broker => {
            removed::BROKER.contains(&name) || removed::BROKER_PREFIXES.iter().any(|p| name.starts_with(p))
        }
        Scope::Topic => removed::TOPIC.contains(&name),
        Scope::Group | Scope::ClientMetrics => false,
    }
}

/// Whether a broker setting of this name is for something that plugs into Apache Kafka (an authorizer, a listener's
/// own security, a tiered store) and so not in Kafka's table either. Such a one is accepted and does nothing.
pub fn is_for_a_plugin(name: &str) -> bool {
    removed::PLUGIN_SETTINGS.contains(&name) || removed::PLUGIN_PREFIXES.iter().any(|p| name.starts_with(p))
}

/// The known name of `scope` that is most like `name`, if any is alike enough to be meant.
pub fn nearest(scope: Scope, name: &str) -> Option<&'static str> {
    let wanted = name.to_ascii_lowercase().replace(['_', '-'], ".");
    nearest_of(all(scope).map(|setting| setting.name), &wanted)
}

/// The one of `names` that is most like `wanted`, if any is alike enough to be meant.
pub fn nearest_of<N: AsRef<str> + Ord>(names: impl Iterator<Item = N>, wanted: &str) -> Option<N> {
    let tolerated = (wanted.len() / 5).clamp(1, 3);
    names
        .map(|name| (distance(wanted, name.as_ref()), name))
        .filter(|(distance, _)| *distance <= tolerated)
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
const CLEANUP_POLICIES: &[&str] = &["compact", "delete"];

/// How many letters must be added, left out, changed or swapped with their neighbour to turn `a` into `b`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    // Three rows of the table of distances between all beginnings of `a` and of `b`.
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(from != to)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i - 1] == *to && *from == b[j - 1] {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

/// Turns rows into a table, see the module's doc.
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
