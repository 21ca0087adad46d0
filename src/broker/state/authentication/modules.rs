//! Login modules and callback handlers: which of them are supported, and checks of single settings.

use super::bearer::check_keys_url;
use super::{CALLBACK_HANDLER, InvalidSasl, JAAS, JAAS_FILE, MECHANISMS};
use ottla_config::listener_values::find_with_listener;
use ottla_config::{BrokerConfig, Listener, ListenerValues};
use ottla_core::security::bearer::UnsecuredSettings;
use ottla_core::security::jaas::{self, JaasFile, KnownModule, LoginModule};
use ottla_core::security::sasl::Mechanism;

/// Checks one changed setting without the others. A listener that does not use it now may use it after the next change or
/// start, and would then refuse all logins.
pub(super) fn check_alone(name: &str, value: &str) -> Result<(), InvalidSasl> {
    let Some(setting) = find_with_listener(name).filter(|_| !value.trim().is_empty()) else { return Ok(()) };
    match setting.name {
        MECHANISMS => check_mechanisms(name, value),
        // Without a mechanism's name, the setting is never read.
        JAAS => mechanism_of(name, setting.name).map_or(Ok(()), |mechanism| {
            let module = jaas::parse_property(value);
            let module = module.map_err(|error| InvalidSasl::Wrong(format!("{name}: {error}")))?;
            check_module(mechanism, &module, name)?;
            match mechanism {
                Mechanism::OAuthBearer => UnsecuredSettings::of_options(&module)
                    .map(drop)
                    .map_err(|why| InvalidSasl::Wrong(format!("{name}: {why}"))),
                _ => Ok(()),
            }
        }),
        CALLBACK_HANDLER => mechanism_of(name, setting.name)
            .map_or(Ok(()), |mechanism| check_callback_class(mechanism, name, value.trim())),
        _ => check_keys_url(setting.name, name, value.trim()),
    }
}

fn check_mechanisms(setting: &str, value: &str) -> Result<(), InvalidSasl> {
    let names = value.split(',').map(str::trim).filter(|name| !name.is_empty());
    match names.into_iter().find(|name| Mechanism::named(name).is_none()) {
        None => Ok(()),
        Some(other) => Err(InvalidSasl::Wrong(unknown_mechanism(other, setting, None))),
    }
}

/// The error for a mechanism that is not supported.
pub(super) fn unknown_mechanism(name: &str, setting: &str, listener: Option<&Listener>) -> String {
    let supported = Mechanism::ALL.map(Mechanism::name).join(", ");
    let listener = listener.map(|listener| format!(" of listener {}", listener.name)).unwrap_or_default();
    match name {
        "GSSAPI" => {
            format!("{setting}{listener} has GSSAPI (Kerberos), which is not supported; set it to some of {supported}")
        }
        name => format!("{setting}{listener} has '{}'; the supported mechanisms are {supported}", name.escape_debug()),
    }
}

/// The supported mechanism whose name precedes the setting.
fn mechanism_of(name: &str, setting: &str) -> Option<Mechanism> {
    let before = name.strip_suffix(setting)?.strip_suffix('.')?;
    Mechanism::named(&before.rsplit('.').next()?.to_ascii_uppercase())
}

/// Refuses a class that would check credentials in its own way.
pub(super) fn check_callback_handler(mechanism: Mechanism, values: ListenerValues<'_>) -> Result<(), InvalidSasl> {
    let own = values.of_mechanism(mechanism.name()).own(CALLBACK_HANDLER);
    match own.filter(|(_, class, _)| !class.is_empty()) {
        Some((setting, class, _)) => check_callback_class(mechanism, &setting, class),
        None => Ok(()),
    }
}

fn check_callback_class(mechanism: Mechanism, setting: &str, class: &str) -> Result<(), InvalidSasl> {
    let known: &[&str] = match mechanism {
        Mechanism::Plain => &["PlainServerCallbackHandler"],
        Mechanism::Scram(_) => &["ScramServerCallbackHandler"],
        Mechanism::OAuthBearer => {
            &["OAuthBearerValidatorCallbackHandler", "OAuthBearerUnsecuredValidatorCallbackHandler"]
        }
    };
    let is_kafkas =
        class.starts_with("org.apache.kafka.") && known.iter().any(|known| class.ends_with(&format!(".{known}")));
    if is_kafkas {
        return Ok(());
    }
    Err(InvalidSasl::Wrong(format!(
        "{setting}={} is a Java class that checks credentials, and those are not supported; remove it",
        class.escape_debug()
    )))
}

/// Checks that the login module of a setting is the one of its mechanism.
pub(super) fn check_module(mechanism: Mechanism, module: &LoginModule, setting: &str) -> Result<(), InvalidSasl> {
    let expected = match mechanism {
        Mechanism::Plain => KnownModule::Plain,
        Mechanism::Scram(_) => KnownModule::Scram,
        Mechanism::OAuthBearer => KnownModule::OAuthBearer,
    };
    if module.known() == Some(expected) {
        return Ok(());
    }
    Err(InvalidSasl::Wrong(format!(
        "{setting}: the login module {} is not supported for {mechanism}; use {}",
        module.class.escape_debug(),
        expected.class()
    )))
}

/// Refuses modules of Kerberos and of others in a JAAS file: Kafka would log in with each of them.
pub(super) fn check_file_modules(modules: &[LoginModule], listener: &Listener) -> Result<(), InvalidSasl> {
    match modules.iter().find(|module| module.known().is_none()) {
        None => Ok(()),
        Some(module) => Err(InvalidSasl::Wrong(format!(
            "{JAAS_FILE}: the KafkaServer section for listener {} has the login module {}, which is not supported; \
             remove it",
            listener.name,
            module.class.escape_debug()
        ))),
    }
}

/// Reads the JAAS file of the broker, if there is one.
pub(super) fn jaas_file(config: &BrokerConfig) -> Result<Option<JaasFile>, InvalidSasl> {
    let Some(path) = config.values.text(JAAS_FILE) else { return Ok(None) };
    let invalid = |why: String| InvalidSasl::Wrong(format!("the JAAS file {path}: {why}"));
    let text = std::fs::read_to_string(&*path).map_err(|error| invalid(error.to_string()))?;
    jaas::parse_file(&text).map(Some).map_err(|error| invalid(error.to_string()))
}
