//! The SASL settings of the listeners, and the credentials that clients are compared with.
//!
//! Users of PLAIN are in the listener's JAAS configuration and in `ottla.users`; those of SCRAM are in the metadata log.

mod bearer;
mod changes;
mod issuer_keys;
mod modules;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bearer::Bearer;
pub use changes::check_change;
use issuer_keys::IssuerKeys;
use modules::{check_callback_handler, check_file_modules, check_module, jaas_file, unknown_mechanism};
use parking_lot::{Mutex, RwLock};

use super::OpenError;
use super::delegation_tokens;
use super::random::Random;
use crate::clock::Clock;
use ottla_config::{BrokerConfig, Listener, Password};
use ottla_core::metadata::Image;
use ottla_core::security::jaas::{self, JaasFile, KnownModule};
use ottla_core::security::sasl::{
    BearerRejection, BearerToken, Credentials, Mechanism, NONCE_BYTES, ScramCredential, ScramMechanism, TokenCredential,
};
use ottla_core::security::tokens::TokenKey;
use ottla_log::LogDir;
use ottla_wire::types::{METADATA_TOPIC, TimestampMs};

/// The file with the secret of SCRAM, in the first log directory.
const SECRET_FILE: &str = "ottla-scram-secret";
const SECRET_BYTES: usize = 32;

const JAAS: &str = "sasl.jaas.config";
const JAAS_FILE: &str = "ottla.jaas.file";
const CALLBACK_HANDLER: &str = "sasl.server.callback.handler.class";
const MECHANISMS: &str = "sasl.enabled.mechanisms";
const SESSION_LIFETIME: &str = "connections.max.reauth.ms";

type Listeners = HashMap<Arc<str>, Arc<ListenerSasl>>;
type ReadSasl = Result<Arc<ListenerSasl>, InvalidSasl>;

/// SASL of all listeners.
#[derive(Debug)]
pub struct Authentication {
    listeners: RwLock<Listeners>,
    /// Listeners whose settings of the start are incomplete: those of earlier runs must complete them.
    incomplete: Vec<Arc<str>>,
    /// The last error of each listener whose settings cannot be used, so that each is logged once.
    failed: Mutex<HashMap<Arc<str>, InvalidSasl>>,
    clock: Clock,
    random: Random,
    failure_delay: Duration,
    /// What the salts of unknown users are derived from.
    secret: [u8; SECRET_BYTES],
    /// The key of delegation tokens; `None` without `delegation.token.secret.key`.
    token_key: Option<TokenKey>,
}

/// SASL of one listener. Without a mechanism, it refuses all logins.
#[derive(Debug)]
pub struct ListenerSasl(Vec<MechanismSettings>);

/// A mechanism of a listener.
#[derive(Debug)]
struct MechanismSettings {
    mechanism: Mechanism,
    /// The users of PLAIN.
    users: HashMap<String, Password>,
    /// How tokens of OAUTHBEARER are validated.
    bearer: Option<Bearer>,
    /// `connections.max.reauth.ms`; `None` for no limit.
    max_session: Option<Duration>,
}

/// Why SASL cannot be configured: one line that names the setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSasl {
    #[error("{0}")]
    Wrong(String),
    /// Something is missing, which settings that were stored in an earlier run may have.
    #[error("{0}")]
    Incomplete(String),
}

