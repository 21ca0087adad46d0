//! docs/config.md is generated from the table of settings. After a change of the table:
//! `OTTLA_WRITE_DOCS=1 cargo test -p ottla settings_page_matches_the_table`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use ottla_config::setting::{Effect, Setting, Update};
use ottla_config::{Scope, Sources, load, table};

#[test]
fn settings_page_matches_the_table() {
    let path = in_project("docs/config.md");
    let reference = reference();
    if std::env::var_os("OTTLA_WRITE_DOCS").is_some() {
        fs::write(&path, &reference).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == reference,
        "docs/config.md is out of date: OTTLA_WRITE_DOCS=1 cargo test -p ottla settings_page_matches_the_table"
    );
}

#[test]
fn sample_files_are_accepted() {
    for sample in ["config/ottla.toml", "config/server.properties"] {
        let sources = Sources { file: Some(in_project(sample)), ..Sources::default() };
        let resolved = load(&sources).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((resolved.notices, resolved.without_effect), (vec![], vec![]), "{sample}");
    }
}

/// Every commented-out entry of a sample is valid, and all of them are valid together.
#[test]
fn sample_files_with_every_line_uncommented_are_accepted() {
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

/// A typed field is read by other crates if and only if its setting is implemented.
#[test]
fn implemented_settings_are_read_by_the_code() {
    let code = code_outside(&["config", "wire/protocol"]);
    let mut wrong = Vec::new();
    for (file, scope) in [("src/config/broker/mod.rs", Scope::Broker), ("src/config/topic.rs", Scope::Topic)] {
        let text = fs::read_to_string(in_project(file)).unwrap();
        for (field, name) in text.lines().filter_map(typed_field) {
            let implemented = table::find(scope, name).unwrap().effect == Effect::Implemented;
            let used = is_read(&code, &format!(".{field}")) || is_read(&text, &format!("self.{field}"));
            if implemented != used {
                wrong.push(format!("{name}: implemented {implemented}, used {used}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// The field and the setting of a row such as `max_size: usize = "group.max.size";`.
fn typed_field(line: &str) -> Option<(&str, &str)> {
    let (field, rest) = line.trim().split_once(": ")?;
    let (_, name) = rest.strip_suffix("\";")?.split_once(" = \"")?;
    Some((field, name))
}

/// Whether `code` contains `what` as a whole name.
fn is_read(code: &str, what: &str) -> bool {
    let goes_on = |rest: &str| rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    code.split(what).skip(1).any(|rest| !goes_on(rest))
}

/// All Rust code under src except in these folders.
fn code_outside(except: &[&str]) -> String {
    let mut code = String::new();
    let mut folders = vec![in_project("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let is_excepted = except.iter().any(|folder| entry == in_project("src").join(folder));
            if entry.is_dir() && !is_excepted {
                folders.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                code.push_str(&fs::read_to_string(&entry).unwrap());
            }
        }
    }
    code
}

/// Whether the text after a `#` is an entry; comments have a space there.
fn is_entry(line: &str) -> bool {
    line.starts_with(|c: char| c.is_ascii_alphabetic() || c == '"' || c == '[')
}

fn in_project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

const INTRODUCTION: &str = "\
# Settings

Ottla knows every setting of Apache Kafka 4.4 by its name. No setting is required: `ottla` starts without any.

**Sources** are the defaults, a file (`--config FILE`: Kafka's `server.properties`, or TOML if the name ends in `.toml`;
samples are in `config/`), environment variables, and the command line (`--set name=value`, `--data-dir`, `--ephemeral`,
`--port`). Each of them overrides those before it.

**Environment variables** follow the rule of Kafka's images: `KAFKA_` and the name in capitals, with `_` for `.`, `__`
for `_` and `___` for `-`: `KAFKA_NUM_PARTITIONS=3`. `KAFKA_CFG_` in place of `KAFKA_` (Bitnami's images) has the same
meaning, and overrides it if both are set. An empty variable counts as not set. Other variables:

| Variable | Meaning |
|---|---|
| `CLUSTER_ID`, `KAFKA_CLUSTER_ID`, `KAFKA_KRAFT_CLUSTER_ID` | `ottla.cluster.id` |
| `KAFKA_CREATE_TOPICS` | `ottla.create.topics`, with commas or line ends between topics, or with the separator in `KAFKA_CREATE_TOPICS_SEPARATOR` |
| `KAFKA_<NAME>_FILE`, `KAFKA_CFG_<NAME>_FILE` | the setting `<NAME>`, with the content of the file at that path as its value |
| `KAFKA_HOST_NAME`, `KAFKA_ADVERTISED_HOST_NAME`, `KAFKA_ADVERTISED_PORT` | `host.name`, `advertised.host.name`, `advertised.port`: see below |
| `ALLOW_PLAINTEXT_LISTENER` | a variable of Bitnami's images: any value except `yes`, `true` or `1` refuses the start, because every listener is PLAINTEXT |

A variable that names no setting is ignored: `KAFKA_HEAP_OPTS` and the images' other options for Java,
`KAFKA_BOOTSTRAP_SERVERS`, and the variables that Kubernetes sets for a service called kafka (`KAFKA_PORT`). If a name
looks like a misspelled setting, the log names the setting.

**Mistakes** end the start with one line on stderr and exit code 2: an unknown name in a file or on the command line
(with the nearest known name), a value that is not allowed (with the allowed ones), values that conflict.

**Settings files** have the format of Java's properties: comments with `#` or `!`, `=`, `:` or a blank after the name,
`\\` at the end of a line that continues, `\\uXXXX`, lines that end with LF, CR or both. A UTF-8 file is read as UTF-8
(Java would read `Zürich` as `ZÃ¼rich`), any other as ISO-8859-1, as Java reads every file.

**Protection.** A setting that demands protection which is not supported yet refuses the start, with one line and exit
code 2, before any port is open: an SSL or SASL listener; `security.inter.broker.protocol` and
`inter.broker.listener.name` that name one; `ALLOW_PLAINTEXT_LISTENER=no`; `authorizer.class.name`. The last is accepted
if it names one of Kafka's own authorizers, `allow.everyone.if.no.acl.found` is true and the data directory has no ACLs,
because every client is then allowed everything in Kafka too. Settings with details of protection (`ssl.*`, `sasl.*`,
`super.users`) are accepted, because by themselves they protect nothing in Kafka either.

**Settings before `listeners`.** `host.name` and `port` (Kafka up to 2.8) set the listener if `listeners` is not set.
`advertised.host.name` and `advertised.port` set the advertised address if `advertised.listeners` is not set.

**Without effect.** Settings in *italics* are checked, stored and returned to clients, but have no effect: they have no
meaning for a single broker, or the feature is not supported yet. One line in the log names those that were set, and
the listeners of controllers, which are not opened because the controller is part of the broker. `listener.name.*`,
`config.providers.*`, `confluent.*`, `super.users` and `allow.everyone.if.no.acl.found` have no effect either.

**Changes** says how a setting can change: only at *start*; while running, for this *broker*; or while running, for this
broker and as a default for *all* brokers (`kafka-configs --alter`). Settings of topics, groups and client metrics can
always change. This is as in Kafka with two exceptions: `listeners` and `listener.security.protocol.map` change only at
start, and `advertised.listeners` also changes while running, as before Kafka 4. A change of a setting in *italics* is
stored, and the log says that it has no effect.

**Effective values** with their sources: `ottla config`, with the flags of the broker, shows the values that differ from
the defaults, `--all` all values, `ottla config NAME` the details of one setting. `--json` prints the same for scripts.

In TOML a name that is also the beginning of another one needs quotes: `\"max.connections\" = 100`.

";

/// The whole page.
fn reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("## Defaults that are not Kafka's\n\n| Setting | Here | Kafka's | Why |\n|---|---|---|---|\n");
    for setting in table::all(Scope::Broker) {
        if let Some(departure) = setting.departure {
            let (name, here) = (setting.name, default(setting));
            writeln!(page, "| `{name}` | {here} | {} | {} |", code(departure.kafka_default), departure.reason).unwrap();
        }
    }
    page.push_str("\nA default with another meaning: without `advertised.listeners` Kafka advertises the name of its host, and Ottla\nadvertises to each client the address that the client is connected to.\n");
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

Settings of older releases of Kafka, back to 0.7, are accepted without effect; one line in the log names those that were
set:
`zookeeper.*`, `zk.*`, `password.encoder.*`, `kafka.csv.metrics.*`, `inter.broker.protocol.version`,
`log.message.format.version`, `log.cleanup.interval.mins`, `replica.lag.max.messages` and the like; and of topics
`message.format.version`, `message.timestamp.difference.max.ms`, `message.downconversion.enable`. Kafka 4 refuses those
of topics with INVALID_CONFIG. Ottla accepts and stores them, and does not return them, like Kafka up to 3.9, because
scripts and frameworks of that time create topics with them.
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
