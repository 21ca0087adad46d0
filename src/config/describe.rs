//! Settings for DescribeConfigs: each with its value, its source and its synonyms.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::broker::BrokerConfig;
use super::listener_values;
use super::setting::Setting;
use super::table::{self, Scope, synonyms};
use super::topic;
use super::values::{Origin, Values};

use ottla_wire::types::sort_by_key;

/// A described setting.
#[derive(Debug, Clone, PartialEq)]
pub struct Described {
    /// The setting's name; with the listener's name for a setting of one listener.
    pub name: Cow<'static, str>,
    pub setting: &'static Setting,
    /// The effective value; `None` if it is null or sensitive.
    pub value: Option<String>,
    pub origin: Origin,
    /// All given values, the effective one first; empty if the default of a synonym applies.
    pub synonyms: Vec<DescribedSynonym>,
}

/// A value that is effective, or would be without the values before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedSynonym {
    pub name: Cow<'static, str>,
    /// `None` if it is sensitive.
    pub value: Option<String>,
    pub origin: Origin,
}

/// Describes a topic's settings; those without an override follow the broker.
pub fn describe_topic(broker: &BrokerConfig, overrides: &BTreeMap<String, String>) -> Vec<Described> {
    visible(Scope::Topic, |name| overrides.contains_key(name))
        .map(|setting| {
            let own = overrides.get(setting.name).map(|value| synonym(setting, value, Origin::Resource));
            let inherited = synonyms::of_topic(setting.name).first().and_then(|s| table::find(Scope::Broker, s.name));
            let inherited = inherited.map(|of| broker_synonyms(of, &broker.values)).unwrap_or_default();
            let value = topic::text(&broker.values, overrides, setting.name).map(String::from);
            described(setting, value, own.into_iter().chain(inherited).collect())
        })
        .collect()
}

/// The layer of a topic's setting for CreateTopics, which counts synonyms in coarser units (`log.retention.hours`).
/// DescribeConfigs reports a default for those.
pub fn origin_in_topic(broker: &BrokerConfig, overrides: &BTreeMap<String, String>, name: &str) -> Origin {
    let inherited = synonyms::of_topic(name).iter().flat_map(|synonym| broker.values.layers(synonym.name));
    match overrides.contains_key(name) {
        true => Origin::Resource,
        false => inherited.map(|(_, origin)| origin).min().unwrap_or(Origin::Default),
    }
}

/// Describes the broker's settings.
pub fn describe_broker(broker: &BrokerConfig) -> Vec<Described> {
    let values = &broker.values;
    let general = visible(Scope::Broker, |name| values.given(name).is_some()).map(|setting| {
        let given = values.given(setting.name).map(str::to_owned);
        let value = given.or_else(|| required_value(setting, values)).or(setting.default.map(str::to_owned));
        described(setting, value, broker_synonyms(setting, values))
    });
    let of_listeners = values.names_of_listeners().into_iter().filter_map(|name| describe_of_listener(values, name));
    general.chain(of_listeners).collect()
}

/// Describes a given setting of one listener; the general one is a synonym.
fn describe_of_listener(values: &Values, name: &str) -> Option<Described> {
    let setting = listener_values::find(name)?;
    let own = values.layers(name).map(|(value, origin)| DescribedSynonym {
        name: Cow::Owned(name.to_owned()),
        ..given_synonym(setting, value, origin)
    });
    let value = values.given(name).map(str::to_owned);
    let synonyms = own.chain(broker_synonyms(setting, values)).collect();
    Some(Described { name: Cow::Owned(name.to_owned()), ..described(setting, value, synonyms) })
}

/// Describes a group's settings; those without an override follow the broker's setting with the prefix `group.`.
pub fn describe_group(broker: &BrokerConfig, overrides: &BTreeMap<String, String>) -> Vec<Described> {
    visible(Scope::Group, |name| overrides.contains_key(name))
        .map(|setting| {
            let own = overrides.get(setting.name).map(|value| synonym(setting, value, Origin::Resource));
            let inherited = match table::find(Scope::Broker, &format!("group.{}", setting.name)) {
                Some(of) => broker_synonyms(of, &broker.values),
                None => setting.default.map(|value| synonym(setting, value, Origin::Default)).into_iter().collect(),
            };
            let synonyms: Vec<_> = own.into_iter().chain(inherited).collect();
            let value = synonyms.first().and_then(|synonym| synonym.value.clone());
            described(setting, value, synonyms)
        })
        .collect()
}

