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
        "docs/config.md is out of date; write it again: OTTLA_WRITE_DOCS=1 cargo test -p ottla the_reference_is_up_to_date"
    );
}

#[test]
fn the_samples_are_accepted_as_they_are() {
    for sample in ["config/ottla.toml", "config/server.properties"] {
        let sources = Sources { file: Some(in_project(sample)), ..Sources::default() };
        let resolved = load(&sources).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((resolved.notices, resolved.without_effect), (vec![], vec![]), "{sample}");
    }
}

/// Every commented-out entry of a sample can be uncommented, also all together.
#[test]
fn the_samples_are_accepted_with_everything_uncommented() {
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

/// A typed field that no other layer reads belongs to a setting without effect, and the reverse.
#[test]
fn settings_with_effect_are_read_by_other_layers() {
    let layers = code_outside(&["config", "wire/protocol"]);
    let mut wrong = Vec::new();
    for (file, scope) in [("src/config/broker/mod.rs", Scope::Broker), ("src/config/topic.rs", Scope::Topic)] {
        let text = fs::read_to_string(in_project(file)).unwrap();
        for (field, name) in text.lines().filter_map(typed_field) {
            let has_effect = table::find(scope, name).unwrap().effect == Effect::Implemented;
            let used = is_read(&layers, &format!(".{field}")) || is_read(&text, &format!("self.{field}"));
            if has_effect != used {
                wrong.push(format!("{name}: has effect {has_effect}, used {used}"));
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

/// Returns whether `code` has `what`, and not as the beginning of a longer name.
fn is_read(code: &str, what: &str) -> bool {
    let continues = |rest: &str| rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    code.split(what).skip(1).any(|rest| !continues(rest))
}

/// Returns all Rust code of the layers except these.
fn code_outside(layers: &[&str]) -> String {
    let mut code = String::new();
    let mut folders = vec![in_project("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let named = layers.iter().any(|layer| entry == in_project("src").join(layer));
            if entry.is_dir() && !named {
                folders.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                code.push_str(&fs::read_to_string(&entry).unwrap());
            }
        }
    }
    code
}

/// Comments have a space after the `#`, entries have not.
fn is_entry(line: &str) -> bool {
    line.starts_with(|c: char| c.is_ascii_alphabetic() || c == '"' || c == '[')
}

fn in_project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

const INTRODUCTION: &str = "\
# Settings

Ottla accepts every setting of Apache Kafka 4.4 under its name. No setting is required: `ottla` alone serves.

**Sources of settings.** Defaults, then a file (`--config FILE`: Kafka's `server.properties`, or TOML if the name ends in
`.toml`; samples are in `config/`), then environment variables, then the command line (`--set name=value`, `--data-dir`,
`--ephemeral`, `--port`). A later source overrides an earlier one.

**Environment variables** follow the rule of Kafka's images: `KAFKA_` and the name in capitals, with `_` for `.`, `__`
for `_` and `___` for `-`: `KAFKA_NUM_PARTITIONS=3`. `KAFKA_CFG_` (Bitnami's images) has the same meaning as `KAFKA_`, and
overrides it. An empty variable counts as not set. These variables do not follow the rule:

| Variable | Meaning |
|---|---|
| `CLUSTER_ID`, `KAFKA_CLUSTER_ID`, `KAFKA_KRAFT_CLUSTER_ID` | `ottla.cluster.id` |
| `KAFKA_CREATE_TOPICS` | `ottla.create.topics`, with commas, line ends, or the text of `KAFKA_CREATE_TOPICS_SEPARATOR` between topics |
| `KAFKA_<NAME>_FILE`, `KAFKA_CFG_<NAME>_FILE` | the setting `<NAME>`, whose value is the content of the file with this path |
| `KAFKA_HOST_NAME`, `KAFKA_ADVERTISED_HOST_NAME`, `KAFKA_ADVERTISED_PORT` | `host.name`, `advertised.host.name`, `advertised.port`: see below |
| `ALLOW_PLAINTEXT_LISTENER` | a variable of Bitnami's images: any value except `yes`, `true` or `1` refuses the start, because every listener is PLAINTEXT |

A variable that is not a setting is ignored: `KAFKA_HEAP_OPTS` and the images' other options for Java,
`KAFKA_BOOTSTRAP_SERVERS`, and the variables that Kubernetes sets for a service named kafka (`KAFKA_PORT`). If the name is
similar to a setting's, a log line names that setting.

**Errors** end the start with one line on stderr and exit code 2: an unknown name in a file or on the command line (the
error names the nearest setting), an invalid value (the error has the allowed ones), values that contradict each other.

**Settings files** have the format of Java's properties: comments with `#` or `!`; `=`, `:` or a space after the name; `\\`
at the end of a line that continues on the next one; `\\uXXXX`; line ends LF, CR or both. A file in UTF-8 is read as UTF-8
(Java would read `Zürich` as `ZÃ¼rich`), any other file as ISO-8859-1, as Java reads all files. So comments may have any
encoding.

**Protection.** Settings that require protection that is not implemented yet refuse the start, with one line and exit code
2, before any port is open: an SSL or SASL listener; `security.inter.broker.protocol` and `inter.broker.listener.name` that
require one; `authorizer.class.name`, unless it is one of Kafka's own authorizers, `allow.everyone.if.no.acl.found` is true
and the data directory has no ACLs, because then Kafka allows everything, too; `ALLOW_PLAINTEXT_LISTENER=no`. Settings that
only configure these (`ssl.*`, `sasl.*`, `super.users`) do not refuse the start.

**Before listeners.** If `listeners` is not set, `host.name` and `port` (Kafka up to 2.8) are the address to listen on. If
`advertised.listeners` is not set, `advertised.host.name` and `advertised.port` are the address that clients get.

**Without effect.** Settings in *italics* are checked, stored and shown to clients, but change nothing: they have no meaning
for a single broker, or the feature is not implemented yet. One log line names those that were set, and the listeners of
controllers, which are not opened, because the controller is in the same process. The same applies to `listener.name.*`,
`config.providers.*`, `confluent.*`, and the authorizer's `super.users` and `allow.everyone.if.no.acl.found`.

**Changes** is how a setting can be changed: only at the *start*, while running for this *broker*, or while running for this
broker and as a default for *all* (`kafka-configs --alter`). Settings of topics, groups and client metrics can always be
changed. As in Kafka, with two exceptions: `listeners` and `listener.security.protocol.map` change only at the start, and
`advertised.listeners` also while running, as before Kafka 4. A change of a setting in *italics* is stored, and a log line
reports that it has no effect.

**The settings in force**, and the source of each value: `ottla config` with the flags of the broker shows the settings that
differ from the defaults, `--all` shows all settings, `ottla config NAME` shows everything about one setting, and `--json`
prints the same for scripts.

In TOML a name that is also the beginning of another name needs quotes: `\"max.connections\" = 100`.

";

/// Returns the whole page.
fn reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("## Defaults that are not Kafka's\n\n| Setting | Here | Kafka's | Why |\n|---|---|---|---|\n");
    for setting in table::all(Scope::Broker) {
        if let Some(departure) = setting.departure {
            let (name, here) = (setting.name, default(setting));
            writeln!(page, "| `{name}` | {here} | {} | {} |", code(departure.kafka_default), departure.reason).unwrap();
        }
    }
    page.push_str(
        "\nOne default has the same value but another meaning: without an advertised address, clients of Kafka get the name of\nits host, and each client of Ottla gets the address at which it reached the broker.\n",
    );
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
## Removed from Kafka

Settings of every older Kafka, back to 0.7, are accepted without effect; one log line names those that were set:
`zookeeper.*`, `zk.*`, `password.encoder.*`, `kafka.csv.metrics.*`, `inter.broker.protocol.version`,
`log.message.format.version`, `log.cleanup.interval.mins`, `replica.lag.max.messages` and so on; and the topic settings
`message.format.version`, `message.timestamp.difference.max.ms`, `message.downconversion.enable`. Kafka 4 refuses these
topic settings with INVALID_CONFIG. Ottla accepts and stores them, and does not show them, as Kafka up to 3.9 did: scripts
and frameworks of that time create topics with them, and they would change nothing in a current broker.
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
            Effect::Ignored | Effect::Protection => format!("*{}*", setting.name),
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
