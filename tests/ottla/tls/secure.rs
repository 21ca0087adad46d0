//! `--secure`: listeners, certificates, client configurations and the OIDC issuer that need no other setting.

use std::fs;
use std::net::ToSocketAddrs as _;
use std::os::unix::fs::PermissionsExt as _;

use common::{command, run, run_command};
use ottla_core::security::bearer::{Jwks, JwtSettings};
use serde_json::Value;

use super::*;
use crate::admin::http::{Answer, request, send};

fn secure() -> Options {
    Broker::with().secure("ann", "secret, with a comma")
}

/// The settings of a client that trusts the broker's authority.
fn trusting(broker: &Broker) -> ClientConfig {
    let pem = fs::read(broker.ready().ca.as_ref().unwrap()).unwrap();
    client_config(&CertificateDer::from_pem_slice(&pem).unwrap(), None, rustls::ALL_VERSIONS)
}

fn listener(broker: &Broker, name: &str) -> SocketAddr {
    broker.ready().listeners[name].to_socket_addrs().unwrap().next().unwrap()
}

#[test]
fn secure_broker_serves_tls_on_ports_of_their_own_and_announces_them() {
    let broker = secure().start();
    assert_eq!(broker.ready().listeners.keys().collect::<Vec<_>>(), ["PLAINTEXT", "SASL_SSL", "SSL"]);
    connect(listener(&broker, "SSL"), trusting(&broker)).unwrap();
    connect(listener(&broker, "SASL_SSL"), trusting(&broker)).unwrap();
    let stranger = client_config(&Authority::new().der(), None, rustls::ALL_VERSIONS);
    connect(listener(&broker, "SSL"), stranger).unwrap_err();
    let dir = broker.ready().secure_dir.clone().unwrap();
    assert_eq!(dir, broker.data_dir());
    broker.wait_for_log(&format!("certificates and client configurations in {}", dir.display()));
    assert!(!broker.log().contains("with a comma"), "the log has a password");
    let made = ["pem", "key", "json", "js", "properties"];
    let is_made = |entry: &fs::DirEntry| entry.path().extension().is_some_and(|end| made.iter().any(|one| end == *one));
    let files: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap()).filter(is_made).collect();
    assert!(files.len() > 8, "{files:?}");
    for entry in files {
        let (name, text) = (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap());
        let is_secret = text.contains("PRIVATE KEY") || text.contains("with a comma");
        let mode = entry.metadata().unwrap().permissions().mode() & 0o077;
        assert!(!is_secret || mode == 0, "{name} can be read by others: {mode:o}");
    }
}

#[test]
fn restarted_secure_broker_keeps_certificates_and_users() {
    // A restarted broker has its first port again; the others are free ones.
    let listeners = "PLAINTEXT://127.0.0.1:0,SSL://127.0.0.1:0,SASL_SSL://127.0.0.1:0";
    let mut broker = secure().set("listeners", listeners).start();
    let trust = trusting(&broker);
    let ca = fs::read(broker.ready().ca.as_ref().unwrap()).unwrap();
    broker.restart();
    assert_eq!(fs::read(broker.ready().ca.as_ref().unwrap()).unwrap(), ca);
    connect(listener(&broker, "SSL"), trust).unwrap();
    let users = fs::read(broker.data_dir().join("__cluster_metadata-0/00000000000000000000.log")).unwrap();
    let count = users.windows(3).filter(|window| *window == b"ann").count();
    assert_eq!(count, 2, "one credential for each mechanism of SCRAM, written once");
}

#[test]
fn secure_setting_of_a_container_adds_names_and_keeps_given_listeners() {
    let broker = Broker::with()
        .env("KAFKA_OTTLA_SECURE", "true")
        .env("KAFKA_OTTLA_SECURE_HOSTS", "kafka")
        .env("KAFKA_OTTLA_USERS", "ann:secret")
        .start();
    let pem = fs::read(broker.ready().secure_dir.as_ref().unwrap().join("server.pem")).unwrap();
    let der = CertificateDer::from_pem_slice(&pem).unwrap();
    assert!(der.windows(5).any(|window| window == b"kafka"));
    assert_eq!(broker.ready().listeners.len(), 3);
}

#[test]
fn secure_broker_with_unusable_settings_is_refused_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().display().to_string();
    fs::write(dir.path().join("file"), "").unwrap();
    for (arguments, expect) in [
        (&["--user", "ann"][..], "ottla.users: user 1 is not name:password"),
        (&["--user", "ann:a", "--user", "ann:b"], "ottla.users: the name of user 2 is listed twice"),
        (&["--set", "ottla.secure=perhaps"], "ottla.secure"),
        (&["--set", &format!("ottla.secure.dir={data}/file")], "cannot make the folder"),
        (&["--set", "ottla.oidc.issuer.enable=true"], "ottla.oidc.issuer.enable=true needs the admin port"),
    ] {
        let output = run(&[&["--secure", "--port", "0", "--data-dir", &data], arguments].concat());
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), text.lines().count()), (Some(2), 1), "{arguments:?}: {text}");
        assert!(text.contains(expect), "{arguments:?}: {text}");
    }
    let output = run_command(command(&[("KAFKA_OTTLA_USERS".to_owned(), "secret".to_owned())]).args(["--port", "0"]));
    assert_eq!(output.status.code(), Some(2));
    assert!(!String::from_utf8_lossy(&output.stderr).contains("secret"));
}

