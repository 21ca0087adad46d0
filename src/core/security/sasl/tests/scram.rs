use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use ring::{digest, hmac, pbkdf2};

const SHA_256: Mechanism = Mechanism::Scram(ScramMechanism::Sha256);
const INVALID: &str =
    "Authentication failed during authentication due to invalid credentials with SASL mechanism SCRAM-SHA-256";

fn credential(mechanism: ScramMechanism, password: &str, iterations: u32) -> Arc<ScramCredential> {
    let iterations = NonZeroU32::new(iterations).unwrap();
    let salt = b"salt of the user".to_vec();
    Arc::new(ScramCredential::of_password(mechanism, &Password::new(password), salt, iterations))
}

fn users() -> Users {
    let mut users = Users::default();
    for mechanism in ScramMechanism::ALL {
        users.scram.insert((mechanism, "alice"), credential(mechanism, "secret", 4096));
        users.scram.insert((mechanism, "a,b=c"), credential(mechanism, "secret", 8192));
        users.scram.insert((mechanism, "weak"), credential(mechanism, "secret", 4095));
    }
    let credential = credential(ScramMechanism::Sha256, "hmac", 4096);
    users.tokens.insert("token-1", TokenCredential { credential, owner: "owner".into(), expires: 1234 });
    users
}

/// What a client computes: its final message, and the server's signature that it expects.
fn client_final(mechanism: ScramMechanism, bare: &str, server_first: &str, password: &str) -> (String, String) {
    let fields: Vec<&str> = server_first.split(',').collect();
    let nonce = &fields[0][2..];
    let salt = STANDARD.decode(&fields[1][2..]).unwrap();
    let iterations: NonZeroU32 = fields[2][2..].parse().unwrap();
    let mut salted = vec![0; mechanism.digest().output_len()];
    pbkdf2::derive(mechanism.pbkdf2(), iterations, &salt, password.as_bytes(), &mut salted);
    let sign = |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(mechanism.hmac(), key), text.as_bytes());
    let client_key = sign(&salted, "Client Key");
    let stored_key = digest::digest(mechanism.digest(), client_key.as_ref());
    let without_proof = format!("c=biws,r={nonce}");
    let messages = format!("{bare},{server_first},{without_proof}");
    let signature = sign(stored_key.as_ref(), &messages);
    let proof: Vec<u8> = client_key.as_ref().iter().zip(signature.as_ref()).map(|(a, b)| a ^ b).collect();
    let server_signature = sign(sign(&salted, "Server Key").as_ref(), &messages);
    (format!("{without_proof},p={}", STANDARD.encode(proof)), format!("v={}", STANDARD.encode(server_signature)))
}

/// Runs a whole exchange. `header` and `bare` are the client's first message.
fn run(mechanism: ScramMechanism, header: &str, bare: &str, password: &str) -> Step {
    let users = users();
    let mut exchange = exchange(Mechanism::Scram(mechanism));
    let server_first = continued(exchange.step(format!("{header}{bare}").as_bytes(), &users, 0));
    let (message, signature) = client_final(mechanism, bare, &server_first, password);
    let step = exchange.step(message.as_bytes(), &users, 0);
    if let Step::Done(done) = &step {
        assert_eq!(done.reply, signature.into_bytes());
    }
    step
}

fn first(message: &str) -> Step {
    exchange(SHA_256).step(message.as_bytes(), &users(), 0)
}

#[test]
fn right_password_authenticates_the_user() {
    for mechanism in ScramMechanism::ALL {
        for (header, bare, user) in [
            ("n,,", "n=alice,r=nonce", "alice"),
            ("n,a=alice,", "n=alice,r=nonce", "alice"),
            ("n,,", "n=a=2Cb=3Dc,r=nonce", "a,b=c"),
            ("n,a=a=2Cb=3Dc,", "n=a=2Cb=3Dc,r=nonce", "a,b=c"),
            ("n,,", "m=x,n=alice,r=nonce,tokenauth=false,other=a=b", "alice"),
        ] {
            let Step::Done(done) = run(mechanism, header, bare, "secret") else { panic!("{mechanism} {header}{bare}") };
            assert_eq!((&*done.user, done.by_token, done.expires), (user, false, None));
        }
    }
}

#[test]
fn challenge_has_the_salt_and_the_iterations_of_the_user() {
    let salt = STANDARD.encode("salt of the user");
    let nonce = STANDARD.encode([7; NONCE_BYTES]);
    assert_eq!(continued(first("n,,n=alice,r=abc")), format!("r=abc{nonce},s={salt},i=4096"));
    assert_eq!(continued(first("n,,n=a=2Cb=3Dc,r=abc")), format!("r=abc{nonce},s={salt},i=8192"));
}

#[test]
fn unknown_user_is_rejected_as_a_wrong_password_is() {
    for bare in
        ["n=alice,r=nonce", "n=nobody,r=nonce", "n=no-token,r=nonce,tokenauth=true", "n=token-1,r=nonce,tokenauth=true"]
    {
        assert_eq!(failed(run(ScramMechanism::Sha256, "n,,", bare, "wrong")), INVALID, "{bare}");
    }
}

