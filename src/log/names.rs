//! Names of files and folders. The name of a segment's file is its base offset with 20 digits, and a suffix.

use std::path::{Path, PathBuf};

use ottla_wire::types::{Offset, TopicPartition, Uuid};

/// A segment's records.
pub(crate) const LOG: &str = "log";
pub(crate) const OFFSET_INDEX: &str = "index";
pub(crate) const TIME_INDEX: &str = "timeindex";
pub(crate) const TXN_INDEX: &str = "txnindex";
/// The suffixes of a segment's files, in the order in which Kafka renames them.
pub(crate) const SEGMENT: [&str; 4] = [LOG, OFFSET_INDEX, TIME_INDEX, TXN_INDEX];
/// Suffix of a snapshot of the producer state at the offset in the name.
pub(crate) const SNAPSHOT: &str = "snapshot";
/// Suffix of a deleted file, to be unlinked later.
pub(crate) const DELETED: &str = "deleted";
/// Suffix of a file that compaction is writing.
pub(crate) const CLEANED: &str = "cleaned";
/// Suffix of a complete compacted file that is about to replace the original.
pub(crate) const SWAP: &str = "swap";

/// The longest folder name in Kafka and in most file systems.
const LONGEST_NAME: usize = 255;

/// The new path of a deleted partition's folder, `<topic>-<n>.<unique>-delete`. A long topic name is truncated.
pub(crate) fn deleted_folder(folder: &Path, unique: Uuid) -> PathBuf {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let (topic, partition) = name.rsplit_once('-').unwrap_or((name, "0"));
    let unique = unique.0.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let suffix = format!("-{partition}.{unique}-delete");
    let kept = topic.len().min(LONGEST_NAME.saturating_sub(suffix.len()));
    folder.with_file_name(format!("{}{suffix}", topic.get(..kept).unwrap_or(topic)))
}

/// The path of the file `<offset>.<kind>`.
pub(crate) fn file(folder: &Path, offset: Offset, kind: &str) -> PathBuf {
    folder.join(format!("{offset:020}.{kind}"))
}

/// Appends `.suffix` to the path.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

/// The largest base offset of a segment: relative offsets of 31 bits must not overflow.
const LAST_BASE: Offset = Offset::MAX - i32::MAX as Offset - 1;

/// Parses the name of a segment's file into offset and kind.
pub(crate) fn parse_file(name: &str) -> Option<(Offset, &str)> {
    let (offset, kind) = name.split_once('.')?;
    if offset.len() != 20 {
        return None;
    }
    Some((offset.parse().ok().filter(|offset| (0..=LAST_BASE).contains(offset))?, kind))
}

/// Parses the name of a folder `<topic>-<n>`.
pub(crate) fn parse_partition(name: &str) -> Option<TopicPartition> {
    let (topic, number) = name.rsplit_once('-')?;
    let canonical = number == "0" || !number.starts_with(['0', '+', '-']);
    let partition = number.parse().ok().filter(|_| canonical)?;
    (!topic.is_empty()).then(|| TopicPartition::new(topic, partition))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_kafkas_and_parse_to_offset_and_kind() {
        let path = file(Path::new("t-0"), 42, LOG);
        assert_eq!(path, Path::new("t-0/00000000000000000042.log"));
        assert_eq!(parse_file("00000000000000000042.log"), Some((42, "log")));
        assert_eq!(parse_file("00000000000000000042.log.deleted"), Some((42, "log.deleted")));
        assert_eq!(parse_file("09223372034707292159.log"), Some((LAST_BASE, "log")));
        for name in ["42.log", "leader-epoch-checkpoint", "0000000000000000004x.log", "99999999999999999999.log"] {
            assert_eq!(parse_file(name), None, "{name}");
        }
        assert_eq!(parse_file("09223372034707292160.log"), None, "its relative offsets would overflow");
    }

    #[test]
    fn folder_name_parses_to_topic_and_partition() {
        assert_eq!(parse_partition("a-b-12"), Some(TopicPartition::new("a-b", 12)));
        for name in ["a", "-1", "a-", "a-01", "a-+1", "a-99999999999"] {
            assert_eq!(parse_partition(name), None, "{name}");
        }
    }
}
