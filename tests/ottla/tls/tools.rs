//! Kafka's tools and own commands over TLS and SASL, and what they say if a connection is not possible.

use std::fs;
use std::io::Write as _;
use std::net::{Shutdown, TcpListener};
use std::process::{Output, Stdio};
use std::thread;

use common::certificates::Validity;
use common::{command, run_command, wait_until};
use rcgen::DnType;

use super::*;

const MODULES: &str = "org.apache.kafka.common.security";

/// A folder with client configurations.
struct Clients(TempDir);

impl Clients {
    fn new() -> Clients {
        Clients(tempfile::tempdir().unwrap())
    }

    /// Writes a configuration; `!` ends a line.
    fn write(&self, name: &str, lines: &str) -> String {
        let path = self.0.path().join(name);
        fs::write(&path, lines.replace('!', "\n")).unwrap();
        text(&path)
    }
}

fn run(arguments: &[&str]) -> Output {
    run_command(command(&[]).args(arguments))
}

/// The exit code, and all output.
fn outcome(output: &Output) -> (i32, String) {
    let all = [output.stdout.as_slice(), &output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(all).unwrap())
}

/// Lists topics; returns the exit code and the output.
fn list(address: &str, client: &str) -> (i32, String) {
    outcome(&run(&["kafka-topics", "--bootstrap-server", address, "--command-config", client, "--list"]))
}

#[track_caller]
fn check_refused(address: &str, client: &str, expect: &str) {
    let (code, text) = list(address, client);
    assert!(code == 1 && text.contains(expect), "{code}: {text}");
    let own = outcome(&run(&["topics", "list", "--bootstrap-server", address, "--command-config", client]));
    // Waiting for the broker, it warns first.
    let last = own.1.lines().last().unwrap_or_default();
    assert!(own.0 == 1 && last.starts_with("ottla: ") && last.contains(expect), "{own:?}");
}

fn address(broker: &Broker, listener: &str) -> String {
    broker.ready().listeners[listener].clone()
}

#[test]
fn tools_and_own_commands_work_over_tls_and_sasl_with_the_files_of_secure() {
    let broker = Broker::with().secure("ann", "secret").arg("--admin-port").arg("0").start();
    let file = |name: &str| text(&broker.data_dir().join(name));
    let (ssl, sasl) = (address(&broker, "SSL"), address(&broker, "SASL_SSL"));
    let java = [("java-ssl.properties", &ssl), ("java-sasl.properties", &sasl), ("java-oauth.properties", &sasl)];
    for (number, (name, at)) in java.into_iter().enumerate() {
        let (file, topic) = (file(name), format!("topic-{number}"));
        let create =
            ["kafka-topics", "--bootstrap-server", at, "--create", "--topic", &topic, "--command-config", &file];
        assert_eq!(outcome(&run(&create)), (0, format!("Created topic {topic}.\n")), "{name}");
        let mut producer = command(&[]);
        producer.args([
            "kafka-console-producer",
            "--bootstrap-server",
            at,
            "--topic",
            &topic,
            "--command-config",
            &file,
        ]);
        let mut producer = producer.stdin(Stdio::piped()).spawn().unwrap();
        producer.stdin.take().unwrap().write_all(format!("{}\n", "x".repeat(200_000)).as_bytes()).unwrap();
        assert!(producer.wait().unwrap().success());
        let own = run(&["produce", &topic, "-b", at, "--command-config", &file, "second"]);
        assert_eq!(outcome(&own), (0, format!("1 record stored in {topic}\n")), "{name}");
        let consume = ["kafka-console-consumer", "--bootstrap-server", at, "--topic", &topic, "--from-beginning"];
        let consumed = run(&[&consume[..], &["--max-messages", "2", "--command-config", &file]].concat());
        let consumed = String::from_utf8(consumed.stdout).unwrap();
        let lines: Vec<_> = consumed.lines().map(|line| (line.len(), line.get(..1).unwrap_or_default())).collect();
        assert_eq!(lines, [(200_000, "x"), (6, "s")], "{name}");
    }
    let listed = run(&["topics", "list", "-b", &sasl, "--command-config", &file("java-oauth.properties")]);
    assert!(outcome(&listed).1.contains("topic-2"), "{listed:?}");
}

