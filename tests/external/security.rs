//! Clients over TLS and SASL with every mechanism that they have: they produce and consume, and their errors are those that
//! Apache Kafka brings about.
//!
//! One program for each language prints a line for each case. `tests/data/client-security-answers.tsv` has the lines of
//! the same programs at Apache Kafka 4.3.1, and `client-security-departures.tsv` where Ottla differs, and why. A case can
//! have several answers: some clients read the last bytes of a closed connection only sometimes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::Broker;
use common::certificates::{Authority, Issued, Validity};
use common::python_env::{Environment, PINNED_OLD, TODAY};
use libtest_mimic::Trial;
use rcgen::DnType;
use tempfile::TempDir;

use crate::go::{go_is_installed, write_module};
use crate::harness::{skip, trials};
use crate::java::{Java, java, jvm, run as run_to_end};
use crate::python::{python_of, run as run_python};

const ANSWERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/client-security-answers.tsv");
const DEPARTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/client-security-departures.tsv");
/// An old Java client that can use certificates as PEM, which came with 2.7 (KIP-651).
const OLD_JAVA: &str = "2.8.2";
const KAFKAJS: &str = "2.2.4";
/// Listeners and their protocols, in the order of their ports.
const LISTENERS: [(&str, &str); 8] = [
    ("PLAINTEXT", "PLAINTEXT"),
    ("SSL", "SSL"),
    // Demands a certificate.
    ("MTLS", "SSL"),
    // Its own certificate has expired.
    ("EXPIRED", "SSL"),
    ("SASL_PLAINTEXT", "SASL_PLAINTEXT"),
    ("SASL_SSL", "SASL_SSL"),
    // With one mechanism alone.
    ("SCRAM_ONLY", "SASL_PLAINTEXT"),
    // Clients have to authenticate again every 4 seconds.
    ("SHORT_SESSIONS", "SASL_PLAINTEXT"),
];
const MODULES: &str = "org.apache.kafka.common.security";

/// A broker with all listeners, and a directory with the certificates and the listeners' addresses.
struct Secured {
    dir: TempDir,
    broker: Broker,
}

impl Secured {
    fn start() -> Secured {
        let dir = TempDir::with_prefix("ottla-security-").unwrap();
        write_certificates(dir.path());
        let broker = start_broker(dir.path());
        let addresses = listening(&broker);
        let lines: String =
            LISTENERS.iter().zip(addresses).map(|((name, _), address)| format!("{name}={address}\n")).collect();
        fs::write(dir.path().join("addresses"), lines).unwrap();
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
            let user = format!("{mechanism}=[iterations=4096,password=alice-secret]");
            let at = ["kafka-configs", "--bootstrap-server", broker.bootstrap_servers(), "--alter"];
            let change = ["--entity-type", "users", "--entity-name", "alice", "--add-config", &user];
            let output = common::run(&[&at[..], &change].concat());
            assert!(output.status.success(), "{output:?}");
        }
        Secured { dir, broker }
    }

    fn path(&self) -> String {
        self.dir.path().display().to_string()
    }
}

fn write_certificates(dir: &Path) {
    let (authority, other) = (Authority::new(), Authority::new());
    let name = |name| [(DnType::CommonName, name)];
    fs::write(dir.join("authority.pem"), authority.pem()).unwrap();
    fs::write(dir.join("other-authority.pem"), other.pem()).unwrap();
    authority.server(&["localhost"]).write(&dir.join("broker.pem"));
    let expired = authority.issue(&name("localhost"), &["localhost"], Validity::Expired);
    expired.write(&dir.join("expired-broker.pem"));
    let write = |file: &str, issued: Issued| {
        fs::write(dir.join(format!("{file}.pem")), issued.certificate).unwrap();
        fs::write(dir.join(format!("{file}.key")), issued.key).unwrap();
    };
    write("client", authority.client(&name("client"), Validity::Valid));
    write("untrusted", other.client(&name("client"), Validity::Valid));
    write("expired", authority.client(&name("client"), Validity::Expired));
}

fn start_broker(dir: &Path) -> Broker {
    let file = |name: &str| dir.join(name).display().to_string();
    let join = |part: fn(&(&str, &str)) -> String| LISTENERS.iter().map(part).collect::<Vec<_>>().join(",");
    let mut options = Broker::with()
        .set("listeners", &join(|(name, _)| format!("{name}://localhost:0")))
        .set("listener.security.protocol.map", &join(|(name, protocol)| format!("{name}:{protocol}")))
        .set("ssl.keystore.type", "PEM")
        .set("ssl.keystore.location", &file("broker.pem"))
        .set("ssl.truststore.type", "PEM")
        .set("ssl.truststore.location", &file("authority.pem"))
        .set("listener.name.mtls.ssl.client.auth", "required")
        .set("listener.name.expired.ssl.keystore.location", &file("expired-broker.pem"))
        .set("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER")
        .set("listener.name.scram_only.sasl.enabled.mechanisms", "SCRAM-SHA-256")
        .set("delegation.token.secret.key", "key of tokens")
        .set("connection.failed.authentication.delay.ms", "100");
    for mechanism in ["plain", "scram-sha-256"] {
        options = options.set(&format!("listener.name.short_sessions.{mechanism}.connections.max.reauth.ms"), "4000");
    }
    for listener in ["sasl_plaintext", "sasl_ssl", "short_sessions"] {
        options = options
            .set(
                &format!("listener.name.{listener}.plain.sasl.jaas.config"),
                &format!("{MODULES}.plain.PlainLoginModule required user_alice=\"alice-secret\";"),
            )
            .set(
                &format!("listener.name.{listener}.oauthbearer.sasl.jaas.config"),
                &format!("{MODULES}.oauthbearer.OAuthBearerLoginModule required;"),
            );
    }
    options.start()
}