impl Authentication {
    /// Reads the settings of all listeners, and the secret in the log directory if one of them has SASL.
    ///
    /// Needs a tokio runtime if a listener has OAUTHBEARER.
    pub fn open(
        config: &BrokerConfig,
        log_dir: &LogDir,
        clock: Clock,
        random: Random,
    ) -> Result<Authentication, OpenError> {
        let mut incomplete = Vec::new();
        let mut listeners = Listeners::new();
        for (name, read) in read_each(config, &[]) {
            let sasl = match read {
                Err(InvalidSasl::Incomplete(_)) => {
                    incomplete.push(Arc::clone(&name));
                    Arc::new(ListenerSasl::refusing())
                }
                read => read?,
            };
            listeners.insert(name, sasl);
        }
        start_keys(&listeners, &[], clock);
        warn_of_unsecured(&listeners);
        // Also without SCRAM, which may be enabled while the broker runs.
        let secret = if listeners.is_empty() { [0; SECRET_BYTES] } else { secret(log_dir, &random)? };
        let failure_delay = Duration::from_millis(config.network.connection_failed_authentication_delay_ms);
        let token_key = config.tokens.secret_key.as_ref().and_then(TokenKey::new);
        let (listeners, failed) = (RwLock::new(listeners), Mutex::default());
        Ok(Authentication { listeners, incomplete, failed, clock, random, failure_delay, secret, token_key })
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
        ListenerCredentials { listener, secret: &self.secret, token_key: self.token_key.as_ref(), image }
    }
}

/// Checks the SASL settings of all listeners before the data directory is opened. What is missing may be stored there.
pub fn check(config: &BrokerConfig) -> Result<(), InvalidSasl> {
    let may_be_stored = has_stored_settings(config);
    let mut errors = read_each(config, &[]).into_iter().filter_map(|(_, read)| read.err());
    let refuses = |error: &InvalidSasl| !may_be_stored || matches!(error, InvalidSasl::Wrong(_));
    errors.find(refuses).map_or(Ok(()), Err)
}

/// Whether there is a metadata log, which may have settings of earlier runs.
fn has_stored_settings(config: &BrokerConfig) -> bool {
    let folder = format!("{METADATA_TOPIC}-0");
    let mut dirs = config.metadata_log_dir.iter().chain(&config.log_dirs);
    dirs.any(|dir| dir.join(&folder).is_dir())
}

/// The keys of all issuers, each once.
fn keys_of<'a>(listeners: impl IntoIterator<Item = &'a Arc<ListenerSasl>>) -> Vec<Arc<IssuerKeys>> {
    let bearers =
        listeners.into_iter().flat_map(|listener| &listener.0).filter_map(|settings| settings.bearer.as_ref());
    let mut found: Vec<Arc<IssuerKeys>> = Vec::new();
    for bearer in bearers {
        if let Bearer::Signed { keys, .. } = bearer
            && !found.iter().any(|known| Arc::ptr_eq(known, keys))
        {
            found.push(Arc::clone(keys));
        }
    }
    found
}

/// Starts to read the keys that are not yet in use.
fn start_keys(listeners: &Listeners, in_use: &[Arc<IssuerKeys>], clock: Clock) {
    for keys in keys_of(listeners.values()) {
        if !in_use.iter().any(|known| Arc::ptr_eq(known, &keys)) {
            keys.start(clock);
        }
    }
}

fn warn_of_unsecured(listeners: &Listeners) {
    for (name, listener) in listeners {
        if listener.0.iter().any(|settings| matches!(settings.bearer, Some(Bearer::Unsecured(_)))) {
            tracing::warn!(
                listener = %name,
                "OAUTHBEARER accepts unsigned tokens, as Kafka does without sasl.server.callback.handler.class; set \
                 sasl.oauthbearer.jwks.endpoint.url to accept only those of an issuer"
            );
        }
    }
}

/// Reads the secret of a log directory, or makes one. Only the owner of its file can read it.
fn secret(log_dir: &LogDir, random: &Random) -> Result<[u8; SECRET_BYTES], OpenError> {
    let path = log_dir.path().join(SECRET_FILE);
    if let Some(Ok(secret)) = log_dir.read_file(&path)?.map(<[u8; SECRET_BYTES]>::try_from) {
        // Files of earlier versions can be read by all. Another owner's mode cannot be changed.
        if let Err(error) = log_dir.hide(&path) {
            tracing::warn!(path = %path.display(), %error, "other users may be able to read the secret of SCRAM");
        }
        return Ok(secret);
    }
    let secret = random.secret().map_err(|error| InvalidSasl::Wrong(no_randomness(&error)))?;
    log_dir.write_secret(&path, &secret)?;
    Ok(secret)
}

