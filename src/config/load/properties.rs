//! Java's `.properties` format, which server.properties has (`java.util.Properties.load`).
//!
//! Departure: Java always decodes ISO-8859-1. Here a file that is valid UTF-8 is decoded as UTF-8, because its author saw
//! that; Java would read `Zürich` as `ZÃ¼rich`. Any other file is decoded as in Java, so that a comment in GBK or
//! ISO-8859-1 is no error. For ASCII, which settings use, there is no difference.

use std::borrow::Cow;

use super::entries::Entries;

/// Decodes a file; see the module documentation.
pub(super) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, String> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err("the file is in UTF-16; save it as UTF-8".to_owned());
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    Ok(match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().copied().map(char::from).collect()),
    })
}

/// Parses all entries. If a name occurs twice, the caller uses the last entry. The error has a line number and a reason.
pub(super) fn parse(text: &str) -> Result<Entries, (Option<usize>, String)> {
    logical_lines(text)
        .into_iter()
        .map(|(number, line)| {
            let (name, value) = split(&line);
            let unescape = |part| unescape(part).map_err(|reason| (Some(number), reason));
            Ok((unescape(name)?, unescape(value)?, Some(number)))
        })
        .collect()
}

/// Whether Java treats the character as a blank within a line. Other white space is ordinary text.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x0c')
}

/// The lines of a file, each ended by `\n`, `\r` or both.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

/// The logical lines, each with the number of its first line: without comments and blank lines; a line that ends with a
/// backslash is joined with the next.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut done: Vec<(usize, String)> = Vec::new();
    let mut continues = false;
    for (index, raw) in lines(text).enumerate() {
        let line = raw.trim_start_matches(is_blank);
        if !continues && (line.is_empty() || line.starts_with(['#', '!'])) {
            continue;
        }
        let odd_backslashes = line.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1;
        let content = if odd_backslashes { &line[..line.len() - 1] } else { line };
        match done.last_mut().filter(|_| continues) {
            Some((_, started)) => started.push_str(content),
            None => done.push((index + 1, content.to_owned())),
        }
        // After a line with only a backslash, the next line is read as a new one, which may be a comment.
        let is_restart = done.pop_if(|(_, started)| started.is_empty()).is_some();
        continues = odd_backslashes && !is_restart;
    }
    done
}

/// Splits at the first `=`, `:` or blank without a backslash before it.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.find(|c: char| {
        let is_end = !escaped && (c == '=' || c == ':' || is_blank(c));
        escaped = c == '\\' && !escaped;
        is_end
    });
    let Some(end) = end else { return (line, "") };
    let (name, rest) = line.split_at(end);
    let rest = rest.trim_start_matches(is_blank);
    (name, rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start_matches(is_blank))
}

/// What a value becomes that is written into a file as it is. A line end without a backslash, which would end the value,
/// remains.
pub(super) fn unescape_value(text: &str) -> Result<String, String> {
    let mut joined = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let continues = c == '\\' && matches!(chars.peek(), Some('\n' | '\r'));
        if continues {
            let first = chars.next();
            if first == Some('\r') {
                chars.next_if_eq(&'\n');
            }
            while chars.next_if(|next| is_blank(*next)).is_some() {}
            continue;
        }
        joined.push(c);
        if c == '\\' {
            joined.extend(chars.next());
        }
    }
    unescape(&joined)
}

/// Replaces escape sequences. A character beyond 16 bits is a pair of `\uXXXX`, as in Java; an unpaired surrogate becomes
/// U+FFFD.
fn unescape(text: &str) -> Result<String, String> {
    if !text.contains('\\') {
        return Ok(text.to_owned());
    }
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let plain = match c {
            '\\' => match chars.next() {
                Some('u') => {
                    units.push(code_unit(&chars.by_ref().take(4).collect::<String>())?);
                    continue;
                }
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some('f') => '\x0c',
                Some(other) => other,
                None => continue,
            },
            other => other,
        };
        units.extend_from_slice(plain.encode_utf16(&mut [0; 2]));
    }
    Ok(String::from_utf16_lossy(&units))
}

