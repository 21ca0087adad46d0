//! What Confluent's console tools have in common: their names, classes, and how they reach the registry.

use crate::cli::schemas::client::RegistryClient;
use ottla_registry::schema::SchemaType;

const PACKAGE: &str = "io.confluent.kafka.formatter.";
/// As in the scripts of Confluent's tools.
const DEFAULT_URL: &str = "http://localhost:8081";
/// The tools by the middle of their names, and the beginning of their classes.
const FORMATS: [(&str, &str, SchemaType); 3] = [
    ("avro", "Avro", SchemaType::Avro),
    ("protobuf", "protobuf.Protobuf", SchemaType::Protobuf),
    ("json-schema", "json.JsonSchema", SchemaType::Json),
];

/// The class that a tool uses unless it is given another one: that of `kafka-avro-console-consumer` with the `kind`
/// `MessageFormatter`. `None` for Kafka's tools.
pub fn default_class(tool: &str, kind: &str) -> Option<String> {
    let format = tool.strip_prefix("kafka-")?.split_once("-console-")?.0;
    let (_, class, _) = FORMATS.iter().find(|(name, ..)| *name == format)?;
    Some(format!("{PACKAGE}{class}{kind}"))
}

/// The format of one of Confluent's classes. The format may also be without its package, as in older releases.
pub fn class_of(class: &str, kind: &str) -> Option<SchemaType> {
    let class = class.strip_prefix(PACKAGE)?.strip_suffix(kind)?;
    let found = FORMATS.iter().find(|(_, known, _)| *known == class || known.rsplit('.').next() == Some(class));
    found.map(|(_, _, schema_type)| *schema_type)
}

/// The client of the registry that properties name. The error is one line.
pub fn client<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Result<RegistryClient, String> {
    let url = get("schema.registry.url").unwrap_or(DEFAULT_URL);
    let source = get("basic.auth.credentials.source").unwrap_or("URL");
    let user = match source.trim() {
        "URL" => None,
        "USER_INFO" => get("basic.auth.user.info").or_else(|| get("schema.registry.basic.auth.user.info")),
        other => return Err(format!("basic.auth.credentials.source={other} is not supported; use URL or USER_INFO")),
    };
    if get("bearer.auth.credentials.source").is_some() {
        return Err("bearer.auth.credentials.source is not supported".to_owned());
    }
    RegistryClient::new(url, user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_have_the_classes_of_confluents_scripts() {
        let check = |tool, kind, class: &str, schema_type| {
            assert_eq!(default_class(tool, kind).as_deref(), Some(class));
            assert_eq!(class_of(class, kind), Some(schema_type));
        };
        let package = "io.confluent.kafka.formatter";
        let formatter = "MessageFormatter";
        check("kafka-avro-console-consumer", formatter, &format!("{package}.AvroMessageFormatter"), SchemaType::Avro);
        let class = format!("{package}.protobuf.ProtobufMessageReader");
        check("kafka-protobuf-console-producer", "MessageReader", &class, SchemaType::Protobuf);
        let class = format!("{package}.json.JsonSchemaMessageFormatter");
        check("kafka-json-schema-console-consumer", formatter, &class, SchemaType::Json);
        assert_eq!(default_class("kafka-console-consumer", formatter), None);
        assert_eq!(class_of("a.B", formatter), None);
        assert!(client(|name| (name == "schema.registry.url").then_some("registry:8081")).is_err());
    }
}