fn no_randomness(error: &io::Error) -> String {
    format!("the operating system has no random bytes for SASL: {error}")
}

/// Reads SASL of each listener that demands it, with an error for each that cannot be used.
fn read_each(config: &BrokerConfig, in_use: &[Arc<IssuerKeys>]) -> Vec<(Arc<str>, ReadSasl)> {
    let demanding: Vec<_> = config.listeners.iter().filter(|listener| listener.protocol.is_sasl()).collect();
    // As in Java, the file is read when a listener needs it: it may be a client's, for ZooKeeper.
    let file = if demanding.is_empty() { Ok(None) } else { jaas_file(config) };
    let mut known = in_use.to_vec();
    let mut read = |listener: &Listener| {
        let file = file.as_ref().map_err(InvalidSasl::clone)?;
        let sasl = Arc::new(ListenerSasl::read(config, file.as_ref(), listener, &known)?);
        // Listeners with the same issuer share its keys, which are then read once.
        known.extend(keys_of([&sasl]));
        Ok(sasl)
    };
    demanding.into_iter().map(|listener| (listener.name.as_str().into(), read(listener))).collect()
}

impl ListenerSasl {
    fn read(
        config: &BrokerConfig,
        file: Option<&JaasFile>,
        listener: &Listener,
        in_use: &[Arc<IssuerKeys>],
    ) -> Result<ListenerSasl, InvalidSasl> {
        let values = config.values.of_listener(&listener.name);
        let names = values.text(MECHANISMS).unwrap_or_default();
        let mut mechanisms: Vec<MechanismSettings> = Vec::new();
        for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let Some(mechanism) = Mechanism::named(name) else {
                let setting = values.name_of(MECHANISMS);
                let is_default = config.values.given(&setting).is_none();
                let why = unknown_mechanism(name, &setting, Some(listener));
                return Err(if is_default { InvalidSasl::Incomplete(why) } else { InvalidSasl::Wrong(why) });
            };
            if mechanisms.iter().all(|known| known.mechanism != mechanism) {
                mechanisms.push(MechanismSettings::read(mechanism, config, file, listener, in_use)?);
            }
        }
        if mechanisms.is_empty() {
            let setting = values.name_of(MECHANISMS);
            return Err(InvalidSasl::Wrong(format!("{setting} is empty, but listener {} demands SASL", listener.name)));
        }
        Ok(ListenerSasl(mechanisms))
    }

    /// SASL of a listener that refuses all logins.
    fn refusing() -> ListenerSasl {
        ListenerSasl(Vec::new())
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

impl MechanismSettings {
    fn read(
        mechanism: Mechanism,
        config: &BrokerConfig,
        file: Option<&JaasFile>,
        listener: &Listener,
        in_use: &[Arc<IssuerKeys>],
    ) -> Result<MechanismSettings, InvalidSasl> {
        let values = config.values.of_listener(&listener.name);
        check_callback_handler(mechanism, values)?;
        let of_mechanism = values.of_mechanism(mechanism.name());
        let modules = match of_mechanism.own(JAAS) {
            Some((setting, text, _)) => {
                let module =
                    jaas::parse_property(text).map_err(|error| InvalidSasl::Wrong(format!("{setting}: {error}")))?;
                check_module(mechanism, &module, &setting)?;
                vec![module]
            }
            None => {
                let modules = file.and_then(|file| file.of_listener(&listener.name)).unwrap_or_default();
                check_file_modules(modules, listener)?;
                modules.to_vec()
            }
        };
        let has_users =
            !config.users.is_empty() || modules.iter().any(|module| module.known() == Some(KnownModule::Plain));
        if mechanism == Mechanism::Plain && !has_users {
            return Err(InvalidSasl::Incomplete(format!(
                "listener {} has PLAIN in sasl.enabled.mechanisms, but there are no users: set {} to \
                 `{} required user_alice=\"password\";`",
                listener.name,
                of_mechanism.full_name(JAAS),
                KnownModule::Plain.class()
            )));
        }
        let bearer = match mechanism {
            Mechanism::OAuthBearer => Some(Bearer::read(values, &modules, listener, in_use)?),
            _ => None,
        };
        let max_session = of_mechanism.text(SESSION_LIFETIME).and_then(|value| value.parse().ok()).unwrap_or_default();
        let max_session = (max_session > 0).then(|| Duration::from_millis(max_session));
        let mut users = jaas::plain_users(&modules);
        for user in &config.users {
            users.entry(user.name.clone()).or_insert_with(|| user.password.clone());
        }
        Ok(MechanismSettings { mechanism, users, bearer, max_session })
    }
}

/// The credentials of one listener.
pub struct ListenerCredentials<'a> {
    listener: &'a ListenerSasl,
    secret: &'a [u8],
    token_key: Option<&'a TokenKey>,
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

    fn bearer_token(&self, token: &str, now: TimestampMs) -> Result<BearerToken, BearerRejection> {
        match self.listener.settings(Mechanism::OAuthBearer).and_then(|settings| settings.bearer.as_ref()) {
            Some(bearer) => bearer.validate(token, now),
            None => Err(BearerRejection::NotChecked { log: "the listener has no OAUTHBEARER".to_owned() }),
        }
    }

    fn delegation_token(&self, mechanism: ScramMechanism, token_id: &str) -> Option<TokenCredential> {
        delegation_tokens::credential(self.image, self.token_key?, mechanism, token_id, self.secret)
    }

    fn server_secret(&self) -> &[u8] {
        self.secret
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_config::{Sources, load};

    fn listeners(config: &BrokerConfig, in_use: &[Arc<IssuerKeys>]) -> Result<Listeners, InvalidSasl> {
        read_each(config, in_use).into_iter().map(|(name, read)| Ok((name, read?))).collect()
    }

    #[test]
    fn listeners_with_the_same_issuer_and_times_share_its_keys() {
        let count = |own: &[(&str, &str)]| {
            let common = [
                ("listeners", "A://:0,B://:0"),
                ("listener.security.protocol.map", "A:SASL_PLAINTEXT,B:SASL_PLAINTEXT"),
                ("sasl.enabled.mechanisms", "OAUTHBEARER"),
                ("sasl.oauthbearer.jwks.endpoint.url", "https://issuer/keys"),
                ("sasl.oauthbearer.expected.issuer", "issuer"),
                ("sasl.oauthbearer.expected.audience", "kafka"),
            ];
            let given = common.iter().chain(own);
            let command_line = given.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let config = load(&Sources { command_line, ..Sources::default() }).unwrap().config;
            let first = listeners(&config, &[]).unwrap();
            let keys = keys_of(first.values());
            let again = keys_of(listeners(&config, &keys).unwrap().values());
            assert!(again.iter().all(|one| keys.iter().any(|other| Arc::ptr_eq(one, other))), "they are kept");
            keys.len()
        };
        assert_eq!(count(&[]), 1);
        assert_eq!(count(&[("listener.name.b.sasl.oauthbearer.expected.audience", "other")]), 1);
        assert_eq!(count(&[("listener.name.b.sasl.oauthbearer.jwks.endpoint.url", "https://other/keys")]), 2);
        assert_eq!(count(&[("listener.name.b.sasl.oauthbearer.jwks.endpoint.refresh.ms", "1000")]), 2);
    }

    #[test]
    fn stored_class_that_validates_tokens_in_its_own_way_is_refused_also_without_keys_of_an_issuer() {
        const OF_LISTENER: &str = "listener.name.a.sasl.oauthbearer.jwt.validator.class";
        let module = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;";
        let given = [
            ("listeners", "A://:0"),
            ("listener.security.protocol.map", "A:SASL_PLAINTEXT"),
            ("sasl.enabled.mechanisms", "OAUTHBEARER"),
            ("listener.name.a.oauthbearer.sasl.jaas.config", module),
        ];
        let command_line = given.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let config = load(&Sources { command_line, ..Sources::default() }).unwrap().config;
        for (class, is_refused) in [
            ("com.example.Validator", true),
            ("com.example.BrokerJwtValidator", true),
            ("org.apache.kafka.common.security.oauthbearer.BrokerJwtValidator", false),
        ] {
            let stored = [(OF_LISTENER.to_owned(), class.to_owned())].into();
            let config = config.with_dynamic(&Default::default(), &stored);
            let refused = format!("{OF_LISTENER}={class} is a Java class, and those are not supported; remove it");
            assert_eq!(check(&config).err(), is_refused.then_some(InvalidSasl::Wrong(refused)), "{class}");
        }
    }

    #[test]
    fn settings_of_tokens_with_the_name_of_the_mechanism_are_in_force() {
        let url = |own: &[(&str, &str)]| {
            let common = [
                ("listeners", "A://:0"),
                ("listener.security.protocol.map", "A:SASL_PLAINTEXT"),
                ("sasl.enabled.mechanisms", "OAUTHBEARER"),
                ("sasl.oauthbearer.expected.issuer", "issuer"),
            ];
            let given = common.iter().chain(own);
            let command_line = given.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let config = load(&Sources { command_line, ..Sources::default() }).unwrap().config;
            let found = listeners(&config, &[]).map_err(|error| error.to_string())?;
            let bearer = found["A"].settings(Mechanism::OAuthBearer).and_then(|settings| settings.bearer.as_ref());
            match bearer {
                Some(Bearer::Signed { settings, .. }) => Ok(settings.expected_audience.join(",")),
                other => Err(format!("{other:?}")),
            }
        };
        let keys = ("listener.name.a.oauthbearer.sasl.oauthbearer.jwks.endpoint.url", "https://issuer/keys");
        let audience = ("listener.name.a.oauthbearer.sasl.oauthbearer.expected.audience", "own");
        let of_listener = ("listener.name.a.sasl.oauthbearer.expected.audience", "listener");
        assert_eq!(url(&[keys, audience, of_listener]).as_deref(), Ok("own"));
        assert_eq!(url(&[keys, of_listener]).as_deref(), Ok("listener"));
        assert!(url(&[keys]).unwrap_err().contains("sasl.oauthbearer.expected.audience"));
        let error = url(&[(keys.0, "ftp://issuer/keys"), audience]).unwrap_err();
        assert!(error.starts_with(keys.0), "{error}");
    }

    #[test]
    fn jaas_file_with_another_module_is_refused_also_beside_a_known_one() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("jaas.conf");
        let check_file = |modules: &str, expect: Result<(), &str>| {
            std::fs::write(&file, format!("KafkaServer {{ {modules} }};")).unwrap();
            let given = [
                ("listeners", "SASL_PLAINTEXT://:0"),
                ("sasl.enabled.mechanisms", "SCRAM-SHA-256"),
                (JAAS_FILE, file.to_str().unwrap()),
            ];
            let command_line = given.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
            let config = load(&Sources { command_line, ..Sources::default() }).unwrap().config;
            let refused = |class: &str| {
                InvalidSasl::Wrong(format!(
                    "ottla.jaas.file: the KafkaServer section for listener SASL_PLAINTEXT has the login module {class}, \
                     which is not supported; remove it"
                ))
            };
            assert_eq!(check(&config), expect.map_err(refused), "{modules}");
        };
        let plain = "org.apache.kafka.common.security.plain.PlainLoginModule required user_a=\"p\";";
        let kerberos = "com.sun.security.auth.module.Krb5LoginModule";
        check_file(plain, Ok(()));
        check_file("com.example.X required user_a=\"p\";", Err("com.example.X"));
        check_file(&format!("{plain} {kerberos} required;"), Err(kerberos));
    }
}