#[test]
fn unknown_user_always_gets_the_same_salt_and_others_get_other_ones() {
    let salt = |user: &str| {
        let challenge = continued(first(&format!("n,,n={user},r=abc")));
        let fields: Vec<&str> = challenge.split(',').map(|field| field.split_once('=').unwrap().1).collect();
        assert_eq!(fields[2], "4096");
        STANDARD.decode(fields[1]).unwrap()
    };
    assert_eq!(salt("nobody"), salt("nobody"));
    assert_ne!(salt("nobody"), salt("nobody2"));
    assert_eq!(salt("nobody").len(), ScramCredential::SALT_LENGTH);
    assert!(salt("nobody").iter().all(u8::is_ascii_alphanumeric));
}

#[test]
fn delegation_token_authenticates_its_owner_until_it_expires() {
    let bare = "n=token-1,r=nonce,tokenauth=TRUE";
    let Step::Done(done) = run(ScramMechanism::Sha256, "n,,", bare, "hmac") else { panic!() };
    assert_eq!((&*done.user, done.by_token, done.expires), ("owner", true, Some(1234)));
    // A token's id is not a user, and a user's name is not a token.
    assert_eq!(failed(run(ScramMechanism::Sha256, "n,,", "n=token-1,r=nonce", "hmac")), INVALID);
    assert_eq!(failed(run(ScramMechanism::Sha256, "n,,", "n=alice,r=nonce,tokenauth=true", "secret")), INVALID);
}

#[test]
fn other_authorization_id_is_rejected_for_known_and_unknown_users() {
    let expected = "Authentication failed: Client requested an authorization id that is different from username";
    assert_eq!(failed(first("n,a=bob,n=alice,r=abc")), expected);
    assert_eq!(failed(first("n,a=bob,n=nobody,r=abc")), expected);
}

#[test]
fn credential_with_too_few_iterations_is_rejected() {
    assert_eq!(failed(first("n,,n=weak,r=abc")), INVALID);
}

#[test]
fn first_messages_of_other_forms_are_rejected() {
    for message in [
        "",
        "n",
        "n,,",
        "n,,n=alice",
        "n,,n=alice,r=",
        "n,,r=abc,n=alice",
        "y,,n=alice,r=abc",
        "p=tls-unique,,n=alice,r=abc",
        "n,b=alice,n=alice,r=abc",
        "n,a=,n=alice,r=abc",
        "n,,n=,r=abc",
        "n,,n=al=ice,r=abc",
        "n,,n=al=2cice,r=abc",
        "n,,n=alice,r=a b",
        "n,,n=alice,r=abc,",
        "n,,n=alice,r=abc,x",
        "n,,n=alice,r=abc,x=",
        "n,,n=alice,r=abc,1=x",
        "n,,m=,n=alice,r=abc",
        "n,,n=älice,r=abc",
        "n,,n=al\0ice,r=abc",
        "n,,n=alice,r=äbc",
        "n,n=alice,r=abc",
    ] {
        assert_eq!(failed(first(message)), INVALID, "{message:?}");
    }
}

#[test]
fn final_messages_of_other_forms_are_rejected() {
    for change in [
        |_: &str| String::new(),
        |message: &str| message.replace(",p=", ",q="),
        |message: &str| message.replace("c=biws", "c=b"),
        |message: &str| message.replace("c=biws,", ""),
        |message: &str| message.replace("r=abc", "r=abd"),
        |message: &str| message.replace(",p=", "x,p="),
        |message: &str| format!("{}p=", message.split_once("p=").unwrap().0),
        |message: &str| format!("{message}AAAA"),
        |message: &str| message.replace(",p=", ",x=y,p="),
    ] {
        let users = users();
        let mut exchange = exchange(SHA_256);
        let server_first = continued(exchange.step(b"n,,n=alice,r=abc", &users, 0));
        let (message, _) = client_final(ScramMechanism::Sha256, "n=alice,r=abc", &server_first, "secret");
        let changed = change(&message);
        assert_eq!(failed(exchange.step(changed.as_bytes(), &users, 0)), INVALID, "{changed}");
        // There is one attempt.
        assert_eq!(failed(exchange.step(message.as_bytes(), &users, 0)), INVALID);
    }
}

#[test]
fn credential_of_a_password_is_that_of_rfc_7677() {
    let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    let iterations = NonZeroU32::new(4096).unwrap();
    let of = ScramCredential::of_password(ScramMechanism::Sha256, &Password::new("pencil"), salt, iterations);
    let sign = |key: &[u8]| {
        let messages = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
            s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), messages.as_bytes())
    };
    assert_eq!(STANDARD.encode(sign(&of.server_key)), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    let proof = STANDARD.decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=").unwrap();
    let client_key: Vec<u8> = sign(&of.stored_key).as_ref().iter().zip(proof).map(|(a, b)| a ^ b).collect();
    assert_eq!(digest::digest(&digest::SHA256, &client_key).as_ref(), of.stored_key);
}

#[test]
fn debug_output_of_a_credential_has_no_keys() {
    let text = format!("{:?}", credential(ScramMechanism::Sha256, "secret", 4096));
    assert_eq!(text, "ScramCredential { iterations: 4096, keys: [hidden], .. }");
}
