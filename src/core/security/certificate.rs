//! What the broker reads from a certificate (X.509).

use core::net::IpAddr;

use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use super::der;
use super::distinguished_name::{self, Attribute};

/// What precedes an alternative name.
const DNS: &str = "DNS:";
const IP: &str = "IP:";

/// The parts of a certificate that matter here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The distinguished name, as in Java.
    pub subject: String,
    /// The last common name of the subject.
    pub common_name: Option<String>,
    /// The subject's alternative names: `DNS:localhost`, `IP:127.0.0.1`.
    pub alternative_names: Vec<String>,
    /// The subject's public key in DER.
    pub public_key: Vec<u8>,
    /// Seconds since the Unix epoch.
    pub not_before: i64,
    /// Seconds since the Unix epoch.
    pub not_after: i64,
}

impl Certificate {
    /// Reads a certificate in DER. The error is one line.
    pub fn parse(der: &[u8]) -> Result<Certificate, String> {
        let (_, certificate) =
            X509Certificate::from_der(der).map_err(|_| "the certificate cannot be read: it is damaged".to_owned())?;
        let alternative_names = certificate.subject_alternative_name().ok().flatten();
        let alternative_names = alternative_names.map(|found| found.value.general_names.iter().map(name).collect());
        let common_name = certificate.subject().iter_common_name().last();
        Ok(Certificate {
            subject: text(certificate.subject())?,
            common_name: common_name.and_then(|name| name.as_str().ok()).map(str::to_owned),
            alternative_names: alternative_names.unwrap_or_default(),
            public_key: certificate.public_key().raw.to_vec(),
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
        })
    }

    /// Whether a host name or address is one of the alternative names.
    pub fn is_for(&self, host: &str) -> bool {
        let wanted = match host.parse::<IpAddr>() {
            Ok(address) => format!("{IP}{address}"),
            Err(_) => format!("{DNS}{host}"),
        };
        self.alternative_names.iter().any(|name| name.eq_ignore_ascii_case(&wanted))
    }

    /// Whether there are alternative names for hosts.
    pub fn has_dns_names(&self) -> bool {
        self.alternative_names.iter().any(|name| name.starts_with(DNS))
    }

    /// The host names and addresses that the certificate is for.
    pub fn hosts(&self) -> Vec<String> {
        let host = |name: &String| name.strip_prefix(DNS).or_else(|| name.strip_prefix(IP)).map(str::to_owned);
        let mut hosts: Vec<_> = self.alternative_names.iter().filter_map(host).collect();
        if !self.has_dns_names() {
            hosts.extend(self.common_name.clone());
        }
        hosts
    }
}

fn name(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(name) => format!("{DNS}{name}"),
        GeneralName::IPAddress(bytes) => match (<[u8; 4]>::try_from(*bytes), <[u8; 16]>::try_from(*bytes)) {
            (Ok(address), _) => format!("{IP}{}", IpAddr::from(address)),
            (_, Ok(address)) => format!("{IP}{}", IpAddr::from(address)),
            _ => format!("{IP}{bytes:?}"),
        },
        other => format!("{other:?}"),
    }
}

/// The tags of the strings that Java shows as text: UTF8String, PrintableString, TeletexString, IA5String, GeneralString and
/// BMPString.
const STRINGS: [u8; 6] = [12, 19, 20, 22, 27, 30];

/// A distinguished name in DER as Java's text. The error is one line.
pub fn name_text(der: &[u8]) -> Result<String, String> {
    let (_, name) = X509Name::from_der(der).map_err(|_| "the name cannot be read: it is damaged".to_owned())?;
    text(&name)
}

fn text(name: &X509Name<'_>) -> Result<String, String> {
    let parts: Option<Vec<_>> = name.iter_rdn().map(|part| part.iter().map(attribute).collect()).collect();
    let parts = parts.ok_or_else(|| "the name cannot be read: an attribute of it is damaged".to_owned())?;
    Ok(distinguished_name::format(&parts))
}

/// An attribute of a name; `None` for an object identifier that is not valid, and for a tag of several bytes, which no type of
/// value in names has.
fn attribute(found: &AttributeTypeAndValue<'_>) -> Option<Attribute> {
    let (header, data) = (&found.attr_value().header, found.attr_value().data);
    let &[tag] = header.raw_tag()? else { return None };
    Some(Attribute {
        oid: dotted(found.attr_type().as_bytes())?,
        text: STRINGS.contains(&tag).then(|| decoded(data)),
        der: der::write(tag, data),
    })
}

/// An object identifier in dotted form; `None` if it is not valid, or has a number above 128 bits.
fn dotted(content: &[u8]) -> Option<String> {
    let (mut numbers, mut number, mut is_first_byte) = (Vec::new(), 0u128, true);
    for byte in content {
        if is_first_byte && *byte == 0x80 || number >> 121 != 0 {
            return None;
        }
        number = number << 7 | u128::from(byte & 0x7f);
        is_first_byte = byte & 0x80 == 0;
        if is_first_byte {
            numbers.push(std::mem::take(&mut number));
        }
    }
    let first = *numbers.first().filter(|_| is_first_byte)?;
    // The first number stands for two.
    let root = (first / 40).min(2);
    let rest = numbers.iter().skip(1).map(u128::to_string);
    Some([root.to_string(), (first - root * 40).to_string()].into_iter().chain(rest).collect::<Vec<_>>().join("."))
}

/// Decodes bytes as Java does: all types of strings as UTF-8, where half of a surrogate pair is one invalid character.
fn decoded(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut rest = bytes;
    let is_half = |pair: &[u8]| matches!(pair, [0xed, 0xa0..=0xbf]);
    while let Some(at) = rest.windows(2).position(is_half) {
        let (before, half) = rest.split_at(at);
        text.push_str(&String::from_utf8_lossy(before));
        text.push(char::REPLACEMENT_CHARACTER);
        let length = if matches!(half.get(2), Some(0x80..=0xbf)) { 3 } else { 2 };
        rest = half.get(length..).unwrap_or_default();
    }
    text.push_str(&String::from_utf8_lossy(rest));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text for a name that Java does not read.
    const REFUSED: &str = "refused";

    /// The names are in hexadecimal; control characters in Java's text are escaped as in Rust.
    #[test]
    fn distinguished_names_are_those_of_java() {
        let visible = |c: char| match c.is_ascii_control() {
            true => c.escape_unicode().to_string(),
            false => c.to_string(),
        };
        for line in include_str!("../../../tests/data/distinguished-names.tsv").lines().skip(1) {
            let (hexadecimal, expect) = line.split_once('\t').unwrap();
            let digits = |at: usize| u8::from_str_radix(&hexadecimal[at..at + 2], 16).unwrap();
            let der: Vec<u8> = (0..hexadecimal.len()).step_by(2).map(digits).collect();
            let text = name_text(&der).unwrap_or_else(|_| REFUSED.to_owned());
            let text: String = text.chars().map(visible).collect();
            assert_eq!(text, expect, "{hexadecimal}");
        }
    }
}
