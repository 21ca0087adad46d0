//! The topics to create at start: `ottla.create.topics`.

/// A topic to create at start. `None` stands for the broker's default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartTopic {
    pub name: String,
    pub partitions: Option<i32>,
    pub replication_factor: Option<i16>,
    /// `cleanup.policy`, not checked.
    pub cleanup_policy: Option<String>,
}

/// The format of one entry, as in wurstmeister/kafka.
pub(super) const FORM: &str = "NAME[:PARTITIONS[:REPLICATION-FACTOR[:CLEANUP-POLICY]]]";

impl StartTopic {
    /// Parses one entry; `None` if it does not match [`FORM`]. An empty part or -1 stands for the default.
    pub(super) fn parse(entry: &str) -> Option<StartTopic> {
        let mut parts = entry.split(':').map(str::trim);
        let name = parts.next().filter(|name| !name.is_empty())?.to_owned();
        let partitions = count(parts.next())?;
        let replication_factor = count(parts.next())?;
        let cleanup_policy = parts.next().filter(|policy| !policy.is_empty()).map(str::to_owned);
        parts.next().is_none().then_some(StartTopic { name, partitions, replication_factor, cleanup_policy })
    }
}

/// Parses an optional number of at least 1; the outer `None` means that it is invalid.
fn count<N: std::str::FromStr + PartialOrd + From<i8>>(part: Option<&str>) -> Option<Option<N>> {
    match part {
        None | Some("" | "-1") => Some(None),
        Some(text) => text.parse().ok().filter(|number| *number >= N::from(1)).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares with `name partitions factor policy`, `_` for a missing part.
    fn check(entry: &str, expect: Option<&str>) {
        let shown = StartTopic::parse(entry).map(|topic| {
            let number = |number: Option<i32>| number.map_or("_".to_owned(), |number| number.to_string());
            let (partitions, factor) = (number(topic.partitions), number(topic.replication_factor.map(i32::from)));
            format!("{} {partitions} {factor} {}", topic.name, topic.cleanup_policy.as_deref().unwrap_or("_"))
        });
        assert_eq!(shown.as_deref(), expect, "{entry}");
    }

    #[test]
    fn entries_with_optional_parts_are_parsed() {
        check("orders", Some("orders _ _ _"));
        check("orders:3", Some("orders 3 _ _"));
        check("orders:3:1", Some("orders 3 1 _"));
        check("orders:3:1:compact", Some("orders 3 1 compact"));
        check("orders::1", Some("orders _ 1 _"));
        check("orders:-1:-1:", Some("orders _ _ _"));
        check(" orders : 3 ", Some("orders 3 _ _"));
    }

    #[test]
    fn invalid_entries_are_rejected() {
        for entry in ["", ":3", "orders:0", "orders:many", "orders:3:1:compact:more", "orders:3:40000"] {
            check(entry, None);
        }
    }
}
