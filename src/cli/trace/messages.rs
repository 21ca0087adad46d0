//! The important fields of requests and responses, as text.

use serde_json::{Map, Value};

/// The elements of an array that are shown; the rest is counted.
const MAX_ELEMENTS: usize = 4;

/// The fields of a request. `api` is the name of Java's constant.
pub(super) fn request(api: &str, body: &Value) -> String {
    let in_topics = |describe: fn(&Value) -> String| join(partitions(body, "topics", "partitions", describe));
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    match api {
        "PRODUCE" => join(partitions(body, "topicData", "partitionData", records)),
        "FETCH" => match in_topics(|partition| position(partition, "fetchOffset")) {
            text if text.is_empty() => format!("session {}", body["sessionId"]),
            text => text,
        },
        "LIST_OFFSETS" => in_topics(|partition| match partition["timestamp"].as_i64() {
            Some(-1) | None => " latest".to_owned(),
            Some(-2) => " earliest".to_owned(),
            Some(-3) => " of the maximum timestamp".to_owned(),
            Some(time) => format!(" of timestamp {time}"),
        }),
        "METADATA" => match &body["topics"] {
            Value::Null => "all topics".to_owned(),
            topics => join(list(topics).map(topic_name)),
        },
        "API_VERSIONS" => format!("{} {}", text("clientSoftwareName"), text("clientSoftwareVersion")).trim().to_owned(),
        "CREATE_TOPICS" => join(list(&body["topics"]).map(|topic| match topic["numPartitions"].as_i64() {
            Some(count @ 1..) => format!("{} ({})", topic_name(topic), counted(count, "partition")),
            _ => topic_name(topic),
        })),
        "FIND_COORDINATOR" => match &body["coordinatorKeys"] {
            Value::Array(keys) => join(keys.iter().map(field)),
            _ => text("key").to_owned(),
        },
        "OFFSET_COMMIT" | "TXN_OFFSET_COMMIT" => {
            format!("{} {}", text("groupId"), in_topics(|partition| position(partition, "committedOffset")))
        }
        "OFFSET_FETCH" => match &body["groups"] {
            Value::Array(groups) => join(groups.iter().map(|group| field(&group["groupId"]))),
            _ => text("groupId").to_owned(),
        },
        "JOIN_GROUP" | "SYNC_GROUP" | "HEARTBEAT" | "CONSUMER_GROUP_HEARTBEAT" => member(body),
        _ => fields(body),
    }
}

/// The fields of a response. Empty if it says no more than that there was no error.
pub(super) fn response(api: &str, body: &Value) -> String {
    let in_topics = |describe: fn(&Value) -> String| join(partitions(body, "topics", "partitions", describe));
    match api {
        "PRODUCE" => {
            join(partitions(body, "responses", "partitionResponses", |partition| position(partition, "baseOffset")))
        }
        "FETCH" => match join(partitions(body, "responses", "partitions", fetched)) {
            text if text.is_empty() => "no new records".to_owned(),
            text => text,
        },
        "LIST_OFFSETS" => in_topics(|partition| position(partition, "offset")),
        "METADATA" => join(list(&body["topics"]).map(|topic| {
            let partitions = counted(list(&topic["partitions"]).count(), "partition");
            format!("{} ({})", topic_name(topic), error_or(topic, partitions))
        })),
        "API_VERSIONS" => format!("{} APIs", list(&body["apiKeys"]).count()),
        "CREATE_TOPICS" | "DELETE_TOPICS" => join(list(&body["topics"]).chain(list(&body["responses"])).map(|topic| {
            let message = topic["errorMessage"].as_str().map(|message| format!(": {message}")).unwrap_or_default();
            format!("{} {}{message}", topic_name(topic), error_or(topic, "ok".to_owned()))
        })),
        "OFFSET_COMMIT" | "TXN_OFFSET_COMMIT" => {
            join(partitions(body, "topics", "partitions", failure).filter(|text| text.contains(' ')))
        }
        "OFFSET_FETCH" => match &body["groups"] {
            Value::Array(groups) => {
                let of_group = |group| {
                    let committed = |partition: &Value| position(partition, "committedOffset");
                    partitions(group, "topics", "partitions", committed)
                };
                join(groups.iter().flat_map(of_group))
            }
            _ => in_topics(|partition| position(partition, "committedOffset")),
        },
        "JOIN_GROUP" => match (error(body), list(&body["members"]).count()) {
            (None, 0) => format!("generation {} of leader {}", body["generationId"], field(&body["leader"])),
            (None, members) => {
                format!("generation {} as the leader of {}", body["generationId"], counted(members, "member"))
            }
            (Some(error), _) => error.to_owned(),
        },
        "SYNC_GROUP" => error_or(body, format!("assignment of {}", bytes(&body["assignmentSizeInBytes"]))),
        "HEARTBEAT" => error_or(body, String::new()),
        _ => fields(body),
    }
}

/// A number of things: `1 record`, `2 records`.
fn counted(count: impl TryInto<u64> + Copy + std::fmt::Display, thing: &str) -> String {
    let plural = if matches!(count.try_into(), Ok(1)) { "" } else { "s" };
    format!("{count} {thing}{plural}")
}

/// A group, and a member of it.
fn member(body: &Value) -> String {
    let epoch = ["generationId", "memberEpoch"].into_iter().find(|name| body[*name].is_i64());
    let epoch = epoch.map(|name| format!(" generation {}", body[name])).unwrap_or_default();
    let member = body["memberId"].as_str().filter(|id| !id.is_empty()).map(|id| format!(" member {id}"));
    format!("{}{}{epoch}", field(&body["groupId"]), member.unwrap_or_else(|| " new member".to_owned()))
}

/// The partitions of topics, each with a description.
fn partitions<'a>(
    body: &'a Value,
    topics: &str,
    partitions: &'static str,
    describe: impl Fn(&Value) -> String + Copy + 'a,
) -> impl Iterator<Item = String> + 'a {
    list(&body[topics]).flat_map(move |topic| {
        list(&topic[partitions])
            .map(move |partition| format!("{}-{}{}", topic_name(topic), index(partition), describe(partition)))
    })
}

fn index(partition: &Value) -> &Value {
    let names = ["partitionIndex", "index", "partition"];
    names.into_iter().map(|name| &partition[name]).find(|index| !index.is_null()).unwrap_or(&Value::Null)
}

fn records(partition: &Value) -> String {
    let size = bytes(&partition["recordsSizeInBytes"]);
    match partition["batch"]["recordCount"].as_i64() {
        Some(count @ 1..) => format!(" ({}, {size})", counted(count, "record")),
        _ => format!(" ({size})"),
    }
}

fn fetched(partition: &Value) -> String {
    match partition["recordsSizeInBytes"].as_u64() {
        Some(0) | None => format!(" ({})", error_or(partition, "no records".to_owned())),
        Some(_) => records(partition),
    }
}

/// An offset, or the error in place of it.
fn position(partition: &Value, name: &str) -> String {
    match error(partition) {
        Some(error) => format!(" {error}"),
        None if partition[name].as_i64() == Some(-1) => " without an offset".to_owned(),
        None => format!(" at {}", partition[name]),
    }
}

fn failure(of: &Value) -> String {
    error(of).map(|error| format!(" {error}")).unwrap_or_default()
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

pub(super) fn list(value: &Value) -> impl Iterator<Item = &Value> {
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
