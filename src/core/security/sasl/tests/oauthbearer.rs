use super::*;

fn users() -> Users {
    let token = BearerToken { user: "alice".into(), expires: 99 };
    let invalid = BearerRejection::Invalid {
        status: BearerRejection::INSUFFICIENT_SCOPE,
        scope: Some("produce \"all\"".to_owned()),
        log: "no scope".to_owned(),
    };
    let bearer = HashMap::from([("good.t-_~+/0==", Ok(token)), ("scope", Err(invalid))]);
    Users { bearer, ..Users::default() }
}

fn first(message: &str) -> Step {
    exchange(Mechanism::OAuthBearer).step(message.as_bytes(), &users(), 0)
}

#[test]
fn valid_token_authenticates_its_user() {
    for message in [
        "n,,\u{1}auth=Bearer good.t-_~+/0==\u{1}\u{1}",
        "n,a=alice,\u{1}auth=bearer  good.t-_~+/0==\u{1}\u{1}",
        "n,,\u{1}host=a b\u{1}auth=Bearer good.t-_~+/0==\u{1}port=1\u{1}\u{1}",
    ] {
        let Step::Done(done) = first(message) else { panic!("{message:?}") };
        assert_eq!((&*done.user, done.by_token, done.expires), ("alice", false, Some(99)));
    }
}

#[test]
fn rejected_token_fails_after_the_client_acknowledged_it() {
    for (token, json) in [
        ("bad", r#"{"status":"invalid_token"}"#),
        ("scope", r#"{"status":"insufficient_scope", "scope":"produce \"all\""}"#),
    ] {
        let mut exchange = exchange(Mechanism::OAuthBearer);
        let reply = exchange.step(format!("n,,\u{1}auth=Bearer {token}\u{1}\u{1}").as_bytes(), &users(), 0);
        assert_eq!(continued(reply), json);
        assert_eq!(failed(exchange.step(b"\x01", &users(), 0)), json);
    }
}

#[test]
fn other_authorization_id_is_rejected() {
    assert_eq!(
        failed(first("n,a=bob,\u{1}auth=Bearer good.t-_~+/0==\u{1}\u{1}")),
        "Authentication failed: Client requested an authorization id (bob) that is different from the token's principal \
         name (alice)"
    );
}

#[test]
fn first_messages_of_other_forms_are_rejected() {
    for message in [
        "",
        "\u{1}",
        "n,,",
        "n,,\u{1}",
        "n,,\u{1}\u{1}",
        "n,,\u{1}auth=Bearer good.t-_~+/0==\u{1}",
        "n,,auth=Bearer good.t-_~+/0==\u{1}\u{1}",
        "y,,\u{1}auth=Bearer good.t-_~+/0==\u{1}\u{1}",
        "n,b=alice,\u{1}auth=Bearer good.t-_~+/0==\u{1}\u{1}",
        "n,a=,\u{1}auth=Bearer good.t-_~+/0==\u{1}\u{1}",
        "n,,\u{1}auth=Basic good.t-_~+/0==\u{1}\u{1}",
        "n,,\u{1}auth=Bearer\u{1}\u{1}",
        "n,,\u{1}auth=Bearer \u{1}\u{1}",
        "n,,\u{1}auth=Bearer a b\u{1}\u{1}",
        "n,,\u{1}auth=Bearer ===\u{1}\u{1}",
        "n,,\u{1}x1=y\u{1}auth=Bearer good.t-_~+/0==\u{1}\u{1}",
        "n,,\u{1}x=\u{1}auth=Bearer good.t-_~+/0==\u{1}\u{1}",
        "n,,\u{1}auth=Bearer good.t-_~+/0==\u{1}\u{1}\u{1}",
        "n,,\u{1}x=ä\u{1}auth=Bearer good.t-_~+/0==\u{1}\u{1}",
    ] {
        assert_eq!(
            failed(first(message)),
            "Authentication failed during authentication due to invalid credentials with SASL mechanism OAUTHBEARER",
            "{message:?}"
        );
    }
}
