//! Parsing of value texts that several settings share.

/// Parses a boolean as Kafka does: `true` or `false`, in upper or lower case.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// Splits a comma-separated list into trimmed entries; skips empty ones, such as after a trailing comma.
pub fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}

/// Parses `host:count`. The last colon separates, so that an IPv6 address needs no brackets.
pub fn address_count(entry: &str) -> Option<(String, usize)> {
    let (host, count) = entry.rsplit_once(':')?;
    let host = host.trim().trim_start_matches('[').trim_end_matches(']');
    Some((host.to_owned(), count.trim().parse().ok()?)).filter(|(host, _)| !host.is_empty())
}
