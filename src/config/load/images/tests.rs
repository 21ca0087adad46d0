use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::load::{Sources, load};
use crate::values::Source;
use crate::{ClientAuth, Resolved};

const PLAIN: &str = "org.apache.kafka.common.security.plain.PlainLoginModule required user_a=\"b\";";

fn resolve_from(file: Option<&Path>, variables: &[(&str, &str)]) -> Result<Resolved, String> {
    let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let sources = Sources { environment, file: file.map(Path::to_owned), ..Sources::default() };
    load(&sources).map_err(|error| error.to_string())
}

fn resolve(variables: &[(&str, &str)]) -> Result<Resolved, String> {
    resolve_from(None, variables)
}

/// Asserts the values of these settings; a missing one is `-`.
#[track_caller]
fn check(variables: &[(&str, &str)], expect: &[(&str, &str)]) {
    check_values(&resolve(variables).unwrap(), expect);
}

#[track_caller]
fn check_values(resolved: &Resolved, expect: &[(&str, &str)]) {
    for (name, expect) in expect {
        assert_eq!(resolved.config.values.given(name).unwrap_or("-"), *expect, "{name}");
    }
}

#[track_caller]
fn check_refused(variables: &[(&str, &str)], expect: &str) {
    let error = resolve(variables).expect_err(expect);
    assert!(error.contains(expect) && !error.contains('\n'), "{error}");
}

/// A directory of mounted files with certificates under these names.
fn mounted(files: &[&str]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("certs")).unwrap();
    for file in files {
        fs::write(dir.path().join("certs").join(file), format!("content of {file}\n")).unwrap();
    }
    dir
}

fn text(dir: &TempDir) -> &str {
    dir.path().to_str().unwrap()
}

mod secrets {
    use super::*;

    const STORES: [(&str, &str); 3] = [
        ("KAFKA_SSL_KEYSTORE_FILENAME", "kafka.jks"),
        ("KAFKA_SSL_TRUSTSTORE_FILENAME", "trust.jks"),
        ("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", "INSIDE:SSL,SSL:SSL,SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT"),
    ];

    #[test]
    fn names_of_stores_are_settings_with_a_tls_listener_of_any_name() {
        let settings = |listeners: (&str, &str), auth: (&str, &str)| {
            let resolved = resolve(&[&STORES[..], &[listeners, auth]].concat()).unwrap();
            let given = |name: &str| resolved.config.values.given(name).unwrap_or("-").to_owned();
            let unused = resolved.without_effect.iter().filter(|name| name.ends_with("FILENAME")).count();
            [given("ssl.keystore.location"), given("ssl.truststore.location"), unused.to_string()].join(" ")
        };
        let (keystore, truststore) = ("/etc/kafka/secrets/kafka.jks", "/etc/kafka/secrets/trust.jks");
        let (required, none) = (("KAFKA_SSL_CLIENT_AUTH", "required"), ("KAFKA_SSL_CLIENT_AUTH", "none"));
        assert_eq!(settings(("KAFKA_LISTENERS", "PLAINTEXT://:1"), required), "- - 2");
        assert_eq!(settings(("KAFKA_LISTENERS", "SSL://:1"), none), format!("{keystore} - 1"));
        for listeners in ["SSL://:1", "INSIDE://:1", "PLAINTEXT://:1,SASL_SSL://:2"] {
            let expect = format!("{keystore} {truststore} 0");
            assert_eq!(settings(("KAFKA_LISTENERS", listeners), required), expect, "{listeners}");
            assert_eq!(settings(("KAFKA_ADVERTISED_LISTENERS", listeners), required), expect, "{listeners}");
        }
        let of_listener = ("KAFKA_LISTENER_NAME_SASL__SSL_SSL_CLIENT_AUTH", "requested");
        let expect = format!("{keystore} {truststore} 0");
        assert_eq!(settings(("KAFKA_LISTENERS", "SASL_SSL://:1"), of_listener), expect);
    }

