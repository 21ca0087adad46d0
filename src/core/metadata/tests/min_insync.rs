//! `min.insync.replicas` with eligible leader replicas, as in Apache Kafka.

use super::*;
use crate::metadata::records::{ConfigRecord, RecordBody};

const NAME: &str = "min.insync.replicas";
const FEATURE: &str = "eligible.leader.replicas.version";

fn broker(name: &str) -> ConfigResource {
    ConfigResource::new(ConfigKind::Broker, name)
}

fn change(kind: OpKind, value: Option<&str>) -> Alteration {
    Alteration::Incremental(vec![ConfigOp { name: NAME.to_owned(), kind, value: value.map(str::to_owned) }])
}

/// A cluster whose log was created without eligible leader replicas.
fn old_cluster(metadata_version: i16) -> TestCluster {
    let mut cluster = TestCluster::empty();
    let bootstrap_records = vec![feature_record("metadata.version", metadata_version)];
    cluster.run(MetadataCommand::RegisterBroker(RegisterBroker { bootstrap_records, ..registration() }));
    cluster
}

fn set_level(cluster: &mut TestCluster, features: &[(&str, i16)]) -> Result<(), String> {
    let supported = [("metadata.version", 7, 33), (FEATURE, 0, 1)];
    let supported = supported.map(|(name, min, max)| SupportedFeature { name: name.to_owned(), min, max }).to_vec();
    let update = |&(name, level): &(&str, i16)| FeatureUpdate {
        name: name.to_owned(),
        level,
        upgrade: Some(if level == 0 { UpgradeType::SafeDowngrade } else { UpgradeType::Upgrade }),
    };
    let updates = features.iter().map(update).collect();
    match cluster.run(MetadataCommand::UpdateFeatures(UpdateFeatures { updates, supported, validate_only: false })) {
        MetadataReply::UpdateFeatures(result) => result.map_err(|error| error.to_string()),
        other => panic!("{other:?}"),
    }
}

fn of_cluster(cluster: &TestCluster) -> Option<&str> {
    cluster.image().default_broker_configs().get(NAME).map(String::as_str)
}

fn records_since(cluster: &TestCluster, before: usize) -> Vec<String> {
    let shown = |value: &Bytes| match MetadataRecord::decode(value).unwrap().body {
        RecordBody::Config(ConfigRecord { resource_name, name, value, .. }) => {
            format!("{resource_name:?} {name} {:?}", value.as_deref())
        }
        RecordBody::FeatureLevel(feature) => format!("{} {}", feature.name, feature.feature_level),
        other => panic!("{other:?}"),
    };
    cluster.log[before..].iter().map(shown).collect()
}

#[test]
fn new_cluster_has_a_value_that_can_be_changed_but_not_removed() {
    let mut cluster = TestCluster::started();
    assert_eq!(of_cluster(&cluster), Some("1"));
    cluster.alter(broker(""), change(OpKind::Set, Some("3"))).unwrap();
    assert_eq!(of_cluster(&cluster.restarted()), Some("3"));
    for how in [change(OpKind::Delete, None), Alteration::Replace(Vec::new())] {
        let refused = cluster.alter(broker(""), how).unwrap_err();
        assert_eq!(refused.to_string(), "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.");
    }
    for how in [change(OpKind::Set, Some("2")), change(OpKind::Delete, None)] {
        let refused = cluster.alter(broker("1"), how).unwrap_err();
        assert_eq!(refused.to_string(), "Broker-level min.insync.replicas cannot be altered while ELR is enabled.");
    }
    cluster.create_named("t", 1);
    cluster.alter(ConfigResource::topic("t"), change(OpKind::Set, Some("2"))).unwrap();
    cluster.alter(ConfigResource::topic("t"), change(OpKind::Delete, None)).unwrap();
    assert_eq!(of_cluster(&cluster), Some("3"));
}

#[test]
fn formatted_cluster_has_a_value_only_with_eligible_leader_replicas() {
    for (level, expect) in [(0, None), (1, Some("1"))] {
        let bootstrap_records = vec![feature_record("metadata.version", 30), feature_record(FEATURE, level)];
        let mut cluster = TestCluster::empty();
        cluster.run(MetadataCommand::RegisterBroker(RegisterBroker { bootstrap_records, ..registration() }));
        assert_eq!(of_cluster(&cluster), expect, "level {level}");
    }
}

#[test]
fn cluster_without_eligible_leader_replicas_has_no_value() {
    let mut cluster = old_cluster(25).restarted();
    let written = cluster.log.len();
    cluster.run(MetadataCommand::RegisterBroker(registration()));
    assert_eq!((cluster.log.len(), of_cluster(&cluster)), (written, None));
    cluster.alter(broker("1"), change(OpKind::Set, Some("2"))).unwrap();
    cluster.alter(broker(""), change(OpKind::Set, Some("2"))).unwrap();
    cluster.alter(broker(""), change(OpKind::Delete, None)).unwrap();
    cluster.run(MetadataCommand::Reset(Reset::default()));
    assert!(cluster.image().configs().names(ConfigKind::Broker).is_empty());
}

#[test]
fn enabling_eligible_leader_replicas_sets_the_cluster_value_and_unsets_broker_values() {
    let mut cluster = old_cluster(22);
    cluster.alter(broker("1"), change(OpKind::Set, Some("3"))).unwrap();
    let needs = "Invalid update version 1 for feature eligible.leader.replicas.version. eligible.leader.replicas.version \
                 could not be set to 1 because it depends on metadata.version level 23";
    assert_eq!(set_level(&mut cluster, &[(FEATURE, 1)]), Err(needs.to_owned()));
    set_level(&mut cluster, &[("metadata.version", 23)]).unwrap();
    let before = cluster.log.len();
    set_level(&mut cluster, &[(FEATURE, 1)]).unwrap();
    let expected = [
        "\"\" min.insync.replicas Some(\"1\")",
        "\"1\" min.insync.replicas None",
        "eligible.leader.replicas.version 1",
    ];
    assert_eq!(records_since(&cluster, before), expected);
    // The cluster's value stays when the feature is disabled.
    set_level(&mut cluster, &[(FEATURE, 0)]).unwrap();
    cluster.alter(broker(""), change(OpKind::Set, Some("4"))).unwrap();
    let before = cluster.log.len();
    set_level(&mut cluster, &[(FEATURE, 1)]).unwrap();
    assert_eq!(records_since(&cluster, before), ["eligible.leader.replicas.version 1"]);
    let mut together = old_cluster(22);
    set_level(&mut together, &[(FEATURE, 1), ("metadata.version", 23)]).unwrap();
    assert_eq!(of_cluster(&together), Some("1"));
}
