//! The fields of the codec's messages, compared with Kafka's schema files.
//!
//! `tests/data/protocol/` has the facts of Kafka's schemas in Kafka's notation and order: of 3.9 for the versions that
//! 4.x removed, of 4.4 for the others. `apis.tsv` has a line for each API with its newest stable version and its first
//! flexible one; `fields.tsv` has a line for each field with the versions in which it can occur, which are also
//! versions of its parents. `records.tsv` and `record_fields.tsv` have the same for the records of internal topics.

use std::collections::BTreeMap;

use ottla_core::coordinator::records::schemas as coordinator;
use ottla_core::metadata::records as metadata;
use ottla_wire::codec::{Field, FieldRow, Message, Shape, Versions};
use ottla_wire::protocol::ApiKey;
use ottla_wire::protocol::consumer_protocol::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};

const APIS: &str = include_str!("../../data/protocol/apis.tsv");
const FIELDS: &str = include_str!("../../data/protocol/fields.tsv");
const RECORDS: &str = include_str!("../../data/protocol/records.tsv");
const RECORD_FIELDS: &str = include_str!("../../data/protocol/record_fields.tsv");

/// The facts of one field in a schema.
#[derive(Debug, PartialEq)]
struct Fact {
    /// The names from the message down to the field, in snake case.
    path: String,
    kind: String,
    versions: String,
    nullable: String,
    tag: String,
    default: String,
}

fn lines(table: &str) -> impl Iterator<Item = Vec<&str>> {
    table.lines().skip(1).map(|line| line.split('\t').collect())
}

