//! Compose files with TLS and SASL, written for the images that this one replaces, with only the image name changed; and
//! `ottla.secure` in a container. Python clients use them as the documentation of those images says, from a container that
//! shares the broker's network, so that they connect to the addresses that the files advertise.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use common::certificates::{Authority, Issued, Validity};
use libtest_mimic::Trial;
use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};
use rcgen::DnType;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::docker::compose::Project;
use crate::docker::engine::{
    Container, IMAGE, LABEL, Network, docker_available, docker_stdout, print_progress, run_for, stdout_of_success,
};
use crate::harness::trials;

/// An image with Python clients.
pub const CLIENTS_IMAGE: &str = "ottla-test-clients";
/// Where the clients have the files of [`Secrets`].
const MOUNTED: &str = "/secrets";
/// Limit of the clients of one broker, with room for a busy machine.
const TIMEOUT: Duration = Duration::from_secs(180);

/// A directory with an authority, keystores, and the certificate of a client. Every user can read it.
struct Secrets {
    dir: TempDir,
    authority: Authority,
}

impl Secrets {
    fn new() -> Secrets {
        let secrets = Secrets { dir: TempDir::with_prefix("ottla-secrets-").unwrap(), authority: Authority::new() };
        fs::set_permissions(secrets.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        secrets.write("ca.pem", secrets.authority.pem());
        secrets.write("other-ca.pem", Authority::new().pem());
        let client = secrets.authority.client(&[(DnType::CommonName, "client")], Validity::Valid);
        secrets.write("client.pem", &client.certificate);
        secrets.write("client.key", &client.key);
        secrets
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn write(&self, file: &str, content: impl AsRef<[u8]>) {
        let path = self.path().join(file);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    }

    /// Writes a keystore for a broker of these names, and a truststore, in the format that keytool has had since Java 9.
    fn write_stores(&self, names: &[&str], password: &str, keystore: &str, truststore: &str) {
        let Issued { key, der, .. } = self.authority.server(names);
        let certificate = |der: &[u8]| Certificate::from_der(der).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let key = PrivateKey::from_der(key.secret_der()).unwrap();
        let chain = [certificate(&der), certificate(&self.authority.der())];
        let mut store = KeyStore::new();
        store.add_entry("broker", KeyStoreEntry::PrivateKeyChain(PrivateKeyChain::new("1", key, chain)));
        self.write(keystore, store.writer(password).write().unwrap());
        let mut store = KeyStore::new();
        store.add_entry("authority", KeyStoreEntry::Certificate(certificate(&self.authority.der())));
        self.write(truststore, store.writer(password).write().unwrap());
    }
}

/// Runs the Python clients beside a broker's container, and asserts the outcome of all cases.
fn check_clients(container: &str, secrets: &Path, cases: &[Value]) {
    build_clients_image();
    let (network, mount) = (format!("--network=container:{container}"), format!("{}:{MOUNTED}:ro", secrets.display()));
    let cases_as_text = Value::from(cases).to_string();
    let mut command = Command::new("docker");
    command.args(["run", "--rm", "--label", LABEL, &network, "--volume", &mount, CLIENTS_IMAGE]);
    command.args(["python3", "/secured.py", &cases_as_text]);
    let output = stdout_of_success(run_for(&mut command, TIMEOUT));
    let mut lines = output.lines();
    for case in cases {
        let expect = if case["refused"] == true { "refused" } else { "ok" };
        for client in ["kafka_python", "confluent"] {
            let line = format!("{}\t{client}\t{expect}", case["name"].as_str().unwrap());
            assert_eq!(lines.next(), Some(line.as_str()), "{output}");
        }
    }
}

/// Builds the image with Python clients, once per engine.
fn build_clients_image() {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/external/docker/clients");
        print_progress("building an image with Python clients");
        let mut build = Command::new("docker");
        build.args(["build", "--quiet", "--tag", CLIENTS_IMAGE]).arg(folder);
        stdout_of_success(run_for(&mut build, Duration::from_secs(600)));
    });
}

/// The case with more keys.
fn with(case: &Value, more: Value) -> Value {
    let mut case = case.clone();
    case.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    case
}

/// Starts the services of an example. Only ports, which may be in use, and the place of the secrets are replaced.
fn start(example: &str, service: &str, volumes: &[String]) -> Project {
    let replaced = json!({ "services": { service: { "image": IMAGE, "volumes": volumes } } }).to_string();
    let (open, close) = replaced.split_once("\"image\"").unwrap();
    // Compose's tag to replace a list is not JSON.
    let project =
        Project::up(&format!("examples/{example}"), &format!("{open}\"ports\": !override [], \"image\"{close}"));
    project.wait_until_ready(service);
    project.wait_until_healthy(service);
    let log = project.logs(service);
    assert!(!log.contains("WARN"), "{log}");
    assert!(["abcdefgh", "-secret", "password123"].iter().all(|secret| !log.contains(secret)), "{log}");
    project
}

fn ca() -> String {
    format!("{MOUNTED}/ca.pem")
}

