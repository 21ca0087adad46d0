//! The format of Kafka's text checkpoints: line 1 is the version `0`, line 2 the number of entries, then one entry per
//! line.

/// The largest number of characters of a file that a message quotes.
const LONGEST_QUOTE: usize = 60;

/// Quotes a part of a file for a message: escaped, and shortened if it is long.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(LONGEST_QUOTE) {
        None => format!("{text:?}"),
        Some((at, _)) => format!("{:?}… ({} bytes)", text.get(..at).unwrap_or_default(), text.len()),
    }
}

/// Returns the lines of the entries, or the reason why the text is invalid. An empty file has no entries: Kafka creates
/// one before it has values.
pub(crate) fn parse(text: &[u8]) -> Result<Vec<&str>, String> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not text".to_owned())?;
    if !text.is_empty() && text.bytes().all(|byte| byte == 0) {
        return Err(format!("it is {} zero bytes, as a power loss leaves a file", text.len()));
    }
    let mut lines = text.lines();
    match lines.next() {
        Some("0") => {}
        Some(version) => return Err(format!("its version {} is unknown", quoted(version))),
        None => return Ok(Vec::new()),
    }
    let count: usize = lines.next().and_then(|line| line.parse().ok()).ok_or("no number of entries in line 2")?;
    let entries: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    if entries.len() != count {
        return Err(format!("line 2 says {count} entries, but there are {}", entries.len()));
    }
    Ok(entries)
}

/// Formats a file's content.
pub(crate) fn format(entries: impl ExactSizeIterator<Item = String>) -> String {
    let mut text = format!("0\n{}\n", entries.len());
    for entry in entries {
        text.push_str(&entry);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refuses(text: &str) {
        assert!(parse(text.as_bytes()).is_err(), "{text:?}");
    }

    #[test]
    fn formatted_entries_parse_to_the_same_lines() {
        let text = format(["a 0 5".to_owned(), "b 1 7".to_owned()].into_iter());
        assert_eq!(text, "0\n2\na 0 5\nb 1 7\n");
        assert_eq!(parse(text.as_bytes()), Ok(vec!["a 0 5", "b 1 7"]));
        assert_eq!(parse(b"0\n0\n"), Ok(vec![]));
        assert_eq!(parse(b""), Ok(vec![]));
    }

    #[test]
    fn parse_of_invalid_text_returns_error() {
        refuses("\n");
        refuses("1\n0\n");
        refuses("0\n");
        refuses("0\nx\n");
        refuses("0\n2\na 0 5\n");
        refuses("0\n0\na 0 5\n");
    }
}
