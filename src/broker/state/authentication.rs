//! The SASL settings of the listeners, and the credentials that clients are compared with.
//!
//! Users of PLAIN are in the listener's JAAS configuration; those of SCRAM are in the metadata log.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;

use super::OpenError;
use super::random::Random;
use ottla_config::listener_values::full_name;
use ottla_config::{BrokerConfig, Listener, ListenerValues, Password};
use ottla_core::metadata::Image;
use ottla_core::security::jaas::{self, JaasFile, KnownModule, LoginModule};
use ottla_core::security::sasl::{Credentials, Mechanism, NONCE_BYTES, ScramCredential, ScramMechanism};
use ottla_log::LogDir;

/// The file with the secret of SCRAM, in the first log directory.
const SECRET_FILE: &str = "ottla-scram-secret";
const SECRET_BYTES: usize = 32;

const JAAS: &str = "sasl.jaas.config";
const JAAS_FILE: &str = "ottla.jaas.file";
const SESSION_LIFETIME: &str = "connections.max.reauth.ms";

/// SASL of all listeners.
#[derive(Debug)]
pub struct Authentication {
    listeners: RwLock<HashMap<Arc<str>, Arc<ListenerSasl>>>,
    random: Random,
    failure_delay: Duration,
    /// What the salts of unknown users are derived from.
    secret: [u8; SECRET_BYTES],
}

/// SASL of one listener.
#[derive(Debug)]
pub struct ListenerSasl(Vec<MechanismSettings>);

/// A mechanism of a listener.
#[derive(Debug)]
struct MechanismSettings {
    mechanism: Mechanism,
    /// The users of PLAIN.
    users: HashMap<String, Password>,
    /// `connections.max.reauth.ms`; `None` for no limit.
    max_session: Option<Duration>,
}

/// Why SASL cannot be configured: one line that names the setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSasl(String);

impl Authentication {
    /// Reads the settings of all listeners, and the secret in the log directory if one of them has SCRAM.
    pub fn open(config: &BrokerConfig, log_dir: &LogDir, random: Random) -> Result<Authentication, OpenError> {
        let listeners = listeners(config)?;
        let has_scram = listeners.values().any(|listener| listener.mechanisms().any(Mechanism::is_scram));
        let secret = if has_scram { secret(log_dir, &random)? } else { [0; SECRET_BYTES] };
        let failure_delay = Duration::from_millis(config.network.connection_failed_authentication_delay_ms);
        Ok(Authentication { listeners: RwLock::new(listeners), random, failure_delay, secret })
    }

    /// Applies changed settings to new authentications.
    pub fn reconfigure(&self, config: &BrokerConfig) -> Result<(), InvalidSasl> {
        *self.listeners.write() = listeners(config)?;
        Ok(())
    }

    /// SASL of a listener; `None` if it does not demand it.
    pub fn listener(&self, name: &str) -> Option<Arc<ListenerSasl>> {
        self.listeners.read().get(name).cloned()
    }

    /// The delay before a failure is answered.
    pub fn failure_delay(&self) -> Duration {
        self.failure_delay
    }

    /// New random bytes for one exchange. The error is one line.
    pub fn nonce(&self) -> Result<[u8; NONCE_BYTES], String> {
        self.random.secret().map_err(|error| no_randomness(&error))
    }

    /// The credentials that the clients of a listener are compared with.
    pub fn credentials<'a>(&'a self, listener: &'a ListenerSasl, image: &'a Image) -> ListenerCredentials<'a> {
        ListenerCredentials { listener, secret: &self.secret, image }
    }
}

/// Checks the SASL settings of all listeners.
pub fn check(config: &BrokerConfig) -> Result<(), InvalidSasl> {
    listeners(config).map(drop)
}

/// Reads the secret of a log directory, or makes one.
fn secret(log_dir: &LogDir, random: &Random) -> Result<[u8; SECRET_BYTES], OpenError> {
    let path = log_dir.path().join(SECRET_FILE);
    if let Some(Ok(secret)) = log_dir.read_file(&path)?.map(<[u8; SECRET_BYTES]>::try_from) {
        return Ok(secret);
    }
    let secret = random.secret().map_err(|error| InvalidSasl(no_randomness(&error)))?;
    log_dir.write_file(&path, &secret)?;
    Ok(secret)
}

fn no_randomness(error: &io::Error) -> String {
    format!("the operating system has no random bytes for SASL: {error}")
}

/// Reads SASL of all listeners that demand it.
fn listeners(config: &BrokerConfig) -> Result<HashMap<Arc<str>, Arc<ListenerSasl>>, InvalidSasl> {
    let file = jaas_file(config)?;
    let demanding = config.listeners.iter().filter(|listener| listener.protocol.is_sasl());
    demanding
        .map(|listener| {
            let sasl = ListenerSasl::read(config, file.as_ref(), listener)?;
            Ok((listener.name.as_str().into(), Arc::new(sasl)))
        })
        .collect()
}

