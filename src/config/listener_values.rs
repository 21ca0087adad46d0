//! Settings of one listener: `listener.name.<name>.<setting>` overrides `<setting>` for the listener of that name.
//!
//! The name is in lower case. A setting of a SASL mechanism has the mechanism's name, also in lower case, before it:
//! `listener.name.<name>.plain.sasl.jaas.config`. As in Kafka, any value with the listener's name has precedence over any
//! without, also over one that was set at runtime.

use std::borrow::Cow;

use super::listener::{Listener, SecurityProtocol};
use super::sasl;
use super::setting::{Effect, InvalidValue, Setting};
use super::table::{self, Scope};
use super::values::{Origin, SettingValue, Values};

/// The prefix of the settings of one listener.
const PREFIX: &str = "listener.name.";

/// Whether the name has the form of a setting of one listener.
pub(super) fn is_of_listener(name: &str) -> bool {
    name.get(..PREFIX.len()).is_some_and(|prefix| prefix.eq_ignore_ascii_case(PREFIX))
}

/// The row of the table for a setting of one listener: `ssl.keystore.location` for
/// `listener.name.internal.ssl.keystore.location`. The listener's name may contain dots, and a mechanism's name may
/// follow it.
pub fn find(name: &str) -> Option<&'static Setting> {
    let rest = is_of_listener(name).then(|| name.get(PREFIX.len()..))??;
    rest.match_indices('.').find_map(|(dot, _)| {
        let (listener, setting) = (rest.get(..dot)?, rest.get(dot + 1..)?);
        table::find(Scope::Broker, &setting.to_ascii_lowercase()).filter(|_| !listener.is_empty())
    })
}

/// The row of the table for a setting of the broker or of one of its listeners.
pub fn find_with_listener(name: &str) -> Option<&'static Setting> {
    table::find(Scope::Broker, name).or_else(|| find(name))
}

/// Checks the value of a setting of one listener. The error has the full name.
pub(super) fn check(setting: &Setting, name: &str, value: &str) -> Result<(), InvalidValue> {
    setting.check(value).map_err(|invalid| match invalid {
        InvalidValue::Value { value, reason, .. } => InvalidValue::Value { name: name.to_owned(), value, reason },
        InvalidValue::EmptyEntry { .. } => InvalidValue::EmptyEntry { name: name.to_owned() },
    })
}

/// The settings as they apply to one listener.
#[derive(Clone, Copy)]
pub struct ListenerValues<'a> {
    values: &'a Values,
    listener: &'a str,
}

impl<'a> ListenerValues<'a> {
    pub(super) fn new(values: &'a Values, listener: &'a str) -> ListenerValues<'a> {
        ListenerValues { values, listener }
    }

    /// The effective value: the one for this listener, or else the general one. `None` is null.
    pub fn text(self, name: &str) -> Option<Cow<'a, str>> {
        match self.own(name) {
            Some((_, value, _)) => Some(Cow::Borrowed(value)),
            None => self.values.text(name),
        }
    }

    /// The settings as they apply to a SASL mechanism of this listener.
    pub fn of_mechanism(self, mechanism: &str) -> MechanismValues<'a> {
        MechanismValues { listener: self, mechanism: mechanism.to_ascii_lowercase() }
    }

    /// The full name, the value and the layer of the value that is given for this listener alone. `name` may begin with
    /// the name of a SASL mechanism.
    pub fn own(self, name: &str) -> Option<(String, &'a str, Origin)> {
        let full = full_name(self.listener, name);
        let (value, origin) = self.values.layers(&full).next()?;
        Some((full, value, origin))
    }

    /// The value of the start as a Rust type, whatever was set at run time. Null becomes the type's default.
    pub(super) fn read_of_start<T: SettingValue>(self, name: &str) -> T {
        let full = full_name(self.listener, name);
        let mut layers = self.values.layers(&full).chain(self.values.layers(name));
        let of_start = layers.find(|(_, origin)| *origin == Origin::Static);
        T::read(of_start.map(|(value, _)| value)).unwrap_or_default()
    }

    /// The name under which the effective value was given, for messages.
    pub fn name_of(self, name: &str) -> String {
        self.own(name).map_or_else(|| name.to_owned(), |(full, ..)| full)
    }
}

