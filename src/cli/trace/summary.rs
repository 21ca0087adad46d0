//! One plain line for an event of the trace.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::{Map, Value};

/// The longest text, in characters, of the fields of a message.
const MAX_FIELDS: usize = 200;
/// The elements of an array that are shown; the rest is counted.
const MAX_ELEMENTS: usize = 4;

/// The line: time, client, API and version, the request, its response, and times. Control characters are escaped, because
/// clients choose texts.
pub fn line(event: &Value) -> String {
    if let Some(count) = event["leftOut"].as_u64() {
        return format!("... {count} requests were left out, because they came faster than they were read");
    }
    let at = event["timestamp"].as_i64().and_then(|at| Timestamp::from_millisecond(at).ok()).unwrap_or_default();
    let header = &event["requestHeader"];
    let api = header["requestApiKeyName"].as_str();
    let name = match api {
        Some(name) => camel_case(name),
        None if header.is_null() => "message of SASL".to_owned(),
        None => format!("API {}", header["requestApiKey"]),
    };
    let version = header["requestApiVersion"].as_i64().map(|version| format!(" v{version}")).unwrap_or_default();
    let mut text = format!("{at:.3} {} {name}{version}", client(event));
    let request = message(api, &event["request"], Side::Request);
    if !request.is_empty() {
        let _ = write!(text, " {request}");
    }
    let _ = write!(text, " -> {}", response(event, api));
    push_times(&mut text, event);
    escaped(&text)
}

/// The client id, the user if the client has authenticated, and the address.
fn client(event: &Value) -> String {
    let client_id = event["requestHeader"]["clientId"].as_str().filter(|id| !id.is_empty()).unwrap_or("-");
    let address = event["connection"].as_str().and_then(|connection| connection.split('-').nth(1)).unwrap_or("-");
    match event["principal"].as_str() {
        Some(principal) if principal != "User:ANONYMOUS" => format!("{client_id} {principal} {address}"),
        _ => format!("{client_id} {address}"),
    }
}

fn response(event: &Value, api: Option<&str>) -> String {
    if let Some(why) = event["closed"].as_str() {
        return format!("connection closed: {why}");
    }
    let errors: Vec<&str> = list(&event["errors"]).filter_map(Value::as_str).collect();
    let mut text = match event["ending"].as_str() {
        Some("noResponse") => "no response".to_owned(),
        Some("dropped") => "the client has gone".to_owned(),
        _ => message(api, &event["response"], Side::Response),
    };
    let shown: Vec<&&str> = errors.iter().filter(|error| !text.contains(**error)).collect();
    for error in shown {
        text = format!("{error} {text}");
    }
    if text.is_empty() { "ok".to_owned() } else { text }
}

fn push_times(text: &mut String, event: &Value) {
    let time = |name: &str| event[name].as_f64().unwrap_or_default();
    let _ = write!(text, " [{:.1} ms", time("totalTimeMs"));
    for (name, what) in [("remoteTimeMs", "waited"), ("throttleTimeMs", "throttled")] {
        if time(name) >= 1.0 {
            let _ = write!(text, ", {what} {:.0}", time(name));
        }
    }
    text.push(']');
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Request,
    Response,
}

