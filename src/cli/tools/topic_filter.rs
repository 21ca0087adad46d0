//! Topics chosen by a pattern, as `--topic` and `--include` take them.

use regex::Regex;

/// A regular expression that a topic's whole name has to match; a comma stands for `|`.
///
/// Source: `org.apache.kafka.server.util.TopicFilter.IncludeList`.
#[derive(Clone, Debug)]
pub struct TopicFilter(Regex);

impl TopicFilter {
    /// The error is one plain line.
    pub fn new(pattern: &str) -> Result<TopicFilter, String> {
        let text = pattern.trim().replace(',', "|").replace(' ', "");
        let text = text.trim_matches(['"', '\'']);
        let whole = Regex::new(&format!("^(?:{text})$"));
        whole.map(TopicFilter).map_err(|_| format!("{text} is an invalid regex."))
    }

    /// Whether the topic is chosen.
    pub fn allows(&self, topic: &str) -> bool {
        self.0.is_match(topic)
    }
}

/// Whether the topic is Kafka's own (`org.apache.kafka.common.internals.Topic`).
pub fn is_internal(topic: &str) -> bool {
    matches!(topic, "__consumer_offsets" | "__transaction_state" | "__share_group_state")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let check = |pattern, topic, expect| {
            assert_eq!(TopicFilter::new(pattern).unwrap().allows(topic), expect, "{pattern} {topic}");
        };
        check("a", "a", true);
        check("a", "ab", false);
        check("a.*", "ab", true);
        check("a,b", "b", true);
        check("\"a|b\"", "b", true);
        check("a.b", "a.b", true);
        assert!(TopicFilter::new("(").is_err());
    }
}
