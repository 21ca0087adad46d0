//! `meta.properties`: the cluster and the node of a log directory.

use std::io::ErrorKind;
use std::path::Path;

use super::LogError;
use super::checkpoint::quoted;
use ottla_wire::types::Uuid;

/// The file's name.
pub(super) const META_PROPERTIES: &str = "meta.properties";

/// The content of `meta.properties`, version 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaProperties {
    pub cluster_id: String,
    pub node_id: i32,
    pub directory_id: Uuid,
}

/// The parsed file. Older files have no `directory.id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parsed {
    pub(super) cluster_id: String,
    pub(super) node_id: i32,
    pub(super) directory_id: Option<Uuid>,
}

impl Parsed {
    /// Returns the properties, with `fallback` as the directory id if there is none.
    pub(super) fn or_directory_id(&self, fallback: Uuid) -> MetaProperties {
        MetaProperties {
            cluster_id: self.cluster_id.clone(),
            node_id: self.node_id,
            directory_id: self.directory_id.unwrap_or(fallback),
        }
    }
}

/// The reason why `meta.properties` can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum MetaError {
    #[error("version 0 is of a broker that ran with ZooKeeper")]
    ZooKeeper,
    #[error("{0}")]
    Corrupt(String),
}

impl MetaProperties {
    /// Reads the properties of a log directory without opening it; `None` if there is no file. A missing directory id
    /// becomes zero.
    pub fn read(dir: &Path) -> Result<Option<MetaProperties>, LogError> {
        let path = dir.join(META_PROPERTIES);
        match std::fs::read(&path) {
            Ok(text) => match MetaProperties::parse(&text) {
                Ok(parsed) => Ok(Some(parsed.or_directory_id(Uuid::ZERO))),
                Err(why) => Err(LogError::corrupt(&path, why.to_string())),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(LogError::io("reading", &path, error)),
        }
    }

    /// Formats the file's content, a Java properties file.
    pub(super) fn format(&self) -> String {
        let (cluster, directory, node) = (&self.cluster_id, self.directory_id, self.node_id);
        format!("#\ncluster.id={cluster}\ndirectory.id={directory}\nnode.id={node}\nversion=1\n")
    }

    /// Parses the file's content.
    pub(super) fn parse(text: &[u8]) -> Result<Parsed, MetaError> {
        match MetaProperties::version(text).map_err(MetaError::Corrupt)?.as_str() {
            "1" => MetaProperties::parse_fields(text).map_err(MetaError::Corrupt),
            "0" => Err(MetaError::ZooKeeper),
            version => Err(MetaError::Corrupt(format!("its version {} is unknown", quoted(version)))),
        }
    }

    fn version(text: &[u8]) -> Result<String, String> {
        let fields = fields(text)?;
        let version = fields.iter().find(|field| field.0 == "version");
        version.map(|field| field.1.to_owned()).ok_or_else(|| "version is missing".to_owned())
    }

    fn parse_fields(text: &[u8]) -> Result<Parsed, String> {
        let fields = fields(text)?;
        let get = |name: &str| fields.iter().find(|field| field.0 == name).map(|field| field.1);
        let need = |name: &str| get(name).ok_or_else(|| format!("{name} is missing"));
        let node_id = need("node.id")?;
        Ok(Parsed {
            // Java escapes '=' and ':' in values.
            cluster_id: need("cluster.id")?.replace('\\', ""),
            node_id: node_id.parse().map_err(|_| format!("node.id {} is not a number", quoted(node_id)))?,
            directory_id: match get("directory.id") {
                Some(id) => Some(Uuid::parse(id).ok_or_else(|| format!("directory.id {} is not an id", quoted(id)))?),
                None => None,
            },
        })
    }
}

/// Returns names and values, in the order of the file.
fn fields(text: &[u8]) -> Result<Vec<(&str, &str)>, String> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not text".to_owned())?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', '!']));
    let fields = lines.filter_map(|line| line.split_once(['=', ':']));
    Ok(fields.map(|(name, value)| (name.trim(), value.trim())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formatted_properties_parse_to_the_same_values() {
        let meta = MetaProperties { cluster_id: "c-1".to_owned(), node_id: 3, directory_id: Uuid([9; 16]) };
        let parsed = MetaProperties::parse(meta.format().as_bytes()).expect("parses");
        assert_eq!(parsed.or_directory_id(Uuid::ZERO), meta);
    }

    #[test]
    fn file_written_by_kafka_is_parsed() {
        let text = b"#\n#Sat Nov 21 12:00:00 UTC 2026\ndirectory.id=CQkJCQkJCQkJCQkJCQkJCQ\nnode.id=1\nversion=1\ncluster.id=x\\=y\n";
        let parsed = MetaProperties::parse(text).expect("parses");
        assert_eq!(parsed.cluster_id, "x=y");
        assert_eq!(parsed.directory_id, Some(Uuid([9; 16])));
    }

    #[test]
    fn invalid_or_zookeeper_properties_return_error() {
        for text in
            ["", "version=0\nbroker.id=1\n", "version=1\ncluster.id=x\n", "version=1\ncluster.id=x\nnode.id=y\n"]
        {
            assert!(MetaProperties::parse(text.as_bytes()).is_err(), "{text:?}");
        }
    }
}
