use super::*;

fn plain(message: &[u8]) -> Step {
    let users = Users { plain: HashMap::from([("alice", "pässword"), ("empty", "")]), ..Users::default() };
    exchange(Mechanism::Plain).step(message, &users, 0)
}

#[test]
fn right_password_authenticates_the_user() {
    let alice = Authenticated { reply: Vec::new(), user: "alice".into(), by_token: false, expires: None };
    assert_eq!(plain("\0alice\0pässword".as_bytes()), Step::Done(alice));
    assert!(matches!(plain("alice\0alice\0pässword".as_bytes()), Step::Done(_)));
}

#[test]
fn wrong_password_and_unknown_user_get_the_same_message() {
    for message in
        ["\0alice\0password", "\0alice\0päs", "\0bob\0pässword", "bob\0alice\0wrong", "\0empty\0x", "\0Alice\0pässword"]
    {
        assert_eq!(
            failed(plain(message.as_bytes())),
            "Authentication failed: Invalid username or password",
            "{message:?}"
        );
    }
}

#[test]
fn messages_of_other_forms_get_kafkas_messages() {
    for (message, expected) in [
        (&b""[..], "Invalid SASL/PLAIN response: expected 3 tokens, got 1"),
        (b"alice\0password", "Invalid SASL/PLAIN response: expected 3 tokens, got 2"),
        (b"\0alice\0password\0", "Invalid SASL/PLAIN response: expected 3 tokens, got 4"),
        (b"\0\0\0\0\0\0\0\0", "Invalid SASL/PLAIN response: expected 3 tokens, got 4"),
        (b"\0\0password", "Authentication failed: username not specified"),
        (b"\0alice\0", "Authentication failed: password not specified"),
        (b"\0empty\0", "Authentication failed: password not specified"),
        (
            "bob\0alice\0pässword".as_bytes(),
            "Authentication failed: Client requested an authorization id that is different from username",
        ),
        (b"\0ali\xffce\0x", "Authentication failed: Invalid username or password"),
    ] {
        assert_eq!(failed(plain(message)), expected, "{message:?}");
    }
}

#[test]
fn message_after_the_end_fails() {
    let users = Users { plain: HashMap::from([("alice", "secret")]), ..Users::default() };
    let mut exchange = Exchange::new(Mechanism::Plain, Attempt::Again, [7; NONCE_BYTES]);
    assert!(matches!(exchange.step(b"\0alice\0secret", &users, 0), Step::Done(_)));
    assert_eq!(
        failed(exchange.step(b"\0alice\0secret", &users, 0)),
        "Authentication failed during re-authentication due to invalid credentials with SASL mechanism PLAIN"
    );
}

#[test]
fn failures_contain_no_passwords() {
    for message in ["\0alice\0hunter2", "\0bob\0hunter2", "hunter2", "x\0alice\0hunter2\0"] {
        let step = format!("{:?}", plain(message.as_bytes()));
        assert!(!step.contains("hunter2"), "{step}");
    }
}