    #[test]
    fn passwords_are_read_from_files_and_a_missing_file_refuses_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("credentials");
        fs::write(&file, "sec\\ret\r\n").unwrap();
        let listeners = ("KAFKA_ADVERTISED_LISTENERS", "SSL://a:1");
        let credentials = ("KAFKA_SSL_KEYSTORE_CREDENTIALS", file.to_str().unwrap());
        check(&[listeners, credentials], &[("ssl.keystore.password", "sec\\ret"), ("ssl.key.password", "-")]);
        let missing = ("KAFKA_SSL_KEY_CREDENTIALS", "missing");
        check_refused(
            &[listeners, missing],
            "cannot read /etc/kafka/secrets/missing (environment variable KAFKA_SSL_KEY_CREDENTIALS)",
        );
        check(&[missing], &[("ssl.key.password", "-")]);
    }

    #[test]
    fn given_settings_of_the_environment_have_precedence_but_not_those_of_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("server.properties");
        fs::write(&file, "listeners=SSL://:1\nssl.keystore.location=/file\n").unwrap();
        let filename = ("KAFKA_SSL_KEYSTORE_FILENAME", "k.jks");
        let resolved = resolve_from(Some(&file), &[filename]).unwrap();
        check_values(&resolved, &[("ssl.keystore.location", "/etc/kafka/secrets/k.jks")]);
        let resolved = resolve_from(Some(&file), &[filename, ("KAFKA_SSL_KEYSTORE_LOCATION", "/given")]).unwrap();
        check_values(&resolved, &[("ssl.keystore.location", "/given")]);
        assert!(resolved.without_effect.contains(&filename.0.to_owned()));
    }
}

mod java_options {
    use super::*;

    const SASL: (&str, &str) = ("KAFKA_LISTENERS", "SASL_SSL://:1");

    #[test]
    fn jaas_file_is_the_last_one_of_the_options() {
        let check = |options: &str, expect: &str| {
            for variable in ["KAFKA_OPTS", "JAVA_TOOL_OPTIONS"] {
                check(&[(variable, options)], &[("ottla.jaas.file", expect)]);
            }
        };
        check("-Xmx1g -Djava.security.auth.login.config=/etc/kafka/jaas.conf -Dx=y", "/etc/kafka/jaas.conf");
        check("-Djava.security.auth.login.config=/a -Djava.security.auth.login.config=/b", "/b");
        check("-Djava.security.auth.login.config==\"/etc/jaas.conf\"", "/etc/jaas.conf");
        check("-Djava.security.krb5.conf=/etc/krb5.conf", "-");
    }

    #[test]
    fn options_that_restrict_security_refuse_the_start_of_listeners_that_they_are_about() {
        for (options, expect) in [
            (
                "-Djava.security.properties==/opt/bitnami/java/conf/security/java.security.restricted",
                "ssl.cipher.suites",
            ),
            ("-Djdk.tls.namedGroups=secp256r1", "remove it, and set ssl.cipher.suites"),
            ("-Djdk.tls.server.protocols=TLSv1.3", "remove it, and set ssl.enabled.protocols"),
            (
                "-Dorg.apache.kafka.disallowed.login.modules=org.apache.kafka.common.security.plain.PlainLoginModule",
                "sasl.enabled.mechanisms",
            ),
        ] {
            let options = ("KAFKA_OPTS", options);
            check_refused(&[SASL, options], expect);
            resolve(&[options]).unwrap();
        }
        let original = "-Djava.security.properties==/opt/bitnami/java/conf/security/java.security.original";
        resolve(&[SASL, ("JAVA_TOOL_OPTIONS", original)]).unwrap();
        let default = "com.sun.security.auth.module.JndiLoginModule";
        resolve(&[SASL, ("KAFKA_OPTS", &format!("-Dorg.apache.kafka.disallowed.login.modules={default}"))]).unwrap();
    }

