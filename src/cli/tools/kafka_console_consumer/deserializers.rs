//! Converts bytes to text, as Kafka's deserializers and `toString` do.

use super::super::exceptions::Exception;
use ottla_wire::java;

const PACKAGE: &str = "org.apache.kafka.common.serialization.";

/// One of Kafka's own deserializers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deserializer {
    Boolean,
    ByteArray,
    ByteBuffer,
    Bytes,
    Double,
    Float,
    Integer,
    Long,
    Short,
    /// Invalid UTF-8 becomes replacement characters.
    String,
    Uuid,
    Void,
}

impl Deserializer {
    /// Finds the deserializer for a class name with its package.
    pub fn from_class(class: &str) -> Option<Deserializer> {
        let name = class.strip_prefix(PACKAGE)?.strip_suffix("Deserializer")?;
        match name {
            "Boolean" => Some(Deserializer::Boolean),
            "ByteArray" => Some(Deserializer::ByteArray),
            "ByteBuffer" => Some(Deserializer::ByteBuffer),
            "Bytes" => Some(Deserializer::Bytes),
            "Double" => Some(Deserializer::Double),
            "Float" => Some(Deserializer::Float),
            "Integer" => Some(Deserializer::Integer),
            "Long" => Some(Deserializer::Long),
            "Short" => Some(Deserializer::Short),
            "String" => Some(Deserializer::String),
            "UUID" => Some(Deserializer::Uuid),
            "Void" => Some(Deserializer::Void),
            _ => None,
        }
    }

    /// Appends the text of `bytes`.
    pub fn write(self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Exception> {
        let text = match self {
            Deserializer::ByteArray => {
                out.extend_from_slice(bytes);
                return Ok(());
            }
            Deserializer::String => String::from_utf8_lossy(bytes).into_owned(),
            Deserializer::Bytes => printable(bytes),
            Deserializer::ByteBuffer => format!("java.nio.HeapByteBuffer[pos=0 lim={0} cap={0}]", bytes.len()),
            Deserializer::Integer => i32::from_be_bytes(self.sized(bytes)?).to_string(),
            Deserializer::Long => i64::from_be_bytes(self.sized(bytes)?).to_string(),
            Deserializer::Short => i16::from_be_bytes(self.sized(bytes)?).to_string(),
            Deserializer::Float => java::float(f32::from_be_bytes(self.sized(bytes)?)),
            Deserializer::Double => java::double(f64::from_be_bytes(self.sized(bytes)?)),
            Deserializer::Boolean => match self.sized(bytes)? {
                [0] => "false".to_owned(),
                [1] => "true".to_owned(),
                [other] => {
                    let other = i8::from_be_bytes([other]);
                    return Err(serialization(format!("Unexpected byte received by BooleanDeserializer: {other}")));
                }
            },
            Deserializer::Uuid => {
                uuid(bytes).ok_or_else(|| serialization("Error parsing data into UUID".to_owned()))?
            }
            Deserializer::Void => {
                return Err(Exception::illegal_argument("Data should be null for a VoidDeserializer."));
            }
        };
        out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn sized<const N: usize>(self, bytes: &[u8]) -> Result<[u8; N], Exception> {
        bytes.try_into().map_err(|_| {
            let name = match self {
                Deserializer::Float | Deserializer::Double => String::new(),
                other => format!("{other:?}"),
            };
            serialization(format!("Size of data received by {name}Deserializer is not {N}"))
        })
    }
}

fn serialization(message: String) -> Exception {
    Exception::new("org.apache.kafka.common.errors.SerializationException", message)
}

/// Formats bytes as `Bytes.toString` does: bytes that are not printable ASCII as `\xFF`.
fn printable(bytes: &[u8]) -> String {
    let one = |byte: &u8| match byte {
        b' '..=b'~' if *byte != b'\\' => char::from(*byte).to_string(),
        other => format!("\\x{other:02X}"),
    };
    bytes.iter().map(one).collect()
}

/// Formats a UUID as `UUID.fromString(…).toString()` does: five groups of hexadecimal digits, padded with zeros.
fn uuid(bytes: &[u8]) -> Option<String> {
    const WIDTHS: [usize; 5] = [8, 4, 4, 4, 12];
    let text = std::str::from_utf8(bytes).ok()?;
    let groups: Vec<&str> = text.split('-').collect();
    if groups.len() != WIDTHS.len() {
        return None;
    }
    let one = |(group, width): (&&str, usize)| {
        let hexadecimal = !group.is_empty() && group.bytes().all(|digit| digit.is_ascii_hexdigit());
        (hexadecimal && group.len() <= width).then(|| format!("{:0>width$}", group.to_ascii_lowercase()))
    };
    let groups: Option<Vec<String>> = groups.iter().zip(WIDTHS).map(one).collect();
    Some(groups?.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_the_text_of_the_deserializer() {
        let check = |class: &str, bytes: &[u8], expect: &str| {
            let deserializer = Deserializer::from_class(&format!("{PACKAGE}{class}Deserializer")).unwrap();
            let mut out = Vec::new();
            let text = deserializer.write(bytes, &mut out).map(|()| String::from_utf8(out).unwrap());
            assert_eq!(text.unwrap_or_else(|error| error.message), expect, "{class}");
        };
        check("String", b"a\xffb", "a\u{fffd}b");
        check("ByteArray", b"ab", "ab");
        check("Bytes", b"a\\\x01\xff~", "a\\x5C\\x01\\xFF~");
        check("ByteBuffer", b"ab", "java.nio.HeapByteBuffer[pos=0 lim=2 cap=2]");
        check("Integer", &[255; 4], "-1");
        check("Integer", b"abc", "Size of data received by IntegerDeserializer is not 4");
        check("Long", &[0, 0, 0, 0, 0, 0, 1, 0], "256");
        check("Short", &[1, 0], "256");
        check("Short", b"", "Size of data received by ShortDeserializer is not 2");
        check("Float", &1.5f32.to_be_bytes(), "1.5");
        check("Float", b"", "Size of data received by Deserializer is not 4");
        check("Double", &1e10f64.to_be_bytes(), "1.0E10");
        check("Boolean", &[1], "true");
        check("Boolean", &[2], "Unexpected byte received by BooleanDeserializer: 2");
        let id = "123e4567-e89b-12d3-a456-426614174000";
        check("UUID", id.as_bytes(), id);
        check("UUID", b"1-2-3-4-A", "00000001-0002-0003-0004-00000000000a");
        check("UUID", b"x", "Error parsing data into UUID");
        check("Void", b"x", "Data should be null for a VoidDeserializer.");
        assert_eq!(Deserializer::from_class("StringDeserializer"), None);
    }
}
