//! Resets: which topics and settings are removed, which topics are created again, and which numbers continue.

use super::*;

fn reset(cluster: &mut TestCluster, topics: Vec<NewTopic>) -> ResetResult {
    match cluster.run(MetadataCommand::Reset(Reset { topics, ..Reset::default() })) {
        MetadataReply::Reset(done) => done,
        other => panic!("{other:?}"),
    }
}

fn set(cluster: &mut TestCluster, resource: ConfigResource, name: &str, value: &str) {
    let op = ConfigOp { name: name.to_owned(), kind: OpKind::Set, value: Some(value.to_owned()) };
    cluster.alter(resource, Alteration::Incremental(vec![op])).unwrap();
}

#[test]
fn reset_removes_topics_and_settings_and_creates_the_given_topics() {
    let mut cluster = TestCluster::started();
    let initial_configs = cluster.image().configs().clone();
    cluster.create_named("orders", 3);
    cluster.create_named("made-by-a-test", 1);
    set(&mut cluster, ConfigResource::topic("orders"), "retention.ms", "7");
    set(&mut cluster, ConfigResource::new(ConfigKind::Group, "g"), "consumer.session.timeout.ms", "50000");
    set(&mut cluster, ConfigResource::new(ConfigKind::Broker, ""), "log.retention.ms", "9");
    set(&mut cluster, ConfigResource::new(ConfigKind::Broker, ""), "min.insync.replicas", "3");

    let recreated = NewTopic { partitions: 2, ..cluster.topic("orders") };
    let done = reset(&mut cluster, vec![recreated.clone()]);
    assert_eq!(done.removed, 2);
    assert_eq!(done.created.iter().map(|(name, made)| (&**name, made.is_ok())).collect::<Vec<_>>(), [("orders", true)]);
    assert_eq!(names(cluster.image()), ["orders".into()]);
    assert_eq!(
        cluster.image().topic("orders").map(|topic| (topic.id, topic.partition_count())),
        Some((recreated.id, 2))
    );
    assert_eq!(cluster.image().configs(), &initial_configs);
    assert_eq!(cluster.restarted().image(), cluster.image());
}

#[test]
fn leader_epochs_and_producer_ids_continue_after_a_reset() {
    let mut cluster = TestCluster::started();
    let MetadataReply::AllocateProducerIds(Ok(before)) =
        cluster.run(MetadataCommand::AllocateProducerIds(AllocateProducerIds))
    else {
        panic!()
    };
    cluster.create_named("orders", 1);
    for round in 1..=3 {
        let epoch_before = cluster.image().partition("orders", 0).unwrap().leader_epoch;
        let recreated = cluster.topic("orders");
        reset(&mut cluster, vec![recreated]);
        let epoch = cluster.image().partition("orders", 0).unwrap().leader_epoch;
        assert!(epoch > epoch_before, "round {round}: {epoch} after {epoch_before}");
    }
    let MetadataReply::AllocateProducerIds(Ok(after)) =
        cluster.run(MetadataCommand::AllocateProducerIds(AllocateProducerIds))
    else {
        panic!()
    };
    assert_eq!(after.first, before.first + before.count);
}

#[test]
fn reset_removes_topics_if_topic_deletion_is_disabled() {
    let mut cluster = TestCluster::with(MetadataConfig { topic_deletion: false, ..config() }).start();
    cluster.create_named("orders", 1);
    assert_eq!(reset(&mut cluster, Vec::new()).removed, 1);
    assert_eq!(cluster.image().topic_count(), 0);
}

#[test]
fn reset_of_an_empty_cluster_writes_nothing() {
    let mut cluster = TestCluster::started();
    let written = cluster.log.len();
    assert_eq!(reset(&mut cluster, Vec::new()), ResetResult { removed: 0, created: Vec::new() });
    assert_eq!(cluster.log.len(), written);
}

#[test]
fn crash_between_the_batches_of_a_reset_keeps_the_old_state() {
    let mut cluster = TestCluster::started();
    for number in 0..50 {
        cluster.create_named(&format!("topic-{number}"), 1);
    }
    let before = cluster.image().clone();
    let (records, _) = cluster.decide(MetadataCommand::Reset(Reset::default()));
    let batches = batches(records, 100).unwrap();
    assert!(batches.len() > 3);
    for batch in &batches[..batches.len() - 1] {
        cluster.write(batch);
    }
    let mut restarted = cluster.restarted();
    assert_eq!(restarted.image(), &before);
    // The next reset is complete.
    assert_eq!(reset(&mut restarted, Vec::new()).removed, 50);
    assert_eq!(restarted.image().topic_count(), 0);
}
