//! Environment variables as settings: the naming rule of Kafka's images, and special names of some images. Variables about
//! security with other rules are in `images`.

use super::error::LoadError;
use super::images::{self, FILE_SUFFIX, read_value_file};
use super::properties;
use crate::table::{self, Scope};
use crate::values::Source;
use ottla_wire::types::sort_by;

/// A variable and the setting name that it maps to. The setting may not exist.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Variable {
    /// The variable's name.
    pub variable: String,
    /// The setting's name.
    pub name: String,
    pub value: String,
}

/// The kinds of variables, in ascending precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// A special name: [`ALIASES`].
    Alias,
    /// `KAFKA_` and the setting's name (apache/kafka, confluentinc/cp-kafka and most other images).
    Image,
    /// `KAFKA_CFG_` and the setting's name (bitnami/kafka).
    Bitnami,
}

/// Variables whose names are not derived from their settings.
const ALIASES: &[(&str, &str)] = &[
    ("CLUSTER_ID", "ottla.cluster.id"),
    ("KAFKA_CLUSTER_ID", "ottla.cluster.id"),
    ("KAFKA_KRAFT_CLUSTER_ID", "ottla.cluster.id"),
    (CREATE_TOPICS, "ottla.create.topics"),
];

/// wurstmeister/kafka's list of topics, and its separator if that is not a comma.
const CREATE_TOPICS: &str = "KAFKA_CREATE_TOPICS";
const CREATE_TOPICS_SEPARATOR: &str = "KAFKA_CREATE_TOPICS_SEPARATOR";

/// Bitnami's images refuse to start with a PLAINTEXT listener unless this is `yes`.
const ALLOW_PLAINTEXT_LISTENER: &str = "ALLOW_PLAINTEXT_LISTENER";

/// Variables that are not settings: those of the images' scripts, Java options, and Kubernetes service variables
/// (`KAFKA_PORT` is `tcp://10.0.0.1:9092` if a service is named kafka).
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
/// Names of files under /etc/kafka/secrets, from which the images derive TLS settings.
const NOT_SETTINGS_SUFFIXES: &[&str] = &["_FILENAME", "_CREDENTIALS"];

/// What the scripts of Bitnami's image write in place of these parts of names, which have no double underscore there.
const BITNAMI_PROTOCOLS: [(&str, &str); 2] = [("sasl.ssl", "sasl_ssl"), ("sasl.plaintext", "sasl_plaintext")];

/// Returns the variables that may be settings, in ascending precedence. An empty variable counts as not set.
pub(super) fn read(variables: &[(String, String)]) -> Result<Vec<Variable>, LoadError> {
    let mut found = Vec::new();
    for (variable, value) in variables.iter().filter(|(_, value)| !value.trim().is_empty()) {
        let (kind, name, value) = match (setting_of(variable), setting_in_file(variable)) {
            // Kafka has settings that end in ".file".
            (Some((kind, name)), _) if is_known(&name) => given(variable, kind, name, value)?,
            (_, Some((kind, name))) => (kind, name, read_value_file(variable, value)?),
            (Some((kind, name)), None) => given(variable, kind, name, value)?,
            (None, None) => continue,
        };
        found.push((kind, Variable { variable: variable.clone(), name, value }));
    }
    // The variable with the suffix `_FILE` sorts after the one without, so it has precedence.
    sort_by(&mut found, |(a, one), (b, other)| (a, &one.variable).cmp(&(b, &other.variable)));
    let mut found: Vec<Variable> = found.into_iter().map(|(_, variable)| variable).collect();
    separate_topics(&mut found, variables);
    Ok(found)
}

/// The value as the images pass it on: they write it into a settings file, where a backslash begins an escape sequence or
/// continues a line. Settings of our own are taken as they are.
fn given(variable: &str, kind: Kind, name: String, value: &str) -> Result<(Kind, String, String), LoadError> {
    let is_kafkas = kind != Kind::Alias && !name.starts_with("ottla.");
    let value = match is_kafkas {
        true => properties::unescape_value(value)
            .map_err(|reason| LoadError::Syntax { from: Source::Environment(variable.to_owned()), reason })?,
        false => value.to_owned(),
    };
    Ok((kind, name, value))
}

/// Returns [`ALLOW_PLAINTEXT_LISTENER`] and its value, if it is set to a value that forbids PLAINTEXT listeners.
pub(super) fn plaintext_forbidden(variables: &[(String, String)]) -> Option<(&str, &str)> {
    let (variable, value) = variables.iter().find(|(variable, _)| variable == ALLOW_PLAINTEXT_LISTENER)?;
    let allows = ["yes", "true", "1"].iter().any(|yes| value.trim().eq_ignore_ascii_case(yes));
    (!allows && !value.trim().is_empty()).then_some((variable, value.trim()))
}

/// The setting that `variable` maps to; `None` if it is not a setting.
fn setting_of(variable: &str) -> Option<(Kind, String)> {
    if let Some((_, name)) = ALIASES.iter().find(|(alias, _)| *alias == variable) {
        return Some((Kind::Alias, (*name).to_owned()));
    }
    let rest = variable.strip_prefix("KAFKA_").filter(|rest| !is_image_variable(rest))?;
    Some(match rest.strip_prefix("CFG_") {
        Some(rest) => {
            let name = setting_name(rest);
            let written = |name: String, (from, to): (&str, &str)| name.replace(from, to);
            (Kind::Bitnami, BITNAMI_PROTOCOLS.into_iter().fold(name, written))
        }
        None => (Kind::Image, setting_name(rest)),
    })
}

