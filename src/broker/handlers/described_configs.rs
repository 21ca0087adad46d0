//! Described settings as messages.

use std::borrow::Cow;

use ottla_config::setting::Kind;
use ottla_config::{self as config, Described};
use ottla_core::metadata::ConfigKind;
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResourceResult, DescribeConfigsSynonym,
};

pub(super) fn describe_one(
    kind: ConfigKind,
    described: Described,
    request: &DescribeConfigsRequest,
) -> DescribeConfigsResourceResult {
    let synonyms = match request.include_synonyms {
        false => Vec::new(),
        true => described
            .synonyms
            .iter()
            .map(|synonym| DescribeConfigsSynonym {
                name: text(synonym.name.clone()),
                value: synonym.value.as_deref().map(Str::from),
                source: source(kind, synonym.origin),
            })
            .collect(),
    };
    let setting = described.setting;
    DescribeConfigsResourceResult {
        // Kafka says that a setting of one listener cannot be changed, and changes it.
        read_only: !setting.is_dynamic() || described.name != setting.name,
        name: text(described.name.clone()),
        value: described.value.map(Str::from),
        is_default: described.origin == config::Origin::Default,
        config_source: source(kind, described.origin),
        is_sensitive: setting.is_sensitive(),
        synonyms,
        config_type: config_type(setting.kind),
        documentation: request.include_documentation.then(|| Str::from_static(setting.doc)),
    }
}

fn text(name: Cow<'static, str>) -> Str {
    match name {
        Cow::Borrowed(name) => Str::from_static(name),
        Cow::Owned(name) => name.into(),
    }
}

/// Kafka's `ConfigSource`, the layer that a value comes from.
pub(super) fn source(kind: ConfigKind, origin: config::Origin) -> i8 {
    match (origin, kind) {
        (config::Origin::Resource, ConfigKind::Topic) => 1,
        (config::Origin::DynamicBroker, _) => 2,
        (config::Origin::Resource, ConfigKind::Broker) | (config::Origin::DynamicDefault, _) => 3,
        (config::Origin::Static, _) => 4,
        (config::Origin::Default, _) => 5,
        (config::Origin::Resource, ConfigKind::ClientMetrics) => 7,
        (config::Origin::Resource, ConfigKind::Group) => 8,
    }
}

/// Kafka's `ConfigType` of unknown settings.
pub(super) const UNKNOWN_TYPE: i8 = 0;

/// Kafka's `ConfigType`.
fn config_type(kind: Kind) -> i8 {
    match kind {
        Kind::Boolean => 1,
        Kind::String => 2,
        Kind::Int => 3,
        Kind::Short => 4,
        Kind::Long => 5,
        Kind::Double => 6,
        Kind::List => 7,
        Kind::Class => 8,
        Kind::Password => 9,
    }
}