#[test]
fn tools_present_a_client_certificate_and_trust_pem_in_the_settings() {
    let (certificates, clients) = (Certificates::new(), Clients::new());
    let broker = certificates.broker_with_client_auth("required").start();
    let at = address(&broker, "SSL");
    let own = certificates.authority.client(&[(DnType::CommonName, "client")], Validity::Valid);
    let keystore = text(&own.write(&clients.0.path().join("client.pem")));
    let one_line = |pem: &str| pem.trim_end().replace('\n', "\\n");
    let trusting = format!(
        "security.protocol=SSL!ssl.truststore.type=PEM!ssl.truststore.certificates={}!",
        one_line(&certificates.authority.pem())
    );
    let with_file = format!("{trusting}ssl.keystore.type=PEM!ssl.keystore.location={keystore}!");
    assert_eq!(list(&at, &clients.write("file", &with_file)), (0, "\n".to_owned()));
    let inline = format!(
        "{trusting}ssl.keystore.type=PEM!ssl.keystore.key={}!ssl.keystore.certificate.chain={}!ssl.enabled.protocols=TLSv1.2!",
        one_line(&own.key),
        one_line(&own.certificate)
    );
    assert_eq!(list(&at, &clients.write("inline", &inline)), (0, "\n".to_owned()));
    let without = clients.write("without", &format!("{trusting}default.api.timeout.ms=200!"));
    let (code, text) = list(&at, &without);
    assert!(code == 1 && text.contains("client certificate") && text.contains("ssl.keystore.location"), "{text}");
}

/// Java accepts these certificates, and rustls itself does not.
#[test]
fn certificates_that_java_accepts_are_accepted() {
    let (certificates, clients) = (Certificates::new(), Clients::new());
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/keystores");
    let version_1 = [fs::read(data.join("v1-client.key")), fs::read(data.join("v1-client.pem"))];
    let version_1 = version_1.map(Result::unwrap).concat();
    fs::write(certificates.path("version-1.pem"), version_1).unwrap();
    let name = |name| [(DnType::CommonName, name)];
    let issue = |file: &str, common_name, validity| {
        let issued = certificates.authority.issue(&name(common_name), &[], validity);
        fs::write(certificates.path(&format!("{file}-alone.pem")), &issued.certificate).unwrap();
        issued.write(&certificates.path(file));
    };
    issue("by-name.pem", "localhost", Validity::Valid);
    issue("expired.pem", "localhost", Validity::Expired);
    let store = |listener: &str| format!("listener.name.{listener}.ssl.keystore.location");
    let broker = certificates
        .broker()
        .set(
            "listeners",
            "PLAINTEXT://127.0.0.1:0,SSL://127.0.0.1:0,V1://127.0.0.1:0,NAMED://127.0.0.1:0,OLD://127.0.0.1:0",
        )
        .set("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,SSL:SSL,V1:SSL,NAMED:SSL,OLD:SSL")
        .set(&store("v1"), &text(&certificates.path("version-1.pem")))
        .set(&store("named"), &text(&certificates.path("by-name.pem")))
        .set(&store("old"), &text(&certificates.path("expired.pem")))
        .start();
    let trusting = |name: &str, path: &Path, rest: &str| {
        let settings =
            format!("security.protocol=SSL!ssl.truststore.type=PEM!ssl.truststore.location={}!{rest}!", text(path));
        clients.write(name, &settings)
    };
    // Signed by a trusted authority, in both versions of TLS.
    for version in ["TLSv1.2", "TLSv1.3"] {
        let rest = format!("ssl.endpoint.identification.algorithm=!ssl.enabled.protocols={version}");
        let client = trusting("version-1", &data.join("v1-authority.pem"), &rest);
        assert_eq!(list(&address(&broker, "V1"), &client).0, 0, "{version}");
    }
    let client = trusting("stranger", &certificates.path("authority.pem"), "ssl.endpoint.identification.algorithm=");
    check_refused(&address(&broker, "V1"), &client, "no authority of the truststore has signed");
    // The common name counts without alternative names.
    let client = trusting("named", &certificates.path("authority.pem"), "");
    let by_name = address(&broker, "NAMED").replace("127.0.0.1", "localhost");
    assert_eq!(list(&by_name, &client).0, 0);
    check_refused(&address(&broker, "NAMED"), &client, "is for localhost, not for 127.0.0.1");
    // The certificate itself is in the truststore, and not its authority.
    let client = trusting("alone", &certificates.path("by-name.pem-alone.pem"), "");
    assert_eq!(list(&by_name, &client).0, 0);
    let client = trusting("expired", &certificates.path("expired.pem-alone.pem"), "");
    let expired = address(&broker, "OLD").replace("127.0.0.1", "localhost");
    check_refused(&expired, &client, "the broker's certificate has expired; replace it");
}