/// The addresses to connect to, in the order of the listeners.
fn listening(broker: &Broker) -> Vec<String> {
    broker.wait_for_log("connect to ");
    let log = broker.log();
    let (_, addresses) = log.split_once("connect to ").unwrap();
    let (addresses, _) = addresses.split_once(", data in").unwrap();
    let addresses: Vec<_> = addresses.split(", ").map(str::to_owned).collect();
    assert_eq!(addresses.len(), LISTENERS.len(), "{addresses:?}");
    addresses
}

/// The three columns of the lines of a table or an output.
fn rows(text: &str) -> BTreeSet<(&str, &str, &str)> {
    text.lines()
        .filter_map(|line| {
            let mut columns = line.split('\t');
            Some((columns.next()?, columns.next()?, columns.next()?))
        })
        .collect()
}

/// Asserts that these clients printed a line for each case that the tables have for them, and no other answers.
fn check(output: &str, clients: &[&str]) {
    let [answers, departures] = [ANSWERS, DEPARTURES].map(|file| fs::read_to_string(file).unwrap());
    let (found, mut allowed) = (rows(output), rows(&answers));
    allowed.extend(rows(&departures));
    allowed.retain(|(client, ..)| clients.contains(&client.split_whitespace().next().unwrap_or_default()));
    let versions: BTreeSet<_> = found.iter().map(|(client, ..)| *client).collect();
    let wrong: Vec<_> = found.iter().filter(|row| !allowed.contains(*row)).collect();
    assert!(wrong.is_empty(), "other answers than Apache Kafka's:\n{wrong:#?}");
    let cases = |rows: &BTreeSet<(_, &str, _)>| -> BTreeSet<_> {
        rows.iter()
            .filter(|(client, ..)| versions.contains(client))
            .map(|(client, case, _)| format!("{client}: {case}"))
            .collect()
    };
    assert_eq!(cases(&found), cases(&allowed), "{output}");
    assert_eq!(versions.len(), clients.len(), "{output}");
}

fn python(environment: &Environment, clients: &[&str]) {
    let Some(python) = python_of(environment) else { return };
    let secured = Secured::start();
    let directory = secured.path();
    let arguments = [&[&*directory], clients].concat();
    check(&run_python(&python, "security_clients", &secured.broker, &arguments), clients);
}

fn python_pinned_old() {
    python(&PINNED_OLD, &["kafka-python", "confluent-kafka", "aiokafka"]);
}

fn python_today() {
    python(&TODAY, &["kafka-python", "confluent-kafka", "aiokafka", "faust-streaming"]);
}

fn java_today_and_old() {
    let Some(java) = java() else { return };
    let secured = Secured::start();
    let classes = java.classes("security", &[&java.libs(OLD_JAVA)]);
    let old = [java.libs(OLD_JAVA), java.libs("shared"), jackson(java)].join(":");
    for libraries in [java.libs("today"), old] {
        let mut program = jvm(&format!("{classes}:{libraries}"));
        check(&run_to_end(program.arg("Security").arg(secured.path())), &["Java"]);
    }
}

/// The library that old clients need for tokens, from those of today.
fn jackson(java: &Java) -> String {
    let libraries = java.libs("today");
    let files = fs::read_dir(libraries.trim_end_matches('*')).unwrap().map(|entry| entry.unwrap().path());
    let wanted = ["jackson-annotations", "jackson-core", "jackson-databind"];
    let is_wanted = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        wanted.iter().any(|start| name.starts_with(start))
    };
    files.filter(is_wanted).map(|file| file.display().to_string()).collect::<Vec<_>>().join(":")
}

fn franz_go() {
    if !go_is_installed() {
        return;
    }
    let secured = Secured::start();
    let module = TempDir::with_prefix("ottla-go-").unwrap();
    write_module(module.path(), "security");
    fs::write(module.path().join("main.go"), include_str!("go/security.go")).unwrap();
    let mut program = Command::new("go");
    check(&run_to_end(program.args(["run", "."]).arg(secured.path()).current_dir(module.path())), &["franz-go"]);
}

fn kafkajs() {
    if ["node", "npm"].iter().any(|program| Command::new(program).arg("--version").output().is_err()) {
        skip("node", "Node.js is missing: install Node.js 18 or later, with npm");
        return;
    }
    let secured = Secured::start();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let modules = target.join(format!("node/kafkajs-{KAFKAJS}"));
    if !modules.join("node_modules/kafkajs").exists() {
        fs::create_dir_all(&modules).unwrap();
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--no-save", "--prefix"]).arg(&modules);
        run_to_end(npm.arg(format!("kafkajs@{KAFKAJS}")));
    }
    let mut program = Command::new("node");
    program.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/external/node/security.js")).arg(secured.path());
    check(&run_to_end(program.env("NODE_PATH", modules.join("node_modules"))), &["KafkaJS"]);
}

pub fn tests() -> Vec<Trial> {
    trials![plain: python_pinned_old, python_today, java_today_and_old, franz_go, kafkajs]
}