/// Kafka's facts by message.
fn expected(table: &'static str) -> BTreeMap<&'static str, Vec<Fact>> {
    let mut facts: BTreeMap<_, Vec<Fact>> = BTreeMap::new();
    for line in lines(table) {
        let [message, field, kind, versions, nullable, tag, default] = line[..] else { panic!("{line:?}") };
        facts.entry(message).or_default().push(Fact {
            path: field.split('.').map(snake_case).collect::<Vec<_>>().join("."),
            // On the wire records are bytes.
            kind: kind.replace("records", "bytes"),
            versions: versions.to_owned(),
            nullable: nullable.to_owned(),
            tag: tag.to_owned(),
            default: if matches!(default, "null" | "0" | "false") { "-" } else { default }.to_owned(),
        });
    }
    facts
}

/// `TopicId` to `topic_id`, `V3AndBelow` to `v3_and_below`.
fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for (index, letter) in name.char_indices() {
        if letter.is_ascii_uppercase() && index > 0 {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// The facts of one message of the codec.
fn actual(shape: &Shape) -> Vec<Fact> {
    let mut facts = Vec::new();
    collect(shape, "", Versions { from: 0, to: i16::MAX }, &mut facts);
    facts
}

fn collect(shape: &Shape, path: &str, within: Versions, facts: &mut Vec<Fact>) {
    match shape {
        Shape::Array(inner) | Shape::Nullable(inner) => collect(inner, path, within, facts),
        Shape::Struct { fields, .. } => {
            for row in *fields {
                let path = format!("{path}{}", row.name.trim_start_matches("r#"));
                let versions = both(row.versions, within);
                facts.push(fact(row, path.clone(), versions));
                collect(row.shape, &format!("{path}."), versions, facts);
            }
        }
        _ => {}
    }
}

fn both(a: Versions, b: Versions) -> Versions {
    Versions { from: a.from.max(b.from), to: a.to.min(b.to) }
}

fn fact(row: &FieldRow, path: String, versions: Versions) -> Fact {
    let nullable = matches!(row.shape, Shape::Nullable(_)).then(|| both(row.nullable.unwrap_or(versions), versions));
    Fact {
        path,
        kind: kind(row.shape),
        versions: range(versions),
        nullable: nullable.map_or("-".to_owned(), range),
        tag: row.tag.map_or("-".to_owned(), |tag| tag.to_string()),
        default: match row.default {
            "" => "-".to_owned(),
            "i32::MIN" => i32::MIN.to_string(),
            "i32::MAX" => i32::MAX.to_string(),
            "i64::MAX" => i64::MAX.to_string(),
            stated => stated.to_owned(),
        },
    }
}

fn kind(shape: &Shape) -> String {
    match shape {
        Shape::Bool => "bool".to_owned(),
        Shape::I8 => "int8".to_owned(),
        Shape::I16 => "int16".to_owned(),
        Shape::U16 => "uint16".to_owned(),
        Shape::I32 => "int32".to_owned(),
        Shape::U32 => "uint32".to_owned(),
        Shape::I64 => "int64".to_owned(),
        Shape::F64 => "float64".to_owned(),
        Shape::Uuid => "uuid".to_owned(),
        Shape::Str => "string".to_owned(),
        Shape::Bytes => "bytes".to_owned(),
        Shape::Array(element) => format!("[]{}", kind(element)),
        Shape::Nullable(inner) => kind(inner),
        Shape::Struct { .. } => "struct".to_owned(),
    }
}

fn range(versions: Versions) -> String {
    match (versions.from, versions.to) {
        (from, i16::MAX) => format!("{from}+"),
        (from, to) if from == to => from.to_string(),
        (from, to) => format!("{from}-{to}"),
    }
}

fn check_fields(message: &str, shape: &Shape, expected: Vec<Fact>) {
    let ours = actual(shape);
    for (kafka, ours) in expected.iter().zip(&ours) {
        assert_eq!(ours, kafka, "{message}");
    }
    assert_eq!(ours.len(), expected.len(), "fields of {message}");
}

#[test]
fn message_fields_match_kafka_schemas() {
    let mut expected = expected(FIELDS);
    let messages = ApiKey::ALL.iter().flat_map(|api| {
        let (request, response) = api.shapes();
        [(format!("{api}Request"), request), (format!("{api}Response"), response)]
    });
    let consumer_protocol = [
        ("ConsumerProtocolSubscription".to_owned(), ConsumerProtocolSubscription::SHAPE),
        ("ConsumerProtocolAssignment".to_owned(), ConsumerProtocolAssignment::SHAPE),
    ];
    for (message, shape) in messages.chain(consumer_protocol) {
        check_fields(&message, shape, expected.remove(message.as_str()).unwrap_or_default());
    }
    assert!(expected.is_empty(), "messages we don't have: {:?}", expected.keys());
}

/// A record's name, newest version, first flexible version, and shape.
type Record = ([String; 3], &'static Shape);

fn record<M: Message>() -> Record {
    assert_eq!(*M::VERSIONS.start(), 0, "{} begins with version 0", M::NAME);
    let flexible = M::FLEXIBLE_FROM.map_or("-".to_owned(), |first| format!("{first}+"));
    ([M::NAME.to_owned(), M::VERSIONS.end().to_string(), flexible], M::SHAPE)
}

/// All records in the order of `records.tsv`: metadata records by API key, then group records.
fn records() -> Vec<Record> {
    vec![
        record::<metadata::RegisterBrokerRecord>(),
        record::<metadata::UnregisterBrokerRecord>(),
        record::<metadata::TopicRecord>(),
        record::<metadata::PartitionRecord>(),
        record::<metadata::ConfigRecord>(),
        record::<metadata::PartitionChangeRecord>(),
        record::<metadata::FenceBrokerRecord>(),
        record::<metadata::UnfenceBrokerRecord>(),
        record::<metadata::RemoveTopicRecord>(),
        record::<metadata::DelegationTokenRecord>(),
        record::<metadata::UserScramCredentialRecord>(),
        record::<metadata::FeatureLevelRecord>(),
        record::<metadata::ClientQuotaRecord>(),
        record::<metadata::ProducerIdsRecord>(),
        record::<metadata::BrokerRegistrationChangeRecord>(),
        record::<metadata::AccessControlEntryRecord>(),
        record::<metadata::RemoveAccessControlEntryRecord>(),
        record::<metadata::NoOpRecord>(),
        record::<metadata::ZkMigrationStateRecord>(),
        record::<metadata::RemoveUserScramCredentialRecord>(),
        record::<metadata::BeginTransactionRecord>(),
        record::<metadata::EndTransactionRecord>(),
        record::<metadata::AbortTransactionRecord>(),
        record::<metadata::RemoveDelegationTokenRecord>(),
        record::<metadata::RegisterControllerRecord>(),
        record::<metadata::ClearElrRecord>(),
        record::<metadata::UnregisterControllerRecord>(),
        record::<coordinator::OffsetCommitKey>(),
        record::<coordinator::OffsetCommitValue>(),
        record::<coordinator::GroupMetadataKey>(),
        record::<coordinator::GroupMetadataValue>(),
    ]
}

#[test]
fn metadata_and_group_records_match_kafka_schemas() {
    let mut expected = expected(RECORD_FIELDS);
    for ([name, ..], shape) in records() {
        let mut fields = expected.remove(name.as_str()).unwrap_or_default();
        if name == metadata::NoOpRecord::NAME {
            // Kafka's record has no fields; Ottla's has one tagged field, which Kafka's readers skip.
            fields = actual(shape).into_iter().filter(|fact| fact.tag == "10000").collect();
        }
        check_fields(&name, shape, fields);
    }
    assert!(expected.is_empty(), "records we don't have: {:?}", expected.keys());
    let ours = records().into_iter().map(|(versions, _)| versions.to_vec());
    assert_eq!(ours.collect::<Vec<_>>(), lines(RECORDS).collect::<Vec<_>>());
}

#[test]
fn api_keys_and_versions_match_kafka() {
    let ours = ApiKey::ALL.iter().map(|&api| {
        let versions = api.versions();
        assert_eq!(*versions.start(), 0, "{api} begins with version 0");
        let flexible = versions.clone().find(|&version| api.request_header_version(version) == 2);
        let flexible = flexible.map_or("-".to_owned(), |first| format!("{first}+"));
        vec![(api as i16).to_string(), api.name().to_owned(), versions.end().to_string(), flexible]
    });
    assert_eq!(ours.collect::<Vec<_>>(), lines(APIS).collect::<Vec<_>>());
}

/// The codec limits an array's count by the bytes that remain, which requires elements of at least one byte.
#[test]
fn array_elements_take_at_least_one_byte() {
    fn check(shape: &Shape, version: i16, flexible: bool) {
        match shape {
            Shape::Array(element) => {
                assert!(element.min_size(version, flexible) > 0, "{element:?} at version {version}");
                check(element, version, flexible);
            }
            Shape::Nullable(inner) => check(inner, version, flexible),
            Shape::Struct { fields, .. } => {
                let present = fields.iter().filter(|row| row.versions.contains(version));
                present.for_each(|row| check(row.shape, version, flexible));
            }
            _ => {}
        }
    }
    for &api in ApiKey::ALL {
        for version in api.versions() {
            let (request, response) = api.shapes();
            let flexible = api.request_header_version(version) == 2;
            check(request, version, flexible);
            check(response, version, flexible);
        }
    }
}

/// Tagged fields are written in the order of their rows; Kafka requires the order of their tags.
#[test]
fn tagged_fields_are_in_tag_order() {
    fn check(shape: &Shape) {
        match shape {
            Shape::Array(inner) | Shape::Nullable(inner) => check(inner),
            Shape::Struct { name, fields } => {
                assert!(fields.iter().filter_map(|row| row.tag).is_sorted(), "{name}");
                fields.iter().for_each(|row| check(row.shape));
            }
            _ => {}
        }
    }
    ApiKey::ALL.iter().for_each(|api| {
        check(api.shapes().0);
        check(api.shapes().1);
    });
}
