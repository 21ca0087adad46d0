//! The table of settings compared with the settings of Apache Kafka 4.4's classes (`tests/data/kafka-settings-*.tsv`: name,
//! type, default, validator, update mode) and with the names that 4.x removed, and the validation of topic settings
//! compared with the answers of Apache Kafka 4.3 (`tests/data/topic-setting-answers.tsv`).

use std::collections::BTreeMap;

use ottla_config::setting::{Kind, Rule, Setting, Update};
use ottla_config::{Scope, table, validate_topic};

const KAFKA_4_4: &str = include_str!("../../data/kafka-settings-4.4.tsv");
const TOPIC_ANSWERS: &str = include_str!("../../data/topic-setting-answers.tsv");
const OLDER: &str = include_str!("../../data/kafka-settings-older.tsv");
const REMOVED_SINCE_3_9: &str = include_str!("../../data/kafka-settings-3.9-removed.tsv");

/// Dynamic in Kafka, which opens and closes listeners while it runs, and read-only here.
const CHANGE_AT_START_ONLY: &[&str] = &["listeners", "listener.security.protocol.map"];

/// Read-only in Kafka and dynamic here, as before Kafka 4.
const CHANGE_HERE_WHILE_RUNNING: &[&str] = &["advertised.listeners"];

/// Settings that Kafka validates outside its table, or whose validator does not apply here.
const OTHER_RULES: &[&str] = &[
    "authorizer.class.name",
    "controller.quorum.bootstrap.servers",
    "controller.quorum.voters",
    "max.connections.per.ip.overrides",
    "offsets.topic.compression.codec",
    "share.coordinator.state.topic.compression.codec",
];

struct Fact {
    scope: Scope,
    name: &'static str,
    kind: &'static str,
    default: &'static str,
    allowed: &'static str,
    update: &'static str,
    internal: &'static str,
}

fn facts() -> impl Iterator<Item = Fact> {
    let fact = |line: &'static str| {
        let columns: Vec<&str> = line.split('\t').collect();
        let [scope, name, kind, default, allowed, update, internal] = columns[..] else { panic!("{line}") };
        Fact { scope: scope_of(scope), name, kind, default, allowed, update, internal }
    };
    KAFKA_4_4.lines().skip(1).map(fact)
}

fn scope_of(name: &str) -> Scope {
    Scope::ALL.into_iter().find(|scope| scope.name() == name).unwrap_or_else(|| panic!("a scope {name}"))
}

