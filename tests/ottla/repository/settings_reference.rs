//! docs/config.md is generated from the table of settings. After a change of the table:
//! `OTTLA_WRITE_DOCS=1 cargo test -p ottla the_reference_is_up_to_date`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use ottla_config::setting::{Effect, Setting, Update};
use ottla_config::{Scope, Sources, load, table};

#[test]
fn the_reference_is_up_to_date() {
    let path = in_project("docs/config.md");
    let reference = reference();
    if std::env::var_os("OTTLA_WRITE_DOCS").is_some() {
        fs::write(&path, &reference).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == reference,
        "docs/config.md is stale; write it with: OTTLA_WRITE_DOCS=1 cargo test -p ottla the_reference_is_up_to_date"
    );
}

#[test]
fn sample_files_are_accepted_without_notices() {
    for sample in ["config/ottla.toml", "config/server.properties"] {
        let sources = Sources { file: Some(in_project(sample)), ..Sources::default() };
        let resolved = load(&sources).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((resolved.notices, resolved.without_effect), (vec![], vec![]), "{sample}");
    }
}

/// Every commented setting of a sample is valid, also together with all others.
#[test]
fn sample_files_are_accepted_with_all_settings_uncommented() {
    for sample in ["config/ottla.toml", "config/server.properties"] {
        let text = fs::read_to_string(in_project(sample)).unwrap();
        let uncommented: Vec<_> =
            text.lines().map(|line| line.strip_prefix('#').filter(|l| is_entry(l)).unwrap_or(line)).collect();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(Path::new(sample).file_name().unwrap());
        fs::write(&path, uncommented.join("\n")).unwrap();
        let resolved =
            load(&Sources { file: Some(path), ..Sources::default() }).unwrap_or_else(|error| panic!("{error}"));
        let given = resolved.config.values.given_at_start().count();
        assert!(given > 15, "{sample} shows {given} settings");
    }
}

