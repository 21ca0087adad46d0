//! A broker does not start with settings that demand protection that it does not have, or with incomplete ones.
//! `tests/data/protection.tsv` has the cases; `tests/data/protection-settings.tsv` classifies every setting
//! without effect by whether it demands protection.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpStream;

use common::{Broker, command, run_command};
use ottla::client::Client;
use ottla_config::setting::Effect;
use ottla_config::{BindHost, LoadError, Scope, Sources, load, table};
use ottla_wire::protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};

const CASES: &str = include_str!("../../data/protection.tsv");
const SETTINGS: &str = include_str!("../../data/protection-settings.tsv");

/// One row of the cases.
struct Case {
    starts: bool,
    given: Vec<(String, String)>,
    /// A part of the error, or of the notices of a start.
    message: &'static str,
}

fn cases() -> impl Iterator<Item = Case> {
    CASES.lines().skip(1).map(|line| {
        let columns: Vec<&'static str> = line.split('\t').collect();
        let [outcome, given, message, _why] = columns[..] else { panic!("four columns: {line}") };
        let pair = |text: &str| text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap();
        assert!(["starts", "refused"].contains(&outcome), "{line}");
        Case { starts: outcome == "starts", given: given.split(' ').map(pair).collect(), message }
    })
}

fn is_variable(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_' || b.is_ascii_digit())
}

/// `num.partitions` as a variable of Kafka's images.
fn variable(name: &str) -> String {
    if is_variable(name) {
        return name.to_owned();
    }
    let name = name.to_uppercase().replace('_', "__").replace('-', "___").replace('.', "_");
    format!("KAFKA_{name}")
}

/// Loads the settings of a case and checks the result.
fn check(case: &Case, sources: &Sources, how: &str) {
    let given = &case.given;
    match load(sources) {
        Ok(resolved) => {
            assert!(case.starts, "{given:?} ({how}) starts");
            let message = [resolved.notices, resolved.without_effect].concat().join("\n");
            assert!(message.contains(case.message), "{given:?} ({how}): {message}");
        }
        Err(error) => {
            let message = error.to_string();
            assert!(!case.starts, "{given:?} ({how}) is refused: {message}");
            assert!(
                matches!(error, LoadError::Unprotected(_) | LoadError::Conflict(_)),
                "{given:?} ({how}): {message}"
            );
            assert!(message.contains(case.message) && !message.contains('\n'), "{given:?} ({how}): {message}");
        }
    }
}

#[test]
fn protection_case_has_the_same_result_from_file_environment_and_command_line() {
    let dir = tempfile::tempdir().unwrap();
    for case in cases() {
        let (variables, settings): (Vec<_>, Vec<_>) =
            case.given.iter().cloned().partition(|(name, _)| is_variable(name));
        let environment: Vec<_> = case.given.iter().map(|(name, value)| (variable(name), value.clone())).collect();
        check(&case, &Sources { environment, ..Sources::default() }, "environment");
        let rest = Sources { environment: variables, ..Sources::default() };
        check(&case, &Sources { command_line: settings.clone(), ..rest.clone() }, "command line");
        let file = dir.path().join("server.properties");
        let lines: Vec<_> = settings.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        fs::write(&file, lines.concat()).unwrap();
        check(&case, &Sources { file: Some(file), ..rest }, "file");
    }
}

#[test]
fn every_setting_without_effect_is_classified() {
    let classified: BTreeMap<&str, &str> = SETTINGS.lines().skip(1).filter_map(|line| line.split_once('\t')).collect();
    for setting in table::all(Scope::Broker) {
        let class = classified.get(setting.name).and_then(|rest| rest.split('\t').next());
        let expect: &[&str] = match setting.effect {
            Effect::Implemented => continue,
            Effect::Ignored => &["refuses a protected one", "warns", "detail", "nothing"],
        };
        assert!(class.is_some_and(|class| expect.contains(&class)), "{}: {class:?}", setting.name);
    }
    let is_implemented_or_unknown =
        |name: &&&str| table::find(Scope::Broker, name).is_none_or(|it| it.effect == Effect::Implemented);
    assert_eq!(classified.keys().find(is_implemented_or_unknown), None, "classified, but implemented or unknown");
}

