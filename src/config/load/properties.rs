//! Java's `.properties` form, which server.properties is in.

use super::Entries;

/// Reads all entries; the last of several with one name wins, as the caller keeps the last.
/// The error is a line number and what is wrong there.
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

/// Lines with content: comments and blank lines left out, lines that end with a backslash joined with the next.
/// Each with the number, from 1, at which it begins.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut continues = false;
    for (index, raw) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = raw.trim_start();
        if !continues && (line.is_empty() || line.starts_with(['#', '!'])) {
            continue;
        }
        let odd_backslashes = line.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1;
        let content = if odd_backslashes { &line[..line.len() - 1] } else { line };
        match lines.last_mut().filter(|_| continues) {
            Some((_, started)) => started.push_str(content),
            None => lines.push((index + 1, content.to_owned())),
        }
        continues = odd_backslashes;
    }
    lines
}

/// Splits at the first `=`, `:` or blank that no backslash stands before.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.find(|c: char| {
        let is_end = !escaped && (c == '=' || c == ':' || c.is_whitespace());
        escaped = c == '\\' && !escaped;
        is_end
    });
    let Some(end) = end else { return (line, "") };
    let (name, rest) = line.split_at(end);
    let rest = rest.trim_start();
    (name, rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start())
}

fn unescape(text: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match chars.next() {
            Some('u') => {
                let digits: String = chars.by_ref().take(4).collect();
                let code = u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 4).and_then(char::from_u32);
                plain.push(code.ok_or_else(|| format!("\\u{digits} is no character"))?);
            }
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some('t') => plain.push('\t'),
            Some('f') => plain.push('\u{c}'),
            Some(other) => plain.push(other),
            None => {}
        }
    }
    Ok(plain)
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
    fn separators() {
        check(
            "a=1\nb = 2\nc:3\nd 4\ne\n  f  :  5",
            &[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4"), ("e", ""), ("f", "5")],
        );
        check("listeners=PLAINTEXT://:9092", &[("listeners", "PLAINTEXT://:9092")]);
        check("a==b", &[("a", "=b")]);
    }

    #[test]
    fn comments_and_blanks() {
        check("# a=1\n! b=2\n\n   \r\nc=3\r\n", &[("c", "3")]);
    }

    #[test]
    fn continued_lines() {
        check("a=1,\\\n   2,\\\n   3\nb=4", &[("a", "1,2,3"), ("b", "4")]);
        check("a=x\\\\\nb=4", &[("a", "x\\"), ("b", "4")]);
        check("a=1\\", &[("a", "1")]);
    }

    #[test]
    fn escapes() {
        check("a\\=b=c\\tD\\u0041", &[("a=b", "c\tDA")]);
        assert_eq!(parse("x=1\na=\\u00zz"), Err((Some(2), "\\u00zz is no character".to_owned())));
    }

    #[test]
    fn lines_are_counted() {
        let numbers: Vec<_> = parse("\n#\na=1\\\n2\n\nb=3").unwrap().into_iter().map(|(.., line)| line).collect();
        assert_eq!(numbers, [Some(3), Some(6)]);
    }
}
