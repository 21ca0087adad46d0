//! JAAS configuration: the value of `sasl.jaas.config` (Kafka's `JaasConfig`), and whole files, which
//! `-Djava.security.auth.login.config` names (Java's `ConfigFile`).
//!
//! Values of options are secrets. An error names the place of a fault, and quotes nothing.

mod tokens;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;

use ottla_config::Password;
use tokens::{Token, Tokens};

/// The context for brokers in a file.
const SERVER_CONTEXT: &str = "KafkaServer";
/// What precedes the name of a PLAIN user in the name of an option.
const USER_PREFIX: &str = "user_";

/// One entry: a login module with its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginModule {
    pub class: String,
    options: HashMap<String, Password>,
}

/// A login module of Kafka that has an equivalent here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownModule {
    Plain,
    Scram,
    OAuthBearer,
}

/// The contexts of a JAAS file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JaasFile {
    contexts: Vec<(String, Vec<LoginModule>)>,
}

/// A fault in a JAAS configuration. Its text has the place, without any part of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JaasError {
    line: usize,
    column: usize,
    fault: &'static str,
}

impl fmt::Display for JaasError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.fault)
    }
}

impl std::error::Error for JaasError {}

impl KnownModule {
    const ALL: [KnownModule; 3] = [KnownModule::Plain, KnownModule::Scram, KnownModule::OAuthBearer];

    pub const fn class(self) -> &'static str {
        match self {
            KnownModule::Plain => "org.apache.kafka.common.security.plain.PlainLoginModule",
            KnownModule::Scram => "org.apache.kafka.common.security.scram.ScramLoginModule",
            KnownModule::OAuthBearer => "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule",
        }
    }
}

impl LoginModule {
    /// The module of Kafka that this is. `None` for Kerberos (`Krb5LoginModule`) and for classes of others.
    pub fn known(&self) -> Option<KnownModule> {
        KnownModule::ALL.into_iter().find(|module| module.class() == self.class)
    }

    pub fn option(&self, name: &str) -> Option<&Password> {
        self.options.get(name)
    }

    /// All options. Their order has no meaning.
    pub fn options(&self) -> impl Iterator<Item = (&str, &Password)> {
        self.options.iter().map(|(name, value)| (name.as_str(), value))
    }
}

/// The users of PLAIN with their passwords. If several modules have a user, the first one counts.
pub fn plain_users(modules: &[LoginModule]) -> HashMap<String, Password> {
    let mut users = HashMap::new();
    for module in modules.iter().filter(|module| module.known() == Some(KnownModule::Plain)) {
        for (name, password) in module.options() {
            if let Some(user) = name.strip_prefix(USER_PREFIX) {
                users.entry(user.to_owned()).or_insert_with(|| password.clone());
            }
        }
    }
    users
}

/// Parses the value of `sasl.jaas.config`, which is exactly one login module.
pub fn parse_property(text: &str) -> Result<LoginModule, JaasError> {
    let mut tokens = Tokens::of_property(text);
    let Some(first) = tokens.next() else {
        return Err(
            tokens.fault("the JAAS configuration is empty; the form is: LoginModuleClass required option=\"value\";")
        );
    };
    let module = parse_module(&mut tokens, &first)?;
    match tokens.next() {
        Some(_) => Err(tokens.fault("there is a second login module, and only one is allowed")),
        None => Ok(module),
    }
}

/// Parses the text of a JAAS file.
pub fn parse_file(text: &str) -> Result<JaasFile, JaasError> {
    let mut tokens = Tokens::of_file(text);
    let mut contexts: Vec<(String, Vec<LoginModule>)> = Vec::new();
    while let Some(token) = tokens.next() {
        let Token::Text(name) = token else {
            return Err(tokens.fault("the name of a context, such as KafkaServer, is missing"));
        };
        if contexts.iter().any(|(other, _)| *other == name) {
            return Err(tokens.fault("a second context has the same name"));
        }
        expect(&mut tokens, '{', "a \"{\" is missing after the name of a context")?;
        let mut modules = Vec::new();
        loop {
            match tokens.next() {
                Some(Token::Other('}')) if modules.is_empty() => {
                    return Err(tokens.fault("the context has no login module"));
                }
                Some(Token::Other('}')) => break,
                Some(first) => modules.push(parse_module(&mut tokens, &first)?),
                None => return Err(tokens.fault("a \"}\" is missing after the login modules of a context")),
            }
        }
        expect(&mut tokens, ';', "a semicolon is missing after the \"}\" of a context")?;
        contexts.push((name, modules));
    }
    Ok(JaasFile { contexts })
}

impl JaasFile {
    /// The login modules of a context.
    pub fn context(&self, name: &str) -> Option<&[LoginModule]> {
        self.contexts.iter().find(|(context, _)| context == name).map(|(_, modules)| modules.as_slice())
    }

    /// The login modules of a listener: its own context (`<lower-case name>.KafkaServer`) or that of all (`KafkaServer`).
    pub fn of_listener(&self, listener: &str) -> Option<&[LoginModule]> {
        let own = format!("{}.{SERVER_CONTEXT}", listener.to_ascii_lowercase());
        self.context(&own).or_else(|| self.context(SERVER_CONTEXT))
    }
}

fn expect(tokens: &mut Tokens<'_>, character: char, fault: &'static str) -> Result<(), JaasError> {
    match tokens.next() {
        Some(Token::Other(found)) if found == character => Ok(()),
        _ => Err(tokens.fault(fault)),
    }
}

/// Parses `class flag (option=value)* ;`, of which `class` was already read.
fn parse_module(tokens: &mut Tokens<'_>, class: &Token) -> Result<LoginModule, JaasError> {
    let Token::Text(class) = class else {
        return Err(tokens.fault("the class of a login module is missing"));
    };
    match tokens.next() {
        Some(Token::Text(flag)) if is_control_flag(&flag) => {}
        Some(Token::Text(_)) => {
            return Err(tokens.fault("the control flag is not required, requisite, sufficient or optional"));
        }
        _ => {
            return Err(
                tokens.fault("the control flag, such as required, is missing after the class of a login module")
            );
        }
    }
    let mut options = HashMap::new();
    loop {
        match tokens.next() {
            Some(Token::Other(';')) => return Ok(LoginModule { class: class.clone(), options }),
            Some(Token::Text(name)) => {
                expect(
                    tokens,
                    '=',
                    "an equals sign is missing after the name of an option (values with spaces need quotes)",
                )?;
                let Some(Token::Text(value)) = tokens.next() else {
                    return Err(tokens.fault(
                        "the value of an option is missing (values that do not begin with a letter need quotes)",
                    ));
                };
                if tokens.expands_properties() && value.contains("${") {
                    return Err(tokens
                        .fault("the value of an option has a Java system property (${...}), which is not supported"));
                }
                options.insert(name, Password::new(value));
            }
            Some(_) => {
                return Err(
                    tokens.fault("an option or a semicolon is expected (values with such characters need quotes)")
                );
            }
            None => return Err(tokens.fault("the semicolon after the options of a login module is missing")),
        }
    }
}

fn is_control_flag(text: &str) -> bool {
    ["required", "requisite", "sufficient", "optional"].iter().any(|flag| flag.eq_ignore_ascii_case(text))
}
