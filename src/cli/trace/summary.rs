//! One plain line for an event of the trace.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::Value;

use super::messages::{list, request, response};

/// The longest text, in characters, of the fields of a message.
const MAX_FIELDS: usize = 200;

/// The line: time, client, API and version, the request, its response, and times. Control characters are escaped, because
/// clients choose texts.
pub fn line(event: &Value) -> String {
    if let Some(count) = event["leftOut"].as_u64() {
        return format!("... {count} requests were left out, because there were too many");
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
    let sent = shortened(&request(api.unwrap_or_default(), &event["request"]));
    if !sent.is_empty() {
        let _ = write!(text, " {sent}");
    }
    let _ = write!(text, " -> {}", outcome(event, api.unwrap_or_default()));
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

/// The response, or what happened in place of it.
fn outcome(event: &Value, api: &str) -> String {
    if let Some(why) = event["closed"].as_str() {
        return format!("connection closed: {why}");
    }
    let errors: Vec<&str> = list(&event["errors"]).filter_map(Value::as_str).collect();
    let mut text = match event["ending"].as_str() {
        Some("noResponse") => "no response".to_owned(),
        Some("dropped") => "the client has disconnected".to_owned(),
        _ => shortened(&response(api, &event["response"])),
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

/// `LIST_OFFSETS` is `ListOffsets`.
fn camel_case(constant: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters.next().into_iter().chain(letters.flat_map(char::to_lowercase)).collect::<String>()
    };
    constant.split('_').map(word).collect()
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_FIELDS) {
        Some((at, _)) => format!("{}...", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The text with its control characters escaped.
pub fn escaped(text: &str) -> String {
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
    fn apis_of_groups_show_the_group_and_its_offsets() {
        let member = json!({"groupId": "g", "memberId": "m", "generationId": 3});
        check("HEARTBEAT", member.clone(), json!({"errorCode": "NONE"}), "Heartbeat v9 g member m generation 3 -> ok");
        let error = json!({"errorCode": "REBALANCE_IN_PROGRESS"});
        check("SYNC_GROUP", member, error, "SyncGroup v9 g member m generation 3 -> REBALANCE_IN_PROGRESS");
        let topics = |partitions: Value| json!({"groupId": "g", "topics": [{"name": "t", "partitions": partitions}]});
        check(
            "OFFSET_COMMIT",
            topics(json!([{"partitionIndex": 0, "committedOffset": 4}, {"partitionIndex": 1, "committedOffset": 5}])),
            topics(json!([{"partitionIndex": 0, "errorCode": "NONE"}, {"partitionIndex": 1, "errorCode": "FENCED"}])),
            "OffsetCommit v9 g t-0 at 4, t-1 at 5 -> t-1 FENCED",
        );
        check(
            "OFFSET_FETCH",
            json!({"groups": [{"groupId": "g"}]}),
            json!({"groups": [topics(json!([{"partitionIndex": 0, "committedOffset": -1}]))]}),
            "OffsetFetch v9 g -> t-0 without an offset",
        );
    }

    #[test]
    fn other_apis_show_fields_that_say_something() {
        let topics: Vec<Value> = (0..9).map(|at| json!({"name": format!("t{at}"), "validate": false})).collect();
        check(
            "DESCRIBE_TOPIC_PARTITIONS",
            json!({"topics": topics, "timeoutMs": 5000, "rack": ""}),
            json!({"throttleTimeMs": 0, "errorCode": "NONE"}),
            "DescribeTopicPartitions v9 timeoutMs=5000 topics=[{name=t0}, {name=t1}, {name=t2}, {name=t3} and 5 more] -> ok",
        );
    }

    #[test]
    fn control_characters_are_escaped_and_long_messages_are_shortened() {
        check(
            "HEARTBEAT",
            json!({"groupId": "\u{1b}[2J\n\u{9b}1m"}),
            json!(null),
            "Heartbeat v9 \\u{1b}[2J\\n\\u{9b}1m new member -> ok",
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
