//! Removes differences without meaning between the outputs of two runs of a tool, or of Ottla's and Apache Kafka's.

/// Removes ids, log lines, help and what only Java prints.
pub fn normalise(text: &str) -> String {
    // The replacement of the case's name for Java's run renames packages too.
    let text = text.replace("java.", "{}.");
    // The two options are printed in any order.
    let text = text.replace("[[config], [bootstrap-server]]", "[[bootstrap-server], [config]]");
    let is_help = |line: &&str| line.starts_with("Option ") && line.ends_with("Description");
    let lines =
        text.lines().map(str::trim_end).take_while(|line| !is_help(line)).filter(|line| !is_printed_by_java_only(line));
    let mut lines: Vec<_> = lines.filter(|line| !is_log_line(line)).map(without_id).collect();
    // The order of deletions differs between two runs of Kafka's tool.
    if let Some(first) = lines.iter().position(|line| line.starts_with("partition: ")) {
        lines[first..].sort_unstable();
    }
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines.join("\n")
}

fn is_printed_by_java_only(line: &str) -> bool {
    ["\tat ", "\t...", "Caused by: ", "{}.", "org.", "joptsimple.", "com."].iter().any(|start| line.starts_with(start))
}

/// Returns whether this is a log line, or ends with the class of one; Java's tools log elsewhere when a test runs them.
fn is_log_line(line: &str) -> bool {
    line.starts_with('[') && line.contains("] ERROR ") || line.starts_with(" (org.apache.kafka.")
}

fn without_id(line: &str) -> String {
    let part = |part: &str| if part.starts_with("TopicId: ") { "TopicId: …".to_owned() } else { part.to_owned() };
    line.split('\t').map(part).collect::<Vec<_>>().join("\t")
}
