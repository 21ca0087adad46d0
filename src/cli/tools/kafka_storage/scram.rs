//! `--add-scram`: users that a new metadata log begins with.
//!
//! Source of behaviour: `org.apache.kafka.metadata.storage.ScramParser`. Unlike its messages, these quote no secrets.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ottla_broker::state::random::Random;
use ottla_config::Password;
use ottla_core::metadata::records::MetadataRecord;
use ottla_core::metadata::scram_record;
use ottla_core::security::sasl::{ScramCredential, ScramMechanism};

/// A user to add. Displays like Kafka's record, without salt and keys.
#[derive(Debug)]
pub struct User {
    name: String,
    mechanism: ScramMechanism,
    credential: ScramCredential,
}

impl User {
    /// Parses `SCRAM-SHA-256=[name=alice,password=...]`. The error is a message for stderr.
    pub fn parse(argument: &str) -> Result<User, String> {
        let (mechanism, config) =
            argument.trim().split_once('=').ok_or_else(|| "Failed to find equals sign in SCRAM argument".to_owned())?;
        let mechanism = ScramMechanism::named(mechanism)
            .ok_or_else(|| format!("The add-scram mechanism {mechanism} is not supported."))?;
        let config = config.strip_prefix('[').ok_or("Expected configuration string to start with [")?;
        let config = config.strip_suffix(']').ok_or("Expected configuration string to end with ]")?;
        let mut parts = BTreeMap::new();
        for part in config.split(',') {
            let (name, value) = part.split_once('=').ok_or("No equals sign found in SCRAM component")?;
            let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            parts.insert(name.to_owned(), unquoted.unwrap_or(value).to_owned());
        }
        User::of_parts(mechanism, parts)
    }

    fn of_parts(mechanism: ScramMechanism, mut parts: BTreeMap<String, String>) -> Result<User, String> {
        let name = parts.remove("name").ok_or("You must supply 'name' to add-scram")?;
        let decode = |text: &str, what: &str| {
            STANDARD.decode(text).map_err(|_| format!("Failed to decode given {what}: it is not base64"))
        };
        let salt = parts.remove("salt").map(|salt| decode(&salt, "salt")).transpose()?;
        let iterations = match parts.remove("iterations") {
            None => i64::from(ScramMechanism::FEWEST_ITERATIONS),
            Some(text) => match text.parse::<i32>() {
                Ok(iterations) => i64::from(iterations),
                Err(_) => return Err(format!("Failed to parse iterations count: {text}")),
            },
        };
        let (password, salted) = (parts.remove("password"), parts.remove("saltedpassword"));
        let salted = match (&password, &salted, &salt) {
            (Some(_), _, _) => None,
            (None, None, _) => {
                return Err("You must supply one of 'password' or 'saltedpassword' to add-scram".to_owned());
            }
            (None, Some(_), None) => return Err("You must supply 'salt' with 'saltedpassword' to add-scram".to_owned()),
            (None, Some(salted), Some(_)) => Some(decode(salted, "saltedPassword")?),
        };
        if !parts.is_empty() {
            let unknown: Vec<&str> = parts.keys().map(String::as_str).collect();
            return Err(format!("Unknown SCRAM configurations: {}", unknown.join(", ")));
        }
        let iterations = check_iterations(mechanism, iterations)?;
        let salt = match salt {
            Some(salt) => salt,
            None => ScramCredential::salt_from(&Random::system().secret().map_err(|error| error.to_string())?),
        };
        let credential = match salted {
            Some(salted) => ScramCredential::of_salted_password(mechanism, &salted, salt, iterations.get()),
            None => {
                let password = Password::new(password.unwrap_or_default());
                ScramCredential::of_password(mechanism, &password, salt, iterations)
            }
        };
        Ok(User { name, mechanism, credential })
    }

    pub fn record(&self) -> MetadataRecord {
        scram_record(&self.name, self.mechanism, &self.credential)
    }
}

fn check_iterations(mechanism: ScramMechanism, iterations: i64) -> Result<NonZeroU32, String> {
    let shown = mechanism.name().replace('-', "_");
    let (least, most) = (ScramMechanism::FEWEST_ITERATIONS, ScramMechanism::MOST_ITERATIONS);
    if iterations > i64::from(most) {
        return Err(format!("The 'iterations' value must be <= {most} for add-scram using {shown}"));
    }
    let valid = u32::try_from(iterations).ok().filter(|iterations| *iterations >= least).and_then(NonZeroU32::new);
    valid.ok_or_else(|| format!("The 'iterations' value must be >= {least} for add-scram using {shown}"))
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, mechanism, hidden) = (&self.name, self.mechanism.code(), Password::HIDDEN);
        write!(
            f,
            "UserScramCredentialRecord(name='{name}', mechanism={mechanism}, salt={hidden}, storedKey={hidden}, \
             serverKey={hidden}, iterations={})",
            self.credential.iterations
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_parsed_and_invalid_ones_refused_with_kafkas_messages() {
        let check = |argument: &str, expected: &str| {
            let parsed = User::parse(argument);
            let shown = parsed.as_ref().map_or_else(Clone::clone, |user| {
                format!("{} {} {}", user.name, user.mechanism, user.credential.iterations)
            });
            assert_eq!(shown, expected, "{argument}");
        };
        check(" SCRAM-SHA-256=[name=alice,password=secret]", "alice SCRAM-SHA-256 4096");
        check("SCRAM-SHA-512=[name=\"a\",password=\"x=y\",iterations=8192]", "a SCRAM-SHA-512 8192");
        check("SCRAM-SHA-256=[name=a,salt=YQ==,saltedpassword=YQ==]", "a SCRAM-SHA-256 4096");
        check("SCRAM-SHA-256", "Failed to find equals sign in SCRAM argument");
        check("SCRAM-SHA-1=[name=a]", "The add-scram mechanism SCRAM-SHA-1 is not supported.");
        check("SCRAM-SHA-256=name=a", "Expected configuration string to start with [");
        check("SCRAM-SHA-256=[name=a", "Expected configuration string to end with ]");
        check("SCRAM-SHA-256=[name]", "No equals sign found in SCRAM component");
        check("SCRAM-SHA-256=[password=x]", "You must supply 'name' to add-scram");
        check("SCRAM-SHA-256=[name=a]", "You must supply one of 'password' or 'saltedpassword' to add-scram");
        check(
            "SCRAM-SHA-256=[name=a,saltedpassword=eA==]",
            "You must supply 'salt' with 'saltedpassword' to add-scram",
        );
        check("SCRAM-SHA-256=[name=a,salt=!,password=x]", "Failed to decode given salt: it is not base64");
        check(
            "SCRAM-SHA-256=[name=a,salt=YQ==,saltedpassword=!]",
            "Failed to decode given saltedPassword: it is not base64",
        );
        check("SCRAM-SHA-256=[name=a,foo=b,password=x]", "Unknown SCRAM configurations: foo");
        check("SCRAM-SHA-256=[name=a,password=x,iterations=y]", "Failed to parse iterations count: y");
        let least = "The 'iterations' value must be >= 4096 for add-scram using SCRAM_SHA_256";
        check("SCRAM-SHA-256=[name=a,password=x,iterations=-1]", least);
        let most = "The 'iterations' value must be <= 16384 for add-scram using SCRAM_SHA_512";
        check("SCRAM-SHA-512=[name=a,password=x,iterations=16385]", most);
    }
}
