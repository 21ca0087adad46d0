use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};

use super::*;

/// An issuer with one key.
struct Issuer {
    pair: EcdsaKeyPair,
    keys: Jwks,
    random: SystemRandom,
}

impl Issuer {
    fn new() -> Issuer {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
        let point = pair.public_key().as_ref();
        let coordinate = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let (x, y) = (coordinate(&point[1..33]), coordinate(&point[33..]));
        let set = json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "1", "x": x, "y": y}]});
        Issuer { pair, keys: Jwks::parse(set.to_string().as_bytes()).unwrap(), random }
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self.pair.sign(&self.random, signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// Validates a token with changed claims.
    fn validate(&self, settings: &JwtSettings, changes: &Value, now: TimestampMs) -> Result<BearerToken, String> {
        let token = self.token(&json!({"alg": "ES256", "kid": "1"}), &with(&claims(), changes));
        settings.validate(&token, &self.keys, now).map_err(|fault| fault.log)
    }
}

use crate::security::sasl::BearerToken;

fn settings() -> JwtSettings {
    JwtSettings {
        expected_audience: vec!["other".to_owned(), "kafka".to_owned()],
        expected_issuer: Some("https://issuer.example".to_owned()),
        ..JwtSettings::default()
    }
}

#[test]
fn valid_token_has_the_user_and_the_expiration_time() {
    let (issuer, settings) = (Issuer::new(), settings());
    let alice = BearerToken { user: "alice".into(), expires: 2_000_000 };
    for changes in [
        json!({}),
        json!({"sub": " alice ", "scope": ["a", "b"], "aud": ["x", "kafka"], "nbf": 1500}),
        json!({"scope": null, "exp": 2000.9, "iat": 1000.5, "nbf": 1530, "x": {"y": []}}),
    ] {
        assert_eq!(issuer.validate(&settings, &changes, NOW), Ok(alice.clone()), "{changes}");
    }
    let named = JwtSettings { user_claim: "client_id".to_owned(), scope_claim: "scp".to_owned(), ..settings };
    let bob = issuer.validate(&named, &json!({"client_id": "bob", "sub": null, "scp": ["x"]}), NOW);
    assert_eq!(&*bob.unwrap().user, "bob");
}

#[test]
fn clock_skew_is_allowed_for_expiration_and_beginning() {
    let (issuer, settings) = (Issuer::new(), settings());
    assert!(issuer.validate(&settings, &json!({}), 2_029_999).is_ok());
    assert_eq!(issuer.validate(&settings, &json!({}), 2_030_000).unwrap_err(), "the token expired 30 s ago");
    assert!(issuer.validate(&settings, &json!({"nbf": 1500}), 1_470_000).is_ok());
    assert_eq!(
        issuer.validate(&settings, &json!({"nbf": 1500}), 1_469_999).unwrap_err(),
        "the token is not valid yet (nbf)"
    );
}

#[test]
fn wrong_claims_are_rejected() {
    let (issuer, settings) = (Issuer::new(), settings());
    for (changes, expected) in [
        (json!({"exp": null}), "the token has no expiration time (exp)"),
        (json!({"exp": "2000"}), "the token's claim exp is not a number"),
        (json!({"exp": -1, "iat": -2}), "the token has a negative time"),
        (json!({"iat": null}), "the token has no time of issue (iat)"),
        (json!({"iat": 2001}), "the token expires before it is issued or valid"),
        (json!({"iss": null}), "the token has no issuer (iss)"),
        (json!({"iss": "evil\n"}), "the token has the issuer \"evil\\n\", not the expected one"),
        (json!({"aud": null}), "the token has no audience (aud)"),
        (json!({"aud": "kafka2"}), "the token is for another audience (aud)"),
        (json!({"aud": ["x", 1]}), "the token's audience (aud) has an entry that is not a text"),
        (json!({"aud": {}}), "the token's audience (aud) is neither a text nor a list"),
        (json!({"sub": null}), "the token has no claim sub, which is to have the user"),
        (json!({"sub": " "}), "the token's claim sub is not a text with a user"),
        (json!({"sub": 7}), "the token's claim sub is not a text with a user"),
        (json!({"scope": ""}), "the token's claim scope is not a text or a list of distinct texts"),
        (json!({"scope": ["a", "a "]}), "the token's claim scope is not a text or a list of distinct texts"),
        (json!({"scope": [1]}), "the token's claim scope is not a text or a list of distinct texts"),
    ] {
        assert_eq!(issuer.validate(&settings, &changes, NOW).unwrap_err(), expected, "{changes}");
    }
}

#[test]
fn audience_and_issuer_may_be_unverified_where_allowed() {
    let issuer = Issuer::new();
    let none = JwtSettings { clock_skew_seconds: 0, ..JwtSettings::default() };
    assert_eq!(
        none.check().unwrap_err(),
        "sasl.oauthbearer.expected.issuer is required to validate tokens; set it, or set \
         sasl.oauthbearer.allow.unverified.issuer=true to accept any"
    );
    assert_eq!(issuer.validate(&none, &json!({}), NOW).unwrap_err(), "the token is for another audience (aud)");
    assert!(issuer.validate(&none, &json!({"aud": null}), NOW).is_ok());
    let allowing = JwtSettings { allow_unverified_audience: true, allow_unverified_issuer: true, ..none };
    assert_eq!(allowing.check(), Ok(()));
    assert!(issuer.validate(&allowing, &json!({"iss": null}), NOW).is_ok());
    assert_eq!(settings().check(), Ok(()));
    assert!(JwtSettings { user_claim: " ".to_owned(), ..settings() }.check().is_err());
}

#[test]
fn tokens_of_other_forms_are_rejected() {
    let (issuer, settings) = (Issuer::new(), settings());
    let malformed = "the token is not a JSON Web Token with header, payload and signature";
    let validate = |token: &str| settings.validate(token, &issuer.keys, NOW).unwrap_err();
    for token in ["", ".", "..", "a.b", "a.b.c", "a.b.c.d", &format!("{}.!.", part(&json!({"alg": "ES256"})))] {
        assert_eq!(validate(token).log, malformed, "{token}");
    }
    let with_header = |header: Value| validate(&issuer.token(&header, &claims()));
    assert_eq!(with_header(json!({})).log, "the token's header has no algorithm (alg)");
    assert_eq!(with_header(json!({"alg": "none"})).log, "the token has the algorithm \"none\", which is not supported");
    assert_eq!(
        with_header(json!({"alg": "HS256"})).log,
        "the token has the algorithm \"HS256\", which is not supported"
    );
    assert_eq!(with_header(json!({"alg": "ES256", "kid": 1})).log, "the token's key id (kid) is not a text");
    assert!(with_header(json!({"alg": "ES256", "crit": ["x"]})).log.contains("critical"));
    let unknown = with_header(json!({"alg": "ES256", "kid": "2"}));
    assert_eq!(unknown.log, "no key of the issuer is for the token, which has the key id \"2\"");
    assert!(unknown.unknown_key);
    assert!(with_header(json!({"alg": "RS256"})).unknown_key);
    let token = issuer.token(&json!({"alg": "ES256"}), &claims());
    assert!(settings.validate(&token, &issuer.keys, NOW).is_ok());
    let other = issuer.token(&json!({"alg": "ES256"}), &with(&claims(), &json!({"sub": "root"})));
    let forged = format!("{}.{}", other.rsplit_once('.').unwrap().0, token.rsplit_once('.').unwrap().1);
    assert_eq!(validate(&forged).log, "the token's signature is wrong");
}