/// A client with a certificate, and what clients without one or with another authority get.
fn cases_of_ssl(address: &str) -> Vec<Value> {
    let without =
        json!({ "name": "no certificate", "address": address, "protocol": "SSL", "ca": ca(), "refused": true });
    let good = json!({ "name": address, "certificate": format!("{MOUNTED}/client"), "refused": false });
    let good = with(&without, good);
    let other = json!({ "name": "other authority", "ca": format!("{MOUNTED}/other-ca.pem"), "refused": true });
    vec![good.clone(), without, with(&good, other)]
}

fn secrets_of_apache_kafka() -> Secrets {
    let secrets = Secrets::new();
    secrets.write_stores(&["localhost", "broker"], "abcdefgh", "kafka01.keystore.jks", "kafka.truststore.jks");
    for file in ["kafka_keystore_creds", "kafka_ssl_key_creds", "kafka_truststore_creds"] {
        secrets.write(file, "abcdefgh\n");
    }
    secrets
}

fn ssl_example_of_apache_kafka_serves_clients_with_a_certificate() {
    if !docker_available() {
        return;
    }
    let secrets = secrets_of_apache_kafka();
    let volume = format!("{}:/etc/kafka/secrets:ro", secrets.path().display());
    let project = start("apache-kafka-ssl.yaml", "broker", &[volume]);
    let mut cases = cases_of_ssl("localhost:9093");
    cases.push(with(&cases[0], json!({ "name": "broker:19093", "address": "broker:19093" })));
    check_clients(&project.container("broker"), secrets.path(), &cases);
}

fn file_input_example_of_apache_kafka_native_serves_clients_with_a_certificate() {
    if !docker_available() {
        return;
    }
    let secrets = secrets_of_apache_kafka();
    let volume = format!("{}:/etc/kafka/secrets:ro", secrets.path().display());
    let project = start("apache-kafka-native-ssl.yaml", "broker", &[volume]);
    let mut cases = cases_of_ssl("localhost:9093");
    cases.push(json!({ "name": "plain", "address": "localhost:9092", "protocol": "PLAINTEXT" }));
    check_clients(&project.container("broker"), secrets.path(), &cases);
}

/// A user with a password, and what a wrong password gets.
fn cases_of_sasl(good: &Value) -> Vec<Value> {
    vec![good.clone(), with(good, json!({ "name": "wrong password", "password": "wrong", "refused": true }))]
}

fn sasl_example_of_apache_kafka_serves_its_users() {
    if !docker_available() {
        return;
    }
    let secrets = Secrets::new();
    let project = start("apache-kafka-sasl.yaml", "broker", &[]);
    let mut cases = cases_of_sasl(&json!({ "name": "alice", "address": "localhost:9094", "protocol": "SASL_PLAINTEXT",
        "mechanism": "PLAIN", "user": "alice", "password": "alice-secret" }));
    let admin = json!({ "name": "admin", "address": "broker:19094", "user": "admin", "password": "admin-secret" });
    cases.push(with(&cases[0], admin));
    check_clients(&project.container("broker"), secrets.path(), &cases);
}

fn ssl_example_of_confluent_serves_clients_without_a_certificate() {
    if !docker_available() {
        return;
    }
    let secrets = Secrets::new();
    let stores = ("kafka.broker1.keystore.jks", "kafka.broker1.truststore.jks");
    secrets.write_stores(&["localhost"], "confluent", stores.0, stores.1);
    for file in ["broker1_keystore_creds", "broker1_sslkey_creds", "broker1_truststore_creds"] {
        secrets.write(file, "confluent\n");
    }
    let volume = format!("{}:/etc/kafka/secrets:ro", secrets.path().display());
    let project = start("confluent-ssl.yaml", "kafka-ssl-1", &[volume]);
    let good = json!({ "name": "tls", "address": "localhost:19092", "protocol": "SSL", "ca": ca() });
    let other = json!({ "name": "other authority", "ca": format!("{MOUNTED}/other-ca.pem"), "refused": true });
    check_clients(&project.container("kafka-ssl-1"), secrets.path(), &[good.clone(), with(&good, other)]);
}

fn sasl_example_of_confluent_serves_its_users_and_tokens() {
    if !docker_available() {
        return;
    }
    let secrets = Secrets::new();
    // Its listener with unsigned tokens is a warning.
    let project = Project::up(
        "examples/confluent-sasl.yaml",
        &format!("services: {{broker: {{image: \"{IMAGE}\", ports: !override []}}}}"),
    );
    project.wait_until_ready("broker");
    project.wait_until_healthy("broker");
    let mut cases = cases_of_sasl(&json!({ "name": "mds", "address": "broker:9093", "protocol": "SASL_PLAINTEXT",
        "mechanism": "PLAIN", "user": "mds", "password": "mds-secret" }));
    cases.push(json!({ "name": "token", "address": "localhost:9095", "protocol": "SASL_PLAINTEXT",
        "mechanism": "OAUTHBEARER", "user": "someone" }));
    let mechanism = json!({ "name": "other mechanism", "address": "localhost:9095", "refused": true });
    cases.push(with(&cases[0], mechanism));
    cases.push(json!({ "name": "plain", "address": "localhost:9092", "protocol": "PLAINTEXT" }));
    check_clients(&project.container("broker"), secrets.path(), &cases);
}

