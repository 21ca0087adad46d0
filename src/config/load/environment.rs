//! Environment variables as settings: the rule of Kafka's images, and the names that other images gave some of them.

use std::fs;

use super::error::LoadError;
use crate::table::{self, Scope};
use ottla_wire::types::sort_by;

/// A variable read as a setting. Whether there is such a setting is the caller's question.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Variable {
    /// As it stands in the environment.
    pub variable: String,
    pub name: String,
    pub value: String,
}

/// Which of two variables for one setting counts: the later kind does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// A name of its own: [`ALIASES`].
    Alias,
    /// `KAFKA_` and the setting's name (apache/kafka, confluentinc/cp-kafka and most others).
    Image,
    /// `KAFKA_CFG_` and the setting's name (bitnami/kafka).
    Bitnami,
}

/// Variables whose names do not follow from their settings'.
const ALIASES: &[(&str, &str)] = &[
    ("CLUSTER_ID", "ottla.cluster.id"),
    ("KAFKA_CLUSTER_ID", "ottla.cluster.id"),
    ("KAFKA_KRAFT_CLUSTER_ID", "ottla.cluster.id"),
    (CREATE_TOPICS, "ottla.create.topics"),
];

/// wurstmeister/kafka's list of topics, and what stands between them where that is no comma.
const CREATE_TOPICS: &str = "KAFKA_CREATE_TOPICS";
const CREATE_TOPICS_SEPARATOR: &str = "KAFKA_CREATE_TOPICS_SEPARATOR";

/// Bitnami's images refuse to start with a listener without protection, unless this says yes.
const ALLOW_PLAINTEXT_LISTENER: &str = "ALLOW_PLAINTEXT_LISTENER";

/// What the images read for themselves, Java's options and Kubernetes' service variables among it: `KAFKA_PORT` is
/// `tcp://10.0.0.1:9092` wherever a service is called kafka.
const NOT_SETTINGS: &[&str] = &[
    "VERSION",
    "HOME",
    "HOSTNAME",
    "HEAP_OPTS",
    "OPTS",
    "DEBUG",
    "GC_LOG_OPTS",
    "EXTRA_ARGS",
    "PORT",
    "ENABLE_KRAFT",
    "CREATE_TOPICS_SEPARATOR",
];
const NOT_SETTINGS_PREFIXES: &[&str] = &["LOG4J_", "JMX_", "JVM_", "TOOLS_", "PORT_", "SERVICE_", "KRAFT_"];
/// Names of files under /etc/kafka/secrets, from which the images make settings of TLS.
const NOT_SETTINGS_SUFFIXES: &[&str] = &["_FILENAME", "_CREDENTIALS"];

/// Says that the value is in the file of this name, where the variable without it would hold the value.
const IN_A_FILE: &str = "_FILE";

/// All variables that may be settings, the weakest first. An empty one counts as not given.
pub(super) fn read(variables: &[(String, String)]) -> Result<Vec<Variable>, LoadError> {
    let mut found = Vec::new();
    for (variable, value) in variables.iter().filter(|(_, value)| !value.trim().is_empty()) {
        let (kind, name, value) = match (meaning(variable), in_a_file(variable)) {
            // Kafka has settings of its own that end in ".file".
            (Some((kind, name)), _) if is_known(&name) => (kind, name, value.clone()),
            (_, Some((kind, name))) => (kind, name, content(variable, value)?),
            (Some((kind, name)), None) => (kind, name, value.clone()),
            (None, None) => continue,
        };
        found.push((kind, Variable { variable: variable.clone(), name, value }));
    }
    // Of a variable and the one that names a file in its place, the latter comes after, and counts.
    sort_by(&mut found, |(a, one), (b, other)| (a, &one.variable).cmp(&(b, &other.variable)));
    let mut found: Vec<Variable> = found.into_iter().map(|(_, variable)| variable).collect();
    separate_topics(&mut found, variables);
    Ok(found)
}

/// The variable that forbids listeners without protection, and its value, where it is given.
pub(super) fn plaintext_forbidden(variables: &[(String, String)]) -> Option<(&str, &str)> {
    let (variable, value) = variables.iter().find(|(variable, _)| variable == ALLOW_PLAINTEXT_LISTENER)?;
    let says_yes = ["yes", "true", "1"].iter().any(|yes| value.trim().eq_ignore_ascii_case(yes));
    (!says_yes && !value.trim().is_empty()).then_some((variable, value.trim()))
}

/// The setting that `variable` stands for; `None` for one that is no business of ours.
fn meaning(variable: &str) -> Option<(Kind, String)> {
    if let Some((_, name)) = ALIASES.iter().find(|(alias, _)| *alias == variable) {
        return Some((Kind::Alias, (*name).to_owned()));
    }
    let rest = variable.strip_prefix("KAFKA_").filter(|rest| !is_no_setting(rest))?;
    Some(match rest.strip_prefix("CFG_") {
        Some(rest) => (Kind::Bitnami, setting_name(rest)),
        None => (Kind::Image, setting_name(rest)),
    })
}

fn is_no_setting(rest: &str) -> bool {
    NOT_SETTINGS.contains(&rest)
        || NOT_SETTINGS_PREFIXES.iter().any(|prefix| rest.starts_with(prefix))
        || NOT_SETTINGS_SUFFIXES.iter().any(|suffix| rest.ends_with(suffix))
}

/// In small letters, `_` as `.`, `__` as `_`, `___` as `-`.
fn setting_name(rest: &str) -> String {
    rest.to_ascii_lowercase().replace("___", "-").replace("__", "\u{0}").replace('_', ".").replace('\u{0}', "_")
}

