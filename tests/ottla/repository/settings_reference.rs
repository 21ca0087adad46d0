//! docs/config.md is written from the table of settings. After a change to the table:
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
        "docs/config.md is stale; write it anew: OTTLA_WRITE_DOCS=1 cargo test -p ottla the_reference_is_up_to_date"
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

/// Every line that is commented out in a sample is one to uncomment: with all of them in force, all is still well.
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

/// A typed field that no other room reads belongs to a setting without effect, and the other way round.
#[test]
fn what_is_said_to_take_effect_is_used() {
    let rooms = code_outside(&["config", "wire/protocol"]);
    let mut wrong = Vec::new();
    for (file, scope) in [("src/config/broker/mod.rs", Scope::Broker), ("src/config/topic.rs", Scope::Topic)] {
        let text = fs::read_to_string(in_project(file)).unwrap();
        for (field, name) in text.lines().filter_map(typed_field) {
            let said = table::find(scope, name).unwrap().effect == Effect::Implemented;
            let used = is_read(&rooms, &format!(".{field}")) || is_read(&text, &format!("self.{field}"));
            if said != used {
                wrong.push(format!("{name}: said {said}, used {used}"));
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

/// Whether `code` has `what`, and not as the beginning of a longer name.
fn is_read(code: &str, what: &str) -> bool {
    let goes_on = |rest: &str| rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    code.split(what).skip(1).any(|rest| !goes_on(rest))
}

/// All Rust code of the rooms but for those named.
fn code_outside(rooms: &[&str]) -> String {
    let mut code = String::new();
    let mut folders = vec![in_project("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let named = rooms.iter().any(|room| entry == in_project("src").join(room));
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

Ottla knows every setting of Apache Kafka 4.4 by its name. None has to be given: `ottla` alone serves.

**Where settings come from.** Defaults, then a file (`--config FILE`: Kafka's `server.properties`, or TOML if the name
ends in `.toml`; samples are in `config/`), then environment variables, then the command line (`--set name=value`, and
`--data-dir`, `--ephemeral`, `--port`). The last one counts.

**Environment variables** follow the rule of Kafka's images: `KAFKA_` and the name in capitals, with `_` for `.`, `__`
for `_` and `___` for `-`: `KAFKA_NUM_PARTITIONS=3`. `KAFKA_CFG_` in place of `KAFKA_` (Bitnami's images) says the same,
and counts where both are there. An empty variable counts as not set. What follows from no such rule:

| Variable | Stands for |
|---|---|
| `CLUSTER_ID`, `KAFKA_CLUSTER_ID`, `KAFKA_KRAFT_CLUSTER_ID` | `ottla.cluster.id` |
| `KAFKA_CREATE_TOPICS` | `ottla.create.topics`, with commas or line ends between topics, or what `KAFKA_CREATE_TOPICS_SEPARATOR` says |
| `KAFKA_<NAME>_FILE`, `KAFKA_CFG_<NAME>_FILE` | the setting `<NAME>`, whose value is what is in the file of that path |
| `KAFKA_HOST_NAME`, `KAFKA_ADVERTISED_HOST_NAME`, `KAFKA_ADVERTISED_PORT` | `host.name`, `advertised.host.name`, `advertised.port`: see below |
| `ALLOW_PLAINTEXT_LISTENER` | Bitnami's: anything but `yes`, `true` or `1` refuses the start, since every listener is PLAINTEXT |

A variable that names no setting is somebody else's and left alone: `KAFKA_HEAP_OPTS` and the images' other options for
Java, `KAFKA_BOOTSTRAP_SERVERS`, and what Kubernetes sets for a service called kafka (`KAFKA_PORT`). One that looks like a slip is mentioned in the log, with the name that was meant.

**Mistakes** end the start with one line on stderr and exit code 2: an unknown name in a file or on the command line
(with the nearest known one), a value that is not allowed (with what is), values that do not go together.

**Settings files** have the form of Java's properties: comments with `#` or `!`, `=`, `:` or a blank after the name, `\\`
at the end of a line that goes on, `\\uXXXX`, lines that end with LF, CR or both. A file that is UTF-8 is read as that (Java
would make `ZÃ¼rich` of `Zürich`), any other as ISO-8859-1, as Java reads all; so a comment may be in any encoding.

**Protection.** What demands protection that is not there yet refuses the start, with one line and exit code 2, before
any port is open: an SSL or SASL listener; `security.inter.broker.protocol` and `inter.broker.listener.name` that ask for
one; `authorizer.class.name`, unless it is one of Kafka's own and `allow.everyone.if.no.acl.found` is true, so that every
client may do everything anyway (and the data directory has no ACLs); `ALLOW_PLAINTEXT_LISTENER=no`. Settings that carry
details for those (`ssl.*`, `sasl.*`, `super.users`) demand nothing by themselves: Kafka serves everybody with them too.

**Before listeners.** `host.name` and `port` (Kafka up to 2.8) decide where to listen if `listeners` is not given,
`advertised.host.name` and `advertised.port` what clients are told if `advertised.listeners` is not.

**Without effect.** Settings in *italics* are checked, remembered and shown to clients that ask, but change nothing: a
single broker gives them no meaning, or the feature is not there yet. One line in the log names those that were given,
with listeners of controllers, which are not opened: the controller is inside. The same goes for `listener.name.*`,
`config.providers.*`, `confluent.*`, and the authorizer's `super.users` and `allow.everyone.if.no.acl.found`.

**Changes** says how a setting may change: at *start*, or while running for this *broker*, or for this broker and as a
default for *all* (`kafka-configs --alter`). Settings of topics, groups and client metrics always may. It is as in Kafka,
but that `listeners` and `listener.security.protocol.map` change at start only, and `advertised.listeners` while running
too, as before Kafka 4. A change of what is in *italics* is remembered, and the log says that it has no effect.

**What is in force**, and where each value came from: `ottla config` with the flags of the broker in question shows what
differs from the defaults, `--all` everything, `ottla config NAME` all there is to know of one setting, `--json` the same
for scripts.

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
    page.push_str("\nNot a value but a meaning: where nothing is advertised, Kafka tells clients its host's name, and Ottla tells each\nclient the address at which that client reached it.\n");
    for (heading, settings) in table::broker_chapters() {
        chapter(&mut page, heading, settings.iter(), true);
    }
    chapter(&mut page, "Topics", table::all(Scope::Topic), false);
    chapter(&mut page, "Groups", table::all(Scope::Group), false);
    chapter(&mut page, "Client metrics", table::all(Scope::ClientMetrics), false);
    page.push_str(GONE);
    page
}

const GONE: &str = "
## Gone from Kafka

Names of every older Kafka, back to 0.7, are accepted and do nothing; the log names those that were given, once:
`zookeeper.*`, `zk.*`, `password.encoder.*`, `kafka.csv.metrics.*`, `inter.broker.protocol.version`,
`log.message.format.version`, `log.cleanup.interval.mins`, `replica.lag.max.messages` and the like; and of topics
`message.format.version`, `message.timestamp.difference.max.ms`, `message.downconversion.enable`. Kafka 4 answers the
latter with INVALID_CONFIG. Here they are taken, kept and not shown, as they were up to Kafka 3.9: scripts and frameworks of
that time create their topics with them, and there is nothing in them that a broker of today would do differently.
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