/// Describes the settings of a client-metrics subscription, or the dynamic defaults of all brokers: the values set, and
/// the defaults of the others, which are not listed as synonyms.
pub fn describe_simple(scope: Scope, overrides: &BTreeMap<String, String>) -> Vec<Described> {
    visible(scope, |name| overrides.contains_key(name))
        .map(|setting| {
            let own = overrides.get(setting.name).map(|value| synonym(setting, value, Origin::Resource));
            let value = overrides.get(setting.name).map(String::as_str).or(setting.default);
            described(setting, value.map(str::to_owned), own.into_iter().collect())
        })
        .collect()
}

/// The settings of a scope, without internal ones that are not given.
fn visible(scope: Scope, given: impl Fn(&str) -> bool) -> impl Iterator<Item = &'static Setting> {
    table::all(scope).filter(move |setting| !setting.internal || given(setting.name))
}

fn described(setting: &'static Setting, value: Option<String>, synonyms: Vec<DescribedSynonym>) -> Described {
    let origin = synonyms.first().map_or(Origin::Default, |synonym| synonym.origin);
    let value = value.filter(|_| !setting.is_sensitive()).map(|value| setting.canonical(&value));
    Described { name: Cow::Borrowed(setting.name), setting, value, origin, synonyms }
}

fn synonym(setting: &'static Setting, value: &str, origin: Origin) -> DescribedSynonym {
    let value = (!setting.is_sensitive()).then(|| setting.canonical(value));
    DescribedSynonym { name: Cow::Borrowed(setting.name), value, origin }
}

/// A broker's value as it was given: Kafka does not format the values of synonyms.
fn given_synonym(setting: &'static Setting, value: &str, origin: Origin) -> DescribedSynonym {
    let value = (!setting.is_sensitive()).then(|| value.to_owned());
    DescribedSynonym { name: Cow::Borrowed(setting.name), value, origin }
}

/// The values of a broker setting and of its synonyms in coarser units (`log.retention.ms`, then minutes, then hours), the
/// highest precedence first. As in Kafka, synonyms before the setting's own value are left out.
fn broker_synonyms(setting: &'static Setting, values: &Values) -> Vec<DescribedSynonym> {
    let coarser = synonyms::of_broker(setting.name).iter().filter_map(|s| table::find(Scope::Broker, s.name));
    let mut all: Vec<DescribedSynonym> = Vec::new();
    for of in std::iter::once(setting).chain(coarser) {
        all.extend(values.layers(of.name).map(|(value, origin)| given_synonym(of, value, origin)));
        all.extend(required_value(of, values).map(|value| given_synonym(of, &value, Origin::Static)));
        let default = of.default.filter(|_| !of.is_required_in_kafka());
        all.extend(default.map(|value| given_synonym(of, value, Origin::Default)));
    }
    sort_by_key(&mut all, |synonym| synonym.origin);
    all.into_iter().skip_while(|synonym| synonym.name != setting.name).collect()
}

