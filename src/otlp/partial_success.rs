//! The response of a collector that has accepted a request.

use crate::protobuf::Fields;

/// What a collector did not accept of a request: how many values or spans, and why. `None` if it accepted everything.
pub fn rejected(response: &[u8]) -> Option<(u64, String)> {
    let partial = Fields::new(response).flatten().find(|(number, _)| *number == 1)?.1;
    let (mut count, mut why) = (0, String::new());
    for (number, value) in Fields::new(partial.bytes()).flatten() {
        match number {
            1 => count = value.number(),
            2 => why = String::from_utf8_lossy(value.bytes()).into_owned(),
            _ => {}
        }
    }
    (count > 0).then_some((count, why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protobuf::Message;

    #[test]
    fn rejected_values_are_read_from_a_response() {
        let response = |count, why: &str| {
            let mut response = Message::default();
            response.message(1, |partial| {
                partial.number(1, count).text(2, why);
            });
            response.into_bytes()
        };
        assert_eq!(rejected(&response(3, "old")), Some((3, "old".to_owned())));
        assert_eq!(rejected(&response(0, "a warning")), None);
        assert_eq!(rejected(b""), None);
        assert_eq!(rejected(b"no protobuf"), None);
    }
}
