//! TOML: the same names, as dotted keys, quoted keys or tables; arrays for lists.

use std::collections::HashMap;

use toml::Value;
use toml::de::{DeTable, DeValue};

use super::Entries;

/// The text of a file's bytes. The error is a line number and what is wrong there.
pub(super) fn decode(bytes: &[u8]) -> Result<&str, (Option<usize>, String)> {
    std::str::from_utf8(bytes).map_err(|error| {
        let line = 1 + bytes.iter().take(error.valid_up_to()).filter(|b| **b == b'\n').count();
        (Some(line), "TOML is in UTF-8, and this is not".to_owned())
    })
}

/// Reads all entries, tables flattened into dotted names. The error is a line number and what is wrong there.
pub(super) fn parse(text: &str) -> Result<Entries, (Option<usize>, String)> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map(|span| line_at(text, span.start));
        (line, error.message().replace('\n', " "))
    })?;
    let mut lines = Lines::new();
    if let Ok(spanned) = DeTable::parse(text) {
        find_lines(text, "", spanned.get_ref(), &mut lines);
    }
    let mut entries = Entries::new();
    for (name, value) in &table {
        flatten(name.clone(), value, &lines, &mut entries)?;
    }
    Ok(entries)
}

/// The lines of settings by their names.
type Lines = HashMap<String, usize>;

fn find_lines(text: &str, outer: &str, table: &DeTable<'_>, lines: &mut Lines) {
    for (key, value) in table {
        let name = format!("{outer}{}", key.get_ref());
        match value.get_ref() {
            DeValue::Table(table) => find_lines(text, &format!("{name}."), table, lines),
            _ => _ = lines.insert(name, line_at(text, key.span().start)),
        }
    }
}

fn line_at(text: &str, place: usize) -> usize {
    1 + text.bytes().take(place).filter(|b| *b == b'\n').count()
}

fn flatten(name: String, value: &Value, lines: &Lines, entries: &mut Entries) -> Result<(), (Option<usize>, String)> {
    if let Value::Table(table) = value {
        for (key, value) in table {
            flatten(format!("{name}.{key}"), value, lines, entries)?;
        }
        return Ok(());
    }
    let line = lines.get(&name).copied();
    let text = match value {
        Value::Array(items) => {
            let items: Option<Vec<_>> = items.iter().map(plain).collect();
            items.map(|items| items.join(","))
        }
        single => plain(single),
    };
    let text = text.ok_or_else(|| (line, format!("{name}: a {} is no value of a setting", value.type_str())))?;
    entries.push((name, text, line));
    Ok(())
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(truth) => Some(truth.to_string()),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &[(&str, &str)]) {
        let mut entries = parse(text).unwrap();
        entries.sort();
        let pairs: Vec<_> = entries.iter().map(|(name, value, _)| (name.as_str(), value.as_str())).collect();
        assert_eq!(pairs, expect, "{text:?}");
    }

    #[test]
    fn keys() {
        check("num.partitions = 3\n[log]\ndirs = \"/d\"", &[("log.dirs", "/d"), ("num.partitions", "3")]);
        check(
            "\"max.connections\" = 5\n\"max.connections.per.ip\" = 2",
            &[("max.connections", "5"), ("max.connections.per.ip", "2")],
        );
    }

    #[test]
    fn values() {
        check("a = true\nb = 0.5\nc = [\"x\", \"y\"]", &[("a", "true"), ("b", "0.5"), ("c", "x,y")]);
        assert!(parse("a = 1979-05-27").unwrap_err().1.contains("a: a datetime is no value"));
    }

    #[test]
    fn settings_have_the_lines_of_their_keys() {
        let text = "a.b = 1\n\n[c]\nd = [\n  \"x\",\n]\n\"e.f\" = 2\nt = { u = 3 }\n";
        let mut lines: Vec<_> = parse(text).unwrap().into_iter().map(|(name, _, line)| (name, line)).collect();
        lines.sort();
        let expect = [("a.b", 1), ("c.d", 4), ("c.e.f", 7), ("c.t.u", 8)];
        assert_eq!(lines, expect.map(|(name, line)| (name.to_owned(), Some(line))));
        assert_eq!(parse("x = 1\nd = 1979-05-27").unwrap_err().0, Some(2));
    }

    #[test]
    fn mistakes_have_a_line() {
        assert_eq!(decode(b"a = 1\n# \xfc").unwrap_err().0, Some(2));
        let (line, reason) = parse("a = 1\nb = = 2").unwrap_err();
        assert_eq!(line, Some(2));
        assert!(!reason.contains('\n'));
    }
}
