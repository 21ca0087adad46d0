//! Client configurations, one for each library and way to authenticate.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::write as write_file;
use ottla_config::{Password, SecurityProtocol, User};

/// A listener, and where clients reach it.
#[derive(Clone, Debug)]
pub struct ListenerAddress {
    pub name: String,
    pub protocol: SecurityProtocol,
    /// `host:port`.
    pub address: String,
}

/// What a client needs to connect.
struct Connection<'a> {
    address: &'a str,
    ca: &'a Path,
    login: Login<'a>,
}

enum Login<'a> {
    None,
    Scram(&'a User),
    /// The user, and the URL of the issuer.
    Bearer(&'a User, &'a str),
}

const MECHANISM: &str = "SCRAM-SHA-256";
type Format = fn(&Connection<'_>) -> String;
/// The name of the file of each library, and its content, which is empty if the library has no such file.
const LIBRARIES: [(&str, Format); 5] = [
    ("librdkafka-{}.properties", librdkafka),
    ("java-{}.properties", java),
    ("kafka-python-{}.json", kafka_python),
    ("kafkajs-{}.js", kafkajs),
    ("aiokafka-{}.py", aiokafka),
];

/// Writes the configurations, for the first user; removes those that are not possible any more. The error is one plain line.
pub(super) fn write(
    dir: &Path,
    ca: &Path,
    listeners: &[ListenerAddress],
    users: &[User],
    issuer: Option<&str>,
) -> Result<(), String> {
    let address = |protocol| {
        let listener = listeners.iter().find(|listener| listener.protocol == protocol);
        listener.map(|listener| listener.address.as_str())
    };
    let (ssl, sasl) = (address(SecurityProtocol::Ssl), address(SecurityProtocol::SaslSsl).zip(users.first()));
    let connections = [
        ("ssl", ssl.map(|address| Connection { address, ca, login: Login::None })),
        ("sasl", sasl.map(|(address, user)| Connection { address, ca, login: Login::Scram(user) })),
        (
            "oauth",
            sasl.zip(issuer).map(|((address, user), url)| Connection { address, ca, login: Login::Bearer(user, url) }),
        ),
    ];
    for (way, connection) in &connections {
        for (name, text) in LIBRARIES {
            let path = dir.join(name.replace("{}", way));
            let text = connection.as_ref().map(text).filter(|text| !text.is_empty());
            match text {
                Some(text) => write_file(&path, &text, *way != "ssl")?,
                // There is usually none.
                None => drop(fs::remove_file(&path)),
            }
        }
    }
    Ok(())
}

impl Connection<'_> {
    fn protocol(&self) -> &'static str {
        match self.login {
            Login::None => "SSL",
            _ => "SASL_SSL",
        }
    }

    fn ca(&self) -> String {
        self.ca.display().to_string()
    }
}

/// For librdkafka and its bindings: confluent-kafka, kcat -F, node-rdkafka.
fn librdkafka(to: &Connection<'_>) -> String {
    let mut text =
        format!("bootstrap.servers={}\nsecurity.protocol={}\nssl.ca.location={}\n", to.address, to.protocol(), to.ca());
    match to.login {
        Login::None => {}
        Login::Scram(User { name, password }) => text.push_str(&format!(
            "sasl.mechanisms={MECHANISM}\nsasl.username={name}\nsasl.password={}\n",
            password.expose()
        )),
        Login::Bearer(User { name, password }, url) => text.push_str(&format!(
            "sasl.mechanisms=OAUTHBEARER\nsasl.oauthbearer.method=oidc\n\
             sasl.oauthbearer.token.endpoint.url={url}/oauth/token\nsasl.oauthbearer.client.id={name}\n\
             sasl.oauthbearer.client.secret={}\n",
            password.expose()
        )),
    }
    text
}

/// For the Java clients and Kafka's tools.
fn java(to: &Connection<'_>) -> String {
    let mut text = format!(
        "bootstrap.servers={}\nsecurity.protocol={}\nssl.truststore.type=PEM\nssl.truststore.location={}\n",
        to.address,
        to.protocol(),
        property(&to.ca())
    );
    let security = "org.apache.kafka.common.security";
    match to.login {
        Login::None => {}
        Login::Scram(User { name, password }) => {
            let (name, password) = (jaas(name), jaas_password(password));
            let config = format!("{security}.scram.ScramLoginModule required username={name} password={password};");
            text.push_str(&format!("sasl.mechanism={MECHANISM}\nsasl.jaas.config={}\n", property(&config)));
        }
        Login::Bearer(User { name, password }, url) => {
            let (name, password) = (jaas(name), jaas_password(password));
            let module = format!("{security}.oauthbearer.OAuthBearerLoginModule");
            let config = format!("{module} required clientId={name} clientSecret={password};");
            text.push_str(&format!(
                "# From Apache Kafka 4.0 on, Java needs -Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={url}/oauth/token\n\
                 sasl.mechanism=OAUTHBEARER\nsasl.jaas.config={}\n\
                 sasl.login.callback.handler.class={security}.oauthbearer.OAuthBearerLoginCallbackHandler\n\
                 sasl.oauthbearer.token.endpoint.url={url}/oauth/token\n",
                property(&config)
            ));
        }
    }
    text
}