/// The important fields of a message.
fn message(api: Option<&str>, body: &Value, side: Side) -> String {
    let text = match (api, side) {
        (Some("PRODUCE"), Side::Request) => join(partitions(body, "topicData", "partitionData", "index", produced)),
        (Some("PRODUCE"), Side::Response) => {
            join(partitions(body, "responses", "partitionResponses", "index", |it| offset(it, "baseOffset")))
        }
        (Some("FETCH"), Side::Request) => {
            let from = |it: &Value| offset(it, "fetchOffset");
            match join(partitions(body, "topics", "partitions", "partition", from)) {
                text if text.is_empty() => format!("session {}", body["sessionId"]),
                text => text,
            }
        }
        (Some("FETCH"), Side::Response) => {
            match join(partitions(body, "responses", "partitions", "partitionIndex", fetched)) {
                text if text.is_empty() => "no new records".to_owned(),
                text => text,
            }
        }
        (Some("METADATA"), Side::Request) => match &body["topics"] {
            Value::Null => "all topics".to_owned(),
            topics => join(list(topics).map(topic_name)),
        },
        (Some("METADATA"), Side::Response) => join(list(&body["topics"]).map(|topic| {
            let partitions = format!("{} partitions", list(&topic["partitions"]).count());
            format!("{} ({})", topic_name(topic), error_or(topic, partitions))
        })),
        (Some("API_VERSIONS"), Side::Request) => match body["clientSoftwareName"].as_str() {
            Some(name) => format!("{name} {}", body["clientSoftwareVersion"].as_str().unwrap_or_default()),
            None => String::new(),
        },
        (Some("API_VERSIONS"), Side::Response) => format!("{} APIs", list(&body["apiKeys"]).count()),
        _ => fields(body),
    };
    shortened(&text, MAX_FIELDS)
}

/// The partitions of topics, each with a description.
fn partitions<'a>(
    body: &'a Value,
    topics: &str,
    partitions: &'static str,
    index: &'static str,
    describe: impl Fn(&Value) -> String + Copy + 'a,
) -> impl Iterator<Item = String> + 'a {
    list(&body[topics]).flat_map(move |topic| {
        list(&topic[partitions])
            .map(move |partition| format!("{}-{}{}", topic_name(topic), partition[index], describe(partition)))
    })
}

fn produced(partition: &Value) -> String {
    let size = bytes(&partition["recordsSizeInBytes"]);
    match partition["batch"]["recordCount"].as_i64() {
        Some(1) => format!(" (1 record, {size})"),
        Some(count) if count > 0 => format!(" ({count} records, {size})"),
        _ => format!(" ({size})"),
    }
}

fn fetched(partition: &Value) -> String {
    match partition["recordsSizeInBytes"].as_u64() {
        Some(0) | None => format!(" ({})", error_or(partition, "no records".to_owned())),
        Some(_) => produced(partition),
    }
}

fn offset(partition: &Value, name: &str) -> String {
    match error(partition) {
        Some(error) => format!(" {error}"),
        None => format!(" at {}", partition[name]),
    }
}

fn error(of: &Value) -> Option<&str> {
    of["errorCode"].as_str().filter(|error| *error != "NONE")
}

fn error_or(of: &Value, text: String) -> String {
    error(of).map_or(text, str::to_owned)
}

fn topic_name(topic: &Value) -> String {
    let names = ["name", "topicName", "topic", "topicId"].into_iter().filter_map(|name| topic[name].as_str());
    { names }.find(|name| !name.is_empty()).unwrap_or("?").to_owned()
}

/// All fields of a message but those that say nothing.
fn fields(value: &Value) -> String {
    match value {
        Value::Object(object) => pairs(object),
        Value::Null => String::new(),
        other => field(other),
    }
}

fn pairs(object: &Map<String, Value>) -> String {
    let said = object.iter().filter(|(name, value)| !is_silent(name, value));
    said.map(|(name, value)| format!("{name}={}", field(value))).collect::<Vec<_>>().join(" ")
}

fn field(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(elements) => format!("[{}]", join(elements.iter().map(field))),
        Value::Object(object) => format!("{{{}}}", pairs(object)),
        other => other.to_string(),
    }
}

fn is_silent(name: &str, value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty() || text == "NONE",
        Value::Array(elements) => elements.is_empty(),
        Value::Object(object) => object.iter().all(|(name, value)| is_silent(name, value)),
        Value::Number(number) => {
            number.as_i64() == Some(-1) || (name == "throttleTimeMs" && number.as_i64() == Some(0))
        }
        Value::Bool(true) => false,
    }
}

/// Joins the first elements, and counts the rest.
fn join(mut texts: impl Iterator<Item = String>) -> String {
    let shown: Vec<String> = texts.by_ref().take(MAX_ELEMENTS).collect();
    match texts.count() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A number of bytes for people.
fn bytes(value: &Value) -> String {
    match value.as_u64() {
        None => "no records".to_owned(),
        Some(bytes @ ..1024) => format!("{bytes} B"),
        Some(bytes) if bytes < 1 << 20 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        Some(bytes) => format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
    }
}

/// `LIST_OFFSETS` is `ListOffsets`.
fn camel_case(constant: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters.next().into_iter().chain(letters.flat_map(char::to_lowercase)).collect::<String>()
    };
    constant.split('_').map(word).collect()
}

