//! `ottla config`: the effective settings with their sources.

use std::fs;

use common::{command, run_command};

/// Runs `ottla config` with these arguments and variables, and returns its stdout; panics if it fails.
fn config(args: &[&str], environment: &[(&str, &str)]) -> String {
    let environment: Vec<_> = environment.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let output = run_command(command(&environment).arg("config").args(args));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// The columns of each line, as `a|b|c`.
fn columns(text: &str) -> Vec<String> {
    let cells =
        |line: &str| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join("|");
    text.lines().map(cells).collect()
}

#[test]
fn config_without_settings_prints_a_hint() {
    assert_eq!(config(&[], &[]), "Every setting has its default; ottla config --all shows them.\n");
}

#[test]
fn config_prints_each_value_with_its_source() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("server.properties");
    fs::write(&file, "# ours\nnum.partitions=3\nlog.retention.hours=168\nnum.io.threads=4\nzookeeper.connect=z\n")
        .unwrap();
    let file = file.to_str().unwrap();
    let shown = config(
        &["--config", file, "--set", "log.dirs=/d", "--port", "7"],
        &[("KAFKA_CFG_MESSAGE_MAX_BYTES", "9"), ("KAFKA_BROKER_ID", "5")],
    );
    let expect = [
        "broker.id|5|environment variable KAFKA_BROKER_ID".to_owned(),
        "listeners|PLAINTEXT://:7|command line".to_owned(),
        "log.dirs|/d|command line".to_owned(),
        "message.max.bytes|9|environment variable KAFKA_CFG_MESSAGE_MAX_BYTES".to_owned(),
        "node.id|5|follows from broker.id".to_owned(),
        format!("num.io.threads|4|{file}:4|[without effect]"),
        format!("num.partitions|3|{file}:2"),
        "settings without effect: zookeeper.connect".to_owned(),
    ];
    assert_eq!(columns(&shown), expect);
}

#[test]
fn config_all_prints_every_setting_and_hides_passwords() {
    let shown = config(&["--all"], &[("KAFKA_SSL_KEY_PASSWORD", "s3cr3t")]);
    let lines = columns(&shown);
    assert!(lines.len() > 300, "{} lines", lines.len());
    assert!(lines.contains(&"num.partitions|1|default".to_owned()), "{shown}");
    let password = "ssl.key.password|(hidden)|environment variable KAFKA_SSL_KEY_PASSWORD";
    assert!(lines.contains(&password.to_owned()) && !shown.contains("s3cr3t"), "{shown}");
    assert!(lines.contains(&"broker.rack|(none)|default".to_owned()), "{shown}");
    assert!(lines.contains(&"max.connections.per.ip.overrides|(empty)|default".to_owned()), "{shown}");
}

#[test]
fn config_of_one_setting_prints_its_details() {
    let shown = config(&["group.initial.rebalance.delay.ms"], &[]);
    for line in
        ["group.initial.rebalance.delay.ms = 0", "from     default", "default  0 (Kafka's: 3000)", "type     int"]
    {
        assert!(shown.contains(line), "{line} is missing from:\n{shown}");
    }
    assert!(config(&["num.io.threads"], &[]).contains("effect   none"));
    assert!(config(&["compression.type"], &[]).contains("allowed  uncompressed, zstd, lz4, snappy, gzip, producer"));
    let of_topics = config(&["retention.bytes"], &[("KAFKA_LOG_RETENTION_BYTES", "77")]);
    assert!(of_topics.contains("retention.bytes = 77\n"), "{of_topics}");
    assert!(
        of_topics.contains("from     log.retention.bytes (environment variable KAFKA_LOG_RETENTION_BYTES)"),
        "{of_topics}"
    );
}

#[test]
fn config_json_prints_names_values_and_types() {
    let all: serde_json::Value = serde_json::from_str(&config(&["--json", "--set", "num.partitions=3"], &[])).unwrap();
    assert_eq!(all.as_array().map(Vec::len), Some(1));
    assert_eq!((&all[0]["name"], &all[0]["value"]), (&"num.partitions".into(), &"3".into()));
    let one: serde_json::Value = serde_json::from_str(&config(&["--json", "preallocate"], &[])).unwrap();
    assert_eq!((&one["type"], &one["from"]), (&"boolean".into(), &"default".into()));
}

#[test]
fn config_reports_mistakes_like_the_start() {
    let check = |args: &[&str], expect: &str| {
        let output = run_command(command(&[]).arg("config").args(args));
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(String::from_utf8(output.stderr).unwrap(), format!("ottla: {expect}\n"));
    };
    check(&["num.partition"], "unknown setting num.partition; did you mean num.partitions?");
    check(&["--set", "x.y=1"], "unknown setting x.y (command line)");
    check(&["zookeeper.connect"], "zookeeper.connect is accepted, but has no effect");
    check(
        &["--log-level", "inof"],
        "ottla.log.level: \"inof\" is neither a log level nor a logger; did you mean info? (command line)",
    );
}

#[test]
fn unknown_logger_is_reported() {
    let output = run_command(command(&[]).args(["config", "--log-level", "info,ottla.serve=debug"]));
    assert!(output.status.success());
    let expect = "ottla: ottla.log.level: unknown logger \"ottla.serve\"; did you mean ottla.server? (command line)\n";
    assert_eq!(String::from_utf8(output.stderr).unwrap(), expect);
}

#[test]
fn config_does_not_create_the_data_directory() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("data");
    config(&["--data-dir", data_dir.to_str().unwrap()], &[]);
    assert!(!data_dir.exists());
}
