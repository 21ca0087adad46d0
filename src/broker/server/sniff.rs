//! Recognizes, from the first four bytes, a client that connected to the wrong port.

/// A protocol other than Kafka's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Foreign {
    /// Its name in the log.
    pub name: &'static str,
    /// The answer in that protocol, sent before the connection is closed.
    pub answer: &'static [u8],
}

const NO_RESPONSE: &[u8] = b"";
const HTTP_RESPONSE: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    Content-Type: text/plain\r\n\
    Connection: close\r\n\
    Content-Length: 47\r\n\
    \r\n\
    This port serves the Kafka protocol, not HTTP.\n";

/// The protocol that a connection's first four bytes belong to, if it is one that people use on a Kafka port by
/// mistake. Read as the size of a frame, each of them is more than 160 MiB.
pub(super) fn foreign_protocol(first: [u8; 4]) -> Option<Foreign> {
    let (name, answer) = match &first {
        b"GET " | b"POST" | b"PUT " | b"HEAD" | b"DELE" | b"OPTI" | b"PATC" | b"CONN" | b"TRAC" => {
            ("HTTP", HTTP_RESPONSE)
        }
        b"PRI " => ("HTTP/2", NO_RESPONSE),
        // A TLS record: the type (handshake) and the version of the record layer, 3.0 to 3.4.
        [0x16, 0x03, 0..=4, _] => ("TLS", NO_RESPONSE),
        b"SSH-" => ("SSH", NO_RESPONSE),
        b"PROX" | b"\r\n\r\n" => ("PROXY protocol", NO_RESPONSE),
        b"AMQP" => ("AMQP", NO_RESPONSE),
        [b'*', b'0'..=b'9', b'\r', b'\n'] => ("the Redis protocol", NO_RESPONSE),
        // CONNECT, the remaining length in one byte, and the length of the name "MQTT".
        [0x10, _, 0x00, 0x04] => ("MQTT", NO_RESPONSE),
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
    fn first_bytes_of_other_protocols_are_recognized() {
        check(b"GET ", Some("HTTP"));
        check(b"POST", Some("HTTP"));
        check(b"PRI ", Some("HTTP/2"));
        check(&[0x16, 3, 1, 2], Some("TLS"));
        check(b"SSH-", Some("SSH"));
        check(b"\r\n\r\n", Some("PROXY protocol"));
        check(b"*1\r\n", Some("the Redis protocol"));
        check(&[0x10, 0x20, 0, 4], Some("MQTT"));
    }

    #[test]
    fn frame_sizes_are_not_taken_for_other_protocols() {
        check(&[0, 0, 0, 0], None);
        check(&[0, 0, 0, 44], None);
        check(&[6, 64, 0, 0], None);
        check(&[255, 255, 255, 255], None);
    }

    #[test]
    fn http_answer_has_the_announced_length() {
        let text = std::str::from_utf8(HTTP_RESPONSE).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())));
    }
}