#[test]
fn refused_start_prints_one_line_and_opens_no_port() {
    let port = free_port();
    for given in ["authorizer.class.name=com.example.Authorizer", "security.inter.broker.protocol=SSL"] {
        let output = run_command(command(&[]).args(["--ephemeral", "--port", &port.to_string(), "--set", given]));
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), message.lines().count()), (Some(2), 1), "{message}");
        assert!(message.starts_with(&format!("ottla: {given} (command line) demands ")), "{message}");
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    }
    let environment = [("ALLOW_PLAINTEXT_LISTENER".to_owned(), "no".to_owned())];
    for arguments in [&["--ephemeral", "--port", "0"][..], &["config"], &["config", "num.partitions"]] {
        let output = run_command(command(&environment).args(arguments));
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), message.lines().count()), (Some(2), 1), "{message}");
        assert!(message.starts_with("ottla: ALLOW_PLAINTEXT_LISTENER=no (environment) forbids PLAINTEXT"), "{message}");
    }
}

/// A port that is free at the moment.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn storage_format_with_an_unsupported_authorizer_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("server.properties");
    let data_dir = dir.path().join("data");
    fs::write(&file, format!("authorizer.class.name=com.example.A\nlog.dirs={}\n", data_dir.display())).unwrap();
    for subcommand in [&["format", "-t", "MkU3OEVBNTcwNTJENDM2Qk", "--standalone"][..], &["info"]] {
        let output =
            run_command(command(&[]).arg("kafka-storage").args(subcommand).args(["--config", file.to_str().unwrap()]));
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains("demands an authorizer of its own, and only Kafka's is supported"), "{message}");
    }
    assert!(!data_dir.exists());
}

#[test]
fn embedded_broker_with_an_unsupported_authorizer_is_refused() {
    let refused = ottla::Broker::with().set("authorizer.class.name", "com.example.Authorizer").start().unwrap_err();
    assert!(
        refused.to_string().contains("demands an authorizer of its own, and only Kafka's is supported"),
        "{refused}"
    );
}

#[tokio::test]
async fn dynamic_change_of_a_protecting_setting_is_refused() {
    let broker = Broker::start();
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    for name in ["authorizer.class.name", "security.inter.broker.protocol", "inter.broker.listener.name"] {
        for resource_name in ["", "1"] {
            let config = AlterableConfig { name: name.into(), config_operation: 0, value: Some("SSL".into()) };
            let resource =
                AlterConfigsResource { resource_type: 4, resource_name: resource_name.into(), configs: vec![config] };
            let request = IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
            let response = client.call(request).await.unwrap().responses.remove(0);
            let message = response.error_message.as_deref().unwrap_or_default();
            assert_eq!(message, format!("Cannot update these configs dynamically: [{name}]"), "{name}");
            assert_eq!(response.error_code, 42);
        }
    }
}

