//! `ottla redpanda start`, with the files and requests of Testcontainers' modules for Redpanda.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ottla::client::{Client, ClientError, ClientOptions, Sasl, Scram};
use serde_json::{Value, json};
use tempfile::TempDir;

use common::{Ready, command, wait_until};

/// Longer than any response takes.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A broker with SASL at one of two listeners, an authorizer, and passwords at the schema registry and the REST proxy.
const NODE: &str = "# Injected by testcontainers
redpanda:
  data_directory: DIRECTORY/data
  admin:
    address: 127.0.0.1
    port: 0
  kafka_api:
    - address: 127.0.0.1
      name: external
      port: 0
      authentication_method: sasl
    - address: localhost
      name: my-panda
      port: 0
      authentication_method: none
schema_registry:
  schema_registry_api:
  - address: 127.0.0.1
    name: main
    port: 0
    authentication_method: http_basic
pandaproxy:
  pandaproxy_api:
    - address: 127.0.0.1
      port: 0
      name: main
      authentication_method: http_basic
";
const BOOTSTRAP: &str = "superusers:\n  - ann\nkafka_enable_authorization: true\nauto_create_topics_enabled: true\n";

/// A process that was started with Redpanda's arguments.
struct Started {
    process: Child,
    ready: Ready,
    dir: TempDir,
}

impl Started {
    fn new(node: &str, bootstrap: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Started {
        let dir = TempDir::with_prefix("ottla-test-").unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("redpanda.yaml"), node.replace("DIRECTORY", dir.path().to_str().unwrap())).unwrap();
        fs::write(path(".bootstrap.yaml"), bootstrap).unwrap();
        let file = |name: &str| File::create(path(name)).unwrap();
        let mut start = command(&[]);
        start.envs(environment.iter().copied());
        start.args(["redpanda", "start", "--config"]).arg(path("redpanda.yaml")).args(arguments);
        start.arg("--ready-file").arg(path("ready")).stdin(Stdio::null()).stdout(file("out")).stderr(file("err"));
        let mut started = Started { process: start.spawn().unwrap(), ready: Ready::default(), dir };
        wait_until("the broker to be ready", || {
            assert_eq!(started.process.try_wait().unwrap(), None, "{}", started.read("err"));
            path_exists(&started, "ready")
        });
        started.ready = serde_json::from_str(&started.read("ready")).unwrap();
        started
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.dir.path().join(name)).unwrap()
    }

    /// The URL of the REST proxy in the start line.
    fn rest_proxy(&self) -> String {
        let log = self.read("err");
        let (_, rest) = log.split_once("REST proxy ").expect("a REST proxy");
        rest.split(',').next().unwrap().to_owned()
    }

    fn client_options(user: &str, password: &str) -> ClientOptions {
        let (user, password) = (user.to_owned(), password.to_owned());
        let sasl = Sasl::Scram { mechanism: Scram::Sha256, user, password, by_token: false };
        ClientOptions { sasl: Some(sasl), ..Default::default() }
    }

    async fn connect(&self, user: &str, password: &str) -> Result<Client, ClientError> {
        Client::connect_with(&self.ready.listeners["EXTERNAL"], Started::client_options(user, password)).await
    }
}

