//! Changes of the SASL settings of listeners.
//!
//! A listener whose settings cannot be used never falls back to older ones without an error in the log. At the start it
//! refuses all logins, because the settings of the start may have a password that was replaced in an earlier run.

use std::sync::Arc;

use super::modules::check_alone;
use super::{Authentication, InvalidSasl, ListenerSasl, Listeners, keys_of, read_each, start_keys};
use ottla_config::listener_values::full_name;
use ottla_config::{BrokerConfig, Origin};

impl Authentication {
    /// Applies the settings with the changes of earlier runs, before the first client connects. A listener whose settings
    /// cannot be used refuses all logins. The error is about settings of the start that are still incomplete.
    pub fn apply_at_start(&self, config: &BrokerConfig) -> Result<(), InvalidSasl> {
        if !self.incomplete.is_empty() {
            let mut read = read_each(config, &[]).into_iter().filter(|(name, _)| self.incomplete.contains(name));
            read.try_for_each(|(_, read)| read.map(drop))?;
        }
        self.apply(config, |listener, error, _| {
            tracing::error!(
                %listener, %error,
                "SASL settings with the changes of an earlier run cannot be used, the listener refuses all logins until \
                 they are corrected"
            );
            Arc::new(ListenerSasl::refusing())
        });
        Ok(())
    }

    /// Applies changed settings to new authentications. A listener whose settings cannot be used keeps the previous ones.
    pub fn reconfigure(&self, config: &BrokerConfig) {
        self.apply(config, |listener, error, current| {
            // The same error is repeated by each change of other settings.
            if self.failed.lock().get(listener) != Some(error) {
                tracing::error!(%listener, %error, "changed SASL settings cannot be used, keeping the previous ones");
            }
            current.unwrap_or_else(|| Arc::new(ListenerSasl::refusing()))
        });
    }

    /// `otherwise` gives SASL of a listener whose settings cannot be used; it gets the current one.
    fn apply(
        &self,
        config: &BrokerConfig,
        otherwise: impl Fn(&str, &InvalidSasl, Option<Arc<ListenerSasl>>) -> Arc<ListenerSasl>,
    ) {
        let in_use = keys_of(self.listeners.read().values());
        let mut listeners = Listeners::new();
        for (name, read) in read_each(config, &in_use) {
            let sasl = match read {
                Ok(sasl) => {
                    self.failed.lock().remove(&name);
                    sasl
                }
                Err(error) => {
                    let sasl = otherwise(&name, &error, self.listener(&name));
                    self.failed.lock().insert(Arc::clone(&name), error);
                    sasl
                }
            };
            listeners.insert(name, sasl);
        }
        start_keys(&listeners, &in_use, self.clock);
        *self.listeners.write() = listeners;
    }
}

