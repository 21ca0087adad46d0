//! Parses lines into records: headers, key and value, divided by separators.
//!
//! Source of behaviour: `org.apache.kafka.tools.LineMessageReader`.

use std::collections::BTreeMap;

use regex::Regex;

/// A parser for lines; see [`LineReader::new`] for its properties.
#[derive(Clone, Debug)]
pub struct LineReader {
    parse_key: bool,
    key_separator: String,
    parse_headers: bool,
    headers_delimiter: String,
    /// Separates two headers. It is a regular expression, as in Kafka.
    headers_separator: Regex,
    headers_key_separator: String,
    ignore_error: bool,
    null_marker: Option<String>,
}

/// The record of a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineRecord {
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<OwnedHeader>,
}

/// A header's key and value.
pub type OwnedHeader = (Vec<u8>, Option<Vec<u8>>);

impl LineReader {
    /// Reads `parse.key`, `key.separator`, `parse.headers`, `headers.delimiter`, `headers.separator`,
    /// `headers.key.separator`, `ignore.error` and `null.marker`. The error is Kafka's message.
    pub fn new(properties: &BTreeMap<String, String>) -> Result<LineReader, String> {
        let is_set = |name| properties.get(name).is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
        let text = |name, default: &str| properties.get(name).cloned().unwrap_or_else(|| default.to_owned());
        let headers_separator = text("headers.separator", ",");
        let reader = LineReader {
            parse_key: is_set("parse.key"),
            key_separator: text("key.separator", "\t"),
            parse_headers: is_set("parse.headers"),
            headers_delimiter: text("headers.delimiter", "\t"),
            headers_separator: Regex::new(&headers_separator).map_err(|error| error.to_string())?,
            headers_key_separator: text("headers.key.separator", ":"),
            ignore_error: is_set("ignore.error"),
            null_marker: properties.get("null.marker").cloned(),
        };
        reader.check_separators(&headers_separator)?;
        Ok(reader)
    }

    /// Fails if two separators, or the null marker and a separator, are equal.
    fn check_separators(&self, headers_separator: &str) -> Result<(), String> {
        let delimiter = ("headers.delimiter", self.headers_delimiter.as_str());
        let separator = ("headers.separator", headers_separator);
        let key_in_header = ("headers.key.separator", self.headers_key_separator.as_str());
        let key = ("key.separator", self.key_separator.as_str());
        let mut pairs = vec![(delimiter, separator), (delimiter, key_in_header), (separator, key_in_header)];
        if let Some(marker) = &self.null_marker {
            let others = [key, separator, delimiter, key_in_header];
            pairs.extend(others.map(|other| (("null.marker", marker.as_str()), other)));
        }
        match pairs.into_iter().find(|((_, one), (_, other))| one == other) {
            Some(((one, _), (other, _))) => Err(format!("{one} and {other} may not be equal")),
            None => Ok(()),
        }
    }

    /// Parses a line; `number` counts lines from 1. The error is Kafka's message.
    pub fn record(&self, line: &str, number: u64) -> Result<LineRecord, String> {
        let mut rest = line;
        let mut part = |wanted: bool, separator: &str, name: &str| {
            if !wanted {
                return Ok(None);
            }
            match rest.split_once(separator) {
                Some((part, after)) => {
                    rest = after;
                    Ok(Some(part))
                }
                None if self.ignore_error => Ok(None),
                None => Err(format!("No {name} found on line number {number}: '{line}'")),
            }
        };
        let headers = part(self.parse_headers, &self.headers_delimiter, "headers delimiter")?;
        let key = part(self.parse_key, &self.key_separator, "key separator")?;
        let headers = match headers.filter(|text| !self.is_null(text)) {
            Some(text) => self.headers(text, number)?,
            None => Vec::new(),
        };
        Ok(LineRecord { key: key.and_then(|text| self.bytes(text)), value: self.bytes(rest), headers })
    }