fn post_token(broker: &Broker, authorization: &str, form: &str) -> Answer {
    let host = crate::admin::http::address(broker);
    send(
        broker,
        &format!(
            "POST /oauth/token HTTP/1.1\r\nHost: {host}\r\n{authorization}Content-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{form}",
            form.len()
        ),
    )
}

#[test]
fn issuer_gives_tokens_to_users_alone() {
    let broker = Broker::with().secure("ann", "a&b").arg("--admin-port").arg("0").start();
    let discovery = request(&broker, "GET", "/.well-known/openid-configuration", &[]).body;
    let url = broker.ready().admin_url.clone().unwrap();
    assert_eq!(discovery["token_endpoint"], format!("{url}/oauth/token"));
    let keys = Jwks::parse(request(&broker, "GET", "/oauth/jwks", &[]).body.to_string().as_bytes()).unwrap();
    // ann:a&b
    let (basic, grant) = ("Authorization: Basic YW5uOmEmYg==\r\n", "grant_type=client_credentials");
    let settings = JwtSettings {
        expected_issuer: Some(url),
        expected_audience: vec!["orders".to_owned()],
        ..JwtSettings::default()
    };
    let now = ottla_broker::clock::wall_clock_ms();
    let validate = |answer: &Answer| {
        let token = answer.body["access_token"].as_str().unwrap().to_owned();
        settings.validate(&token, &keys, now).map(|token| token.user.to_string()).map_err(|fault| fault.log)
    };
    let answer = post_token(&broker, basic, &format!("{grant}&audience=orders"));
    assert_eq!(
        (answer.status, answer.body["expires_in"].as_i64(), validate(&answer)),
        (200, Some(3600), Ok("ann".to_owned()))
    );
    let answer = post_token(&broker, "", &format!("{grant}&client_id=ann&client_secret=a%26b&audience=orders"));
    assert_eq!((answer.status, validate(&answer)), (200, Ok("ann".to_owned())));
    let expired = post_token(&broker, basic, &format!("{grant}&audience=orders&expires_in=-60"));
    assert!(validate(&expired).unwrap_err().contains("expired"));
    for (authorization, form, expect) in [
        ("", grant, (401, "invalid_client")),
        ("", "grant_type=client_credentials&client_id=ann&client_secret=a", (401, "invalid_client")),
        (basic, "grant_type=password", (400, "unsupported_grant_type")),
        (basic, "grant_type=client_credentials&expires_in=soon", (400, "invalid_request")),
    ] {
        let answer = post_token(&broker, authorization, form);
        assert_eq!((answer.status, answer.error()), expect, "{form}");
    }
}

#[test]
fn schema_registry_with_a_keystore_has_tls() {
    let certificates = Certificates::new();
    let broker = Broker::with()
        .set("ottla.registry.listener", "127.0.0.1:0")
        .set("ottla.registry.ssl.keystore.location", &text(&certificates.path("broker.pem")))
        .start();
    let url = broker.ready().schema_registry_url.clone().unwrap();
    let port = url.strip_prefix("https://127.0.0.1:").unwrap().parse().unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(certificates.client(None)), name).unwrap();
    let socket = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
    let mut stream = StreamOwned::new(connection, socket);
    for _ in 0..2 {
        stream.write_all(b"GET /subjects HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut response = Vec::new();
        while !response.ends_with(b"\r\n\r\n[]") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            response.push(byte[0]);
        }
        assert!(response.starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
}

#[test]
fn admin_port_with_token_and_tls_serves_those_who_have_the_token() {
    let certificates = Certificates::new();
    let broker = Broker::with()
        .set("ottla.admin.listener", "127.0.0.1:0")
        .set("ottla.admin.ssl.keystore.location", &text(&certificates.path("broker.pem")))
        .env("KAFKA_OTTLA_ADMIN_TOKEN", "token of the port")
        .start();
    let url = broker.ready().admin_url.clone().unwrap();
    let address = url.strip_prefix("https://127.0.0.1:").unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], address.parse().unwrap()));
    let get = |path: &str, header: &str| -> (u16, Value) {
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::new(certificates.client(None)), name).unwrap();
        let mut stream = StreamOwned::new(connection, TcpStream::connect(address).unwrap());
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n").as_bytes()).unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or_default())
    };
    assert_eq!(get("/health", "").0, 200);
    assert_eq!(get("/ready", "").0, 401);
    assert_eq!(get("/ready", "Authorization: Bearer wrong\r\n").0, 401);
    let (status, body) = get("/ready", "Authorization: Bearer token of the port\r\n");
    assert_eq!((status, body["status"].as_str()), (200, Some("ready")));
    assert!(!broker.log().contains("can be reached from other machines"));
    // A client without TLS disturbs no other.
    let mut plain = TcpStream::connect(address).unwrap();
    plain.write_all(b"GET /health HTTP/1.1\r\n\r\n").unwrap();
    let mut rest = Vec::new();
    let _ = plain.read_to_end(&mut rest);
    assert_eq!(get("/health", "").0, 200);
}

#[test]
fn port_beyond_loopback_without_a_token_is_a_warning() {
    let check = |listener: &str, token: &str, warning: &str| {
        let broker = Broker::with().set(listener, "0.0.0.0:0").start();
        assert!(broker.log().contains(warning), "{}", broker.log());
        let broker = Broker::with().set(listener, "0.0.0.0:0").set(token, "x").start();
        assert!(!broker.log().contains(warning));
    };
    let admin = "the admin port can be reached from other machines without a token";
    check("ottla.admin.listener", "ottla.admin.token", admin);
    check(
        "ottla.metrics.listener",
        "ottla.metrics.token",
        "the metrics can be read from other machines without a token",
    );
}