/// Compares one column of Kafka's table with ours; panics with all differences.
fn compare(
    facts: impl Iterator<Item = Fact>,
    of_kafka: fn(&Fact) -> String,
    of_ours: fn(&Setting) -> String,
    except: &[&str],
) {
    let mut differ = Vec::new();
    for fact in facts.filter(|fact| !except.contains(&fact.name)) {
        let setting = table::find(fact.scope, fact.name).unwrap_or_else(|| panic!("{} is missing", fact.name));
        let (theirs, ours) = (of_kafka(&fact), of_ours(setting));
        if theirs != ours {
            differ.push(format!("{}: Kafka {theirs}, here {ours}", fact.name));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

#[test]
fn setting_names_match_kafka() {
    let of_others = ["ottla.", "confluent.", "redpanda."];
    let of_kafka = |setting: &&Setting| !of_others.iter().any(|prefix| setting.name.starts_with(prefix));
    let ours = Scope::ALL.into_iter().flat_map(table::all).filter(of_kafka).count();
    assert_eq!(ours, facts().count());
}

#[test]
fn setting_types_match_kafka() {
    compare(facts(), |fact| fact.kind.to_owned(), |setting| setting.kind.to_string(), &[]);
}

#[test]
fn internal_settings_match_kafka() {
    compare(facts(), |fact| fact.internal.to_owned(), |setting| setting.internal.to_string(), &[]);
}

/// Each default is Kafka's, or the row has Kafka's default and the reason for ours.
#[test]
fn setting_defaults_match_kafka_or_state_why_not() {
    let of_kafka = |fact: &Fact| {
        let plain = fact.default.strip_prefix("class ").unwrap_or(fact.default);
        match fact.kind == "LIST" {
            true => plain.trim_start_matches('[').trim_end_matches(']').replace(", ", ","),
            false if plain == "(required)" => "(must be given)".to_owned(),
            false => plain.to_owned(),
        }
    };
    let of_ours = |setting: &Setting| {
        let default = setting.departure.map_or(setting.default, |departure| Some(departure.kafka_default));
        default.unwrap_or("null").to_owned()
    };
    let required_lists = |fact: &Fact| fact.default == "(required)" && fact.kind == "LIST";
    let except: Vec<_> = facts().filter(required_lists).map(|fact| fact.name).collect();
    assert_eq!(except, ["controller.listener.names", "process.roles"]);
    compare(facts(), of_kafka, of_ours, &except);
}

#[test]
fn setting_update_modes_match_kafka() {
    // Settings of topics, groups and client metrics are always dynamic.
    let of_brokers = facts().filter(|fact| fact.scope == Scope::Broker);
    let except = [CHANGE_AT_START_ONLY, CHANGE_HERE_WHILE_RUNNING].concat();
    let of_ours = |setting: &Setting| match setting.update {
        Update::ReadOnly => "read-only".to_owned(),
        Update::PerBroker => "per-broker".to_owned(),
        Update::ClusterWide => "cluster-wide".to_owned(),
    };
    compare(of_brokers, |fact| fact.update.to_owned(), of_ours, &except);
    for name in CHANGE_AT_START_ONLY {
        assert_eq!(table::find(Scope::Broker, name).map(|setting| setting.update), Some(Update::ReadOnly), "{name}");
    }
}

#[test]
fn setting_validators_match_kafka() {
    let of_kafka = |fact: &Fact| fact.allowed.to_owned();
    let of_ours = |setting: &Setting| {
        let list = |all: &[&str]| format!("[{}]", all.join(", "));
        match setting.rule {
            Rule::Any | Rule::Entries | Rule::AddressCounts | Rule::Endpoints | Rule::StartTopics => String::new(),
            Rule::AtLeast(min) => format!("[{min},...]"),
            Rule::Between(min, max) => format!("[{min},...,{max}]"),
            Rule::BetweenOr(min, max, or) => format!("[{min},...,{max}] or {or}"),
            Rule::Ratio(min, max) => format!("[{min},...,{max}]"),
            Rule::NonEmpty => "non-empty string".to_owned(),
            Rule::OneOf(all) | Rule::EachOf(all) => list(all),
            Rule::OneOfAnyCase(all) => format!("(case insensitive) {}", list(all)),
            Rule::ThrottledReplicas => "[partitionId]:[brokerId],[partitionId]:[brokerId],...".to_owned(),
            Rule::OffsetReset => "[latest, earliest, by_duration:PnDTnHnMn.nS]".to_owned(),
        }
    };
    compare(facts(), of_kafka, of_ours, OTHER_RULES);
}

/// Values that are not numbers, or are out of bounds.
#[test]
fn invalid_numbers_are_refused_for_every_setting() {
    for fact in facts() {
        let setting = table::find(fact.scope, fact.name).unwrap();
        let wrong = |value: String| assert!(setting.check(&value).is_err(), "{}={value}", setting.name);
        if matches!(setting.kind, Kind::Short | Kind::Int | Kind::Long | Kind::Double | Kind::Boolean) {
            wrong("nonsense".to_owned());
            wrong(String::new());
        }
        match setting.rule {
            Rule::AtLeast(min) if min > i64::MIN => wrong((min - 1).to_string()),
            Rule::Between(min, max) => [min - 1, max + 1].into_iter().for_each(|value| wrong(value.to_string())),
            _ => {}
        }
    }
}

#[test]
fn setting_names_removed_from_kafka_are_known() {
    for line in REMOVED_SINCE_3_9.lines().skip(1) {
        let (scope, name) = line.split_once('\t').unwrap();
        assert!(table::is_removed(scope_of(scope), name), "{line}");
    }
}

/// Names that a release since 0.7 read and that are not in the table of 3.9.
#[test]
fn setting_names_of_older_kafka_are_known() {
    for line in OLDER.lines().skip(1) {
        let name = line.split('\t').next().unwrap();
        assert!(table::is_removed(Scope::Broker, name) || table::is_plugin_setting(name), "{line}");
    }
}

/// Values that Kafka accepts and this broker refuses: NaN, and Java's suffix of a double.
const REFUSED_HERE: &[(&str, &str)] = &[("min.cleanable.dirty.ratio", "NaN"), ("min.cleanable.dirty.ratio", "0.5d")];

#[test]
fn topic_setting_values_are_validated_as_by_kafka() {
    let mut differ = Vec::new();
    for line in TOPIC_ANSWERS.lines().skip(1) {
        let (theirs, settings) = line.split_once('\t').unwrap();
        let columns: Vec<&str> = settings.split('\t').collect();
        let pairs: Vec<(&str, &str)> = columns.chunks(2).map(|pair| (pair[0], pair[1])).collect();
        let settings = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let ours = match validate_topic(&settings.collect::<BTreeMap<_, _>>()) {
            Ok(()) => "ok".to_owned(),
            Err(refused) => refused.to_string(),
        };
        if ours != theirs && !pairs.iter().any(|pair| REFUSED_HERE.contains(pair)) {
            differ.push(format!("{pairs:?}: Kafka {theirs}, here {ours}"));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}