    fn headers(&self, text: &str, number: u64) -> Result<Vec<OwnedHeader>, String> {
        let mut pairs: Vec<&str> = self.headers_separator.split(text).collect();
        // Like Java's `split`, drops empty parts at the end.
        while pairs.len() > 1 && pairs.last().is_some_and(|pair| pair.is_empty()) {
            pairs.pop();
        }
        let header = |pair: &str| match pair.split_once(&self.headers_key_separator) {
            Some((key, _)) if self.is_null(key) => {
                Err(format!("Header keys should not be equal to the null marker '{key}' as they can't be null"))
            }
            Some((key, value)) => Ok((key.as_bytes().to_vec(), self.bytes(value))),
            None if self.ignore_error => Ok((pair.as_bytes().to_vec(), None)),
            None => Err(format!("No header key separator found in pair '{pair}' on line number {number}")),
        };
        pairs.into_iter().map(header).collect()
    }

    fn is_null(&self, text: &str) -> bool {
        self.null_marker.as_deref() == Some(text)
    }

    fn bytes(&self, text: &str) -> Option<Vec<u8>> {
        (!self.is_null(text)).then(|| text.as_bytes().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(properties: &[(&str, &str)]) -> Result<LineReader, String> {
        LineReader::new(&properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    /// A record as `headers|key|value`, `-` for null.
    fn show(record: LineRecord) -> String {
        let text = |bytes: Option<Vec<u8>>| bytes.map_or("-".to_owned(), |bytes| String::from_utf8(bytes).unwrap());
        let headers = record.headers.into_iter().map(|(key, value)| format!("{}={}", text(Some(key)), text(value)));
        format!("{}|{}|{}", headers.collect::<Vec<_>>().join(" "), text(record.key), text(record.value))
    }

    #[track_caller]
    fn check(properties: &[(&str, &str)], line: &str, expect: &str) {
        let record = reader(properties).unwrap().record(line, 7);
        assert_eq!(record.map_or_else(|error| error, show), expect, "{line:?}");
    }

    const KEY: (&str, &str) = ("parse.key", "true");
    const HEADERS: (&str, &str) = ("parse.headers", " TRUE ");
    const LENIENT: (&str, &str) = ("ignore.error", "true");
    const NULL: (&str, &str) = ("null.marker", "NULL");

    #[test]
    fn key_is_split_at_the_key_separator() {
        check(&[], "a\tb", "|-|a\tb");
        check(&[], "", "|-|");
        check(&[KEY], "a\tb\tc", "|a|b\tc");
        check(&[KEY], "\tb", "||b");
        check(&[KEY, ("key.separator", "::")], "a::b", "|a|b");
        check(&[KEY], "ab", "No key separator found on line number 7: 'ab'");
        check(&[KEY, LENIENT], "ab", "|-|ab");
    }

    #[test]
    fn headers_are_split_at_their_separators() {
        check(&[HEADERS], "h:1,g:2:3\tv", "h=1 g=2:3|-|v");
        check(&[HEADERS, KEY], "h:1,\tk\tv", "h=1|k|v");
        check(&[HEADERS], "h\tv", "No header key separator found in pair 'h' on line number 7");
        check(&[HEADERS], "\tv", "No header key separator found in pair '' on line number 7");
        check(&[HEADERS, LENIENT], "h\tv", "h=-|-|v");
        check(&[HEADERS], "v", "No headers delimiter found on line number 7: 'v'");
        check(&[HEADERS, LENIENT, KEY], "k\tv", "k=-|-|v");
        check(&[HEADERS, ("headers.separator", ";"), ("headers.delimiter", "|")], "h:1;g:2|v", "h=1 g=2|-|v");
    }

    #[test]
    fn null_marker_becomes_null() {
        check(&[NULL], "NULL", "|-|-");
        check(&[NULL, KEY], "NULL\tv", "|-|v");
        check(&[NULL, KEY, HEADERS], "NULL\tk\tNULL", "|k|-");
        check(&[NULL, HEADERS], "h:NULL\tv", "h=-|-|v");
        let expect = "Header keys should not be equal to the null marker 'NULL' as they can't be null";
        check(&[NULL, HEADERS], "NULL:1\tv", expect);
    }

    #[test]
    fn equal_separators_are_refused() {
        let check = |properties: &[(&str, &str)], expect: &str| assert_eq!(reader(properties).unwrap_err(), expect);
        check(&[("headers.delimiter", ",")], "headers.delimiter and headers.separator may not be equal");
        check(&[("headers.key.separator", ",")], "headers.separator and headers.key.separator may not be equal");
        check(&[("null.marker", ",")], "null.marker and headers.separator may not be equal");
    }
}
