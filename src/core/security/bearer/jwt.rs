//! Validation of signed tokens, with the rules of Kafka's `BrokerJwtValidator`.

use std::collections::HashSet;

use ottla_wire::types::TimestampMs;
use serde_json::Value;

use super::jwks::{Algorithm, Verification};
use super::{Jwks, Object, decode, object, timestamp};
use crate::security::sasl::{BearerRejection, BearerToken};

/// The characters of an issuer's or user's text that an error quotes.
const LONGEST_QUOTE: usize = 100;

/// What a token must have (`sasl.oauthbearer.*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtSettings {
    /// `expected.audience`. A token must be for one of them.
    pub expected_audience: Vec<String>,
    /// `expected.issuer`.
    pub expected_issuer: Option<String>,
    /// `allow.unverified.audience`: whether tokens for any audience are accepted if none is expected.
    pub allow_unverified_audience: bool,
    /// `allow.unverified.issuer`: the same for issuers.
    pub allow_unverified_issuer: bool,
    /// `clock.skew.seconds`.
    pub clock_skew_seconds: u32,
    /// `scope.claim.name`.
    pub scope_claim: String,
    /// `sub.claim.name`: the claim that has the user.
    pub user_claim: String,
}

impl Default for JwtSettings {
    fn default() -> JwtSettings {
        JwtSettings {
            expected_audience: Vec::new(),
            expected_issuer: None,
            allow_unverified_audience: false,
            allow_unverified_issuer: false,
            clock_skew_seconds: 30,
            scope_claim: "scope".to_owned(),
            user_claim: "sub".to_owned(),
        }
    }
}

/// Why a token is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtFault {
    /// The reason, for the broker's log.
    pub log: String,
    /// Whether the keys lack the one that the token names. The issuer may have a new one, so the keys are to be fetched
    /// again.
    pub unknown_key: bool,
}

impl From<String> for JwtFault {
    fn from(log: String) -> JwtFault {
        JwtFault { log, unknown_key: false }
    }
}

impl From<&str> for JwtFault {
    fn from(log: &str) -> JwtFault {
        JwtFault::from(log.to_owned())
    }
}

impl From<JwtFault> for BearerRejection {
    fn from(fault: JwtFault) -> BearerRejection {
        BearerRejection::invalid_token(fault.log)
    }
}

impl JwtSettings {
    /// Refuses settings with which a broker must not start, as Kafka does.
    pub fn check(&self) -> Result<(), String> {
        for (missing, allowed, expected, allow) in [
            (
                self.expected_issuer.is_none(),
                self.allow_unverified_issuer,
                "sasl.oauthbearer.expected.issuer",
                "sasl.oauthbearer.allow.unverified.issuer",
            ),
            (
                self.expected_audience.is_empty(),
                self.allow_unverified_audience,
                "sasl.oauthbearer.expected.audience",
                "sasl.oauthbearer.allow.unverified.audience",
            ),
        ] {
            if missing && !allowed {
                return Err(format!(
                    "{expected} is required to validate tokens; set it, or set {allow}=true to accept any"
                ));
            }
        }
        for (name, claim) in [
            ("sasl.oauthbearer.scope.claim.name", &self.scope_claim),
            ("sasl.oauthbearer.sub.claim.name", &self.user_claim),
        ] {
            if claim.trim().is_empty() {
                return Err(format!("{name} is empty; it is the name of a claim"));
            }
        }
        Ok(())
    }

    /// Validates a token. Its signature is verified before its claims are looked at.
    pub fn validate(&self, token: &str, keys: &Jwks, now: TimestampMs) -> Result<BearerToken, JwtFault> {
        let claims = verified_claims(token, keys)?;
        let expires = self.check_times(&claims, now)?;
        self.check_issuer(&claims)?;
        self.check_audience(&claims)?;
        check_scope(&claims, &self.scope_claim)?;
        let user = match claims.get(&self.user_claim) {
            Some(Value::String(user)) if !user.trim().is_empty() => user.trim().into(),
            Some(_) => return Err(format!("the token's claim {} is not a text with a user", self.user_claim).into()),
            None => return Err(format!("the token has no claim {}, which is to have the user", self.user_claim).into()),
        };
        Ok(BearerToken { user, expires })
    }

    /// Checks the times of the token and returns when it expires.
    fn check_times(&self, claims: &Object, now: TimestampMs) -> Result<TimestampMs, JwtFault> {
        let expires = time(claims, "exp")?.ok_or("the token has no expiration time (exp)")?;
        let issued = time(claims, "iat")?.ok_or("the token has no time of issue (iat)")?;
        let not_before = time(claims, "nbf")?;
        let skew = TimestampMs::from(self.clock_skew_seconds) * 1000;
        if expires < 0 || issued < 0 {
            return Err("the token has a negative time".into());
        }
        if now.saturating_sub(skew) >= expires {
            return Err(format!("the token expired {} s ago", now.saturating_sub(expires) / 1000).into());
        }
        if not_before.is_some_and(|not_before| now.saturating_add(skew) < not_before) {
            return Err("the token is not valid yet (nbf)".into());
        }
        if expires < issued || not_before.is_some_and(|not_before| expires < not_before) {
            return Err("the token expires before it is issued or valid".into());
        }
        Ok(expires)
    }

