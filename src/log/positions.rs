//! `ottla-positions`: the position up to which each log is valid, for the current boot of the machine.
//!
//! ```text
//! 1
//! <the kernel's boot id>
//! <topic> <partition> <base offset of the segment> <position in it> <next offset>
//! ...
//! end
//! ```
//! Only used in the same boot, so it is never synced. Written to a temporary file and renamed, so it is never torn.

use std::collections::HashMap;

use super::Validated;
use ottla_wire::types::TopicPartition;

const VERSION: &str = "1";
const LAST_LINE: &str = "end";

/// The kernel's id of this boot, if available.
pub(super) fn boot_id() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}

/// Formats the file's content.
pub(super) fn format<'a>(boot_id: &str, entries: impl Iterator<Item = (&'a TopicPartition, Validated)>) -> String {
    let mut text = format!("{VERSION}\n{boot_id}\n");
    for (partition, at) in entries {
        let (topic, partition) = (&partition.topic, partition.partition);
        text.push_str(&format!("{topic} {partition} {} {} {}\n", at.segment, at.position, at.next_offset));
    }
    text.push_str(LAST_LINE);
    text.push('\n');
    text
}

/// The content of the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Positions {
    ThisBoot(HashMap<TopicPartition, Validated>),
    /// The machine has rebooted since, so its page cache has only what was on disk.
    OtherBoot,
    /// There is no file, it is incomplete, or this boot has no id.
    Unknown,
}

impl Positions {
    /// The positions that are valid in this boot.
    pub fn of_this_boot(self) -> HashMap<TopicPartition, Validated> {
        match self {
            Positions::ThisBoot(validated) => validated,
            Positions::OtherBoot | Positions::Unknown => HashMap::new(),
        }
    }
}

/// Parses the file's content.
pub(super) fn parse(text: &[u8], boot_id: Option<&str>) -> Positions {
    let lines: Vec<&str> = std::str::from_utf8(text).unwrap_or_default().lines().collect();
    match (lines.as_slice(), boot_id) {
        ([VERSION, boot, entries @ .., LAST_LINE], Some(boot_id)) if *boot == boot_id => {
            Positions::ThisBoot(entries.iter().filter_map(|line| parse_entry(line)).collect())
        }
        ([VERSION, _, .., LAST_LINE], Some(_)) => Positions::OtherBoot,
        _ => Positions::Unknown,
    }
}

fn parse_entry(line: &str) -> Option<(TopicPartition, Validated)> {
    let mut fields = line.split(' ');
    let partition = TopicPartition::new(fields.next()?, fields.next()?.parse().ok()?);
    let segment = fields.next()?.parse().ok()?;
    let position = fields.next()?.parse().ok()?;
    let next_offset = fields.next()?.parse().ok()?;
    Some((partition, Validated { segment, position, next_offset }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_of_another_boot_or_an_incomplete_file_are_ignored() {
        let (a, b) = (TopicPartition::new("a-b", 0), TopicPartition::new("c", 12));
        let at = Validated { segment: 100, position: 4096, next_offset: 120 };
        let text = format("boot", [(&a, at), (&b, at)].into_iter());
        assert_eq!(parse(text.as_bytes(), Some("boot")), Positions::ThisBoot(HashMap::from([(a, at), (b, at)])));
        assert_eq!(parse(text.as_bytes(), Some("other")), Positions::OtherBoot);
        assert_eq!(parse(text.as_bytes(), None), Positions::Unknown);
        assert_eq!(parse(&text.as_bytes()[..text.len() - 2], Some("boot")), Positions::Unknown);
        assert_eq!(parse(b"", Some("boot")), Positions::Unknown);
    }
}