/// Checks the settings that a change leads to, those also that no listener uses yet. A listener that had the same error before counts only if one of the
/// `changed` settings is its own: it must not prevent changes of other listeners. May read the JAAS file.
pub fn check_change(before: &BrokerConfig, after: &BrokerConfig, changed: &[String]) -> Result<(), InvalidSasl> {
    for name in changed {
        // An unset value uncovers one of the start, which is not new.
        let given = after.values.layers(name).next().filter(|(_, origin)| *origin != Origin::Static);
        given.map_or(Ok(()), |(value, _)| check_alone(name, value))?;
    }
    let before = read_each(before, &[]);
    for (name, read) in read_each(after, &[]) {
        let Err(error) = read else { continue };
        let had_it = before.iter().any(|(known, read)| *known == name && read.as_ref().err() == Some(&error));
        let own = full_name(&name, "");
        if !had_it || changed.iter().any(|setting| setting.starts_with(&own)) {
            return Err(error);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::clock::Clock;
    use crate::state::OpenError;
    use crate::state::random::Random;
    use ottla_config::{Sources, load};
    use ottla_core::security::sasl::{Credentials as _, Mechanism};
    use ottla_log::{Identity, LogDir};
    use ottla_wire::types::Uuid;

    const MECHANISMS_OF_A: &str = "listener.name.a.sasl.enabled.mechanisms";
    const MECHANISMS_OF_B: &str = "listener.name.b.sasl.enabled.mechanisms";
    const USERS_OF_A: &str = "listener.name.a.plain.sasl.jaas.config";
    const USERS_OF_B: &str = "listener.name.b.plain.sasl.jaas.config";

    fn users(password: &str) -> String {
        format!("org.apache.kafka.common.security.plain.PlainLoginModule required user_ann=\"{password}\";")
    }

    /// Two listeners with PLAIN, A and B, and dynamic settings.
    fn config(dynamic: &[(&str, &str)]) -> BrokerConfig {
        let given = [
            ("listeners", "A://:0,B://:0"),
            ("listener.security.protocol.map", "A:SASL_PLAINTEXT,B:SASL_PLAINTEXT"),
            ("sasl.enabled.mechanisms", "PLAIN"),
            (USERS_OF_A, &users("static")),
            (USERS_OF_B, &users("static")),
        ];
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let command_line = given.iter().map(owned).collect();
        let config = load(&Sources { command_line, ..Sources::default() }).unwrap().config;
        config.with_dynamic(&BTreeMap::new(), &dynamic.iter().map(owned).collect())
    }

    fn open(dir: &tempfile::TempDir) -> Authentication {
        open_with(dir, &config(&[])).unwrap()
    }

    fn open_with(dir: &tempfile::TempDir, config: &BrokerConfig) -> Result<Authentication, OpenError> {
        let identity = Identity {
            node_id: 1,
            cluster_id: None,
            new_cluster_id: "AAAAAAAAAAAAAAAAAAAAAQ".to_owned(),
            new_directory_id: Uuid([2; 16]),
        };
        let log_dir = LogDir::open(dir.path(), &identity).unwrap();
        Authentication::open(config, &log_dir, Clock::simulated(0), Random::system())
    }

    /// The password of ann at each listener; `-` if the listener refuses all logins.
    fn passwords(authentication: &Authentication) -> String {
        let image = Default::default();
        let password = |listener: &str| {
            let sasl = authentication.listener(listener).unwrap();
            let password = authentication.credentials(&sasl, &image).plain_password("ann");
            assert_eq!(password.is_some(), sasl.mechanisms().any(|mechanism| mechanism == Mechanism::Plain));
            password.map_or_else(|| "-".to_owned(), |password| password.expose().to_owned())
        };
        format!("{} {}", password("A"), password("B"))
    }

    #[test]
    fn listener_whose_stored_settings_cannot_be_used_refuses_all_logins_until_they_are_corrected() {
        let dir = tempfile::tempdir().unwrap();
        let authentication = open(&dir);
        assert_eq!(passwords(&authentication), "static static");
        let stored = users("stored");
        let bad = config(&[(MECHANISMS_OF_A, "GSSAPI"), (USERS_OF_A, &stored), (USERS_OF_B, &stored)]);
        authentication.apply_at_start(&bad).unwrap();
        assert_eq!(passwords(&authentication), "- stored");
        authentication.reconfigure(&bad);
        assert_eq!(passwords(&authentication), "- stored", "no older password");
        authentication.reconfigure(&config(&[(USERS_OF_A, &stored)]));
        assert_eq!(passwords(&authentication), "stored static");
    }

    #[test]
    fn value_of_the_start_does_not_prevent_that_a_stored_one_is_unset() {
        let given = [("listeners", "PLAINTEXT://:0"), ("sasl.enabled.mechanisms", "GSSAPI")];
        let command_line = given.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let config = load(&Sources { command_line, ..Sources::default() }).unwrap().config;
        let stored = BTreeMap::from([("sasl.enabled.mechanisms".to_owned(), "PLAIN".to_owned())]);
        let before = config.with_dynamic(&BTreeMap::new(), &stored);
        assert_eq!(check_change(&before, &config, &["sasl.enabled.mechanisms".to_owned()]), Ok(()));
        assert!(check_change(&config, &before, &["sasl.enabled.mechanisms".to_owned()]).is_ok());
    }

    #[test]
    fn settings_of_an_earlier_run_complete_those_of_the_start() {
        let start = |own: &[(&str, &str)]| {
            let given = [
                ("listeners", "A://:0"),
                ("listener.security.protocol.map", "A:SASL_PLAINTEXT"),
                ("connection.failed.authentication.delay.ms", "0"),
            ];
            let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            let command_line = given.iter().chain(own).map(owned).collect();
            load(&Sources { command_line, ..Sources::default() }).unwrap().config
        };
        let plain = ("sasl.enabled.mechanisms", "PLAIN");
        let stored = users("stored");
        let stored =
            BTreeMap::from([(MECHANISMS_OF_A.to_owned(), "PLAIN".to_owned()), (USERS_OF_A.to_owned(), stored)]);
        for config in [start(&[plain]), start(&[])] {
            let dir = tempfile::tempdir().unwrap();
            let authentication = open_with(&dir, &config).unwrap();
            let error = authentication.apply_at_start(&config).unwrap_err().to_string();
            assert!(error.contains("sasl.enabled.mechanisms"), "{error}");
            authentication.apply_at_start(&config.with_dynamic(&BTreeMap::new(), &stored)).unwrap();
            let sasl = authentication.listener("A").unwrap();
            let password = authentication.credentials(&sasl, &Default::default()).plain_password("ann");
            assert_eq!(password.unwrap().expose(), "stored");
        }
        let dir = tempfile::tempdir().unwrap();
        let wrong = start(&[("sasl.enabled.mechanisms", "GSSAPI")]);
        assert!(open_with(&dir, &wrong).is_err(), "what is given in the file is wrong at once");
    }

    #[test]
    fn incomplete_settings_are_refused_at_once_without_settings_of_an_earlier_run() {
        let dir = tempfile::tempdir().unwrap();
        let given = [
            ("listeners", "SASL_PLAINTEXT://:0"),
            ("sasl.enabled.mechanisms", "PLAIN"),
            ("log.dirs", dir.path().to_str().unwrap()),
        ];
        let command_line = given.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let config = load(&Sources { command_line, ..Sources::default() }).unwrap().config;
        assert!(super::super::check(&config).unwrap_err().to_string().contains("there are no users"));
        std::fs::create_dir(dir.path().join("__cluster_metadata-0")).unwrap();
        assert_eq!(super::super::check(&config), Ok(()));
    }

    #[test]
    fn listener_whose_changed_settings_cannot_be_used_keeps_the_previous_ones_and_others_change() {
        let dir = tempfile::tempdir().unwrap();
        let authentication = open(&dir);
        let new = users("new");
        authentication.reconfigure(&config(&[(MECHANISMS_OF_A, "GSSAPI"), (USERS_OF_A, &new), (USERS_OF_B, &new)]));
        assert_eq!(passwords(&authentication), "static new");
    }

    #[test]
    fn change_is_refused_for_the_listeners_that_it_concerns() {
        let check = |before: &[(&str, &str)], change: &[(&str, &str)], expect: Option<&str>| {
            let after = config(&[before, change].concat());
            let changed: Vec<_> = change.iter().map(|(name, _)| (*name).to_owned()).collect();
            let error = check_change(&config(before), &after, &changed).err().map(|error| error.to_string());
            let has = |setting| error.as_ref().is_some_and(|error| error.starts_with(setting));
            assert!(expect.map_or(error.is_none(), has), "{change:?}: {error:?}");
        };
        let bad = (MECHANISMS_OF_A, "PLAIN,GSSAPI");
        check(&[], &[bad], Some(MECHANISMS_OF_A));
        check(&[], &[("sasl.enabled.mechanisms", "GSSAPI")], Some("sasl.enabled.mechanisms"));
        let handler = "listener.name.a.plain.sasl.server.callback.handler.class";
        check(&[], &[(handler, "com.example.X")], Some(handler));
        // Settings that no listener uses yet, of listeners that do not exist, too.
        for (name, value) in [
            ("sasl.enabled.mechanisms", "PLAIN,GSSAPI"),
            ("listener.name.c.sasl.enabled.mechanisms", "NOPE"),
            ("listener.name.c.plain.sasl.jaas.config", "garbage"),
            ("listener.name.a.scram-sha-256.sasl.jaas.config", "com.example.X required;"),
            ("listener.name.a.scram-sha-256.sasl.server.callback.handler.class", "com.example.X"),
            ("listener.name.a.oauthbearer.sasl.oauthbearer.jwks.endpoint.url", "ftp://issuer/keys"),
            ("listener.name.a.sasl.oauthbearer.jwks.endpoint.url", "ftp://issuer/keys"),
        ] {
            check(&[], &[(name, value)], Some(name));
        }
        check(&[], &[("listener.name.a.gssapi.sasl.jaas.config", "com.example.Krb5LoginModule required;")], None);
        // A listener that is not in order concerns no other one, and its own changes must correct it.
        check(&[bad], &[(USERS_OF_B, &users("new"))], None);
        check(&[bad], &[(MECHANISMS_OF_B, "GSSAPI")], Some(MECHANISMS_OF_B));
        check(&[bad], &[(USERS_OF_A, &users("new"))], Some(MECHANISMS_OF_A));
        check(&[bad], &[(MECHANISMS_OF_A, "PLAIN")], None);
    }
}