    fn check_issuer(&self, claims: &Object) -> Result<(), JwtFault> {
        let Some(expected) = &self.expected_issuer else {
            return match claims.get("iss") {
                None | Some(Value::String(_)) => Ok(()),
                Some(_) => Err("the token's issuer (iss) is not a text".into()),
            };
        };
        match claims.get("iss").and_then(Value::as_str) {
            Some(issuer) if issuer == expected => Ok(()),
            Some(issuer) => Err(format!("the token has the issuer {}, not the expected one", quoted(issuer)).into()),
            None => Err("the token has no issuer (iss)".into()),
        }
    }

    fn check_audience(&self, claims: &Object) -> Result<(), JwtFault> {
        let audiences: Vec<&str> = match claims.get("aud") {
            None => Vec::new(),
            Some(Value::String(audience)) => vec![audience],
            Some(Value::Array(list)) => {
                let texts: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
                texts.ok_or("the token's audience (aud) has an entry that is not a text")?
            }
            Some(_) => return Err("the token's audience (aud) is neither a text nor a list".into()),
        };
        if self.expected_audience.is_empty() && (self.allow_unverified_audience || audiences.is_empty()) {
            return Ok(());
        }
        match audiences.iter().find(|audience| self.expected_audience.iter().any(|expected| expected == *audience)) {
            Some(_) => Ok(()),
            None if audiences.is_empty() => Err("the token has no audience (aud)".into()),
            None => Err("the token is for another audience (aud)".into()),
        }
    }
}

/// Verifies the signature and returns the claims.
fn verified_claims(token: &str, keys: &Jwks) -> Result<Object, JwtFault> {
    let malformed = || JwtFault::from("the token is not a JSON Web Token with header, payload and signature");
    let (signed, signature) = token.trim().rsplit_once('.').ok_or_else(malformed)?;
    let (header, payload) = signed.split_once('.').ok_or_else(malformed)?;
    let header = decode(header).as_deref().and_then(object).ok_or_else(malformed)?;
    let (payload, signature) = decode(payload).zip(decode(signature)).ok_or_else(malformed)?;
    let name = header.get("alg").and_then(Value::as_str).ok_or("the token's header has no algorithm (alg)")?;
    let algorithm = Algorithm::named(name)
        .ok_or_else(|| format!("the token has the algorithm {}, which is not supported", quoted(name)))?;
    if header.contains_key("crit") {
        return Err("the token's header has critical extensions (crit), and none is supported".into());
    }
    let id = match header.get("kid") {
        None => None,
        Some(id) => Some(id.as_str().ok_or("the token's key id (kid) is not a text")?),
    };
    match keys.verify(id, (name, algorithm), signed.as_bytes(), &signature) {
        Verification::Valid => Ok(object(&payload).ok_or_else(malformed)?),
        Verification::Invalid => Err("the token's signature is wrong".into()),
        Verification::NoKey => {
            let id = id.map_or_else(|| "no key id".to_owned(), |id| format!("the key id {}", quoted(id)));
            Err(JwtFault { log: format!("no key of the issuer is for the token, which has {id}"), unknown_key: true })
        }
    }
}

/// A claim that is a time in seconds.
fn time(claims: &Object, name: &str) -> Result<Option<TimestampMs>, JwtFault> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => {
            let seconds = value.as_f64().ok_or_else(|| format!("the token's claim {name} is not a number"))?;
            Ok(Some(timestamp(seconds.floor())))
        }
    }
}

/// Checks that the scope is well-formed; no particular one is required.
fn check_scope(claims: &Object, name: &str) -> Result<(), JwtFault> {
    let fault = || JwtFault::from(format!("the token's claim {name} is not a text or a list of distinct texts"));
    let Some(Value::Array(list)) = claims.get(name) else {
        let is_empty = claims.get(name).and_then(Value::as_str).is_some_and(|scope| scope.trim().is_empty());
        return if is_empty { Err(fault()) } else { Ok(()) };
    };
    let mut seen = HashSet::new();
    for scope in list {
        let scope = scope.as_str().map(str::trim).filter(|scope| !scope.is_empty()).ok_or_else(fault)?;
        if !seen.insert(scope) {
            return Err(fault());
        }
    }
    Ok(())
}

/// The beginning of a text that a client chose, escaped.
fn quoted(text: &str) -> String {
    let short: String = text.chars().take(LONGEST_QUOTE).collect();
    format!("{short:?}")
}
