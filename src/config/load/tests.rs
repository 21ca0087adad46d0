use super::*;
use crate::BindHost;

/// Sources with a file of this name and content, kept until the end of the test.
fn with_file(name: &str, content: &str) -> (tempfile::TempDir, Sources) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, content).unwrap();
    (dir, Sources { file: Some(path), ..Sources::default() })
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn check_error(command_line: &[(&str, &str)], expect: &str) {
    let sources = Sources { command_line: pairs(command_line), ..Sources::default() };
    assert_eq!(load(&sources).unwrap_err().to_string(), expect);
}

#[test]
fn later_source_takes_precedence() {
    let (_dir, mut sources) = with_file("server.properties", "num.partitions=2\nlog.dirs=/file\nnode.id=3\n");
    sources.environment = pairs(&[("KAFKA_NUM_PARTITIONS", "4"), ("KAFKA_LOG_DIRS", "/environment")]);
    sources.command_line = pairs(&[("num.partitions", "5"), ("num.partitions", "6")]);
    let config = load(&sources).unwrap().config;
    assert_eq!(config.topics.num_partitions, 6);
    assert_eq!(config.log_dirs, [PathBuf::from("/environment")]);
    assert_eq!(config.node_id, 3);
    assert_eq!(config.values.source("log.dirs"), Some(&Source::Environment("KAFKA_LOG_DIRS".to_owned())));
}

#[cfg(feature = "toml")]
#[test]
fn file_with_toml_extension_is_read_as_toml() {
    let (_dir, sources) = with_file(
        "ottla.toml",
        "listeners = [\"PLAINTEXT://:1\", \"SECOND://:2\"]\n[listener.security.protocol]\nmap = \"PLAINTEXT:PLAINTEXT,SECOND:PLAINTEXT\"\n",
    );
    assert_eq!(load(&sources).unwrap().config.listeners.len(), 2);
}

#[test]
fn port_flag_replaces_the_listeners_port() {
    let sources = Sources {
        command_line: pairs(&[("listeners", "PLAINTEXT://127.0.0.1:5000")]),
        port: Some(6000),
        ..Sources::default()
    };
    let listener = &load(&sources).unwrap().config.listeners[0];
    assert_eq!((&listener.bind.host, listener.bind.port), (&BindHost::Named("127.0.0.1".to_owned()), 6000));
}

#[test]
fn invalid_setting_is_reported_in_one_line() {
    check_error(
        &[("num.partition", "1")],
        "unknown setting num.partition (command line); did you mean num.partitions?",
    );
    check_error(&[("foo", "1")], "unknown setting foo (command line)");
    let not_a_number =
        "Invalid value x for configuration num.partitions: Not a number of type INT (command line); allowed: 1 or more";
    check_error(&[("num.partitions", "x")], not_a_number);
    let too_small = "Invalid value 0 for configuration num.partitions: Value must be at least 1 (command line)";
    check_error(&[("num.partitions", "0")], too_small);
}

#[test]
fn error_in_a_file_has_its_line() {
    let (_dir, sources) = with_file("server.properties", "# ok\nnum.partitions=1\nnum.partitons=2\n");
    let message = load(&sources).unwrap_err().to_string();
    assert!(message.ends_with("server.properties:3); did you mean num.partitions?"), "{message}");
}

#[test]
fn missing_file_is_named() {
    let sources = Sources { file: Some(PathBuf::from("/nowhere/at-all.properties")), ..Sources::default() };
    let message = load(&sources).unwrap_err().to_string();
    assert!(message.starts_with("cannot read /nowhere/at-all.properties: No such file"), "{message}");
}

