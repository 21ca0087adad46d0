//! UpdateFeatures.

use ottla_wire::protocol::messages::api_versions::ApiVersionsRequest;
use ottla_wire::protocol::messages::update_features::{
    FeatureUpdateKey, UpdateFeaturesRequest, UpdateFeaturesResponse,
};

use common::Broker;
use common::transactions::{TransactionalProducer, TxnProtocol};
use ottla_wire::types::ErrorCode;

use crate::fixture::{Fixture, code, text};

const UPGRADE: i8 = 1;
const SAFE_DOWNGRADE: i8 = 2;

async fn update(fixture: &Fixture, version: i16, level: i16, upgrade_type: i8) -> UpdateFeaturesResponse {
    update_feature(fixture, "metadata.version", version, level, upgrade_type).await
}

async fn update_feature(
    fixture: &Fixture,
    feature: &str,
    version: i16,
    level: i16,
    upgrade_type: i8,
) -> UpdateFeaturesResponse {
    let allow_downgrade = upgrade_type != UPGRADE;
    let update = FeatureUpdateKey { feature: text(feature), max_version_level: level, allow_downgrade, upgrade_type };
    let request = UpdateFeaturesRequest { feature_updates: vec![update], ..Default::default() };
    fixture.client.call_at(request, version).await.unwrap()
}

async fn level(fixture: &Fixture) -> i16 {
    level_of(fixture, "metadata.version").await.unwrap()
}

/// The finalized level of a feature; `None` for level 0.
async fn level_of(fixture: &Fixture, name: &str) -> Option<i16> {
    let request = ApiVersionsRequest {
        client_software_name: text("test"),
        client_software_version: text("1"),
        ..Default::default()
    };
    let features = fixture.client.call(request).await.unwrap().finalized_features;
    features.iter().find(|feature| &*feature.name == name).map(|feature| feature.max_version_level)
}

#[tokio::test]
async fn update_features_changes_the_finalized_level_at_once() {
    let fixture = Fixture::start().await;
    for version in 0..=2 {
        for (to, upgrade_type) in [(31, UPGRADE), (30, SAFE_DOWNGRADE)] {
            let answer = update(&fixture, version, to, upgrade_type).await;
            assert_eq!((code(answer.error_code), answer.error_message), ("NONE", None));
            let results = answer.results.iter();
            let results: Vec<_> =
                results.map(|it| (&*it.feature, code(it.error_code), it.error_message.as_deref())).collect();
            let one = [("metadata.version", "NONE", Some("NONE"))];
            assert_eq!(results, if version <= 1 { &one[..] } else { &[] });
            assert_eq!(level(&fixture).await, to);
        }
        let answer = update(&fixture, version, 29, SAFE_DOWNGRADE).await;
        assert_eq!((code(answer.error_code), answer.results.len()), ("INVALID_UPDATE_VERSION", 0));
        let expect = "The update failed for all features since the following feature had an error: Unsupported \
                      metadata.version downgrade from 30 to 29. Refusing to perform the requested downgrade because it \
                      might delete metadata information.";
        assert_eq!(answer.error_message.as_deref(), Some(expect));
        assert_eq!(level(&fixture).await, 30);
    }
}

/// The versions of the values in `__transaction_state`, from the given offset on, and whether each has the level of the
/// client's protocol in a tagged field.
fn record_versions(fixture: &Fixture, from: usize) -> Vec<String> {
    let segment = fixture.broker.data_dir().join("__transaction_state-0/00000000000000000000.log");
    let output = common::run(&["dump-log", segment.to_str().unwrap(), "--transaction-log-decoder"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let value =
        |line: &str| -> Option<serde_json::Value> { serde_json::from_str(line.split_once(" payload: ")?.1).ok() };
    let version = |value: serde_json::Value| {
        let protocol = value["data"].get("clientTransactionVersion").map_or(String::new(), |level| format!("/{level}"));
        format!("{}{protocol}", value["version"].as_str().unwrap())
    };
    text.lines().filter_map(value).map(version).skip(from).collect()
}

#[tokio::test]
async fn transaction_version_is_moved_and_records_follow_it() {
    let fixture = Fixture::with(Broker::with().set("transaction.state.log.num.partitions", "1")).await;
    fixture.topic("t", &[]).await;
    assert_eq!(level_of(&fixture, "transaction.version").await, Some(2));
    let mut written = 0;
    for (level, upgrade_type, protocol, expect) in [
        (2, UPGRADE, TxnProtocol::V2, &["1", "1/2", "1/2", "1/2"][..]),
        // The record of InitProducerId keeps the level of the last transaction.
        (1, SAFE_DOWNGRADE, TxnProtocol::V1, &["1/2", "1", "1", "1"]),
        (0, SAFE_DOWNGRADE, TxnProtocol::V1, &["0", "0", "0", "0"]),
        (1, UPGRADE, TxnProtocol::V1, &["1", "1", "1", "1"]),
        (2, UPGRADE, TxnProtocol::V2, &["1", "1/2", "1/2", "1/2"]),
    ] {
        let answer = update_feature(&fixture, "transaction.version", 2, level, upgrade_type).await;
        assert_eq!((code(answer.error_code), answer.error_message), ("NONE", None));
        assert_eq!(level_of(&fixture, "transaction.version").await.unwrap_or(0), level);
        let mut producer = TransactionalProducer::start(&fixture.client, "a", protocol, 60_000).await;
        assert_eq!(producer.write("t", 0, "x").await, ErrorCode::None);
        assert_eq!(producer.end(true).await, ErrorCode::None);
        assert_eq!(record_versions(&fixture, written), expect, "{level}");
        written += expect.len();
    }
    for (level, upgrade_type) in [(3, UPGRADE), (-1, SAFE_DOWNGRADE)] {
        let answer = update_feature(&fixture, "transaction.version", 2, level, upgrade_type).await;
        assert_ne!(code(answer.error_code), "NONE");
    }
}

#[tokio::test]
async fn directory_is_formatted_with_a_level_of_transaction_version() {
    for level in 0..=2 {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let properties = dir.path().join("server.properties");
        std::fs::write(&properties, format!("log.dirs={}\nnode.id=1\n", data.display())).unwrap();
        let feature = format!("transaction.version={level}");
        let (cluster, file) = ("5L6g3nShT-eMCtK--X86sw", properties.to_str().unwrap());
        let line = ["kafka-storage", "format", "-t", cluster, "-c", file, "--standalone", "--feature", &feature];
        let formatted = common::run(&line);
        assert!(formatted.status.success(), "{formatted:?}");
        let fixture = Fixture::with(Broker::with().data_dir(&data)).await;
        assert_eq!(level_of(&fixture, "transaction.version").await.unwrap_or(0), level);
    }
}