/// The value of a setting that every Kafka broker must be given, such as its id, if it is not given here.
fn required_value(setting: &Setting, values: &Values) -> Option<String> {
    match setting.name {
        _ if values.given(setting.name).is_some() => None,
        "broker.id" => values.text("node.id").map(String::from),
        _ => setting.default.filter(|_| setting.is_required_in_kafka()).map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::super::values::Source;
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn broker(pairs: &[(&str, &str)]) -> BrokerConfig {
        let mut values = Values::default();
        for (name, value) in pairs {
            values.set_static(name, value, Source::CommandLine);
        }
        BrokerConfig::resolve(values).unwrap().config
    }

    /// Compares with the form that kafka-configs prints.
    fn check(all: &[Described], expect: &str) {
        let name = expect.split('=').next().unwrap();
        let described = all.iter().find(|d| d.name == name).expect(name);
        let show = |value: &Option<String>| value.clone().unwrap_or("null".to_owned());
        let synonyms: Vec<_> =
            described.synonyms.iter().map(|s| format!("{:?}:{}={}", s.origin, s.name, show(&s.value))).collect();
        assert_eq!(format!("{name}={} {{{}}}", show(&described.value), synonyms.join(", ")), expect);
    }

    #[test]
    fn topic_settings_have_resource_and_broker_synonyms() {
        let all = describe_topic(&broker(&[]), &map(&[("retention.ms", "1000")]));
        check(&all, "retention.ms=1000 {Resource:retention.ms=1000}");
        check(&all, "cleanup.policy=delete {Default:log.cleanup.policy=delete}");
        check(&all, "segment.ms=604800000 {}");
        check(&all, "flush.ms=9223372036854775807 {}");
        check(&all, "remote.storage.enable=false {}");
        assert_eq!(all.len(), 42, "all but the internal ones");
        let all = describe_topic(&broker(&[]), &map(&[("preallocate", " TRUE")]));
        check(&all, "preallocate=true {Resource:preallocate=true, Default:log.preallocate=false}");
    }

    #[test]
    fn topic_setting_lists_all_layers_of_the_broker() {
        let broker = broker(&[("message.max.bytes", "5"), ("log.retention.hours", "1")]);
        let broker = broker.with_dynamic(&map(&[("message.max.bytes", "6")]), &map(&[("message.max.bytes", "7")]));
        let all = describe_topic(&broker, &map(&[("max.message.bytes", "8")]));
        let layers = "Resource:max.message.bytes=8, DynamicBroker:message.max.bytes=7, \
                      DynamicDefault:message.max.bytes=6, Static:message.max.bytes=5, Default:message.max.bytes=1048588";
        check(&all, &format!("max.message.bytes=8 {{{layers}}}"));
        check(&all, "retention.ms=3600000 {}");
        let own = map(&[("max.message.bytes", "8")]);
        let origin = |name| origin_in_topic(&broker, &own, name);
        assert_eq!(origin("max.message.bytes"), Origin::Resource);
        assert_eq!(origin("retention.ms"), Origin::Static, "from log.retention.hours");
        assert_eq!(origin("segment.ms"), Origin::Default);
    }

    #[test]
    fn broker_synonyms_have_the_given_text() {
        let all = describe_broker(&broker(&[("log.preallocate", "TRUE"), ("log.retention.minutes", "9")]));
        check(&all, "log.preallocate=true {Static:log.preallocate=TRUE, Default:log.preallocate=false}");
        let hours = "Default:log.retention.hours=168";
        check(&all, &format!("log.retention.minutes=9 {{Static:log.retention.minutes=9, {hours}}}"));
    }

    #[test]
    fn broker_settings_include_required_values_and_hide_passwords() {
        let all = describe_broker(&broker(&[("node.id", "4"), ("ssl.key.password", "secret")]));
        check(&all, "node.id=4 {Static:node.id=4}");
        check(&all, "broker.id=4 {Static:broker.id=4, Default:broker.id=-1}");
        check(&all, "log.retention.ms=null {}");
        check(&all, "log.retention.hours=168 {Default:log.retention.hours=168}");
        check(&all, "ssl.key.password=null {Static:ssl.key.password=null}");
        assert!(!all.iter().any(|described| described.setting.name == "log.initial.task.delay.ms"));
        let all = describe_broker(&broker(&[]));
        check(&all, "node.id=1 {Static:node.id=1}");
        let all = describe_broker(&broker(&[
            ("listener.name.ssl.ssl.client.auth", "required"),
            ("ssl.client.auth", "requested"),
            ("listener.name.ssl.ssl.key.password", "secret"),
        ]));
        check(
            &all,
            "listener.name.ssl.ssl.client.auth=required {Static:listener.name.ssl.ssl.client.auth=required, \
             Static:ssl.client.auth=requested, Default:ssl.client.auth=none}",
        );
        check(&all, "listener.name.ssl.ssl.key.password=null {Static:listener.name.ssl.ssl.key.password=null}");
        let all = describe_broker(&broker(&[]));
        check(&all, "broker.id=1 {Static:broker.id=1, Default:broker.id=-1}");
        check(&all, "process.roles=broker,controller {Static:process.roles=broker,controller}");
    }

    #[test]
    fn group_settings_follow_the_broker() {
        let broker = broker(&[("group.share.heartbeat.interval.ms", "6000")]);
        let all = describe_group(&broker, &map(&[("consumer.session.timeout.ms", "9")]));
        let expect = "Resource:consumer.session.timeout.ms=9, Default:group.consumer.session.timeout.ms=45000";
        check(&all, &format!("consumer.session.timeout.ms=9 {{{expect}}}"));
        let expect = "Static:group.share.heartbeat.interval.ms=6000, Default:group.share.heartbeat.interval.ms=5000";
        check(&all, &format!("share.heartbeat.interval.ms=6000 {{{expect}}}"));
        check(&all, "share.auto.offset.reset=latest {Default:share.auto.offset.reset=latest}");
    }

    #[test]
    fn client_metrics_settings_have_resource_synonyms() {
        let all = describe_simple(Scope::ClientMetrics, &map(&[("interval.ms", "1000")]));
        check(&all, "interval.ms=1000 {Resource:interval.ms=1000}");
    }
}