#[test]
fn impossible_tls_connections_say_why_and_what_to_do() {
    let (certificates, clients) = (Certificates::new(), Clients::new());
    let other = certificates.authority.server(&["kafka", "10.0.0.1"]).write(&certificates.path("other.pem"));
    let broker = certificates
        .broker()
        .set("listeners", "PLAINTEXT://127.0.0.1:0,SSL://127.0.0.1:0,OTHER://127.0.0.1:0,OLD://127.0.0.1:0")
        .set("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,SSL:SSL,OTHER:SSL,OLD:SSL")
        .set("listener.name.other.ssl.keystore.location", &text(&other))
        .set("listener.name.old.ssl.enabled.protocols", "TLSv1.2")
        .start();
    let trusting = |pem: &str, rest: &str| {
        format!(
            "security.protocol=SSL!default.api.timeout.ms=200!ssl.truststore.type=PEM!ssl.truststore.location={pem}!{rest}"
        )
    };
    let authority = text(&certificates.path("authority.pem"));
    let client = clients.write("client", &trusting(&authority, ""));
    assert_eq!(list(&address(&broker, "SSL"), &client).0, 0);
    check_refused(
        &address(&broker, "OTHER"),
        &client,
        "the broker's certificate is for kafka, 10.0.0.1, not for 127.0.0.1; connect with a name of the certificate, or set \
         ssl.endpoint.identification.algorithm to an empty value to accept any",
    );
    let any_host = clients.write("any-host", &trusting(&authority, "ssl.endpoint.identification.algorithm=!"));
    assert_eq!(list(&address(&broker, "OTHER"), &any_host).0, 0);
    fs::write(certificates.path("stranger.pem"), Authority::new().pem()).unwrap();
    let stranger = clients.write("stranger", &trusting(&text(&certificates.path("stranger.pem")), ""));
    check_refused(
        &address(&broker, "SSL"),
        &stranger,
        "no authority of the truststore has signed the broker's certificate; set ssl.truststore.location",
    );
    let new = clients.write("new", &trusting(&authority, "ssl.enabled.protocols=TLSv1.3!"));
    check_refused(&address(&broker, "OLD"), &new, "check ssl.enabled.protocols and ssl.cipher.suites");
    check_refused(&address(&broker, "PLAINTEXT"), &client, "set security.protocol to PLAINTEXT or SASL_PLAINTEXT");
    let plain = clients.write("plain", "");
    check_refused(
        &address(&broker, "SSL"),
        &plain,
        "the broker demands TLS at this port; set security.protocol to SSL or SASL_SSL",
    );
}

#[test]
fn tools_at_a_port_without_tls_and_the_reverse_fail_at_once_in_one_line() {
    let (certificates, clients) = (Certificates::new(), Clients::new());
    let broker = certificates.broker().start();
    let trusting = format!(
        "security.protocol=SSL!ssl.truststore.type=PEM!ssl.truststore.location={}!default.api.timeout.ms=600000!",
        text(&certificates.path("authority.pem"))
    );
    let (tls, plain) = (clients.write("tls", &trusting), clients.write("plain", "default.api.timeout.ms=600000!"));
    let check = |listener: &str, client: &str, expect: &str| {
        let at = address(&broker, listener);
        let own = run(&["topics", "list", "-b", &at, "--command-config", client]);
        assert_eq!(outcome(&own), (1, format!("ottla: {at}: {expect}\n")));
        let (code, text) = list(&at, client);
        assert!(code == 1 && text.contains(expect) && !text.contains("WARN"), "{code}: {text}");
    };
    check(
        "PLAINTEXT",
        &tls,
        "the broker has no TLS at this port; set security.protocol to PLAINTEXT or SASL_PLAINTEXT, or connect to a port \
         with TLS",
    );
    check("SSL", &plain, "the broker demands TLS at this port; set security.protocol to SSL or SASL_SSL");
}