/// A typed field is read outside of the config crate if and only if its setting has an effect.
#[test]
fn typed_field_is_read_exactly_if_its_setting_has_an_effect() {
    let code = code_outside(&["config", "wire/protocol"]);
    let mut wrong = Vec::new();
    for (file, scope) in [("src/config/broker/mod.rs", Scope::Broker), ("src/config/topic.rs", Scope::Topic)] {
        let text = fs::read_to_string(in_project(file)).unwrap();
        for (field, name) in text.lines().filter_map(typed_field) {
            let stated = table::find(scope, name).unwrap().effect == Effect::Implemented;
            let used = is_read(&code, &format!(".{field}")) || is_read(&text, &format!("self.{field}"));
            if stated != used {
                wrong.push(format!("{name}: stated {stated}, used {used}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// Field and setting of a row such as `max_size: usize = "group.max.size";`.
fn typed_field(line: &str) -> Option<(&str, &str)> {
    let (field, rest) = line.trim().split_once(": ")?;
    let (_, name) = rest.strip_suffix("\";")?.split_once(" = \"")?;
    Some((field, name))
}

/// Whether `code` contains `what`, not as the start of a longer name.
fn is_read(code: &str, what: &str) -> bool {
    let continues = |rest: &str| rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    code.split(what).skip(1).any(|rest| !continues(rest))
}

/// All Rust code outside of these directories of `src`.
fn code_outside(excluded: &[&str]) -> String {
    let mut code = String::new();
    let mut directories = vec![in_project("src")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
            let is_excluded = excluded.iter().any(|name| entry == in_project("src").join(name));
            if entry.is_dir() && !is_excluded {
                directories.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                code.push_str(&fs::read_to_string(&entry).unwrap());
            }
        }
    }
    code
}

/// Whether a line without its `#` is a setting; comments have a space after the `#`.
fn is_entry(line: &str) -> bool {
    line.starts_with(|c: char| c.is_ascii_alphabetic() || c == '"' || c == '[')
}

fn in_project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

const INTRODUCTION: &str = "\
# Settings

Ottla accepts every setting of Apache Kafka 4.4 by its name. All settings are optional: `ottla` alone starts a broker.

**Sources.** Settings are read from a file (`--config FILE`: Kafka's `server.properties`, or TOML if the name ends in
`.toml`; `config/` has samples), then from environment variables, then from the command line (`--set name=value`, and flags
such as `--data-dir`, `--ephemeral` and `--port`). The last value counts. Settings without a value have their defaults.

**Environment variables** have names as in Kafka's images: `KAFKA_` and the setting's name in capitals, with `_` for `.`,
`__` for `_` and `___` for `-`: `KAFKA_NUM_PARTITIONS=3`. The prefix `KAFKA_CFG_` (of Bitnami's images) has the same meaning
and takes precedence over `KAFKA_`. An empty variable counts as unset. Some variables do not follow this rule:

| Variable | Meaning |
|---|---|
| `CLUSTER_ID`, `KAFKA_CLUSTER_ID`, `KAFKA_KRAFT_CLUSTER_ID` | `ottla.cluster.id` |
| `KAFKA_CREATE_TOPICS` | `ottla.create.topics`; topics are separated by commas or line ends, or by the value of `KAFKA_CREATE_TOPICS_SEPARATOR` |
| `KAFKA_<NAME>_FILE`, `KAFKA_CFG_<NAME>_FILE` | the setting `<NAME>`; its value is read from the file with this path |
| `KAFKA_HOST_NAME`, `KAFKA_ADVERTISED_HOST_NAME`, `KAFKA_ADVERTISED_PORT` | `host.name`, `advertised.host.name`, `advertised.port`; see \"Old listener settings\" |
| `ALLOW_PLAINTEXT_LISTENER` | of Bitnami's images: the broker starts with a PLAINTEXT listener only if it is unset, `yes`, `true` or `1` |
| `KAFKA_SSL_KEYSTORE_FILENAME`, `KAFKA_SSL_KEYSTORE_CREDENTIALS` and others of Kafka's images; `KAFKA_CLIENT_USERS`, `KAFKA_TLS_TYPE` and others of Bitnami's | keystores and users; [docker.md](docker.md#tls-and-sasl) lists them |
| `KAFKA_OPTS` | its Java option `-Djava.security.auth.login.config` is `ottla.jaas.file`; [docker.md](docker.md#tls-and-sasl) has the other options about security |

In the value of a variable that is named after a setting of Kafka, a backslash begins an escape sequence or continues a line, as in
a settings file, because Kafka's images write the values into one.

Variables that are not settings are ignored: `KAFKA_HEAP_OPTS` and other Java options of the images,
`KAFKA_BOOTSTRAP_SERVERS`, and variables that Kubernetes sets for a service with the name kafka (`KAFKA_PORT`). If the name
of a variable is similar to that of a setting, the log has a warning with that setting.

**Errors** end the start with one line on stderr and exit code 2: an unknown name in a file or on the command line (with
the nearest known name), an invalid value (with the valid ones), or values that conflict.

**Settings files** have the format of Java's properties: comments start with `#` or `!`; `=`, `:` or a blank follows the
name; `\\` at the end continues a line; `\\uXXXX` is a character; lines end with LF, CR or both. A valid UTF-8 file is read as
UTF-8 (Java would read `Zürich` as `ZÃ¼rich`), any other file as ISO-8859-1, as Java does. So comments can have any encoding.

**Protection.** If settings require protection that is not supported or not completely configured, the broker does not start:
it prints one line and ends with exit code 2, before it opens a port. These settings are: an SSL listener without a usable
certificate; a SASL listener without a supported mechanism; `security.inter.broker.protocol` or `inter.broker.listener.name`
of a protected kind without a listener of that name; `authorizer.class.name` with any class but Kafka's own;
`ALLOW_PLAINTEXT_LISTENER=no` with a PLAINTEXT listener. Settings with details (`ssl.*`, `sasl.*`) alone do not prevent the
start: with only these, Kafka also serves all clients. [security.md](security.md) has examples.

**Settings of one listener.** `listener.name.<name>.<setting>`, with the listener's name in lower case, overrides an `ssl.*` or
`sasl.*` setting for that listener. As in Kafka, it has precedence over any value without the listener's name.

**Authorization.** `authorizer.class.name` is `org.apache.kafka.metadata.authorizer.StandardAuthorizer`, or one of its two
older names (`kafka.security.authorizer.AclAuthorizer`, `kafka.security.auth.SimpleAclAuthorizer`). Then every request is
checked, and denied unless an ACL allows it. Two settings belong to it, which are not in the tables: `super.users`,
principals that may do everything (`User:admin;User:other`), and `allow.everyone.if.no.acl.found` (`true`: every client may
do everything to a resource that no ACL is about). ACLs are in the metadata log, and `kafka-acls` changes them.

**Old listener settings.** `host.name` and `port` (Kafka before 3.0) set the listener's address if `listeners` is unset.
`advertised.host.name` and `advertised.port` set the advertised address if `advertised.listeners` is unset.

**Settings without effect** are in *italics*. They are checked, stored and returned to clients, but change nothing, because
they have no meaning for a single broker, or because the feature is not implemented yet. One log line names those that were
given. It also names controller listeners, which are not opened, because the controller is part of the broker. The settings
`config.providers.*`, `confluent.*`, and `super.users` and `allow.everyone.if.no.acl.found` without an
authorizer have no effect either. `security.inter.broker.protocol` is in italics too: its only effect is described under
\"Protection\". So is `client.quota.callback.class`: the broker does not start with it, because quotas are decided without
Java classes.

**Changes.** The column says how a setting can be changed: only at *start*; while the broker runs, for this *broker*; or for
this broker and as the default of *all* brokers (`kafka-configs --alter`, `ottla configs set`). Settings of topics, groups
and client metrics can always be changed. This is as in Kafka, with two exceptions: `listeners` and
`listener.security.protocol.map` can be changed only at start, and `advertised.listeners` also while the broker runs (as in
Kafka 3). If a setting without effect is changed, the log says so.

**Current values.** `ottla config`, with the broker's flags, prints the settings that differ from their defaults, and the
source of each value. `--all` prints all settings, `ottla config NAME` prints one with its description, and `--json` prints
JSON. `ottla configs show broker` prints the settings of a running broker.

In TOML, a name that is also the start of another name needs quotes: `\"max.connections\" = 100`.

";

/// Returns the whole page.
fn reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("## Defaults that differ from Kafka's\n\n| Setting | Ottla | Kafka | Reason |\n|---|---|---|---|\n");
    for setting in table::all(Scope::Broker) {
        if let Some(departure) = setting.departure {
            let (name, here) = (setting.name, default(setting));
            writeln!(page, "| `{name}` | {here} | {} | {} |", code(departure.kafka_default), departure.reason).unwrap();
        }
    }
    page.push_str("\nOne default has another meaning: if `advertised.listeners` is unset, Kafka advertises its host name, and Ottla advertises to\neach client the address at which that client reached it.\n");
    for (heading, settings) in table::broker_chapters() {
        chapter(&mut page, heading, settings.iter(), true);
    }
    chapter(&mut page, "Topics", table::all(Scope::Topic), false);
    chapter(&mut page, "Groups", table::all(Scope::Group), false);
    chapter(&mut page, "Client metrics", table::all(Scope::ClientMetrics), false);
    page.push_str(REMOVED);
    page
}

const REMOVED: &str = "
## Settings that Kafka has removed

Settings of all older Kafka releases, back to 0.7, are accepted and have no effect; one log line names those that were
given: `zookeeper.*`, `zk.*`, `password.encoder.*`, `kafka.csv.metrics.*`, `inter.broker.protocol.version`,
`log.message.format.version`, `log.cleanup.interval.mins`, `replica.lag.max.messages` and others. Topics accept
`message.format.version`, `message.timestamp.difference.max.ms` and `message.downconversion.enable`, which Kafka 4 rejects
with INVALID_CONFIG. Ottla stores these and does not return them, as Kafka 3.9 does, because scripts and frameworks of that
time create topics with them, and a current broker would not behave differently with them.
";

fn chapter<'a>(page: &mut String, heading: &str, settings: impl Iterator<Item = &'a Setting>, changes: bool) {
    let (title, rule) = if changes { (" Changes |", "---|") } else { ("", "") };
    writeln!(
        page,
        "\n## {heading}\n\n| Setting | Type | Default | Allowed |{title} What it does |\n|---|---|---|---|{rule}---|"
    )
    .unwrap();
    for setting in settings.filter(|setting| !setting.internal) {
        let name = match setting.effect {
            Effect::Implemented => format!("`{}`", setting.name),
            Effect::Ignored => format!("*{}*", setting.name),
        };
        let kind = setting.kind.to_string().to_lowercase();
        let change = if changes { format!(" {} |", change(setting)) } else { String::new() };
        writeln!(page, "| {name} | {kind} | {} | {} |{change} {} |", default(setting), setting.rule, setting.doc)
            .unwrap();
    }
}

fn default(setting: &Setting) -> String {
    match setting.default {
        None => "unset".to_owned(),
        Some("") => "empty".to_owned(),
        Some("2147483647" | "9223372036854775807" | "1.7976931348623157E308") => "no limit".to_owned(),
        Some(value) => code(value),
    }
}

fn code(value: &str) -> String {
    if value.starts_with('(') { value.to_owned() } else { format!("`{value}`") }
}

fn change(setting: &Setting) -> &'static str {
    match setting.update {
        Update::ReadOnly => "start",
        Update::PerBroker => "broker",
        Update::ClusterWide => "all",
    }
}