/// The setting whose value is in the file that `variable` names, where it is such a variable.
fn in_a_file(variable: &str) -> Option<(Kind, String)> {
    meaning(variable.strip_suffix(IN_A_FILE)?).filter(|(_, name)| is_known(name))
}

fn is_known(name: &str) -> bool {
    table::find(Scope::Broker, name).is_some()
}

fn content(variable: &str, path: &str) -> Result<String, LoadError> {
    let text = fs::read_to_string(path.trim());
    let text =
        text.map_err(|error| LoadError::ValueFile { variable: variable.to_owned(), path: path.into(), error })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Puts commas between the topics of [`CREATE_TOPICS`], as a list has them.
fn separate_topics(found: &mut [Variable], variables: &[(String, String)]) {
    let separator = variables.iter().find(|(variable, _)| variable == CREATE_TOPICS_SEPARATOR);
    let separator = separator.map(|(_, separator)| separator.as_str()).filter(|separator| !separator.is_empty());
    for variable in found.iter_mut().filter(|variable| variable.variable.starts_with(CREATE_TOPICS)) {
        let commas = separator.map_or(variable.value.clone(), |separator| variable.value.replace(separator, ","));
        variable.value = commas.replace('\n', ",");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_pairs(pairs: &[(&str, &str)]) -> Vec<Variable> {
        let variables: Vec<_> = pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        read(&variables).unwrap()
    }

    /// What one variable of value `v` gives.
    fn check(variable: &str, expect: Option<&str>) {
        let read = read_pairs(&[(variable, "v")]);
        assert_eq!(read.first().map(|given| given.name.as_str()), expect, "{variable}");
    }

    #[test]
    fn names() {
        check("KAFKA_NUM_PARTITIONS", Some("num.partitions"));
        check("KAFKA_LISTENER_NAME_A__B_SASL_JAAS_CONFIG", Some("listener.name.a_b.sasl.jaas.config"));
        check("KAFKA_A___B", Some("a-b"));
        check("KAFKA_OTTLA_EPHEMERAL", Some("ottla.ephemeral"));
        check("KAFKA_CFG_NUM_PARTITIONS", Some("num.partitions"));
        check("KAFKA_BROKER_ID", Some("broker.id"));
        check("PATH", None);
        check("MY_KAFKA_X", None);
    }

    #[test]
    fn names_of_their_own() {
        for variable in ["CLUSTER_ID", "KAFKA_CLUSTER_ID", "KAFKA_KRAFT_CLUSTER_ID"] {
            check(variable, Some("ottla.cluster.id"));
        }
        check("KAFKA_CREATE_TOPICS", Some("ottla.create.topics"));
    }

    #[test]
    fn what_images_keep_for_themselves() {
        let of_images = "VERSION HEAP_OPTS LOG4J_OPTS OPTS JMX_OPTS JVM_PERFORMANCE_OPTS GC_LOG_OPTS \
                         LOG4J_ROOT_LOGLEVEL LOG4J_LOGGERS TOOLS_LOG4J_LOGLEVEL JMX_HOSTNAME JMX_PORT PORT \
                         PORT_9092_TCP_ADDR SERVICE_HOST ENABLE_KRAFT SSL_KEYSTORE_FILENAME SSL_KEY_CREDENTIALS";
        for name in of_images.split_whitespace() {
            check(&format!("KAFKA_{name}"), None);
        }
        check("ALLOW_PLAINTEXT_LISTENER", None);
    }

    #[test]
    fn the_plainest_name_is_the_weakest() {
        let read = read_pairs(&[
            ("KAFKA_CFG_NUM_PARTITIONS", "3"),
            ("KAFKA_NUM_PARTITIONS", "2"),
            ("KAFKA_OTTLA_CLUSTER_ID", "b"),
            ("CLUSTER_ID", "a"),
            ("KAFKA_NODE_ID", " "),
        ]);
        let values: Vec<_> = read.iter().map(|given| given.value.as_str()).collect();
        assert_eq!(values, ["a", "2", "b", "3"]);
    }

    #[test]
    fn a_value_in_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("value");
        fs::write(&path, "5\n").unwrap();
        let path = path.to_str().unwrap();
        for variable in ["KAFKA_NUM_PARTITIONS_FILE", "KAFKA_CFG_NUM_PARTITIONS_FILE"] {
            let read = read_pairs(&[(variable, path), ("KAFKA_NUM_PARTITIONS", "2")]);
            let last = read.last().unwrap();
            assert_eq!((last.name.as_str(), last.value.as_str()), ("num.partitions", "5"), "{variable}");
        }
        check("KAFKA_SASL_OAUTHBEARER_ASSERTION_FILE", Some("sasl.oauthbearer.assertion.file"));
        let gone = [("KAFKA_NUM_PARTITIONS_FILE".to_owned(), "/nowhere/at-all".to_owned())];
        let said = read(&gone).unwrap_err().to_string();
        assert!(
            said.starts_with("cannot read /nowhere/at-all (environment variable KAFKA_NUM_PARTITIONS_FILE): "),
            "{said}"
        );
    }

    #[test]
    fn topics_may_have_another_separator() {
        let topics = |separator: &str, text: &str| {
            let read = read_pairs(&[("KAFKA_CREATE_TOPICS_SEPARATOR", separator), ("KAFKA_CREATE_TOPICS", text)]);
            read[0].value.clone()
        };
        assert_eq!(topics("", "a:1:1,b:2:1:compact"), "a:1:1,b:2:1:compact");
        assert_eq!(topics(";", "a:1:1;b:2:1:compact"), "a:1:1,b:2:1:compact");
        assert_eq!(topics("", "a:1:1\nb:2:1\n"), "a:1:1,b:2:1,");
    }
}