#[test]
fn setting_without_effect_is_listed_once() {
    let content = "process.roles=broker,controller\nzookeeper.connect=zk:2181\nnum.io.threads=9\nsuper.users=User:a\n";
    let (_dir, mut sources) = with_file("server.properties", content);
    sources.environment = pairs(&[("KAFKA_ZOOKEEPER_CONNECT", "zk"), ("KAFKA_NUM_IO_THREADS", "10")]);
    let resolved = load(&sources).unwrap();
    assert_eq!(resolved.without_effect, ["num.io.threads", "super.users", "zookeeper.connect"]);
    assert_eq!(resolved.notices, Vec::<String>::new());
}

#[test]
fn settings_of_the_authorizer_have_an_effect_only_if_it_is_configured() {
    let (allow, users) = (("allow.everyone.if.no.acl.found", "TRUE"), ("super.users", "User:a; User:b"));
    let authorizer = ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer");
    let resolve = |given: &[(&str, &str)]| load(&Sources { command_line: pairs(given), ..Sources::default() }).unwrap();
    let without = resolve(&[allow, users]);
    assert_eq!(
        (without.config.authorizer, without.without_effect),
        (None, vec![allow.0.to_owned(), users.0.to_owned()])
    );
    let with = resolve(&[authorizer, allow, users]);
    assert_eq!(with.without_effect, Vec::<String>::new());
    let expect = AuthorizerConfig {
        super_users: ["User:a", "User:b"].map(str::to_owned).into(),
        allow_everyone_if_no_acl: true,
    };
    assert_eq!(with.config.authorizer, Some(expect.clone()));
    let changed = with.config.with_dynamic(&BTreeMap::new(), &BTreeMap::new());
    assert_eq!(changed.authorizer, Some(expect), "a dynamic change of other settings keeps the authorizer");
}

#[test]
fn variables_that_are_not_settings_are_ignored() {
    let environment = pairs(&[
        ("KAFKA_HOME", "/opt/kafka"),
        ("KAFKA_PORT", "tcp://10.0.0.1:9092"),
        ("ALLOW_PLAINTEXT_LISTENER", "yes"),
        ("KAFKA_OPTS", "-Dx"),
        ("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092"),
        ("KAFKA_JMX_PORT", "9999"),
        ("KAFKA_HEAP_OPTS", "-Xmx1g"),
        ("KAFKA_NUM_PARTITIONS", ""),
        ("KAFKA_NUM_PARTITION", "3"),
        ("KAFKA_RETENTION_MS", "1000"),
    ]);
    let resolved = load(&Sources { environment, ..Sources::default() }).unwrap();
    assert_eq!(resolved.config, BrokerConfig::default());
    let notices = [("KAFKA_NUM_PARTITION", "num.partitions"), ("KAFKA_RETENTION_MS", "log.retention.ms")].map(
        |(variable, meant)| format!("environment variable {variable} is not a broker setting; did you mean {meant}?"),
    );
    assert_eq!(resolved.notices, notices);
}