fn path_exists(started: &Started, name: &str) -> bool {
    Path::exists(&started.dir.path().join(name))
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Sends one request, and returns the status and the body of its response.
fn http(url: &str, line: &str, login: Option<&str>, body: Option<&Value>) -> (u16, Value) {
    let host = url.strip_prefix("http://").unwrap();
    let mut request = format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    if let Some(login) = login {
        request += &format!("Authorization: Basic {}\r\n", STANDARD.encode(login));
    }
    let body = body.map(Value::to_string).unwrap_or_default();
    if !body.is_empty() {
        request += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    }
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.write_all(format!("{request}\r\n{body}").as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

#[tokio::test]
async fn users_of_the_admin_api_log_in_to_kafka_and_to_the_schema_registry() {
    let started = Started::new(NODE, BOOTSTRAP, &["--mode=dev-container", "--smp=1", "--memory=1G"], &[]);
    let admin = started.ready.admin_url.clone().unwrap();
    let user = |name: &str, password: &str, algorithm: &str| json!({"username": name, "password": password, "algorithm": algorithm});
    let post = |body: &Value| http(&admin, "POST /v1/security/users", None, Some(body));
    assert_eq!(post(&user("ann", "secret", "SCRAM-SHA-256")), (200, json!({})));
    assert_eq!(post(&user("ann", "secret", "SCRAM-SHA-256")), (200, json!({})), "again");
    assert_eq!(post(&user("bob", "other", "SCRAM-SHA-256")).0, 200);
    let (status, refused) = post(&user("ann", "another", "SCRAM-SHA-256"));
    assert_eq!((status, &refused["code"]), (400, &json!(400)), "{refused}");
    assert_eq!(post(&user("eve", "x", "PLAIN")).0, 400);
    assert_eq!(http(&admin, "GET /v1/security/users", None, None), (200, json!(["ann", "bob"])));

    let ann = started.connect("ann", "secret").await.unwrap();
    ann.create_topic("orders", 1, &[]).await.unwrap();
    let bob = started.connect("bob", "other").await.unwrap();
    let refused = bob.create_topic("others", 1, &[]).await.unwrap_err();
    assert!(refused.to_string().contains("TOPIC_AUTHORIZATION_FAILED"), "{refused}");
    assert!(started.connect("ann", "wrong").await.is_err());

    let registry = started.ready.schema_registry_url.clone().unwrap();
    let proxy = started.rest_proxy();
    for (url, line, of_ann, of_bob) in [
        (&registry, "GET /subjects", json!([]), json!([])),
        (&proxy, "GET /topics", json!(["orders"]), json!([])),
        (&proxy, "GET /brokers", json!({"brokers": [1]}), json!({"brokers": [1]})),
    ] {
        assert_eq!(http(url, line, Some("ann:secret"), None), (200, of_ann), "{line}");
        assert_eq!(http(url, line, Some("bob:other"), None), (200, of_bob), "{line}");
        for login in [None, Some("ann:wrong"), Some("eve:secret"), Some("ann")] {
            assert_eq!(http(url, line, login, None).0, 401, "{line} {login:?}");
        }
    }
    assert_eq!(http(&proxy, "POST /topics/orders", Some("ann:secret"), Some(&json!({}))).0, 404);

    let password = json!({"password": "new", "algorithm": "SCRAM-SHA-512"});
    assert_eq!(http(&admin, "PUT /v1/security/users/bob", None, Some(&password)).0, 200);
    assert_eq!(http(&registry, "GET /subjects", Some("bob:other"), None).0, 401);
    assert_eq!(http(&registry, "GET /subjects", Some("bob:new"), None).0, 200);
    assert_eq!(http(&admin, "PUT /v1/security/users/eve", None, Some(&password)).0, 404);
    assert_eq!(http(&admin, "DELETE /v1/security/users/bob", None, None), (200, json!({})));
    assert_eq!(http(&admin, "DELETE /v1/security/users/bob", None, None), (200, json!({})), "again");
    assert_eq!(http(&registry, "GET /subjects", Some("bob:new"), None).0, 401);
    assert_eq!(http(&admin, "GET /v1/security/users", None, None), (200, json!(["ann"])));

    // What test libraries wait for, and health checks request.
    let lines = started.read("out");
    assert!(lines.contains("Started Kafka API server") && lines.contains("Successfully started Redpanda!"), "{lines}");
    for (path, status) in [
        ("/", 404),
        ("/v1", 200),
        ("/v1/status/ready", 200),
        ("/v1/cluster/health_overview", 200),
        ("/v1/brokers", 200),
    ] {
        assert_eq!(http(&admin, &format!("GET {path}"), None, None).0, status, "{path}");
    }
    assert!(started.read("err").contains("flags and properties of Redpanda without effect: --smp, --memory"));
    let plain = Client::connect(&started.ready.listeners["MY-PANDA"]).await.unwrap();
    assert!(plain.metadata(None).await.unwrap().topics.is_empty(), "an anonymous client sees no topic");
}

#[test]
fn admin_api_with_passwords_admits_superusers_alone() {
    let node = "redpanda: {data_directory: DIRECTORY/data, admin: {address: 127.0.0.1, port: 0}, \
                kafka_api: {address: 127.0.0.1, port: 0}}";
    let bootstrap = "superusers: [root]\nadmin_api_require_auth: true\n";
    let started = Started::new(node, bootstrap, &[], &[("RP_BOOTSTRAP_USER", "root:se:cret:SCRAM-SHA-256")]);
    let admin = started.ready.admin_url.clone().unwrap();
    let bob = json!({"username": "bob", "password": "other", "algorithm": "SCRAM-SHA-256"});
    assert_eq!(http(&admin, "POST /v1/security/users", Some("root:se:cret"), Some(&bob)).0, 200);
    for (path, login, status) in [
        // By which Go's module sees that it runs.
        ("/", None, 404),
        ("/health", None, 200),
        ("/v1/security/users", None, 401),
        ("/v1/security/users", Some("root:secret"), 401),
        ("/v1/security/users", Some("bob:other"), 401),
        ("/v1/security/users", Some("root:se:cret"), 200),
        ("/ready", Some("bob:other"), 401),
    ] {
        assert_eq!(http(&admin, &format!("GET {path}"), login, None).0, status, "{path} {login:?}");
    }
    assert_eq!(started.ready.schema_registry_url, None, "the file has no such section");
}