    #[test]
    fn url_of_keys_must_be_among_the_allowed_ones() {
        let keys = ("KAFKA_LISTENER_NAME_SASL__SSL_SASL_OAUTHBEARER_JWKS_ENDPOINT_URL", "https://issuer/keys");
        let allowed = |urls: &str| format!("-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={urls}");
        for urls in ["https://issuer/keys", "https://other,https://issuer/keys", "*"] {
            resolve(&[SASL, keys, ("KAFKA_OPTS", &allowed(urls))]).unwrap();
        }
        let message = "listener.name.sasl_ssl.sasl.oauthbearer.jwks.endpoint.url=https://issuer/keys is not among";
        check_refused(&[SASL, keys, ("KAFKA_OPTS", &allowed("https://issuer"))], message);
    }
}

mod bitnami {
    use super::*;

    const LISTENERS: (&str, &str) = ("KAFKA_CFG_LISTENERS", "SASL_SSL://:9092,CONTROLLER://:9093");
    const USERS: [(&str, &str); 2] = [("KAFKA_CLIENT_USERS", "user"), ("KAFKA_CLIENT_PASSWORDS", "password")];

    /// The example in the image's documentation.
    #[test]
    fn documented_example_has_its_keystore_users_and_mechanisms() {
        let dir = mounted(&["kafka.keystore.jks", "kafka.truststore.jks"]);
        let variables = [
            LISTENERS,
            ("KAFKA_CFG_ADVERTISED_LISTENERS", "SASL_SSL://localhost:9092"),
            USERS[0],
            USERS[1],
            ("KAFKA_CLIENT_LISTENER_NAME", "SASL_SSL"),
            ("KAFKA_CFG_LISTENER_SECURITY_PROTOCOL_MAP", "CONTROLLER:SASL_PLAINTEXT,SASL_SSL:SASL_SSL"),
            ("KAFKA_CFG_SASL_MECHANISM_CONTROLLER_PROTOCOL", "PLAIN"),
            ("KAFKA_CONTROLLER_USER", "controller_user"),
            ("KAFKA_CONTROLLER_PASSWORD", "controller_password"),
            ("KAFKA_CERTIFICATE_PASSWORD", "certificatePassword123"),
            ("KAFKA_TLS_TYPE", "JKS"),
            ("KAFKA_MOUNTED_CONF_DIR", text(&dir)),
        ];
        let resolved = resolve(&variables).unwrap();
        let certificates = dir.path().join("certs");
        let path = |file: &str| certificates.join(file).display().to_string();
        check_values(
            &resolved,
            &[
                ("ssl.keystore.type", "JKS"),
                ("ssl.keystore.location", &path("kafka.keystore.jks")),
                ("ssl.keystore.password", "certificatePassword123"),
                ("ssl.key.password", "certificatePassword123"),
                ("ssl.truststore.location", &path("kafka.truststore.jks")),
                ("ssl.truststore.password", "certificatePassword123"),
                ("ssl.client.auth", "-"),
                ("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"),
                ("ottla.users", "user:password"),
            ],
        );
        assert_eq!(resolved.notices, Vec::<String>::new());
        let expect = [
            "listener CONTROLLER",
            "KAFKA_CLIENT_LISTENER_NAME",
            "KAFKA_CONTROLLER_PASSWORD",
            "KAFKA_CONTROLLER_USER",
            "sasl.mechanism.controller.protocol",
        ];
        assert_eq!(resolved.without_effect, expect);
        assert!(!format!("{resolved:?}").contains("Password123"));
    }