#[test]
fn port_that_closes_connections_during_the_tls_handshake_is_tried_again() {
    let (certificates, clients) = (Certificates::new(), Clients::new());
    let broker = certificates.broker().start();
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let (at, tls_port) = (proxy.local_addr().unwrap().to_string(), tls_address(&broker));
    // Like a proxy whose broker starts later: it closes the first connections.
    let forward = thread::spawn(move || {
        (0..4).for_each(|_| drop(proxy.accept().unwrap()));
        let (mut client, mut server) = (proxy.accept().unwrap().0, TcpStream::connect(tls_port).unwrap());
        let (mut from_client, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let sending = thread::spawn(move || {
            let _closed_by_either_side = std::io::copy(&mut from_client, &mut to_server);
            let _may_be_closed = to_server.shutdown(Shutdown::Both);
        });
        let _closed_by_either_side = std::io::copy(&mut server, &mut client);
        let _may_be_closed = client.shutdown(Shutdown::Both);
        sending.join().unwrap();
    });
    let trusting = format!(
        "security.protocol=SSL!ssl.truststore.type=PEM!ssl.truststore.location={}!",
        text(&certificates.path("authority.pem"))
    );
    let (code, text) = list(&at, &clients.write("tls", &trusting));
    assert!(code == 0 && text.contains("trying again"), "{code}: {text}");
    forward.join().unwrap();
}

#[test]
fn impossible_logins_say_why_and_what_to_do() {
    let clients = Clients::new();
    let broker = Broker::with()
        .set("listeners", "PLAINTEXT://127.0.0.1:0,SASL_PLAINTEXT://127.0.0.1:0")
        .set("sasl.enabled.mechanisms", "PLAIN,OAUTHBEARER")
        .set(
            "listener.name.sasl_plaintext.plain.sasl.jaas.config",
            &format!("{MODULES}.plain.PlainLoginModule required user_ann=\"secret\";"),
        )
        .set(
            "listener.name.sasl_plaintext.oauthbearer.sasl.jaas.config",
            &format!("{MODULES}.oauthbearer.OAuthBearerLoginModule required;"),
        )
        .set("connection.failed.authentication.delay.ms", "0")
        .start();
    let at = address(&broker, "SASL_PLAINTEXT");
    let plain = |password: &str| {
        format!(
            "security.protocol=SASL_PLAINTEXT!sasl.mechanism=PLAIN!sasl.jaas.config={MODULES}.plain.PlainLoginModule \
             required username=ann password={password};!"
        )
    };
    let good = clients.write("good", &plain("secret"));
    assert_eq!(list(&at, &good).0, 0);
    check_refused(
        &at,
        &clients.write("wrong", &plain("hunter")),
        "Authentication failed: Invalid username or password",
    );
    check_refused(&at, &clients.write("none", ""), "it may demand a login (set security.protocol to SASL_SSL");
    check_refused(
        &address(&broker, "PLAINTEXT"),
        &good,
        "the broker has no SASL at this port; set security.protocol to PLAINTEXT or SSL",
    );
    let scram = plain("secret").replace("=PLAIN!", "=SCRAM-SHA-256!");
    check_refused(&at, &clients.write("scram", &scram), "does not have SCRAM-SHA-256 enabled, but PLAIN, OAUTHBEARER");
    let unsupported = clients.write("unsupported", &format!("{}sasl.login.class=a.Login!", plain("secret")));
    check_refused(
        &at,
        &unsupported,
        "sasl.login.class=a.Login is a Java class, and those are not supported; remove it",
    );

    let bearer = |rest: &str| {
        format!(
            "security.protocol=SASL_PLAINTEXT!sasl.mechanism=OAUTHBEARER!sasl.jaas.config={MODULES}.oauthbearer.\
             OAuthBearerLoginModule required {rest}!"
        )
    };
    let unsigned = clients.write("unsigned", &bearer("unsecuredLoginStringClaim_sub=ann;"));
    assert_eq!(list(&at, &unsigned).0, 0);
    // {"alg":"none"} and {"sub":"ann","iat":1,"exp":99999999999}
    let token = clients.write("token", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4iLCJpYXQiOjEsImV4cCI6OTk5OTk5OTk5OTl9.!");
    let by_file = format!("{}sasl.oauthbearer.token.endpoint.url=file://{token}!", bearer(";"));
    let by_file = clients.write("by-file", &by_file);
    assert_eq!(list(&at, &by_file).0, 0);
    fs::remove_file(&token).unwrap();
    check_refused(&at, &by_file, "no token from");
}

#[test]
fn producer_that_is_refused_fails_at_once_with_the_error_of_kafka() {
    let (certificates, clients) = (Certificates::new(), Clients::new());
    let broker = certificates.broker().start();
    fs::write(certificates.path("stranger.pem"), Authority::new().pem()).unwrap();
    let stranger = text(&certificates.path("stranger.pem"));
    let client = format!("security.protocol=SSL!ssl.truststore.type=PEM!ssl.truststore.location={stranger}!");
    let client = clients.write("client", &client);
    let mut producer = command(&[]);
    producer.args(["kafka-console-producer", "--bootstrap-server", &address(&broker, "SSL"), "--topic", "t"]);
    producer.args(["--command-config", &client]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut producer = producer.spawn().unwrap();
    producer.stdin.take().unwrap().write_all(b"one\n").unwrap();
    let output = producer.wait_with_output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("SslAuthenticationException: ") && text.contains("has signed the broker's certificate"),
        "{text}"
    );
}

/// The ports of the listeners that `--secure` adds, both taken. If another program has one, it is taken, too.
fn take_secure_ports() -> Vec<TcpListener> {
    let take = |port: u16| TcpListener::bind(("::", port)).or_else(|_| TcpListener::bind(("0.0.0.0", port)));
    [9093, 9094].into_iter().filter_map(|port| take(port).ok()).collect()
}

#[test]
fn secure_broker_with_its_ports_in_use_takes_free_ones_and_says_so() {
    let taken = take_secure_ports();
    let (clients, free) = (Clients::new(), TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
    let path = |name: &str| clients.0.path().join(name);
    let (data, ready) = (path("data"), path("ready"));
    let mut broker = command(&[]);
    broker.args(["--secure", "--port", &free.to_string()]).arg("--data-dir").arg(&data).arg("--ready-file").arg(&ready);
    let mut broker = broker.stderr(fs::File::create(path("log")).unwrap()).spawn().unwrap();
    wait_until("the ready file", || ready.exists() || broker.try_wait().unwrap().is_some());
    let log = fs::read_to_string(path("log")).unwrap();
    let announced: serde_json::Value = serde_json::from_str(&fs::read_to_string(&ready).expect(&log)).unwrap();
    let at = announced["listeners"]["SSL"].as_str().unwrap();
    let listed = list(at, &text(&data.join("java-ssl.properties")));
    // It has ended, or is ended now.
    let _ = broker.kill();
    broker.wait().unwrap();
    drop(taken);
    assert_eq!(listed.0, 0, "{}", listed.1);
    let port = at.rsplit_once(':').unwrap().1;
    let log = fs::read_to_string(path("log")).unwrap();
    let expect = format!(", SSL at port {port} because 9093 is in use, SASL_SSL at port ");
    assert!(port != "9093" && log.contains(&expect), "{log}");
}

#[test]
fn broker_with_a_named_port_in_use_is_refused() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let listeners = format!("listeners=PLAINTEXT://127.0.0.1:0,SSL://127.0.0.1:{port}");
    let dir = tempfile::tempdir().unwrap();
    let (code, text) = outcome(&run(&["--secure", "--set", &listeners, "--data-dir", &text(dir.path())]));
    assert!(code == 2 && text.contains(&format!("port {port} is in use (listener SSL)")), "{code}: {text}");
}
