//! Other requests than SaslAuthenticate during a SASL exchange, compared with Apache Kafka: after SaslHandshake 1, Kafka
//! answers them with ILLEGAL_SASL_STATE in the form of their API, and then closes the connection; after SaslHandshake 0,
//! they are messages of the mechanism.
//!
//! `tests/data/sasl-exchange-answers.tsv` has a request for each served API and version, and the bytes of Kafka's response
//! in hexadecimal, without the size and the correlation id. To record them again, set `SASL_EXCHANGE_OF_4_3` to the address
//! of a SASL_PLAINTEXT listener of Apache Kafka 4.3 with the mechanism PLAIN.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use common::Broker;
use ottla_wire::protocol::ApiKey;
use ottla_wire::types::Uuid;

use crate::wire::WireClient;

const ANSWERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/sasl-exchange-answers.tsv");
/// Requests with elements, from the table of authorization.
const REQUESTS: &str = include_str!("../data/authorization-answers.tsv");
/// The newest version of ApiVersions in Kafka 4.3.
const NEWEST_API_VERSIONS: i16 = 4;
/// More requests, whose responses are in the order of Java's maps.
const MORE: [(ApiKey, i16, &str); 6] = [
    (
        ApiKey::Produce,
        9,
        "acks=1 topic_data=[{name=a partition_data=[{index=0 records=$batch} {index=1 records=$batch} {index=16 records=$batch} {index=32 records=$batch}]} {name=b partition_data=[{index=3 records=$batch} {index=0 records=$batch} {index=19 records=$batch}]}]",
    ),
    (
        ApiKey::Produce,
        13,
        "acks=1 topic_data=[{topic_id=$topic1 partition_data=[{index=0 records=$batch} {index=1 records=$batch}]} {topic_id=$topic2 partition_data=[{index=3 records=$batch} {index=0 records=$batch}]}]",
    ),
    (ApiKey::Produce, 9, "acks=-1 topic_data=[]"),
    (
        ApiKey::OffsetFetch,
        1,
        "group_id=g topics=[{name=b partition_indexes=[0 1 16]} {name=a partition_indexes=[2 32 0]} {name=b partition_indexes=[0]}]",
    ),
    (
        ApiKey::WriteTxnMarkers,
        1,
        "markers=[{producer_id=17 topics=[{name=b partition_indexes=[0 1 16]} {name=a partition_indexes=[2]}]} {producer_id=1 topics=[{name=c partition_indexes=[0]}]} {producer_id=17 topics=[{name=d partition_indexes=[5 21 4]}]}]",
    ),
    (
        ApiKey::AlterUserScramCredentials,
        0,
        "deletions=[{name=b mechanism=1} {name=a mechanism=1}] upsertions=[{name=b mechanism=2}]",
    ),
];
/// The correlation id at the front of a response.
const CORRELATION_ID: usize = 4;

fn broker() -> Broker {
    let users = "org.apache.kafka.common.security.plain.PlainLoginModule required user_alice=\"alice-secret\";";
    Broker::with()
        .set("listener.security.protocol.map", "PLAINTEXT:SASL_PLAINTEXT")
        .set("sasl.enabled.mechanisms", "PLAIN")
        .set("listener.name.plaintext.plain.sasl.jaas.config", users)
        .set("connection.failed.authentication.delay.ms", "0")
        .start()
}

fn client(address: &str) -> WireClient {
    let mut client = WireClient::new(address, &[]);
    for (name, id) in [("topic1", 1), ("topic2", 2), ("topic3", 3), ("topic4", 4)] {
        client.know_topic(name, Uuid([id; 16]));
    }
    client
}