/// The settings as they apply to one SASL mechanism of a listener. As in Kafka, a value with the names of the listener and
/// of the mechanism has precedence over one with the listener's name, and that over the general one.
#[derive(Clone)]
pub struct MechanismValues<'a> {
    listener: ListenerValues<'a>,
    /// In lower case.
    mechanism: String,
}

impl<'a> MechanismValues<'a> {
    /// The effective value. `None` is null.
    pub fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        match self.own(name) {
            Some((_, value, _)) => Some(Cow::Borrowed(value)),
            None => self.listener.text(name),
        }
    }

    /// The full name, the value and the layer of the value that is given for this mechanism of this listener alone.
    pub fn own(&self, name: &str) -> Option<(String, &'a str, Origin)> {
        self.listener.own(&format!("{}.{name}", self.mechanism))
    }

    /// The name under which the effective value was given, for messages.
    pub fn name_of(&self, name: &str) -> String {
        self.own(name).map_or_else(|| self.listener.name_of(name), |(full, ..)| full)
    }

    /// The name with those of the listener and of the mechanism before it.
    pub fn full_name(&self, name: &str) -> String {
        full_name(self.listener.listener, &format!("{}.{name}", self.mechanism))
    }
}

/// The name of a setting of one listener.
pub fn full_name(listener: &str, name: &str) -> String {
    format!("{PREFIX}{}.{name}", listener.to_ascii_lowercase())
}

/// The names of given settings of listeners that no listener uses.
pub(super) fn without_effect(values: &Values, listeners: &[Listener]) -> Vec<String> {
    let is_used = |name: &str, setting: &Setting| {
        setting.effect == Effect::Implemented
            && listeners.iter().any(|listener| {
                is_read(name, setting.name, &listener.name)
                    && applies(setting.name, listener.protocol)
                        .unwrap_or_else(|| OF_ANY_LISTENER.contains(&setting.name))
            })
    };
    let is_used_by_any =
        |setting: &Setting| listeners.iter().any(|listener| applies(setting.name, listener.protocol) != Some(false));
    let unused = values.given_at_start().filter(|(name, value, _)| match find(name) {
        Some(setting) => !is_used(name, setting),
        None => table::find(Scope::Broker, name).is_some_and(|setting| {
            setting.effect == Effect::Implemented && setting.default != Some(value) && !is_used_by_any(setting)
        }),
    });
    unused.map(|(name, ..)| name.to_owned()).collect()
}

/// Whether the setting of a listener is read under this name, if the mechanism in the name is enabled.
fn is_read(name: &str, setting: &str, listener: &str) -> bool {
    let Some(rest) = name.strip_prefix(&full_name(listener, "")) else { return false };
    if rest == setting {
        return true;
    }
    let mechanism = rest.strip_suffix(setting).and_then(|rest| rest.strip_suffix('.'));
    // A dot may be part of another listener's name.
    mechanism.is_some_and(|mechanism| !mechanism.contains('.') && sasl::is_of_a_mechanism(setting, mechanism))
}

/// Whether a value that a client sets at runtime is read under this name by the broker or by one of its listeners.
/// `values` contains it.
pub(super) fn has_effect(values: &Values, listeners: &[Listener], name: &str) -> bool {
    let Some(setting) = find_with_listener(name).filter(|setting| setting.effect == Effect::Implemented) else {
        return false;
    };
    listeners.iter().any(|listener| match applies(setting.name, listener.protocol) {
        Some(true) if setting.name.starts_with("ssl.") => {
            // With SASL, only a value for the listener itself counts, as in Kafka.
            let is_own = listener.protocol == SecurityProtocol::SaslSsl && setting.name == "ssl.client.auth";
            let own = full_name(&listener.name, setting.name);
            name == own || !is_own && values.of_listener(&listener.name).name_of(setting.name) == name
        }
        Some(true) => sasl::is_read(values, listener, setting.name, name),
        Some(false) => false,
        None => {
            setting.name == name
                || OF_ANY_LISTENER.contains(&setting.name) && name == full_name(&listener.name, setting.name)
        }
    })
}

/// Settings other than those of security that a listener may have of its own.
const OF_ANY_LISTENER: [&str; 1] = ["max.connection.creation.rate"];