/// Parses four hexadecimal digits as a UTF-16 code unit.
fn code_unit(digits: &str) -> Result<u16, String> {
    let is_code = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    u16::from_str_radix(digits, 16).ok().filter(|_| is_code).ok_or_else(|| format!("\\u{digits} is not a valid escape"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &[(&str, &str)]) {
        let entries = parse(text).unwrap();
        let pairs: Vec<_> = entries.iter().map(|(name, value, _)| (name.as_str(), value.as_str())).collect();
        assert_eq!(pairs, expect, "{text:?}");
    }

    #[test]
    fn names_end_at_separators() {
        check(
            "a=1\nb = 2\nc:3\nd 4\ne\n  f  :  5",
            &[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4"), ("e", ""), ("f", "5")],
        );
        check("listeners=PLAINTEXT://:9092", &[("listeners", "PLAINTEXT://:9092")]);
        check("a==b", &[("a", "=b")]);
    }

    #[test]
    fn comments_and_blank_lines_are_skipped() {
        check("# a=1\n! b=2\n\n   \r\nc=3\r\n", &[("c", "3")]);
    }

    #[test]
    fn continued_lines_are_joined() {
        check("a=1,\\\n   2,\\\n   3\nb=4", &[("a", "1,2,3"), ("b", "4")]);
        check("a=x\\\\\nb=4", &[("a", "x\\"), ("b", "4")]);
        check("a=1\\", &[("a", "1")]);
    }

    #[test]
    fn escapes_are_replaced_and_invalid_ones_rejected() {
        check("a\\=b=c\\tD\\u0041", &[("a=b", "c\tDA")]);
        assert_eq!(parse("x=1\na=\\u00zz"), Err((Some(2), "\\u00zz is not a valid escape".to_owned())));
        assert_eq!(parse("a=\\u+123"), Err((Some(1), "\\u+123 is not a valid escape".to_owned())));
    }

    /// Compares with what Java 17 reads. The columns are separated by tabs, with the escapes of Rust's string literals.
    #[test]
    fn files_are_read_as_java_reads_them() {
        let unescape = |text: &str| super::unescape(text).unwrap();
        for line in include_str!("../../../tests/data/java-properties.tsv").lines().skip(1) {
            let mut columns = line.split('\t').map(unescape);
            let text = columns.next().unwrap();
            let mut expect: Vec<String> = columns.collect();
            // Java reads a backslash alone at the end of a file as a setting without a name.
            if expect.iter().all(String::is_empty) {
                expect.clear();
            }
            let read: std::collections::BTreeMap<String, String> =
                parse(&text).unwrap().into_iter().map(|(name, value, _)| (name, value)).collect();
            let read: Vec<String> = read.into_iter().flat_map(|(name, value)| [name, value]).collect();
            assert_eq!(read, expect, "{text:?}");
        }
    }

    #[test]
    fn file_is_decoded_as_utf_8_or_else_as_latin_1() {
        let check = |bytes: &[u8], expect: Result<&str, &str>| {
            assert_eq!(decode(bytes).as_deref().map_err(String::as_str), expect);
        };
        check("a=Zürich".as_bytes(), Ok("a=Zürich"));
        check(b"a=Z\xfcrich", Ok("a=Zürich"));
        check(b"# \xd6\xd0\xce\xc4\na=1", Ok("# ÖÐÎÄ\na=1"));
        check("\u{feff}a=1".as_bytes(), Ok("a=1"));
        check(b"\xff\xfea\0=\0", Err("the file is in UTF-16; save it as UTF-8"));
    }

    #[test]
    fn entries_have_line_numbers() {
        let numbers: Vec<_> = parse("\n#\r\na=1\\\n2\r\rb=3").unwrap().into_iter().map(|(.., line)| line).collect();
        assert_eq!(numbers, [Some(3), Some(6)]);
    }
}
