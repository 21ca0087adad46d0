//! `partition.metadata`: the id of the topic that a partition's folder belongs to.

use super::checkpoint::quoted;
use ottla_wire::types::{TopicId, Uuid};

/// The file's name in a partition's folder.
pub(crate) const FILE_NAME: &str = "partition.metadata";

/// Formats the file's content like Kafka's `PartitionMetadataFile`.
pub(crate) fn format(topic_id: TopicId) -> String {
    format!("version: 0\ntopic_id: {topic_id}")
}

/// Parses the file's content; an error is the reason why it is invalid.
pub(crate) fn parse(text: &[u8]) -> Result<TopicId, String> {
    let text = std::str::from_utf8(text).map_err(|_| "not UTF-8".to_owned())?;
    let mut lines = text.lines();
    match lines.next() {
        Some("version: 0") => {}
        line => return Err(format!("its version {} is unknown", quoted(line.unwrap_or_default()))),
    }
    let id = lines.next().and_then(|line| line.strip_prefix("topic_id: ")).and_then(|id| Uuid::parse(id.trim()));
    id.filter(|id| !id.is_zero()).ok_or_else(|| "no topic id in line 2".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_is_kafkas_and_parses_to_the_same_topic_id() {
        let id = Uuid([7; 16]);
        assert_eq!(format(id), "version: 0\ntopic_id: BwcHBwcHBwcHBwcHBwcHBw");
        assert_eq!(parse(format(id).as_bytes()), Ok(id));
        assert_eq!(parse(b"version: 0\ntopic_id: BwcHBwcHBwcHBwcHBwcHBw\n"), Ok(id));
        assert!(parse(b"version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA").is_err());
        assert!(parse(b"").is_err());
    }
}
