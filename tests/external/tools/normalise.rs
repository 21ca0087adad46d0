//! Takes away what two runs of a tool, or ours and Apache Kafka's, say differently although they say the same.

/// Without ids, the log, help and what only Java says.
pub fn normalise(text: &str) -> String {
    // Where a case's name for Java's run is put back, packages are renamed too.
    let text = text.replace("java.", "{}.");
    // The two options come in any order.
    let text = text.replace("[[config], [bootstrap-server]]", "[[bootstrap-server], [config]]");
    let is_help = |line: &&str| line.starts_with("Option ") && line.ends_with("Description");
    let lines = text.lines().map(str::trim_end).take_while(|line| !is_help(line)).filter(|line| !is_of_java(line));
    let mut lines: Vec<_> = lines.filter(|line| !is_logged(line)).map(without_id).collect();
    // Results of deletions come in another order in each of Kafka's runs.
    if let Some(first) = lines.iter().position(|line| line.starts_with("partition: ")) {
        lines[first..].sort_unstable();
    }
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines.join("\n")
}

fn is_of_java(line: &str) -> bool {
    ["\tat ", "\t...", "Caused by: ", "{}.", "org.", "joptsimple.", "com."].iter().any(|start| line.starts_with(start))
}

/// A line of the log, or the class that logs at the end of one; Java's goes elsewhere when run by a test.
fn is_logged(line: &str) -> bool {
    line.starts_with('[') && line.contains("] ERROR ") || line.starts_with(" (org.apache.kafka.")
}

fn without_id(line: &str) -> String {
    let part = |part: &str| if part.starts_with("TopicId: ") { "TopicId: …".to_owned() } else { part.to_owned() };
    line.split('\t').map(part).collect::<Vec<_>>().join("\t")
}