impl ListenerSasl {
    fn read(config: &BrokerConfig, file: Option<&JaasFile>, listener: &Listener) -> Result<ListenerSasl, InvalidSasl> {
        let values = config.values.of_listener(&listener.name);
        let names = values.text("sasl.enabled.mechanisms").unwrap_or_default();
        let mut mechanisms: Vec<MechanismSettings> = Vec::new();
        for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let Some(mechanism) = Mechanism::named(name) else {
                return Err(InvalidSasl(unknown_mechanism(name, &values, listener)));
            };
            if mechanisms.iter().all(|known| known.mechanism != mechanism) {
                mechanisms.push(MechanismSettings::read(mechanism, values, file, listener)?);
            }
        }
        if mechanisms.is_empty() {
            let setting = values.name_of("sasl.enabled.mechanisms");
            return Err(InvalidSasl(format!("{setting} is empty, but listener {} demands SASL", listener.name)));
        }
        Ok(ListenerSasl(mechanisms))
    }

    /// The enabled mechanisms, in the order of the setting.
    pub fn mechanisms(&self) -> impl Iterator<Item = Mechanism> {
        self.0.iter().map(|settings| settings.mechanism)
    }

    /// How long a session lasts; `None` for no limit.
    pub fn max_session(&self, mechanism: Mechanism) -> Option<Duration> {
        self.settings(mechanism)?.max_session
    }

    fn settings(&self, mechanism: Mechanism) -> Option<&MechanismSettings> {
        self.0.iter().find(|settings| settings.mechanism == mechanism)
    }
}

fn unknown_mechanism(name: &str, values: &ListenerValues<'_>, listener: &Listener) -> String {
    let setting = values.name_of("sasl.enabled.mechanisms");
    let supported = Mechanism::ALL.map(Mechanism::name).join(", ");
    match name {
        "GSSAPI" => format!(
            "{setting} of listener {} has GSSAPI (Kerberos), which is not supported; set it to some of {supported}",
            listener.name
        ),
        name => {
            format!("{setting} of listener {} has '{name}'; the supported mechanisms are {supported}", listener.name)
        }
    }
}

impl MechanismSettings {
    fn read(
        mechanism: Mechanism,
        values: ListenerValues<'_>,
        file: Option<&JaasFile>,
        listener: &Listener,
    ) -> Result<MechanismSettings, InvalidSasl> {
        let prefix = mechanism.name().to_ascii_lowercase();
        let modules = match values.own(&format!("{prefix}.{JAAS}")) {
            Some((setting, text, _)) => {
                let module = jaas::parse_property(text).map_err(|error| InvalidSasl(format!("{setting}: {error}")))?;
                check_module(mechanism, &module, &setting)?;
                vec![module]
            }
            None => file.and_then(|file| file.of_listener(&listener.name)).unwrap_or_default().to_vec(),
        };
        if mechanism == Mechanism::Plain && !modules.iter().any(|module| module.known() == Some(KnownModule::Plain)) {
            return Err(InvalidSasl(format!(
                "listener {} has PLAIN in sasl.enabled.mechanisms, but there are no users: set {} to \
                 `{} required user_alice=\"password\";`",
                listener.name,
                full_name(&listener.name, &format!("{prefix}.{JAAS}")),
                KnownModule::Plain.class()
            )));
        }
        let max_session = match values.own(&format!("{prefix}.{SESSION_LIFETIME}")) {
            Some((_, value, _)) => Some(value.into()),
            None => values.text(SESSION_LIFETIME),
        };
        let max_session = max_session.and_then(|value| value.parse().ok()).unwrap_or_default();
        let max_session = (max_session > 0).then(|| Duration::from_millis(max_session));
        Ok(MechanismSettings { mechanism, users: jaas::plain_users(&modules), max_session })
    }
}

/// Checks that the login module of a setting is the one of its mechanism.
fn check_module(mechanism: Mechanism, module: &LoginModule, setting: &str) -> Result<(), InvalidSasl> {
    let expected = match mechanism {
        Mechanism::Plain => KnownModule::Plain,
        Mechanism::Scram(_) => KnownModule::Scram,
        Mechanism::OAuthBearer => KnownModule::OAuthBearer,
    };
    if module.known() == Some(expected) {
        return Ok(());
    }
    Err(InvalidSasl(format!(
        "{setting}: the login module {} is not supported for {mechanism}; use {}",
        module.class.escape_debug(),
        expected.class()
    )))
}

/// Reads the JAAS file of the broker, if there is one.
fn jaas_file(config: &BrokerConfig) -> Result<Option<JaasFile>, InvalidSasl> {
    let Some(path) = config.values.text(JAAS_FILE) else { return Ok(None) };
    let invalid = |why: String| InvalidSasl(format!("the JAAS file {path}: {why}"));
    let text = std::fs::read_to_string(&*path).map_err(|error| invalid(error.to_string()))?;
    jaas::parse_file(&text).map(Some).map_err(|error| invalid(error.to_string()))
}

/// The credentials of one listener.
pub struct ListenerCredentials<'a> {
    listener: &'a ListenerSasl,
    secret: &'a [u8],
    image: &'a Image,
}

impl Credentials for ListenerCredentials<'_> {
    fn plain_password(&self, user: &str) -> Option<Password> {
        let plain = self.listener.settings(Mechanism::Plain)?;
        plain.users.get(user).cloned()
    }

    fn scram(&self, mechanism: ScramMechanism, user: &str) -> Option<Arc<ScramCredential>> {
        self.image.scram_credential(mechanism, user)
    }

    fn server_secret(&self) -> &[u8] {
        self.secret
    }
}
