use super::*;
use crate::security::jaas::parse_property;
use crate::security::sasl::BearerRejection;

fn settings(options: &str) -> Result<UnsecuredSettings, String> {
    let module = format!("org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required {options};");
    UnsecuredSettings::of_options(&parse_property(&module).unwrap())
}

/// The user and the expiration time, or the rejection.
fn validate(options: &str, changes: &Value) -> Result<(String, TimestampMs), String> {
    let token = format!("{}.{}.", part(&json!({"alg": "none"})), part(&with(&claims(), changes)));
    match settings(options).unwrap().validate(&token, NOW) {
        Ok(token) => Ok((token.user.to_string(), token.expires)),
        Err(BearerRejection::Invalid { status, scope, log }) => {
            Err(format!("{status} {}: {log}", scope.unwrap_or_default()))
        }
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn valid_token_has_the_user_and_the_expiration_time() {
    assert_eq!(validate("", &json!({"exp": 1999.9996})), Ok(("alice".to_owned(), 2_000_000)));
    assert!(validate("", &json!({"iat": null, "scope": null, "aud": 1, "iss": {}})).is_ok());
    let options = "unsecuredValidatorPrincipalClaimName=\" id \" unsecuredValidatorScopeClaimName=scp \
        unsecuredValidatorRequiredScope=\"a  b\" unsecuredValidatorAllowableClockSkewMs=\"1000\"";
    let changes = json!({"id": "bob", "sub": null, "scp": ["b", "a "], "exp": 1499.5, "iat": 1000});
    assert_eq!(validate(options, &changes), Ok(("bob".to_owned(), 1_499_500)));
    assert!(validate("unsecuredValidatorRequiredScope=produce", &json!({})).is_ok());
}

#[test]
fn wrong_claims_are_rejected() {
    for (changes, expected) in [
        (json!({"sub": null}), "the token's claim sub is not a text with a user"),
        (json!({"sub": " "}), "the token's claim sub is not a text with a user"),
        (json!({"exp": null}), "the token has no expiration time (exp)"),
        (json!({"exp": "x"}), "the token's claim exp is not a number"),
        (json!({"exp": 1500}), "the token has expired (exp)"),
        (json!({"iat": 1501}), "the token is issued in the future (iat)"),
        (json!({"iat": "x"}), "the token's claim iat is not a number"),
        (json!({"scope": {}}), "the token's claim scope is neither a text nor a list"),
    ] {
        assert_eq!(validate("", &changes).unwrap_err(), format!("invalid_token : {expected}"), "{changes}");
    }
    assert_eq!(
        validate("unsecuredValidatorRequiredScope=\"produce consume\"", &json!({})).unwrap_err(),
        "insufficient_scope [produce, consume]: the token lacks the required scope consume"
    );
}

#[test]
fn tokens_of_other_forms_are_rejected() {
    let none = part(&json!({"alg": "none"}));
    let claims = part(&claims());
    for token in [
        String::new(),
        "...".to_owned(),
        format!("{none}.{claims}"),
        format!("{none}.{claims}.c2ln"),
        format!("{none}.{claims}..",),
        format!("{}.{claims}.", part(&json!({"alg": "RS256"}))),
        format!("{}.{claims}.", part(&json!({}))),
        format!("{}.{claims}.", part(&json!([]))),
        format!("{none}.!."),
        format!("{none}.."),
    ] {
        let result = settings("").unwrap().validate(&token, NOW);
        assert!(matches!(result, Err(BearerRejection::Invalid { status: "invalid_token", .. })), "{token}: {result:?}");
    }
    assert!(settings("").unwrap().validate(&format!("{none}=.{claims}."), NOW).is_ok());
}

#[test]
fn invalid_options_are_refused() {
    for options in [
        "unsecuredValidatorAllowableClockSkewMs=\"-1\"",
        "unsecuredValidatorAllowableClockSkewMs=\"x\"",
        "unsecuredValidatorRequiredScope=\"a \\\\\"",
    ] {
        assert!(settings(options).is_err(), "{options}");
    }
}
