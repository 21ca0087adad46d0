use super::*;
use crate::setting::{Kind, Rule};

#[test]
fn table_has_every_setting_of_kafka_4_4() {
    let is_others = |name: &str| ["ottla.", "confluent.", "redpanda."].iter().any(|prefix| name.starts_with(prefix));
    let count = |scope| all(scope).filter(|setting| !is_others(setting.name)).count();
    assert_eq!(Scope::ALL.map(count), [379, 38, 27, 3]);
}

#[test]
fn names_are_unique_and_not_removed() {
    let rows: usize = BROKER.iter().map(|(_, rows)| rows.len()).sum();
    assert_eq!(rows, all(Scope::Broker).count());
    for name in removed::BROKER {
        assert!(find(Scope::Broker, name).is_none(), "{name} is in the table and marked as removed");
    }
}

#[test]
fn defaults_pass_their_own_rules() {
    for scope in Scope::ALL {
        for setting in all(scope) {
            if let Some(default) = setting.default {
                assert_eq!(setting.check(default), Ok(()), "{}", setting.name);
            }
        }
    }
}

#[test]
fn docs_are_sentences() {
    for setting in Scope::ALL.into_iter().flat_map(all) {
        let doc = setting.doc;
        assert!(doc.ends_with('.') && doc.starts_with(char::is_uppercase), "{}: {doc}", setting.name);
    }
}

#[test]
fn synonyms_have_the_same_type() {
    for setting in all(Scope::Topic) {
        for synonym in synonyms::of_topic(setting.name) {
            let other = find(Scope::Broker, synonym.name).expect(synonym.name);
            let both_numbers = [setting, other].iter().all(|s| matches!(s.kind, Kind::Int | Kind::Long));
            assert!(other.kind == setting.kind || both_numbers, "{} and {}", setting.name, other.name);
        }
    }
}

#[test]
fn topic_default_equals_the_default_of_its_synonym() {
    for setting in all(Scope::Topic) {
        let Some(inherited) = synonyms::of_topic(setting.name).iter().find_map(|synonym| {
            let default = find(Scope::Broker, synonym.name)?.default?;
            Some(default.parse::<i64>().map_or(default.to_owned(), |n| n.saturating_mul(synonym.factor).to_string()))
        }) else {
            continue;
        };
        assert_eq!(setting.default, Some(inherited.as_str()), "{}", setting.name);
    }
}

#[test]
fn rules_match_the_types_of_settings() {
    for setting in Scope::ALL.into_iter().flat_map(all) {
        let fits = match setting.rule {
            Rule::Any => true,
            Rule::AtLeast(_) | Rule::Between(..) | Rule::BetweenOr(..) => {
                matches!(setting.kind, Kind::Short | Kind::Int | Kind::Long)
            }
            Rule::Ratio(..) => setting.kind == Kind::Double,
            Rule::EachOf(_) | Rule::Entries | Rule::ThrottledReplicas | Rule::StartTopics | Rule::Endpoints => {
                setting.kind == Kind::List
            }
            Rule::NonEmpty | Rule::OneOf(_) | Rule::OneOfAnyCase(_) | Rule::OffsetReset | Rule::AddressCounts => {
                setting.kind == Kind::String
            }
        };
        assert!(fits, "{} is {} with {:?}", setting.name, setting.kind, setting.rule);
    }
}

#[test]
fn misspelled_name_finds_the_nearest_setting() {
    let check = |typo, expect| assert_eq!(nearest(Scope::Broker, typo), expect, "{typo}");
    check("num.partition", Some("num.partitions"));
    check("log.retension.ms", Some("log.retention.ms"));
    check("lsiteners", Some("listeners"));
    check("auto.create.topic.enable", Some("auto.create.topics.enable"));
    check("AUTO_CREATE_TOPICS_ENABLE", Some("auto.create.topics.enable"));
    check("bootstrap.servers", None);
    check("x", None);
}

#[test]
fn removed_and_plugin_settings_are_recognized() {
    assert!(is_removed(Scope::Broker, "zookeeper.connect"));
    assert!(is_removed(Scope::Topic, "message.format.version"));
    assert!(!is_removed(Scope::Topic, "zookeeper.connect"));
    assert!(is_plugin_setting("listener.name.sasl_plaintext.plain.sasl.jaas.config"));
}

#[test]
fn departures_differ_from_kafkas_default() {
    for setting in all(Scope::Broker) {
        if let Some(departure) = setting.departure {
            assert_ne!(setting.default, Some(departure.kafka_default), "{}", setting.name);
        }
    }
}

#[test]
fn hint_for_unknown_name_has_counterpart_other_scope_or_nearest_name() {
    let check = |scope, name, expect: &str| assert_eq!(hint(scope, name), expect, "{name}");
    check(Scope::Broker, "retention.ms", "; retention.ms is a topic setting, the broker setting is log.retention.ms");
    check(
        Scope::Topic,
        "log.retention.hours",
        "; log.retention.hours is a broker setting, the topic setting is retention.ms",
    );
    check(
        Scope::Broker,
        "consumer.session.timeout.ms",
        "; consumer.session.timeout.ms is a group setting, the broker setting is group.consumer.session.timeout.ms",
    );
    check(
        Scope::Group,
        "group.consumer.session.timeout.ms",
        "; group.consumer.session.timeout.ms is a broker setting, the group setting is consumer.session.timeout.ms",
    );
    check(Scope::Topic, "num.partitions", "; num.partitions is a broker setting");
    check(Scope::Topic, "retention.m", "; did you mean retention.ms?");
    check(Scope::Topic, "xyzzy", "");
}
