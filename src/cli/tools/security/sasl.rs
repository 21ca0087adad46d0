//! `sasl.*` of a client.

use super::{Settings, tokens};
use ottla_client::{Sasl, Scram};
use ottla_core::security::jaas::{self, KnownModule, LoginModule};

pub(super) const JAAS: &str = "sasl.jaas.config";
const MECHANISM: &str = "sasl.mechanism";
const MECHANISMS: &str = "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER";
pub(super) const LOGIN_HANDLER: &str = "sasl.login.callback.handler.class";

/// Reads how to authenticate. The error is one plain line.
pub fn read(settings: Settings<'_>) -> Result<Sasl, String> {
    // With every mechanism: a user who gives them expects that they are in force.
    settings.refuse_all("sasl.oauthbearer.assertion.")?;
    let mechanism = settings.given(MECHANISM);
    match mechanism {
        Some("OAUTHBEARER") => bearer(settings),
        Some(name @ "PLAIN") => {
            let module = module(settings, name, KnownModule::Plain)?;
            Ok(Sasl::Plain { user: needed(&module, "username")?, password: needed(&module, "password")? })
        }
        Some(name @ "SCRAM-SHA-256") => scram(settings, name, Scram::Sha256),
        Some(name @ "SCRAM-SHA-512") => scram(settings, name, Scram::Sha512),
        other => {
            let other = other.map_or("GSSAPI (the default)".to_owned(), |name| name.escape_debug().to_string());
            Err(format!("{MECHANISM}={other} is not supported; use {MECHANISMS}"))
        }
    }
}

fn scram(settings: Settings<'_>, name: &str, mechanism: Scram) -> Result<Sasl, String> {
    let module = module(settings, name, KnownModule::Scram)?;
    let by_token = module.option("tokenauth").is_some_and(|value| value.expose().eq_ignore_ascii_case("true"));
    Ok(Sasl::Scram { mechanism, user: needed(&module, "username")?, password: needed(&module, "password")?, by_token })
}

fn bearer(settings: Settings<'_>) -> Result<Sasl, String> {
    let handlers = ["OAuthBearerLoginCallbackHandler", "OAuthBearerUnsecuredLoginCallbackHandler"];
    settings.refuse_class(LOGIN_HANDLER, &handlers)?;
    let module = module(settings, "OAUTHBEARER", KnownModule::OAuthBearer)?;
    let is_unsecured =
        settings.given(LOGIN_HANDLER).is_some_and(|class| class.ends_with(".OAuthBearerUnsecuredLoginCallbackHandler"));
    tokens::read(settings, &module, is_unsecured).map(|tokens| Sasl::OAuthBearer { tokens })
}

/// The login module of `sasl.jaas.config`, which must be the one of its mechanism.
fn module(settings: Settings<'_>, mechanism: &str, expected: KnownModule) -> Result<LoginModule, String> {
    let text =
        settings.given(JAAS).ok_or_else(|| format!("{JAAS} is missing, which the SASL mechanism {mechanism} needs"))?;
    // Modules of passwords have no handlers of their own, so a class among these settings would be ignored.
    if expected != KnownModule::OAuthBearer {
        settings.refuse_class(LOGIN_HANDLER, &["AbstractLogin$DefaultLoginCallbackHandler"])?;
    }
    let module = jaas::parse_property(text).map_err(|error| format!("{JAAS}: {error}"))?;
    let fits = match (module.known(), expected) {
        // Both pass a name and a password on, whichever mechanism is used.
        (Some(KnownModule::Plain | KnownModule::Scram), KnownModule::Plain | KnownModule::Scram) => true,
        (known, expected) => known == Some(expected),
    };
    match fits {
        true => Ok(module),
        false => Err(format!(
            "{JAAS}: the login module {} is not supported for {mechanism}; use {}",
            module.class.escape_debug(),
            expected.class()
        )),
    }
}

/// The value of an option that must be given.
pub(super) fn needed(module: &LoginModule, name: &str) -> Result<String, String> {
    let value = module.option(name).map(|value| value.expose().to_owned());
    value.ok_or_else(|| format!("{JAAS}: the option {name} is missing"))
}