/// Whether a setting has a meaning for listeners of a protocol; `None` if it is not one of listeners' security.
fn applies(setting: &str, protocol: SecurityProtocol) -> Option<bool> {
    match setting {
        _ if setting.starts_with("ssl.") => Some(protocol.is_tls()),
        _ if setting.starts_with("sasl.") || setting == "connections.max.reauth.ms" => Some(protocol.is_sasl()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::values::Source;
    use super::*;

    #[test]
    fn setting_is_found_behind_names_of_listener_and_mechanism() {
        let check = |name, expect: Option<&str>| assert_eq!(find(name).map(|setting| setting.name), expect, "{name}");
        check("listener.name.internal.ssl.keystore.location", Some("ssl.keystore.location"));
        check("listener.name.INTERNAL.ssl.client.auth", Some("ssl.client.auth"));
        check("listener.name.a.b-c.ssl.client.auth", Some("ssl.client.auth"));
        check("listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config", Some("sasl.jaas.config"));
        check("listener.name.internal.unknown", None);
        check("listener.name..ssl.client.auth", None);
        check("listener.name.", None);
        check("listener.name.internal", None);
        check("ssl.client.auth", None);
    }

    #[test]
    fn setting_of_a_listener_overrides_the_general_one_for_that_listener_alone() {
        let mut values = Values::default();
        values.set_static("ssl.client.auth", "required", Source::CommandLine);
        values.set_static("listener.name.Client.ssl.client.auth", "none", Source::CommandLine);
        let auth = |values: &Values, listener: &str| {
            ListenerValues::new(values, listener).text("ssl.client.auth").map(Cow::into_owned)
        };
        assert_eq!(auth(&values, "CLIENT").as_deref(), Some("none"));
        assert_eq!(auth(&values, "OTHER").as_deref(), Some("required"));
        assert_eq!(auth(&Values::default(), "OTHER").as_deref(), Some("none"), "the default");

        let dynamic = BTreeMap::from([("listener.name.other.ssl.client.auth".to_owned(), "requested".to_owned())]);
        let values = values.with_dynamic(&BTreeMap::new(), &dynamic);
        assert_eq!(auth(&values, "OTHER").as_deref(), Some("requested"));
        assert_eq!(auth(&values, "CLIENT").as_deref(), Some("none"));
    }

    #[test]
    fn passwords_are_hidden_in_debug_output() {
        let mut values = Values::default();
        for name in ["ssl.key.password", "listener.name.client.plain.sasl.jaas.config", "listener.name.client.unknown"]
        {
            values.set_static(name, "hush", Source::CommandLine);
        }
        values.set_static("num.partitions", "7", Source::CommandLine);
        let shown = format!("{values:?}");
        assert!(!shown.contains("hush") && shown.contains("num.partitions=7"), "{shown}");
    }

    #[test]
    fn setting_of_a_mechanism_is_read_with_its_name() {
        let mut values = Values::default();
        values.set_static("listener.name.client.plain.sasl.jaas.config", "x;", Source::CommandLine);
        let client = ListenerValues::new(&values, "CLIENT");
        assert_eq!(client.text("plain.sasl.jaas.config").as_deref(), Some("x;"));
        assert_eq!(client.text("sasl.jaas.config"), None);
        assert_eq!(client.name_of("plain.sasl.jaas.config"), "listener.name.client.plain.sasl.jaas.config");
    }

    #[test]
    fn value_with_the_name_of_a_mechanism_has_precedence_over_that_of_the_listener_and_that_over_the_general_one() {
        let setting = "sasl.oauthbearer.expected.audience";
        let mut values = Values::default();
        for (name, expect) in [
            (setting.to_owned(), "general"),
            (full_name("CLIENT", setting), "listener"),
            (full_name("CLIENT", &format!("oauthbearer.{setting}")), "mechanism"),
        ] {
            values.set_static(&name, expect, Source::CommandLine);
            let read = values.of_listener("CLIENT").of_mechanism("OAUTHBEARER");
            assert_eq!((read.text(setting).as_deref(), read.name_of(setting)), (Some(expect), name));
        }
        let other = values.of_listener("CLIENT").of_mechanism("PLAIN");
        assert_eq!(other.text(setting).as_deref(), Some("listener"), "of the same listener");
    }
}
