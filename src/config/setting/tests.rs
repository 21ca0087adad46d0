//! Tests of valid values, and of Kafka's texts for invalid ones.

use crate::table;
use crate::table::Scope;

/// Checks `value` for the setting `name` and compares with Kafka's text, or `ok`.
fn check(scope: Scope, name: &str, value: &str, expect: &str) {
    let setting = table::find(scope, name).expect(name);
    let message = setting.check(value).map_or_else(|e| e.to_string(), |()| "ok".to_owned());
    let message = message.strip_prefix("Invalid value ").unwrap_or(&message);
    assert_eq!(message, expect, "{name}={value}");
}

fn topic(name: &str, value: &str, expect: &str) {
    check(Scope::Topic, name, value, expect);
}

#[test]
fn numbers_are_checked_against_type_and_bounds() {
    topic("retention.ms", "-1", "ok");
    topic("retention.ms", " 7 ", "ok");
    topic("retention.ms", "abc", "abc for configuration retention.ms: Not a number of type LONG");
    topic("retention.ms", "-2", "-2 for configuration retention.ms: Value must be at least -1");
    topic("segment.bytes", "100", "100 for configuration segment.bytes: Value must be at least 1048576");
    topic("segment.bytes", "2147483648", "2147483648 for configuration segment.bytes: Not a number of type INT");
    topic("compression.lz4.level", "18", "18 for configuration compression.lz4.level: Value must be no more than 17");
    topic("compression.gzip.level", "-1", "ok");
    let gzip = "0 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1";
    topic("compression.gzip.level", "0", gzip);
}

#[test]
fn ratios_are_checked_against_bounds() {
    topic("min.cleanable.dirty.ratio", "0.5", "ok");
    let above = "1.5 for configuration min.cleanable.dirty.ratio: Value must be no more than 1";
    topic("min.cleanable.dirty.ratio", "1.5", above);
    topic(
        "min.cleanable.dirty.ratio",
        "x",
        "x for configuration min.cleanable.dirty.ratio: Not a number of type DOUBLE",
    );
}

#[test]
fn booleans_and_enumerations_are_checked() {
    topic("preallocate", "TRUE", "ok");
    topic("preallocate", "yes", "yes for configuration preallocate: Expected value to be either true or false");
    topic("message.timestamp.type", "LogAppendTime", "ok");
    let types = "foo for configuration compression.type: \
                 String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer";
    topic("compression.type", "foo", types);
    check(Scope::Broker, "group.consumer.migration.policy", "upgrade", "ok");
}

#[test]
fn list_entries_are_checked() {
    topic("cleanup.policy", "compact,delete", "ok");
    topic("cleanup.policy", " compact , delete ", "ok");
    topic("cleanup.policy", "", "ok");
    for with_empty_entry in [",", "delete,", "delete,,compact"] {
        topic("cleanup.policy", with_empty_entry, "Configuration 'cleanup.policy' values must not be empty.");
    }
    topic(
        "cleanup.policy",
        "compact,delet",
        "delet for configuration cleanup.policy: String must be one of: compact, delete",
    );
    topic("leader.replication.throttled.replicas", "*", "ok");
    topic("leader.replication.throttled.replicas", "0:1,1:1", "ok");
    let replicas = "[x] for configuration leader.replication.throttled.replicas: \
                    leader.replication.throttled.replicas must be the literal '*' or a list of replicas in the \
                    following format: [partitionId]:[brokerId],[partitionId]:[brokerId],...";
    topic("leader.replication.throttled.replicas", "x", replicas);
    topic("leader.replication.throttled.replicas", "x,", &replicas.replace("[x]", "[x, ]"));
}

#[test]
fn canonical_value_does_not_depend_on_how_it_was_written() {
    let check = |name, value: &str, expect: &str| {
        assert_eq!(table::find(Scope::Topic, name).expect(name).canonical(value), expect);
    };
    check("retention.ms", " +7 ", "7");
    check("retention.ms", "-0", "0");
    check("preallocate", "TRUE", "true");
    check("compression.type", " zstd ", "zstd");
    check("cleanup.policy", " delete , compact,delete", "delete,compact");
    check("cleanup.policy", "", "");
    for (value, expect) in [("1e-3", "0.001"), ("1", "1.0"), ("0", "0.0"), ("0.00001", "1.0E-5"), (".5", "0.5")] {
        check("min.cleanable.dirty.ratio", value, expect);
    }
    let unlimited = table::find(Scope::Broker, "log.cleaner.io.max.bytes.per.second").unwrap();
    assert_eq!(unlimited.canonical("1.7976931348623157E308"), "1.7976931348623157E308");
    assert_eq!(unlimited.canonical("12345678"), "1.2345678E7");
}

#[test]
fn connection_overrides_are_checked() {
    let check = |value, expect| check(Scope::Broker, "max.connections.per.ip.overrides", value, expect);
    check("", "ok");
    check("10.0.0.1:5, host:0,[::1]:7,", "ok");
    let form = "host for configuration max.connections.per.ip.overrides: Each entry must be of the form address:count";
    check("host", form);
}

#[test]
fn topics_to_create_at_start_are_checked() {
    let check = |value, expect| check(Scope::Broker, "ottla.create.topics", value, expect);
    check("orders:3:1:compact, users,", "ok");
    let form = "users:x for configuration ottla.create.topics: A topic must be of the form \
                NAME[:PARTITIONS[:REPLICATION-FACTOR[:CLEANUP-POLICY]]]";
    check("orders:3,users:x", form);
    check("a,b,a:2", "a:2 for configuration ottla.create.topics: The topic a is listed twice");
}

#[test]
fn offset_reset_values_are_checked() {
    for value in ["latest", "earliest", "by_duration:PT1H", "by_duration:P1DT2H3M4.5S"] {
        check(Scope::Group, "share.auto.offset.reset", value, "ok");
    }
    for value in ["none", "by_duration:", "by_duration:1h", "by_duration:-PT1H", "by_duration:PT"] {
        let setting = table::find(Scope::Group, "share.auto.offset.reset").unwrap();
        assert!(setting.check(value).is_err(), "{value}");
    }
}

#[test]
fn invalid_password_is_hidden_in_the_error() {
    let setting =
        super::Setting { rule: super::Rule::NonEmpty, ..*table::find(Scope::Broker, "ssl.key.password").unwrap() };
    assert!(setting.check(" ").unwrap_err().to_string().starts_with("Invalid value [hidden] for"));
}