#[test]
fn typical_compose_file_is_loaded() {
    let environment = pairs(&[
        ("KAFKA_NODE_ID", "1"),
        ("KAFKA_PROCESS_ROLES", "broker,controller"),
        ("KAFKA_LISTENERS", "PLAINTEXT://0.0.0.0:29092,CONTROLLER://0.0.0.0:9093,PLAINTEXT_HOST://0.0.0.0:9092"),
        ("KAFKA_ADVERTISED_LISTENERS", "PLAINTEXT://kafka:29092,PLAINTEXT_HOST://localhost:9092"),
        ("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT"),
        ("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER"),
        ("KAFKA_CONTROLLER_QUORUM_VOTERS", "1@kafka:9093"),
        ("KAFKA_INTER_BROKER_LISTENER_NAME", "PLAINTEXT"),
        ("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "1"),
        ("KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS", "0"),
        ("CLUSTER_ID", "MkU3OEVBNTcwNTJENDM2Qk"),
    ]);
    let resolved = load(&Sources { environment, ..Sources::default() }).unwrap();
    let names: Vec<_> = resolved.config.listeners.iter().map(|l| l.name.as_str()).collect();
    assert_eq!(names, ["PLAINTEXT", "PLAINTEXT_HOST"]);
    assert_eq!(resolved.config.storage.cluster_id.as_deref(), Some("MkU3OEVBNTcwNTJENDM2Qk"));
    assert_eq!(resolved.notices, Vec::<String>::new());
    assert_eq!(
        resolved.without_effect,
        ["listener CONTROLLER", "controller.quorum.voters", "inter.broker.listener.name"]
    );
}

#[test]
fn compose_file_of_bitnami_is_loaded() {
    let environment = pairs(&[
        ("KAFKA_ENABLE_KRAFT", "yes"),
        ("ALLOW_PLAINTEXT_LISTENER", "yes"),
        ("KAFKA_CFG_NODE_ID", "0"),
        ("KAFKA_BROKER_ID", "0"),
        ("KAFKA_CFG_PROCESS_ROLES", "controller,broker"),
        ("KAFKA_CFG_LISTENERS", "PLAINTEXT://:9092,CONTROLLER://:9093,EXTERNAL://:9094"),
        ("KAFKA_CFG_ADVERTISED_LISTENERS", "PLAINTEXT://kafka:9092,EXTERNAL://localhost:9094"),
        ("KAFKA_CFG_LISTENER_SECURITY_PROTOCOL_MAP", "CONTROLLER:PLAINTEXT,EXTERNAL:PLAINTEXT,PLAINTEXT:PLAINTEXT"),
        ("KAFKA_CFG_CONTROLLER_QUORUM_VOTERS", "0@kafka:9093"),
        ("KAFKA_CFG_CONTROLLER_LISTENER_NAMES", "CONTROLLER"),
        ("KAFKA_KRAFT_CLUSTER_ID", "abcdefghijklmnopqrstuv"),
    ]);
    let resolved = load(&Sources { environment, ..Sources::default() }).unwrap();
    let config = resolved.config;
    assert_eq!((config.node_id, config.storage.cluster_id.as_deref()), (0, Some("abcdefghijklmnopqrstuv")));
    assert_eq!(config.listeners[1].advertised.port, Some(9094));
    assert_eq!(resolved.notices, Vec::<String>::new());
}

/// Variables for wurstmeister/kafka and older images.
#[test]
fn old_host_and_port_settings_become_listeners() {
    let advertised = |pairs_given: &[(&str, &str)]| {
        let resolved = load(&Sources { environment: pairs(pairs_given), ..Sources::default() }).unwrap();
        let listener = resolved.config.listeners[0].clone();
        let host = listener.advertised.host.unwrap_or_default();
        let port = listener.advertised.port.unwrap_or_default();
        (format!("{} -> {host}:{port}", listener.bind.port), resolved.without_effect)
    };
    let check = |given: &[(&str, &str)], expect: &str| assert_eq!(advertised(given), (expect.to_owned(), vec![]));
    check(&[("KAFKA_ADVERTISED_HOST_NAME", "kafka")], "9092 -> kafka:9092");
    check(&[("KAFKA_ADVERTISED_HOST_NAME", "kafka"), ("KAFKA_ADVERTISED_PORT", "32000")], "9092 -> kafka:32000");
    let listeners = ("KAFKA_LISTENERS", "PLAINTEXT://:1");
    check(&[("KAFKA_ADVERTISED_HOST_NAME", "kafka"), listeners], "1 -> kafka:1");
    let newer = ("KAFKA_ADVERTISED_LISTENERS", "PLAINTEXT://newer:2");
    let (message, without_effect) = advertised(&[("KAFKA_ADVERTISED_HOST_NAME", "kafka"), newer]);
    assert_eq!((message.as_str(), &without_effect[..]), ("2 -> newer:2", &["advertised.host.name".to_owned()][..]));
    check(&[("KAFKA_HOST_NAME", "127.0.0.1"), ("KAFKA_HOSTNAME", "x")], "9092 -> 127.0.0.1:0");
    check(&[("KAFKA_ADVERTISED_PORT", "32000")], "9092 -> :32000");
}

#[cfg(feature = "toml")]
#[test]
fn start_topics_are_read_from_every_source() {
    let (_dir, mut sources) = with_file("ottla.toml", "ottla.create.topics = [\"orders:3\", \"users\"]\n");
    let names = |sources: &Sources| -> Vec<String> {
        let topics = load(sources).unwrap().config.topics.create_at_start;
        topics.into_iter().map(|topic| format!("{}:{}", topic.name, topic.partitions.unwrap_or(-1))).collect()
    };
    assert_eq!(names(&sources), ["orders:3", "users:-1"]);
    sources.environment = pairs(&[("KAFKA_CREATE_TOPICS", "a:1:1,b:2:1:compact")]);
    assert_eq!(names(&sources), ["a:1", "b:2"]);
    sources.command_line = pairs(&[("ottla.create.topics", "c:4")]);
    assert_eq!(names(&sources), ["c:4"]);
}

#[test]
fn file_is_read_with_comments_in_any_encoding() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("server.properties");
    let latin_1 = b"# f\xfcr uns\rnum.partitions=2\r! Gr\xf6\xdfe\rbroker.rack=Z\xfcrich";
    let gbk = b"# \xd6\xd0\xce\xc4\xd7\xa2\xca\xcd\r\nnum.partitions=2\r\nbroker.rack=Z\xfcrich\r\n";
    let utf_8 = "# für uns\nnum.partitions=2\nbroker.rack=Zürich\n".as_bytes();
    for content in [&latin_1[..], gbk, utf_8] {
        std::fs::write(&path, content).unwrap();
        let config = load(&Sources { file: Some(path.clone()), ..Sources::default() }).unwrap().config;
        assert_eq!((config.topics.num_partitions, config.rack.as_deref()), (2, Some("Zürich")));
    }
    std::fs::write(&path, b"\xff\xfea\0=\0").unwrap();
    let message = load(&Sources { file: Some(path), ..Sources::default() }).unwrap_err().to_string();
    assert!(message.ends_with("server.properties: the file is in UTF-16; save it as UTF-8"), "{message}");
}