fn cases_of_bitnami() -> Vec<Value> {
    let user = json!({ "name": "PLAIN", "address": "localhost:9092", "protocol": "SASL_SSL", "ca": ca(),
        "mechanism": "PLAIN", "user": "user", "password": "password" });
    let mut cases = cases_of_sasl(&user);
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
        cases.push(with(&user, json!({ "name": mechanism, "mechanism": mechanism })));
    }
    let broker = json!({ "name": "user of brokers", "user": "inter_broker_user", "password": "inter_broker_password" });
    cases.push(with(&user, broker));
    let default = json!({ "name": "the image's default password", "password": "bitnami", "refused": true });
    cases.push(with(&user, default));
    cases
}

fn example_of_bitnami_serves_its_users_over_tls_with_jks() {
    if !docker_available() {
        return;
    }
    let secrets = Secrets::new();
    secrets.write_stores(&["localhost"], "certificatePassword123", "kafka.keystore.jks", "kafka.truststore.jks");
    let mount = |file: &str| format!("{}/{file}:/opt/bitnami/kafka/config/certs/{file}:ro", secrets.path().display());
    let volumes = [mount("kafka.keystore.jks"), mount("kafka.truststore.jks")];
    let project = start("bitnami-sasl-ssl.yaml", "kafka", &volumes);
    check_clients(&project.container("kafka"), secrets.path(), &cases_of_bitnami());
}

/// As the comment in the example says.
fn example_of_bitnami_serves_its_users_over_tls_with_pem() {
    if !docker_available() {
        return;
    }
    let secrets = Secrets::new();
    let Issued { certificate, key, .. } = secrets.authority.server(&["localhost"]);
    secrets.write("kafka.keystore.pem", certificate);
    secrets.write("kafka.keystore.key", key);
    secrets.write("kafka.truststore.pem", secrets.authority.pem());
    let mount = format!("{}:/bitnami/kafka/config/certs:ro", secrets.path().display());
    let replaced = format!(
        "services:\n  kafka:\n    image: {IMAGE}\n    ports: !override []\n    volumes: !override [\"{mount}\"]\n    \
         environment: [KAFKA_TLS_TYPE=PEM, KAFKA_CERTIFICATE_PASSWORD=]\n"
    );
    let project = Project::up("examples/bitnami-sasl-ssl.yaml", &replaced);
    project.wait_until_ready("kafka");
    project.wait_until_healthy("kafka");
    check_clients(&project.container("kafka"), secrets.path(), &cases_of_bitnami());
}

/// `ottla.secure` by the environment: the certificate has the names of the container, and the folder has what clients need.
fn secure_container_serves_clients_by_its_names() {
    if !docker_available() {
        return;
    }
    let (network, dir) = (Network::new(), TempDir::with_prefix("ottla-secrets-").unwrap());
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let broker = Container::ready(&[
        &network.option(),
        "--hostname=own-name",
        "--network-alias=kafka",
        "--env=KAFKA_OTTLA_SECURE=true",
        "--env=KAFKA_OTTLA_USERS=ann:secret",
        "--env=KAFKA_OTTLA_SECURE_HOSTS=kafka",
        "--env=KAFKA_OTTLA_SECURE_DIR=/secure",
        &format!("--volume={}:/secure", dir.path().display()),
    ]);
    broker.wait_until_healthy();
    let mut cases = Vec::new();
    for host in ["localhost", "own-name", "kafka"] {
        let tls = json!({ "name": format!("{host} SSL"), "address": format!("{host}:9093"), "protocol": "SSL",
            "ca": ca() });
        let login = json!({ "name": host, "address": format!("{host}:9094"), "protocol": "SASL_SSL",
            "mechanism": "SCRAM-SHA-512", "user": "ann", "password": "secret" });
        cases.extend([tls.clone(), with(&tls, login)]);
    }
    cases.push(with(&cases[1], json!({ "name": "wrong password", "password": "wrong", "refused": true })));
    check_clients(&broker.name, dir.path(), &cases);
    // The folder's files belong to the user of the container.
    docker_stdout(&["exec", &broker.name, "sh", "-c", "rm -r /secure/*"]);
}

pub fn tests() -> Vec<Trial> {
    trials![
        plain:
            ssl_example_of_apache_kafka_serves_clients_with_a_certificate,
            file_input_example_of_apache_kafka_native_serves_clients_with_a_certificate,
            sasl_example_of_apache_kafka_serves_its_users,
            ssl_example_of_confluent_serves_clients_without_a_certificate,
            sasl_example_of_confluent_serves_its_users_and_tokens,
            example_of_bitnami_serves_its_users_over_tls_with_jks,
            example_of_bitnami_serves_its_users_over_tls_with_pem,
            secure_container_serves_clients_by_its_names
    ]
}
