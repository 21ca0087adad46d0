//! Selects topics by a pattern, as `--topic` and `--include` do.

use regex::Regex;

/// A regular expression that must match the whole name of a topic; a comma means `|`.
///
/// Source: `org.apache.kafka.server.util.TopicFilter.IncludeList`.
#[derive(Clone, Debug)]
pub struct TopicFilter(Regex);

impl TopicFilter {
    /// Compiles a pattern. The error is one plain line.
    pub fn new(pattern: &str) -> Result<TopicFilter, String> {
        let text = pattern.trim().replace(',', "|").replace(' ', "");
        let text = text.trim_matches(['"', '\'']);
        let whole = Regex::new(&format!("^(?:{text})$"));
        whole.map(TopicFilter).map_err(|_| format!("{text} is an invalid regex."))
    }

    /// Returns whether the pattern matches the topic.
    pub fn allows(&self, topic: &str) -> bool {
        self.0.is_match(topic)
    }
}

/// Returns whether the topic is internal (`org.apache.kafka.common.internals.Topic`).
pub fn is_internal(topic: &str) -> bool {
    matches!(topic, "__consumer_offsets" | "__transaction_state" | "__share_group_state")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pattern_matches_whole_topic_names() {
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
