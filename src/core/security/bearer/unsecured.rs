//! Validation of tokens without a signature (`alg` is `none`), for development, with the rules of Kafka's
//! `OAuthBearerUnsecuredValidatorCallbackHandler`.

use base64::Engine as _;
use ottla_wire::types::TimestampMs;
use serde_json::Value;

use super::{LENIENT, Object, object, timestamp};
use crate::security::jaas::LoginModule;
use crate::security::sasl::{BearerRejection, BearerToken};

/// What a token must have (`unsecuredValidator…` options of the login module).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsecuredSettings {
    user_claim: String,
    scope_claim: String,
    required_scope: Vec<String>,
    clock_skew_ms: u32,
}

impl UnsecuredSettings {
    pub fn of_options(module: &LoginModule) -> Result<UnsecuredSettings, String> {
        let option = |name: &str| {
            let value = module.option(name).map(|value| value.expose().trim()).filter(|value| !value.is_empty());
            value.map(str::to_owned)
        };
        const SKEW: &str = "unsecuredValidatorAllowableClockSkewMs";
        const SCOPE: &str = "unsecuredValidatorRequiredScope";
        let clock_skew_ms = match option(SKEW) {
            None => 0,
            Some(skew) => {
                let skew = skew.parse::<i32>().ok().and_then(|skew| u32::try_from(skew).ok());
                skew.ok_or_else(|| format!("{SKEW} is not a number of milliseconds"))?
            }
        };
        let required_scope: Vec<String> =
            option(SCOPE).unwrap_or_default().split(' ').filter(|item| !item.is_empty()).map(str::to_owned).collect();
        if !required_scope.iter().all(|item| item.bytes().all(is_scope_byte)) {
            return Err(format!("{SCOPE} has a character that scopes cannot have"));
        }
        Ok(UnsecuredSettings {
            user_claim: option("unsecuredValidatorPrincipalClaimName").unwrap_or_else(|| "sub".to_owned()),
            scope_claim: option("unsecuredValidatorScopeClaimName").unwrap_or_else(|| "scope".to_owned()),
            required_scope,
            clock_skew_ms,
        })
    }

    pub fn validate(&self, token: &str, now: TimestampMs) -> Result<BearerToken, BearerRejection> {
        let claims = claims(token).map_err(BearerRejection::invalid_token)?;
        let token = self.check_claims(&claims, now).map_err(BearerRejection::invalid_token)?;
        let scope = scope(&claims, &self.scope_claim).map_err(BearerRejection::invalid_token)?;
        match self.required_scope.iter().find(|required| !scope.contains(&required.as_str())) {
            None => Ok(token),
            Some(missing) => Err(BearerRejection::Invalid {
                status: BearerRejection::INSUFFICIENT_SCOPE,
                scope: Some(format!("[{}]", self.required_scope.join(", "))),
                log: format!("the token lacks the required scope {missing}"),
            }),
        }
    }

    fn check_claims(&self, claims: &Object, now: TimestampMs) -> Result<BearerToken, String> {
        let user = match claims.get(&self.user_claim) {
            Some(Value::String(user)) if !user.trim().is_empty() => user.as_str().into(),
            _ => return Err(format!("the token's claim {} is not a text with a user", self.user_claim)),
        };
        let seconds = |name: &str| match claims.get(name) {
            None => Ok(None),
            Some(value) => value.as_f64().map(Some).ok_or_else(|| format!("the token's claim {name} is not a number")),
        };
        let expires = seconds("exp")?.ok_or("the token has no expiration time (exp)")?;
        let issued = seconds("iat")?;
        let skew = TimestampMs::from(self.clock_skew_ms);
        if issued.is_some_and(|issued| timestamp(issued) > now.saturating_add(skew)) {
            return Err("the token is issued in the future (iat)".to_owned());
        }
        if now.saturating_sub(skew) >= timestamp(expires) {
            return Err("the token has expired (exp)".to_owned());
        }
        if issued.is_some_and(|issued| expires <= issued) {
            return Err("the token expires before it is issued".to_owned());
        }
        Ok(BearerToken { user, expires: timestamp(expires) })
    }
}

/// The claims of a token, which must have no signature.
fn claims(token: &str) -> Result<Object, &'static str> {
    let mut parts = token.split('.');
    let (Some(header), Some(claims), Some(""), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err("the token is not an unsecured JSON Web Token: header, payload and an empty signature");
    };
    let part = |part: &str| LENIENT.decode(part.replace('+', "-").replace('/', "_")).ok().as_deref().and_then(object);
    let header = part(header).ok_or("the token's header is malformed")?;
    if header.get("alg").and_then(Value::as_str) != Some("none") {
        return Err("the token's algorithm (alg) is not none");
    }
    part(claims).ok_or("the token's claims are malformed")
}

/// The scope of a token: a text is one entry.
fn scope<'a>(claims: &'a Object, name: &str) -> Result<Vec<&'a str>, String> {
    let entries: Vec<&str> = match claims.get(name) {
        None => Vec::new(),
        Some(Value::String(scope)) => vec![scope],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        Some(_) => return Err(format!("the token's claim {name} is neither a text nor a list")),
    };
    Ok(entries.into_iter().map(str::trim).filter(|entry| !entry.is_empty()).collect())
}

fn is_scope_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\')
}
