//! Errors of requests over HTTP, in the words for a user.

/// The reason why a request failed, without the library's name for its kind.
pub fn reason(error: &ureq::Error) -> String {
    match error {
        ureq::Error::StatusCode(code) => format!("status {code}"),
        ureq::Error::Io(why) => why.to_string(),
        ureq::Error::Rustls(why) => why.to_string(),
        ureq::Error::Protocol(why) => why.to_string(),
        ureq::Error::Http(why) => why.to_string(),
        ureq::Error::BadUri(why) => format!("the address is not valid: {why}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_has_no_name_of_a_kind_of_error() {
        let refused = std::io::Error::other("invalid peer certificate: UnknownIssuer");
        assert_eq!(reason(&ureq::Error::Io(refused)), "invalid peer certificate: UnknownIssuer");
        assert_eq!(reason(&ureq::Error::HostNotFound), "host not found");
        assert_eq!(reason(&ureq::Error::StatusCode(404)), "status 404");
    }
}