    #[test]
    fn pem_files_become_the_values_of_settings() {
        let dir = mounted(&["kafka.keystore.pem", "kafka.keystore.key", "kafka.truststore.pem"]);
        let mounted_dir = ("KAFKA_MOUNTED_CONF_DIR", text(&dir));
        for type_variable in ["KAFKA_TLS_TYPE", "KAFKA_CFG_TLS_TYPE"] {
            let variables = [LISTENERS, USERS[0], USERS[1], (type_variable, "PEM"), mounted_dir];
            let expect = [
                ("ssl.keystore.type", "PEM"),
                ("ssl.keystore.key", "content of kafka.keystore.key"),
                ("ssl.keystore.certificate.chain", "content of kafka.keystore.pem"),
                ("ssl.truststore.type", "PEM"),
                ("ssl.truststore.certificates", "content of kafka.truststore.pem"),
                ("ssl.keystore.location", "-"),
                ("ssl.key.password", "-"),
            ];
            check(&variables, &expect);
            let password = ("KAFKA_CERTIFICATE_PASSWORD", "p");
            let with_password = [&variables[..], &[password]].concat();
            check(&with_password, &[("ssl.key.password", "p"), ("ssl.keystore.password", "-")]);
        }
        check_refused(&[LISTENERS, ("KAFKA_TLS_TYPE", "PKCS12")], "KAFKA_TLS_TYPE=PKCS12 is neither JKS nor PEM");
    }

    #[test]
    fn clients_of_ssl_listeners_must_present_a_certificate_unless_told_otherwise() {
        let dir = mounted(&["kafka.keystore.jks"]);
        let base = [("KAFKA_CFG_LISTENERS", "SSL://:1"), ("KAFKA_MOUNTED_CONF_DIR", text(&dir))];
        let auth = |more: &[(&str, &str)]| resolve(&[&base[..], more].concat()).unwrap().config.tls()[0].client_auth;
        assert_eq!(auth(&[]), ClientAuth::Required);
        assert_eq!(auth(&[("KAFKA_TLS_CLIENT_AUTH", "none")]), ClientAuth::None);
        assert_eq!(auth(&[("KAFKA_CFG_TLS_CLIENT_AUTH", "requested")]), ClientAuth::Requested);
        assert_eq!(auth(&[("KAFKA_CFG_SSL_CLIENT_AUTH", "none")]), ClientAuth::None);
        assert_eq!(auth(&[("KAFKA_TLS_SSL_CLIENT_AUTH", "requested")]), ClientAuth::Requested);
        check_refused(&[&base[..], &[("KAFKA_TLS_CLIENT_AUTH", "maybe")]].concat(), "ssl.client.auth");
        let other = ("KAFKA_TLS_CONTROLLER_CLIENT_AUTH", "required");
        let unused = resolve(&[&base[..], &[other]].concat()).unwrap().without_effect;
        assert_eq!(unused, [other.0]);
        // A mounted file replaces what the image derives.
        let file = dir.path().join("server.properties");
        fs::write(&file, "listeners=SSL://:1\nssl.keystore.location=/k\n").unwrap();
        let resolved = resolve_from(Some(&file), &[("KAFKA_CFG_NUM_PARTITIONS", "2")]).unwrap();
        assert_eq!(resolved.config.tls()[0].client_auth, ClientAuth::None);
    }

    #[test]
    fn missing_certificates_refuse_the_start() {
        let empty = mounted(&[]);
        let mounted_dir = ("KAFKA_MOUNTED_CONF_DIR", text(&empty));
        let message = "the listener SASL_SSL needs a certificate; mount kafka.keystore.jks in \
                       /opt/bitnami/kafka/config/certs";
        check_refused(&[LISTENERS, USERS[0], USERS[1], mounted_dir], message);
        let pem = ("KAFKA_TLS_TYPE", "PEM");
        check_refused(&[LISTENERS, mounted_dir, pem], "mount kafka.keystore.pem and kafka.keystore.key in");
        let dir = mounted(&["kafka.keystore.pem", "kafka.keystore.key"]);
        let mounted_dir = ("KAFKA_MOUNTED_CONF_DIR", text(&dir));
        let trusted = ("KAFKA_TLS_TRUSTSTORE_FILE", "/nowhere/trusted.pem");
        check_refused(&[LISTENERS, mounted_dir, pem, trusted], "cannot read /nowhere/trusted.pem");
        let own = ("KAFKA_CFG_LISTENER_NAME_SASL_SSL_SSL_KEYSTORE_LOCATION", "/own.jks");
        check(&[LISTENERS, USERS[0], USERS[1], own], &[("ssl.keystore.location", "-")]);
        let secure = [LISTENERS, USERS[0], USERS[1], ("KAFKA_OTTLA_SECURE", "true")];
        check(&secure, &[("ssl.keystore.location", "-"), ("ssl.client.auth", "-")]);
    }

