mod contexts;
mod contracts;
mod deletion;
mod java_clients;
mod json_schema;
mod lookup;
mod properties;
mod protobuf;
mod protocol;
mod register;
mod settings;

use super::*;
use crate::json::parse;
use crate::store::RegistrySettings;

/// A registry with its log.
pub(super) struct Driven {
    pub registry: Registry,
    /// The records so far.
    pub log: Vec<Record>,
}

impl Driven {
    pub fn new() -> Driven {
        Driven::with(RegistrySettings::default())
    }

    pub fn with(settings: RegistrySettings) -> Driven {
        Driven { registry: Registry::new(settings), log: Vec::new() }
    }

    /// Sends a request, appends its records and returns the response.
    pub fn send(&mut self, request: &Request<'_>) -> Response {
        match handle(&mut self.registry, request) {
            Decision::Respond(response) => response,
            Decision::Append { records, response } => {
                for record in records {
                    self.append(record);
                }
                response
            }
        }
    }

    pub fn append(&mut self, record: Record) {
        let timestamp = i64::try_from(self.log.len()).unwrap() + 1_000;
        self.registry.replay(&record.key, record.value.as_deref(), timestamp).unwrap();
        self.log.push(record);
    }

    /// Sends a request without a body, such as `GET /subjects?deleted=true`.
    pub fn ask(&mut self, line: &str) -> (u16, String) {
        self.call(line, "")
    }

    /// Sends a request with a body. Returns the status and the body of the response.
    pub fn call(&mut self, line: &str, body: &str) -> (u16, String) {
        let (method, target) = line.split_once(' ').unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let content_type = Some("application/json").filter(|_| !body.is_empty());
        let response = self.send(&Request { method, path, query, content_type, accept: None, body: body.as_bytes() });
        (response.status, response.body)
    }

    /// Registers an Avro schema. Returns its id.
    pub fn register(&mut self, subject: &str, schema: &str) -> i32 {
        let (status, body) = self.call(&format!("POST /subjects/{subject}/versions"), &with_schema(schema));
        assert_eq!(status, 200, "{body}");
        parse(&body).unwrap().get("id").unwrap().as_int().unwrap()
    }

    /// Checks that a request without a body has this response.
    #[track_caller]
    pub fn expect(&mut self, line: &str, status: u16, body: &str) {
        assert_eq!(self.ask(line), (status, body.to_owned()), "{line}");
    }

    /// Checks that a request is refused with this code.
    #[track_caller]
    pub fn expect_error(&mut self, line: &str, body: &str, code: i32) -> String {
        let (status, response) = self.call(line, body);
        let json = parse(&response).unwrap();
        assert_eq!(json.get("error_code"), Some(&code.into()), "{line}: {status} {response}");
        let expected = if code > 999 { code / 100 } else { code };
        assert_eq!(i32::from(status), expected, "{line}");
        json.get("message").unwrap().as_str().unwrap().to_owned()
    }

    /// The keys and values of the log from a position on.
    pub fn texts(&self, from: usize) -> Vec<(String, Option<String>)> {
        let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).unwrap();
        self.log[from..].iter().map(|record| (text(&record.key), record.value.as_ref().map(text))).collect()
    }
}

/// The body of a request with a schema.
pub(super) fn with_schema(schema: &str) -> String {
    Json::object([("schema", schema.into())]).to_string()
}

/// A record with fields of the type int; those with a default have a star.
pub(super) fn record(fields: &[&str]) -> String {
    let fields: Vec<String> = fields
        .iter()
        .map(|field| match field.strip_suffix('*') {
            Some(name) => format!(r#"{{"name":"{name}","type":"int","default":0}}"#),
            None => format!(r#"{{"name":"{field}","type":"int"}}"#),
        })
        .collect();
    format!(r#"{{"type":"record","name":"R","fields":[{}]}}"#, fields.join(","))
}