/// Arguments of KafkaProducer and KafkaConsumer.
fn kafka_python(to: &Connection<'_>) -> String {
    let mut arguments = json!({
        "bootstrap_servers": [to.address],
        "security_protocol": to.protocol(),
        "ssl_cafile": to.ca(),
    });
    match to.login {
        Login::None => {}
        Login::Scram(User { name, password }) => {
            arguments["sasl_mechanism"] = json!(MECHANISM);
            arguments["sasl_plain_username"] = json!(name);
            arguments["sasl_plain_password"] = json!(password.expose());
        }
        // Its tokens come from an object of the program.
        Login::Bearer(..) => return String::new(),
    }
    pretty(&arguments)
}

/// A module whose `config` has the arguments of AIOKafkaProducer and AIOKafkaConsumer. A JSON text is a literal of Python, too.
fn aiokafka(to: &Connection<'_>) -> String {
    let sasl = match to.login {
        Login::None => String::new(),
        Login::Scram(User { name, password }) => format!(
            "    \"sasl_mechanism\": \"{MECHANISM}\",\n    \"sasl_plain_username\": {},\n    \"sasl_plain_password\": {},\n",
            json!(name),
            json!(password.expose())
        ),
        // Its tokens come from an object of the program.
        Login::Bearer(..) => return String::new(),
    };
    format!(
        "import ssl\n\nconfig = {{\n    \"bootstrap_servers\": {},\n    \"security_protocol\": \"{}\",\n    \
         \"ssl_context\": ssl.create_default_context(cafile={}),\n{sasl}}}\n",
        json!(to.address),
        to.protocol(),
        json!(to.ca())
    )
}

/// A module that exports the arguments of `new Kafka()`.
fn kafkajs(to: &Connection<'_>) -> String {
    let sasl = match to.login {
        Login::None => String::new(),
        Login::Scram(User { name, password }) => {
            let sasl = json!({"mechanism": "scram-sha-256", "username": name, "password": password.expose()});
            format!("  sasl: {sasl},\n")
        }
        // Its tokens come from a function of the program.
        Login::Bearer(..) => return String::new(),
    };
    format!(
        "module.exports = {{\n  brokers: {},\n  ssl: {{ ca: [require('fs').readFileSync({}, 'utf8')] }},\n{sasl}}}\n",
        json!([to.address]),
        json!(to.ca())
    )
}

/// JSON on several lines.
fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// A quoted text in a JAAS configuration.
fn jaas(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn jaas_password(password: &Password) -> String {
    jaas(password.expose())
}

/// A value in a properties file of Java, which is read as ISO 8859-1.
fn property(value: &str) -> String {
    let mut text = String::new();
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            ascii if ascii.is_ascii() => text.push(ascii),
            other => other.encode_utf16(&mut [0; 2]).iter().for_each(|unit| text.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(users: &[User], issuer: Option<&str>) -> Vec<(String, String)> {
        let dir = tempfile::tempdir().unwrap();
        let listener = |protocol: SecurityProtocol, address: &str| ListenerAddress {
            name: protocol.to_string(),
            protocol,
            address: address.to_owned(),
        };
        let listeners = [
            listener(SecurityProtocol::Plaintext, "localhost:1"),
            listener(SecurityProtocol::Ssl, "localhost:2"),
            listener(SecurityProtocol::SaslSsl, "localhost:3"),
        ];
        write(dir.path(), Path::new("/ca.pem"), &listeners, users, issuer).unwrap();
        let files = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap());
        let mut files: Vec<_> = files
            .map(|file| (file.file_name().into_string().unwrap(), fs::read_to_string(file.path()).unwrap()))
            .collect();
        files.sort();
        files
    }

    fn user(name: &str, password: &str) -> User {
        User { name: name.to_owned(), password: Password::new(password) }
    }

    #[test]
    fn files_are_written_for_what_is_configured() {
        let names = |files: Vec<(String, String)>| files.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        let ssl = [
            "aiokafka-ssl.py",
            "java-ssl.properties",
            "kafka-python-ssl.json",
            "kafkajs-ssl.js",
            "librdkafka-ssl.properties",
        ];
        assert_eq!(names(written(&[], Some("http://x"))), ssl);
        assert_eq!(names(written(&[user("a", "b")], None)).len(), 10);
        let all = names(written(&[user("a", "b")], Some("http://x")));
        assert!(all.contains(&"librdkafka-oauth.properties".to_owned()) && all.len() == 12, "{all:?}");
    }

    #[test]
    fn passwords_are_escaped_as_each_format_demands() {
        let files = written(&[user("ann", r#"a"b\cü"#)], None);
        let text = |name: &str| files.iter().find(|(found, _)| found == name).unwrap().1.clone();
        assert!(text("java-sasl.properties").contains(r#"username="ann" password="a\\"b\\\\c\u00fc";"#));
        let arguments: Value = serde_json::from_str(&text("kafka-python-sasl.json")).unwrap();
        assert_eq!(arguments["sasl_plain_password"], r#"a"b\cü"#);
        assert!(text("librdkafka-sasl.properties").ends_with("sasl.password=a\"b\\cü\n"));
        assert!(text("kafkajs-sasl.js").contains(r#""password":"a\"b\\cü""#));
        assert!(text("aiokafka-sasl.py").contains(r#""sasl_plain_password": "a\"b\\cü","#));
    }
}