#[test]
fn invalid_listener_is_reported_with_its_fault() {
    let check = |value: &str, fault: &str| {
        let expect = format!("Invalid value {value} for configuration listeners: {fault} (command line)");
        check_error(&[("listeners", &format!("CONTROLLER://:9093,{value}"))], &expect);
    };
    check("PLAINTEXT://localhost:99999", "the port 99999 is more than 65535");
    check("PLAINTEXT://${HOST}:9092", "${HOST} is a placeholder: replace it by a value");
    check("PLAINTEXT://<host>:9092", "<host> is a placeholder: replace it by a value");
}

/// Settings in the server.properties of old releases.
#[test]
fn settings_of_old_releases_are_without_effect() {
    let content = "broker.id=0\nport=9093\nnum.network.threads=2\nlog.cleanup.interval.mins=1\n\
                   kafka.metrics.polling.interval.secs=5\nkafka.metrics.reporters=kafka.metrics.KafkaCSVMetricsReporter\n\
                   kafka.csv.metrics.dir=/tmp/kafka_metrics\nkafka.csv.metrics.reporter.enabled=false\n\
                   replica.lag.max.messages=4000\nzk.connect=localhost:2181\nlog.file.size=536870912\n";
    let (_dir, sources) = with_file("server.properties", content);
    let resolved = load(&sources).unwrap();
    assert_eq!(resolved.config.listeners[0].bind.port, 9093);
    let expect = [
        "kafka.csv.metrics.dir",
        "kafka.csv.metrics.reporter.enabled",
        "kafka.metrics.polling.interval.secs",
        "kafka.metrics.reporters",
        "log.cleanup.interval.mins",
        "log.file.size",
        "num.network.threads",
        "replica.lag.max.messages",
        "zk.connect",
    ];
    assert_eq!(resolved.without_effect, expect);
}