fn shortened(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((at, _)) => format!("{}...", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter.is_control() {
            true => escaped.extend(letter.escape_debug()),
            false => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The line of a request, from its API on and without the times.
    #[track_caller]
    fn check(api: &str, request: Value, response: Value, expect: &str) {
        let event = json!({
            "timestamp": 1_700_000_000_123_i64,
            "requestHeader": {"requestApiKeyName": api, "requestApiVersion": 9, "clientId": "c1"},
            "request": request, "response": response, "errors": [], "ending": "sent",
            "connection": "127.0.0.1:9092-127.0.0.1:40112-7", "principal": "User:ANONYMOUS", "totalTimeMs": 1.25,
        });
        let line = line(&event);
        let expect = format!("2023-11-14T22:13:20.123Z c1 127.0.0.1:40112 {expect} [1.2 ms]");
        assert_eq!(line, expect);
    }

    #[test]
    fn known_apis_show_partitions_with_records_and_offsets() {
        check(
            "PRODUCE",
            json!({"topicData": [{"name": "t", "partitionData": [
                {"index": 0, "recordsSizeInBytes": 78, "batch": {"recordCount": 3}},
                {"index": 1, "recordsSizeInBytes": 2048, "firstBatch": {"recordCount": 3}}]}]}),
            json!({"responses": [{"name": "t", "partitionResponses": [
                {"index": 0, "errorCode": "NONE", "baseOffset": 41},
                {"index": 1, "errorCode": "NOT_LEADER_OR_FOLLOWER", "baseOffset": -1}]}]}),
            "Produce v9 t-0 (3 records, 78 B), t-1 (2.0 KiB) -> t-0 at 41, t-1 NOT_LEADER_OR_FOLLOWER",
        );
        check(
            "FETCH",
            json!({"sessionId": 4, "topics": [{"topicId": "x", "topicName": "t", "partitions": [{"partition": 2, "fetchOffset": 7}]}]}),
            json!({"responses": []}),
            "Fetch v9 t-2 at 7 -> no new records",
        );
        check("METADATA", json!({"topics": null}), json!({"topics": []}), "Metadata v9 all topics -> ok");
    }

    #[test]
    fn other_apis_show_fields_that_say_something() {
        let topics: Vec<Value> = (0..9).map(|at| json!({"name": format!("t{at}"), "validate": false})).collect();
        check(
            "DELETE_TOPICS",
            json!({"topics": topics, "timeoutMs": 5000, "rack": ""}),
            json!({"throttleTimeMs": 0, "errorCode": "NONE"}),
            "DeleteTopics v9 timeoutMs=5000 topics=[{name=t0}, {name=t1}, {name=t2}, {name=t3} and 5 more] -> ok",
        );
    }

    #[test]
    fn control_characters_are_escaped_and_long_messages_are_shortened() {
        check(
            "HEARTBEAT",
            json!({"groupId": "\u{1b}[2J\n\u{9b}1m"}),
            json!(null),
            "Heartbeat v9 groupId=\\u{1b}[2J\\n\\u{9b}1m -> ok",
        );
        let long = line(
            &json!({"requestHeader": {"requestApiKeyName": "HEARTBEAT"}, "request": {"groupId": "g".repeat(9999)}}),
        );
        assert!(long.len() < 400, "{long}");
    }

    #[test]
    fn gaps_closed_connections_and_messages_of_sasl_have_lines() {
        assert!(line(&json!({"leftOut": 12})).starts_with("... 12 requests were left out"));
        let closed = line(&json!({"requestHeader": null, "closed": "bad token", "principal": "User:ann"}));
        assert!(closed.contains("- User:ann - message of SASL -> connection closed: bad token"), "{closed}");
    }
}
