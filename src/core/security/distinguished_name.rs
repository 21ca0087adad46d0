//! The distinguished name of a certificate as text, as Java's `X500Principal.getName()` has it (RFC 2253). Kafka makes the
//! user's name from that text.

use std::fmt::Write as _;

/// One attribute, such as CN: its object identifier and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// In dotted form: `2.5.4.3`.
    pub oid: String,
    /// The value as text, if it has one of the string types of names.
    pub text: Option<String>,
    /// The whole value in DER, with its tag.
    pub der: Vec<u8>,
}

/// The attributes that RFC 2253 has names for.
const NAMES: [(&str, &str); 9] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
];
/// The characters with a backslash before them.
const ESCAPED: &str = ",=+<>#;\"\\";

/// Formats a name: its parts in the order of the certificate, each with one or more attributes. The text begins with the
/// last part.
pub fn format(parts: &[Vec<Attribute>]) -> String {
    let part = |attributes: &Vec<Attribute>| attributes.iter().map(attribute).collect::<Vec<_>>().join("+");
    parts.iter().rev().map(part).collect::<Vec<_>>().join(",")
}

fn attribute(attribute: &Attribute) -> String {
    let name = NAMES.iter().find(|(oid, _)| *oid == attribute.oid).map(|(_, name)| *name);
    match (name, &attribute.text) {
        (Some(name), Some(text)) => format!("{name}={}", escape(text)),
        (name, _) => format!("{}=#{}", name.unwrap_or(&attribute.oid), hexadecimal(&attribute.der)),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Escapes special characters, and spaces and carriage returns at both ends.
fn escape(text: &str) -> String {
    let is_blank = |c: char| c == ' ' || c == '\r';
    let inner = text.trim_matches(is_blank);
    // Of a text of blanks alone, all are at the end.
    let start = text.len() - text.trim_start_matches(is_blank).len();
    let end = if inner.is_empty() { 0 } else { start + inner.len() };
    let mut escaped = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        if c == '\0' {
            escaped.push_str("\\00");
            continue;
        }
        if ESCAPED.contains(c) || at < start || at >= end {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(oid: &str, text: &str) -> Attribute {
        Attribute { oid: oid.to_owned(), text: Some(text.to_owned()), der: vec![0x0c, 1, 0x41] }
    }

    /// A name with these common names, each a part.
    fn check(text: &str, expect: &str) {
        assert_eq!(format(&[vec![one("2.5.4.3", text)]]), expect);
    }

    #[test]
    fn parts_are_in_reverse_order_and_attributes_of_one_part_are_joined() {
        let name = [
            vec![one("2.5.4.6", "DE")],
            vec![one("0.9.2342.19200300.100.1.25", "example")],
            vec![one("2.5.4.3", "client"), one("0.9.2342.19200300.100.1.1", "7")],
        ];
        assert_eq!(format(&name), "CN=client+UID=7,DC=example,C=DE");
        assert_eq!(format(&[]), "");
    }

    #[test]
    fn attributes_without_a_name_or_text_are_hexadecimal() {
        let email = one("1.2.840.113549.1.9.1", "A");
        assert_eq!(format(&[vec![email]]), "1.2.840.113549.1.9.1=#0c0141");
        let bits = Attribute { text: None, ..one("2.5.4.3", "") };
        assert_eq!(format(&[vec![bits]]), "CN=#0c0141");
    }

    #[test]
    fn special_characters_and_outer_spaces_are_escaped() {
        check("Tkac, Adam", "CN=Tkac\\, Adam");
        check("a=b+c<d>e;f\"g\\h#i", "CN=a\\=b\\+c\\<d\\>e\\;f\\\"g\\\\h\\#i");
        check(" a b  ", "CN=\\ a b\\ \\ ");
        check("Zürich/1", "CN=Zürich/1");
        check("a\0b", "CN=a\\00b");
        check("", "CN=");
    }
}
