//! UpdateFeatures.

use ottla_wire::protocol::messages::api_versions::ApiVersionsRequest;
use ottla_wire::protocol::messages::update_features::{
    FeatureUpdateKey, UpdateFeaturesRequest, UpdateFeaturesResponse,
};

use crate::fixture::{Fixture, code, text};

const UPGRADE: i8 = 1;
const SAFE_DOWNGRADE: i8 = 2;

async fn update(fixture: &Fixture, version: i16, level: i16, upgrade_type: i8) -> UpdateFeaturesResponse {
    let allow_downgrade = upgrade_type != UPGRADE;
    let update =
        FeatureUpdateKey { feature: text("metadata.version"), max_version_level: level, allow_downgrade, upgrade_type };
    let request = UpdateFeaturesRequest { feature_updates: vec![update], ..Default::default() };
    fixture.client.call_at(request, version).await.unwrap()
}

async fn level(fixture: &Fixture) -> i16 {
    let request = ApiVersionsRequest {
        client_software_name: text("test"),
        client_software_version: text("1"),
        ..Default::default()
    };
    let features = fixture.client.call(request).await.unwrap().finalized_features;
    features.iter().find(|feature| &*feature.name == "metadata.version").unwrap().max_version_level
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