fn is_image_variable(rest: &str) -> bool {
    NOT_SETTINGS.contains(&rest)
        || NOT_SETTINGS_PREFIXES.iter().any(|prefix| rest.starts_with(prefix))
        || NOT_SETTINGS_SUFFIXES.iter().any(|suffix| rest.ends_with(suffix))
        || images::is_read_here(rest)
}

/// Converts to lower case, `_` to `.`, `__` to `_`, `___` to `-`.
fn setting_name(rest: &str) -> String {
    rest.to_ascii_lowercase().replace("___", "-").replace("__", "\u{0}").replace('_', ".").replace('\u{0}', "_")
}

/// The setting that `variable` maps to, if its value is the path of a file with the value of the setting.
fn setting_in_file(variable: &str) -> Option<(Kind, String)> {
    setting_of(variable.strip_suffix(FILE_SUFFIX)?).filter(|(_, name)| is_known(name))
}

fn is_known(name: &str) -> bool {
    table::find(Scope::Broker, name).is_some()
}

/// Replaces the separator between the topics of [`CREATE_TOPICS`] by commas.
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
    use std::fs;

    use super::*;

    fn read_pairs(pairs: &[(&str, &str)]) -> Vec<Variable> {
        let variables: Vec<_> = pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        read(&variables).unwrap()
    }

    /// Checks the setting name of one variable.
    fn check(variable: &str, expect: Option<&str>) {
        let read = read_pairs(&[(variable, "v")]);
        assert_eq!(read.first().map(|given| given.name.as_str()), expect, "{variable}");
    }

    #[test]
    fn variables_map_to_setting_names() {
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
    fn special_names_map_to_their_settings() {
        for variable in ["CLUSTER_ID", "KAFKA_CLUSTER_ID", "KAFKA_KRAFT_CLUSTER_ID"] {
            check(variable, Some("ottla.cluster.id"));
        }
        check("KAFKA_CREATE_TOPICS", Some("ottla.create.topics"));
    }

    #[test]
    fn variables_of_image_scripts_are_ignored() {
        let of_images = "VERSION HEAP_OPTS LOG4J_OPTS OPTS JMX_OPTS JVM_PERFORMANCE_OPTS GC_LOG_OPTS \
                         LOG4J_ROOT_LOGLEVEL LOG4J_LOGGERS TOOLS_LOG4J_LOGLEVEL JMX_HOSTNAME JMX_PORT PORT \
                         PORT_9092_TCP_ADDR SERVICE_HOST ENABLE_KRAFT SSL_KEYSTORE_FILENAME SSL_KEY_CREDENTIALS";
        for name in of_images.split_whitespace() {
            check(&format!("KAFKA_{name}"), None);
        }
        check("ALLOW_PLAINTEXT_LISTENER", None);
    }

    #[test]
    fn variables_are_sorted_by_precedence() {
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
    fn value_is_read_from_the_named_file() {
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
        let missing = [("KAFKA_NUM_PARTITIONS_FILE".to_owned(), "/nowhere/at-all".to_owned())];
        let message = read(&missing).unwrap_err().to_string();
        assert!(
            message.starts_with("cannot read /nowhere/at-all (environment variable KAFKA_NUM_PARTITIONS_FILE): "),
            "{message}"
        );
    }

    #[test]
    fn names_of_protocols_in_names_of_listeners_have_an_underscore_in_bitnamis_variables() {
        let keystore = Some("listener.name.sasl_ssl.ssl.keystore.location");
        check("KAFKA_CFG_LISTENER_NAME_SASL_SSL_SSL_KEYSTORE_LOCATION", keystore);
        check("KAFKA_LISTENER_NAME_SASL__SSL_SSL_KEYSTORE_LOCATION", keystore);
        let users = Some("listener.name.sasl_plaintext.plain.sasl.jaas.config");
        check("KAFKA_CFG_LISTENER_NAME_SASL_PLAINTEXT_PLAIN_SASL_JAAS_CONFIG", users);
    }

    #[test]
    fn values_of_kafkas_settings_have_the_escapes_of_settings_files() {
        let check = |variable: &str, value: &str, expect: &str| {
            assert_eq!(read_pairs(&[(variable, value)])[0].value, expect, "{variable}");
        };
        let rules = "KAFKA_SSL_PRINCIPAL_MAPPING_RULES";
        check(rules, r"RULE:^CN=(.*?)\\.example,.*$/$1/", r"RULE:^CN=(.*?)\.example,.*$/$1/");
        check(
            "KAFKA_SASL_JAAS_CONFIG",
            "a.B required \\\n    x=\"y\" \\\r\n  z=\"\\u0041\";\n",
            "a.B required x=\"y\" z=\"A\";\n",
        );
        check("KAFKA_CFG_SSL_KEYSTORE_KEY", "-----BEGIN\\nKEY\\n", "-----BEGIN\nKEY\n");
        check("KAFKA_SSL_KEYSTORE_KEY", "-----BEGIN\nKEY\n", "-----BEGIN\nKEY\n");
        check("KAFKA_OTTLA_USERS", r"a:x\,y", r"a:x\,y");
        let error = read(&[("KAFKA_BROKER_RACK".to_owned(), "\\u12".to_owned())]).unwrap_err().to_string();
        assert_eq!(error, "environment variable KAFKA_BROKER_RACK: \\u12 is not a valid escape");
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