/// A request of each API by the first version that has it, from the table of authorization.
fn requests() -> BTreeMap<(String, i16), &'static str> {
    let lines = REQUESTS.lines().skip(1).filter(|line| !line.starts_with(['#', '\t']));
    let mut requests = BTreeMap::new();
    for line in lines {
        let mut columns = line.split('\t');
        let (Some(api), Some(versions), Some(request)) = (columns.next(), columns.next(), columns.next()) else {
            continue;
        };
        // These need earlier answers.
        if request.contains('@') {
            continue;
        }
        for version in versions.split(',') {
            requests.entry((api.to_owned(), version.parse().unwrap())).or_insert(request);
        }
    }
    requests
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hexadecimal: &str) -> Vec<u8> {
    (0..hexadecimal.len()).step_by(2).map(|at| u8::from_str_radix(&hexadecimal[at..at + 2], 16).unwrap()).collect()
}

fn record(address: &str, served: &[(ApiKey, std::ops::RangeInclusive<i16>)]) {
    let (mut client, requests) = (client(address), requests());
    let mut table = "api\tversion\trequest\tresponse\n".to_owned();
    let mut probes = Vec::new();
    for (api, versions) in served {
        for version in versions.clone() {
            let name = api.name().to_owned();
            let request = requests.range((name.clone(), 0)..=(name, version)).next_back().map_or("", |(_, text)| *text);
            match api {
                ApiKey::SaslAuthenticate => {}
                // Kafka 4.3 answers it as version 0, because it does not have it.
                ApiKey::ApiVersions if version > NEWEST_API_VERSIONS => {}
                api => probes.push((*api, version, request)),
            }
        }
    }
    for (api, version, request) in probes.into_iter().chain(MORE) {
        // Kafka 4.3 does not have all versions.
        let Some(answer) = client.call_in_exchange(1, api, version, request) else { continue };
        let answer = hexadecimal(&answer[CORRELATION_ID..]);
        let _ = writeln!(table, "{}\t{version}\t{request}\t{answer}", api.name());
    }
    std::fs::write(ANSWERS, table).unwrap();
}

/// The served APIs.
fn served() -> Vec<(ApiKey, std::ops::RangeInclusive<i16>)> {
    let broker = Broker::start();
    WireClient::new(&broker.addr().to_string(), &[]).served()
}

#[test]
fn request_during_an_exchange_gets_kafkas_response_in_every_version() {
    let served = served();
    if let Ok(address) = std::env::var("SASL_EXCHANGE_OF_4_3") {
        record(&address, &served);
    }
    let broker = broker();
    let mut client = client(&broker.addr().to_string());
    let table = std::fs::read_to_string(ANSWERS).unwrap();
    let (mut tested, mut differ) = (BTreeSet::new(), String::new());
    for line in table.lines().skip(1) {
        let [api, version, request, expected] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let (key, version) = (*ApiKey::ALL.iter().find(|key| key.name() == api).unwrap(), version.parse().unwrap());
        tested.insert(key as i16);
        let answer = client.call_in_exchange(1, key, version, request).unwrap_or_else(|| panic!("{line}"));
        let expected = bytes(expected);
        if answer[CORRELATION_ID..] != expected {
            let expected = client.show(key, version, &[vec![0; CORRELATION_ID], expected].concat());
            let (here, digits) = (client.show(key, version, &answer), hexadecimal(&answer[CORRELATION_ID..]));
            let _ = writeln!(differ, "{line}\n  expected {expected}\n  here     {here}\n{digits}");
        }
    }
    assert!(differ.is_empty(), "\n{differ}");
    tested.insert(ApiKey::SaslAuthenticate as i16);
    let missing: Vec<_> = served.iter().filter(|(api, _)| !tested.contains(&(*api as i16))).collect();
    assert!(missing.is_empty(), "not in the table: {missing:?}");
}

/// As at Apache Kafka 4.3: its bytes are not a message of PLAIN, and a failure is not answered.
#[test]
fn request_after_handshake_0_is_a_message_of_the_mechanism() {
    let broker = broker();
    let mut client = client(&broker.addr().to_string());
    for api in [ApiKey::Metadata, ApiKey::SaslHandshake, ApiKey::SaslAuthenticate, ApiKey::ApiVersions] {
        assert_eq!(client.call_in_exchange(0, api, 0, ""), None, "{}", api.name());
    }
    broker.wait_for_log("authentication with PLAIN failed");
}
