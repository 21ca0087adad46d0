//! Recognises the protocol of a client that connected to the wrong port by its first four bytes.

/// A protocol that is not Kafka's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Foreign {
    /// As the log names it.
    pub name: &'static str,
    /// What to tell the client in its own words before the connection closes.
    pub answer: &'static [u8],
}

const NO_ANSWER: &[u8] = b"";
const HTTP_ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    Content-Type: text/plain\r\n\
    Connection: close\r\n\
    Content-Length: 66\r\n\
    \r\n\
    This is a Kafka port. It speaks the Kafka protocol, and not HTTP.\n";

/// The protocol that a connection's first four bytes belong to, if they are one that people point at
/// a Kafka port by mistake. Read as a frame's size, each of them stands for more than 160 MiB.
pub(super) fn foreign_protocol(first: [u8; 4]) -> Option<Foreign> {
    let (name, answer) = match &first {
        b"GET " | b"POST" | b"PUT " | b"HEAD" | b"DELE" | b"OPTI" | b"PATC" | b"CONN" | b"TRAC" => {
            ("HTTP", HTTP_ANSWER)
        }
        b"PRI " => ("HTTP/2", NO_ANSWER),
        // A TLS record: handshake, then the record layer's version 3.0 to 3.4.
        [0x16, 0x03, 0..=4, _] => ("TLS", NO_ANSWER),
        b"SSH-" => ("SSH", NO_ANSWER),
        b"PROX" | b"\r\n\r\n" => ("the PROXY protocol", NO_ANSWER),
        b"AMQP" => ("AMQP", NO_ANSWER),
        [b'*', b'0'..=b'9', b'\r', b'\n'] => ("the Redis protocol", NO_ANSWER),
        // CONNECT, a remaining length of one byte, and the length of "MQTT" that follows.
        [0x10, _, 0x00, 0x04] => ("MQTT", NO_ANSWER),
        _ => return None,
    };
    Some(Foreign { name, answer })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(first: &[u8; 4], expect: Option<&str>) {
        assert_eq!(foreign_protocol(*first).map(|foreign| foreign.name), expect);
        assert!(expect.is_none() || u32::from_be_bytes(*first) > 160 << 20);
    }

    #[test]
    fn well_known_first_bytes_are_named() {
        check(b"GET ", Some("HTTP"));
        check(b"POST", Some("HTTP"));
        check(b"PRI ", Some("HTTP/2"));
        check(&[0x16, 3, 1, 2], Some("TLS"));
        check(b"SSH-", Some("SSH"));
        check(b"\r\n\r\n", Some("the PROXY protocol"));
        check(b"*1\r\n", Some("the Redis protocol"));
        check(&[0x10, 0x20, 0, 4], Some("MQTT"));
    }

    #[test]
    fn frame_sizes_are_left_alone() {
        check(&[0, 0, 0, 0], None);
        check(&[0, 0, 0, 44], None);
        check(&[6, 64, 0, 0], None);
        check(&[255, 255, 255, 255], None);
    }

    #[test]
    fn the_answer_to_http_is_as_long_as_it_says() {
        let text = std::str::from_utf8(HTTP_ANSWER).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())));
    }
}