    #[test]
    fn users_are_lists_of_the_same_length_and_errors_have_no_password() {
        let listeners = ("KAFKA_CFG_LISTENERS", "SASL_PLAINTEXT://:1");
        let users = |more: &[(&str, &str)]| -> Result<Vec<(String, String)>, String> {
            let resolved = resolve(&[&[listeners], more].concat())?;
            let users = resolved.config.users.iter();
            Ok(users.map(|user| (user.name.clone(), user.password.expose().to_owned())).collect())
        };
        let two = [("a".to_owned(), "x\\y".to_owned()), ("b".to_owned(), "z".to_owned())];
        for (names, passwords) in [("a,b", "x\\y,z"), ("a; b", "x\\y z")] {
            let found = users(&[("KAFKA_CLIENT_USERS", names), ("KAFKA_CLIENT_PASSWORDS", passwords)]);
            assert_eq!(found.unwrap(), two, "{names}");
        }
        for (user, password) in
            [("KAFKA_CLIENT_USER", "KAFKA_CLIENT_PASSWORD"), ("KAFKA_BROKER_USER", "KAFKA_BROKER_PASSWORD")]
        {
            assert_eq!(users(&[(user, "b"), (password, "z")]).unwrap(), two[1..], "{user}");
        }
        let more = [("KAFKA_OTTLA_USERS", "b:z"), USERS[0], USERS[1]];
        assert_eq!(users(&more).unwrap().len(), 2);
        let message =
            "KAFKA_CLIENT_USERS and KAFKA_CLIENT_PASSWORDS need the same number of entries, and they have 1 and 2";
        let uneven = [("KAFKA_CLIENT_USERS", "a"), ("KAFKA_CLIENT_PASSWORDS", "secret,secret")];
        assert_eq!(users(&uneven).unwrap_err(), message);
        assert!(users(&[USERS[0]]).unwrap_err().contains("1 and 0"));
        let without = "listener SASL_PLAINTEXT demands SASL, and there are no users; set KAFKA_CLIENT_USERS and";
        assert!(users(&[]).unwrap_err().starts_with(without));
        let jaas = ("KAFKA_CFG_LISTENER_NAME_SASL_PLAINTEXT_PLAIN_SASL_JAAS_CONFIG", PLAIN);
        assert!(users(&[jaas]).is_err(), "SCRAM has no users");
        assert_eq!(users(&[jaas, ("KAFKA_CFG_SASL_ENABLED_MECHANISMS", "PLAIN")]), Ok(vec![]));
    }

