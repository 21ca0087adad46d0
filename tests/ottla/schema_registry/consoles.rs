//! Console producers and consumers with schemas: Ottla's own, and those with the names and flags of Confluent.

use std::path::Path;

use common::{Broker, command, run, run_command};
use tempfile::TempDir;

use super::{AVRO, with_registry};

const PROTOBUF: &str = "syntax = \"proto3\"; message M { string text = 1; int64 n = 2; }";
const JSON: &str = r#"{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}"#;

/// Runs a command with a file as its input, and returns its output.
fn piped(arguments: &[&str], input: &str, dir: &Path) -> (String, String, bool) {
    let file = dir.join("input");
    std::fs::write(&file, input).unwrap();
    let output = run_command(command(&[]).args(arguments).stdin(std::fs::File::open(file).unwrap()));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.success())
}

fn url(broker: &Broker) -> String {
    broker.ready().schema_registry_url.clone().unwrap()
}

#[test]
fn own_commands_encode_and_decode_by_the_registry() {
    let (broker, dir) = (with_registry().start(), TempDir::with_prefix("ottla-test-").unwrap());
    let (bootstrap, url) = (broker.bootstrap_servers(), url(&broker));
    for (format, schema, value) in [
        ("avro", AVRO, r#"{"a":7}"#),
        ("protobuf", PROTOBUF, r#"{"text":"x","n":"5"}"#),
        ("json-schema", JSON, r#"{"a":1}"#),
    ] {
        let file = dir.path().join("schema");
        std::fs::write(&file, schema).unwrap();
        let common = ["-b", bootstrap, "--value-format", format, "--registry", &url];
        let produce = [&["produce", format, "--value-schema", file.to_str().unwrap()], &common[..]].concat();
        let (out, err, is_stored) = piped(&produce, value, dir.path());
        assert!(is_stored, "{format}: {out}{err}");
        // Without a schema, the latest one of the subject counts.
        let produce = [&["produce", format, value, "-k", "key"], &common[..]].concat();
        assert!(run(&produce).status.success());
        let consume = [&["consume", format, "--from-beginning", "--until-end"], &common[..]].concat();
        let output = run(&consume);
        let text = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<&str> = text.lines().map(|line| line.split_once("  ").unwrap().1).collect();
        assert_eq!(lines, [format!("0:0  -  {value}"), format!("0:1  key  {value}")], "{format}");
    }
    let wrong = ["produce", "avro", r#"{"b":7}"#, "-b", bootstrap, "--value-format", "avro", "--registry", &url];
    let (_, err, is_stored) = piped(&wrong, "", dir.path());
    assert!(!is_stored && err.starts_with("ottla: record 1: the value: "), "{err}");
    assert!(run(&["produce", "avro", "text", "-b", bootstrap]).status.success());
    let consume = ["consume", "avro", "-b", bootstrap, "--from-beginning", "--until-end", "--value-format", "avro"];
    let (_, err, is_read) = piped(&[&consume[..], &["--registry", &url]].concat(), "", dir.path());
    assert!(!is_read && err.contains("the value at the offset 2: there is no schema id"), "{err}");
}

#[test]
fn confluents_console_tools_print_values_keys_and_ids() {
    let (broker, dir) = (with_registry().start(), TempDir::with_prefix("ottla-test-").unwrap());
    let bootstrap = broker.bootstrap_servers();
    let url = format!("schema.registry.url={}", url(&broker));
    for (format, schema, value, printed) in [
        ("avro", AVRO, r#"{"a": 7}"#, r#"{"a":7}"#),
        ("protobuf", PROTOBUF, r#"{"text":"x"}"#, r#"{"text":"x","n":"0"}"#),
        ("json-schema", JSON, r#"{"a":1}"#, r#"{"a":1}"#),
    ] {
        let tool = |end: &str| format!("kafka-{format}-console-{end}");
        let (producer, consumer) = (tool("producer"), tool("consumer"));
        let common = ["--bootstrap-server", bootstrap, "--topic", format, "--property", &url];
        let schema = format!("value.schema={schema}");
        let keys = ["--property", "parse.key=true", "--property", r#"key.schema="string""#];
        let text_keys = ["--property", "parse.key=true", "--property", "key.separator=|", "--property", TEXT_KEYS];
        let (keys, input) = match format {
            "avro" => (&keys[..], format!("\"k\"\t{value}\n")),
            _ => (&text_keys[..], format!("k|{value}\n")),
        };
        let produce = [&[producer.as_str()], &common[..], &["--property", &schema], keys].concat();
        let (out, err, is_stored) = piped(&produce, &input, dir.path());
        assert!(is_stored && out.is_empty(), "{format}: {out}{err}");
        let consume = [&[consumer.as_str()], &common[..], &["--from-beginning", "--max-messages", "1"]].concat();
        let show = |more: &[&str]| {
            let output = run(&[&consume[..], more].concat());
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        };
        assert_eq!(show(&[]), format!("{printed}\n"), "{format}");
        let ids = ["--property", "print.schema.ids=true", "--property", "print.key=true"];
        match format {
            "avro" => assert_eq!(show(&ids), format!("\"k\"\t1\t{printed}\t2\n")),
            _ => {
                let key = ["--property", "key.deserializer=org.apache.kafka.common.serialization.StringDeserializer"];
                let id = if format == "protobuf" { 3 } else { 4 };
                assert_eq!(show(&[&ids[..], &key].concat()), format!("k\t{printed}\t{id}\n"));
            }
        }
    }
}

const TEXT_KEYS: &str = "key.serializer=org.apache.kafka.common.serialization.StringSerializer";