/// Settings of Kafka up to 2.8 in place of `listeners`: `host.name=127.0.0.1` allows only local connections.
#[test]
fn old_host_name_and_port_set_the_listener() {
    let check = |given: &[(&str, &str)], expect: &str| {
        let command_line = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let message = match load(&Sources { command_line, ..Sources::default() }) {
            Err(error) => error.to_string(),
            Ok(resolved) => {
                let listener = |listener: &ottla_config::Listener| {
                    let host = match &listener.bind.host {
                        BindHost::Any => "*",
                        BindHost::AnyV4 => "*v4",
                        BindHost::Named(host) => host,
                    };
                    let advertised = &listener.advertised;
                    let port = advertised.port.map_or("?".to_owned(), |port| port.to_string());
                    let advertised = format!("{}:{port}", advertised.host.as_deref().unwrap_or("?"));
                    format!("{} {host}:{} -> {advertised}", listener.name, listener.bind.port)
                };
                let listeners: Vec<_> = resolved.config.listeners.iter().map(listener).collect();
                [listeners, resolved.without_effect].concat().join("; ")
            }
        };
        assert_eq!(message, expect, "{given:?}");
    };
    let host = ("host.name", "127.0.0.1");
    check(&[host], "PLAINTEXT 127.0.0.1:9092 -> 127.0.0.1:?");
    check(&[("hostname", "127.0.0.1"), ("port", "6667")], "PLAINTEXT 127.0.0.1:6667 -> 127.0.0.1:?");
    check(&[("port", "6667")], "PLAINTEXT *:6667 -> ?:?");
    check(&[host, ("port", "0")], "PLAINTEXT 127.0.0.1:0 -> 127.0.0.1:?");
    check(&[("host.name", "::1")], "PLAINTEXT ::1:9092 -> ::1:?");
    check(&[("host.name", "0.0.0.0")], "PLAINTEXT *v4:9092 -> ?:?");
    check(&[("host.name", "")], "PLAINTEXT *:9092 -> ?:?");
    check(&[host, ("advertised.host.name", "kafka")], "PLAINTEXT 127.0.0.1:9092 -> kafka:9092");
    check(&[host, ("advertised.port", "32000")], "PLAINTEXT 127.0.0.1:9092 -> 127.0.0.1:32000");
    check(&[("port", "7"), ("advertised.host.name", "kafka")], "PLAINTEXT *:7 -> kafka:7");
    check(&[("advertised.port", "32000")], "PLAINTEXT *:9092 -> ?:32000");
    // As in Kafka 2.8 the default port is 9092, whatever is advertised.
    let advertised = ("advertised.listeners", "PLAINTEXT://public:19092");
    check(&[host, advertised], "PLAINTEXT 127.0.0.1:9092 -> public:19092");
    check(
        &[host, ("port", "7"), advertised, ("advertised.port", "8")],
        "PLAINTEXT 127.0.0.1:7 -> public:19092; advertised.port",
    );
    let two = ("advertised.listeners", "A://public:1,B://public:2");
    let map = ("listener.security.protocol.map", "A:PLAINTEXT,B:PLAINTEXT");
    check(&[host, two, map], "A 127.0.0.1:1 -> public:1; B 127.0.0.1:2 -> public:2");
    check(&[("port", "7"), two, map], "A *:7 -> public:1; B *:2 -> public:2");
    // As in Kafka 2.8 `listeners` overrides them.
    check(&[("listeners", "PLAINTEXT://:1"), host, ("port", "7")], "PLAINTEXT *:1 -> ?:?; host.name; port");
    check(&[("port", "99999")], "port: the port 99999 is more than 65535");
    check(&[("advertised.port", "x")], "advertised.port: \"x\" is not a port, a number from 0 to 65535");
}

#[test]
fn old_host_name_binds_only_that_address() {
    let broker = Broker::with().set("host.name", "127.0.0.1").start();
    assert!(broker.bootstrap_servers().starts_with("127.0.0.1:"), "{}", broker.bootstrap_servers());
    assert!(TcpStream::connect(("127.0.0.2", broker.port())).is_err());
}

#[test]
fn principal_builder_of_others_is_refused_at_runtime_too() {
    for name in ["principal.builder.class", "listener.name.internal.principal.builder.class"] {
        let validate = |class| ottla_config::validate(Scope::Broker, name, class);
        let refused = validate("com.example.Builder").unwrap_err().to_string();
        let class = "com.example.Builder";
        let why = format!(
            "Invalid value {class} for configuration principal.builder.class: Class {class} could not be found."
        );
        assert_eq!(refused, why, "{name}");
        let known = "org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder";
        validate(known).unwrap();
    }
}