    #[test]
    fn user_of_brokers_can_log_in_at_their_listener() {
        let listeners = ("KAFKA_CFG_LISTENERS", "INTERNAL://:1,CLIENT://:2");
        let map = ("KAFKA_CFG_LISTENER_SECURITY_PROTOCOL_MAP", "INTERNAL:SASL_PLAINTEXT,CLIENT:SASL_PLAINTEXT");
        let broker = [("KAFKA_INTER_BROKER_USER", "bro\"ker"), ("KAFKA_INTER_BROKER_PASSWORD", "p")];
        let base = [&[listeners, map, USERS[0], USERS[1]][..], &broker].concat();
        let module = "org.apache.kafka.common.security.plain.PlainLoginModule required \"user_bro\\\"ker\"=\"p\";";
        let at = "listener.name.internal.plain.sasl.jaas.config";
        let other = "listener.name.client.plain.sasl.jaas.config";
        check(&base, &[(at, module), (other, "-"), ("ottla.users", "user:password")]);
        let scram = [&base[..], &[("KAFKA_CFG_SASL_MECHANISM_INTER_BROKER_PROTOCOL", "SCRAM-SHA-512")]].concat();
        check(&scram, &[(at, module), ("ottla.users", "user:password,bro\"ker:p")]);
        let named = [&base[..], &[("KAFKA_CFG_INTER_BROKER_LISTENER_NAME", "CLIENT")]].concat();
        check(&named, &[(at, "-"), (other, module)]);
        let same = [&base[..4], &[("KAFKA_INTER_BROKER_USER", "user"), ("KAFKA_INTER_BROKER_PASSWORD", "x")]].concat();
        check_refused(&same, "KAFKA_INTER_BROKER_USER is also one of KAFKA_CLIENT_USERS, with another password");
    }

    #[test]
    fn values_are_read_from_files() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("passwords");
        fs::write(&file, "one,two\n").unwrap();
        let variables = [
            ("KAFKA_CFG_LISTENERS", "SASL_PLAINTEXT://:1"),
            ("KAFKA_CLIENT_USERS", "a,b"),
            ("KAFKA_CLIENT_PASSWORDS_FILE", file.to_str().unwrap()),
        ];
        check(&variables, &[("ottla.users", "a:one,b:two")]);
        let missing = [variables[0], variables[1], ("KAFKA_CLIENT_PASSWORDS_FILE", "/nowhere/at-all")];
        check_refused(&missing, "cannot read /nowhere/at-all (environment variable KAFKA_CLIENT_PASSWORDS_FILE)");
    }

    #[test]
    fn mounted_jaas_file_has_the_login_modules() {
        let dir = mounted(&[]);
        fs::write(dir.path().join("kafka_jaas.conf"), format!("KafkaServer {{ {PLAIN} }};")).unwrap();
        let base = [("KAFKA_CFG_LISTENERS", "SASL_PLAINTEXT://:1"), ("KAFKA_MOUNTED_CONF_DIR", text(&dir))];
        let resolved = resolve(&base).unwrap();
        let path = dir.path().join("kafka_jaas.conf").display().to_string();
        check_values(&resolved, &[("ottla.jaas.file", &path), ("ottla.users", "-")]);
        assert_eq!(resolved.config.values.source("ottla.jaas.file"), Some(&Source::Setting("listeners")));
    }

    #[test]
    fn variables_without_a_listener_that_they_are_about_are_named() {
        let variables = [
            ("KAFKA_CFG_LISTENERS", "PLAINTEXT://:1"),
            USERS[0],
            USERS[1],
            ("KAFKA_CERTIFICATE_PASSWORD", "secret"),
            ("KAFKA_TLS_TYPE", "PEM"),
            ("KAFKA_INTER_BROKER_PASSWORD_FILE", "/nowhere/at-all"),
        ];
        let resolved = resolve(&variables).unwrap();
        let expect = [
            "KAFKA_CERTIFICATE_PASSWORD",
            "KAFKA_CLIENT_PASSWORDS",
            "KAFKA_CLIENT_USERS",
            "KAFKA_INTER_BROKER_PASSWORD",
            "KAFKA_TLS_TYPE",
        ];
        assert_eq!(resolved.without_effect, expect);
        assert!(resolved.config.users.is_empty());
    }

    #[test]
    fn cryptography_of_fips_is_refused() {
        let fips = ("OPENSSL_FIPS", "yes");
        check_refused(&[("KAFKA_LISTENERS", "SSL://:1"), fips], "OPENSSL_FIPS=yes (environment) demands");
        resolve(&[fips]).unwrap();
        resolve(&[("KAFKA_LISTENERS", "SSL://:1"), ("OPENSSL_FIPS", "no")]).unwrap();
    }
}
