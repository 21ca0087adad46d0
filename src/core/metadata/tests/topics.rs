//! Creation and deletion of topics and partitions.

use super::*;

#[test]
fn created_topic_has_the_requested_partitions_and_settings() {
    let mut cluster = TestCluster::started();
    let configs = vec![("cleanup.policy".to_owned(), Some("compact".to_owned()))];
    let topic = NewTopic { partitions: 3, replication_factor: 1, configs, ..cluster.topic("orders") };
    let created = cluster.create(topic.clone()).unwrap();
    assert_eq!((created.id, created.partitions, created.replication_factor), (topic.id, 3, 1));
    assert_eq!(created.configs["cleanup.policy"], "compact");

    let image = cluster.image();
    let found = image.topic("orders").unwrap();
    assert_eq!(found, image.topic_by_id(topic.id).unwrap());
    assert_eq!(found.partition_count(), 3);
    assert_eq!(image.topic_configs("orders"), &created.configs);
    let partition = image.partition("orders", 2).unwrap();
    assert_eq!((partition.leader, partition.leader_epoch, partition.partition_epoch), (NODE, 0, 0));
    assert_eq!((&*partition.replicas, &*partition.isr), (&[NODE][..], &[NODE][..]));
    assert_eq!(*partition.directories, [DIRECTORY]);
    assert_eq!(image.partition("orders", 3), None);
    assert_eq!((image.topic_count(), image.partition_count()), (1, 3));
}

#[test]
fn create_topic_with_minus_one_uses_the_brokers_defaults() {
    let mut cluster = TestCluster::with(MetadataConfig { default_partitions: 6, ..config() }).start();
    let topic = cluster.topic("t");
    let created = cluster.create(topic).unwrap();
    assert_eq!((created.partitions, created.replication_factor, created.clamped_from), (6, 1, None));
}

#[test]
fn create_topic_with_illegal_name_is_rejected() {
    let mut cluster = TestCluster::started();
    for name in ["", ".", "a b", "a/b", &"x".repeat(250)] {
        let topic = cluster.topic(name);
        assert_eq!(kind(cluster.create(topic)), "InvalidTopic", "{name}");
    }
    let topic = cluster.topic("__cluster_metadata");
    assert_eq!(kind(cluster.create(topic)), "InvalidRequest");
}

#[test]
fn create_topic_with_existing_or_colliding_name_is_rejected() {
    let mut cluster = TestCluster::started();
    cluster.create_named("a.b", 1);
    let again = cluster.topic("a.b");
    assert_eq!(kind(cluster.create(again)), "TopicAlreadyExists");
    let colliding = cluster.topic("a_b");
    assert_eq!(cluster.create(colliding).unwrap_err().to_string(), "Topic 'a_b' collides with existing topic: a.b");
    cluster.delete("a.b").unwrap();
    cluster.create_named("a_b", 1);
}

/// As in Kafka, which compares names only with existing topics.
#[test]
fn one_request_can_create_names_that_collide() {
    let mut cluster = TestCluster::started();
    let topics = ["a.b", "a_b"].map(|name| cluster.topic(name)).to_vec();
    cluster.run(MetadataCommand::CreateTopics(CreateTopics {
        topics,
        validate_only: false,
        quota: Default::default(),
    }));
    assert_eq!(cluster.image().topic_count(), 2);
    cluster.delete("a.b").unwrap();
    assert_eq!(cluster.image().colliding_topic("a.b"), Some(&"a_b".into()));
    cluster.delete("a_b").unwrap();
    assert_eq!(cluster.image().colliding_topic("a.b"), None);
}

#[test]
fn create_topics_returns_a_result_for_each_name() {
    let mut cluster = TestCluster::started();
    cluster.create_named("old", 1);
    let topics = ["new", "old", "twice", "twice", "bad name"].map(|name| cluster.topic(name)).to_vec();
    let MetadataReply::CreateTopics(results) = cluster.run(MetadataCommand::CreateTopics(CreateTopics {
        topics,
        validate_only: false,
        quota: Default::default(),
    })) else {
        panic!()
    };
    let results: Vec<String> = results
        .into_iter()
        .map(|(name, it)| format!("{name}: {}", it.map_or_else(|e| kind::<()>(Err(e)), |_| "ok".into())))
        .collect();
    assert_eq!(results, ["new: ok", "old: TopicAlreadyExists", "twice: InvalidRequest", "bad name: InvalidTopic"]);
    assert_eq!(names(cluster.image()), ["new".into(), "old".into()] as [TopicName; 2]);
}

#[test]
fn create_topic_with_invalid_counts_is_rejected() {
    let mut cluster = TestCluster::started();
    let mut refusal = |partitions, replication_factor| {
        let topic = NewTopic { partitions, replication_factor, ..cluster.topic("t") };
        kind(cluster.create(topic))
    };
    assert_eq!(refusal(0, 1), "InvalidPartitions");
    assert_eq!(refusal(-2, 1), "InvalidPartitions");
    assert_eq!(refusal(1, 0), "InvalidReplicationFactor");
    assert_eq!(refusal(1, -2), "InvalidReplicationFactor");
    assert_eq!(refusal(10_001, 1), "PolicyViolation");
    assert_eq!(refusal(i32::MAX, 1), "PolicyViolation");
}

#[test]
fn partition_limit_counts_all_topics_of_a_request() {
    let mut cluster = TestCluster::started();
    let topics = ["a", "b", "c"].map(|name| NewTopic { partitions: i32::MAX / 2, ..cluster.topic(name) }).to_vec();
    let MetadataReply::CreateTopics(results) = cluster.run(MetadataCommand::CreateTopics(CreateTopics {
        topics,
        validate_only: false,
        quota: Default::default(),
    })) else {
        panic!()
    };
    assert!(results.into_iter().all(|(_, result)| kind(result) == "PolicyViolation"));
}

#[test]
fn replication_factor_above_brokers_is_clamped_and_reported() {
    let mut cluster = TestCluster::started();
    let topic = NewTopic { replication_factor: 3, ..cluster.topic("t") };
    let created = cluster.create(topic).unwrap();
    assert_eq!((created.replication_factor, created.clamped_from), (1, Some(3)));
}

#[test]
fn replication_factor_above_brokers_is_rejected_with_strict_policy() {
    let mut cluster =
        TestCluster::with(MetadataConfig { replication: ReplicationFactorPolicy::Strict, ..config() }).start();
    let topic = NewTopic { replication_factor: 3, ..cluster.topic("t") };
    assert_eq!(kind(cluster.create(topic)), "InvalidReplicationFactor");
}

#[test]
fn create_topic_with_manual_assignment_succeeds() {
    let mut cluster = TestCluster::started();
    let topic = NewTopic { assignments: vec![(1, vec![NODE]), (0, vec![NODE])], ..cluster.topic("t") };
    let created = cluster.create(topic).unwrap();
    assert_eq!((created.partitions, created.replication_factor), (2, 1));
    assert_eq!(cluster.image().topic("t").unwrap().partition_count(), 2);
}

#[test]
fn manual_assignment_to_unknown_brokers_is_clamped() {
    let assigned = |cluster: &mut TestCluster| {
        let topic = NewTopic { assignments: vec![(0, vec![8, NODE, 9]), (1, vec![NODE, 8, 9])], ..cluster.topic("t") };
        cluster.create(topic)
    };
    let mut cluster = TestCluster::started();
    let created = assigned(&mut cluster).unwrap();
    assert_eq!((created.replication_factor, created.clamped_from), (1, Some(3)));
    assert_eq!(cluster.grow("t", 3, Some(vec![vec![NODE, 8, 9]])), Ok(()));
    assert_eq!(kind(cluster.grow("t", 4, Some(vec![vec![8, 9]]))), "InvalidReplicaAssignment");
    let mut strict =
        TestCluster::with(MetadataConfig { replication: ReplicationFactorPolicy::Strict, ..config() }).start();
    assert_eq!(kind(assigned(&mut strict)), "InvalidReplicaAssignment");
}

#[test]
fn invalid_manual_assignments_are_rejected() {
    let mut cluster = TestCluster::started();
    let mut refusal = |assignments: &[(i32, &[i32])]| {
        let assignments = assignments.iter().map(|(index, replicas)| (*index, replicas.to_vec())).collect();
        let topic = NewTopic { assignments, ..cluster.topic("t") };
        kind(cluster.create(topic))
    };
    for wrong in [
        &[(0, &[][..])][..],
        &[(0, &[2])],
        &[(0, &[1, 1])],
        &[(0, &[1]), (0, &[1])],
        &[(1, &[1])],
        &[(0, &[1]), (2, &[1])],
        &[(0, &[1, 2]), (1, &[1])],
        &[(-1, &[1])],
    ] {
        assert_eq!(refusal(wrong), "InvalidReplicaAssignment", "{wrong:?}");
    }
    let counted = NewTopic { partitions: 1, assignments: vec![(0, vec![NODE])], ..cluster.topic("t") };
    assert_eq!(kind(cluster.create(counted)), "InvalidRequest");
    let counted = NewTopic { replication_factor: 1, assignments: vec![(0, vec![NODE])], ..cluster.topic("t") };
    assert_eq!(kind(cluster.create(counted)), "InvalidRequest");
}

#[test]
fn create_topic_with_invalid_settings_is_rejected() {
    let mut cluster = TestCluster::started();
    let mut refusal = |name: &str, value: Option<&str>| {
        let configs = vec![(name.to_owned(), value.map(str::to_owned))];
        let topic = NewTopic { configs, ..cluster.topic("t") };
        cluster.create(topic).unwrap_err()
    };
    assert_eq!(
        refusal("no.such", Some("1")),
        MetadataError::InvalidConfig("Unknown topic config name: no.such".into())
    );
    assert_eq!(kind::<()>(Err(refusal("retention.ms", Some("soon")))), "InvalidConfig");
    assert_eq!(kind::<()>(Err(refusal("retention.ms", None))), "InvalidConfig");
    assert_eq!(cluster.image().topic("t"), None);
}

#[test]
fn validate_only_creates_no_topic() {
    let mut cluster = TestCluster::started();
    let written = cluster.log.len();
    let topic = cluster.topic("t");
    let request = CreateTopics { topics: vec![topic.clone()], validate_only: true, quota: Default::default() };
    let MetadataReply::CreateTopics(results) = cluster.run(MetadataCommand::CreateTopics(request)) else { panic!() };
    assert_eq!(results[0].1.as_ref().unwrap().id, topic.id);
    assert_eq!((cluster.log.len(), cluster.image().topic("t")), (written, None));
}

#[test]
fn create_partitions_adds_partitions() {
    let mut cluster = TestCluster::started();
    cluster.create_named("t", 2);
    cluster.grow("t", 5, None).unwrap();
    assert_eq!(cluster.image().topic("t").unwrap().partition_count(), 5);
    cluster.grow("t", 6, Some(vec![vec![NODE]])).unwrap();
    assert_eq!(cluster.image().partition_count(), 6);
}

#[test]
fn invalid_create_partitions_is_rejected() {
    let mut cluster = TestCluster::started();
    cluster.create_named("t", 3);
    assert_eq!(kind(cluster.grow("t", 3, None)), "InvalidPartitions");
    assert_eq!(kind(cluster.grow("t", 2, None)), "InvalidPartitions");
    assert_eq!(kind(cluster.grow("t", -1, None)), "InvalidPartitions");
    assert_eq!(kind(cluster.grow("t", i32::MAX, None)), "PolicyViolation");
    assert_eq!(kind(cluster.grow("none", 3, None)), "UnknownTopicOrPartition");
    assert_eq!(kind(cluster.grow("t", 5, Some(vec![vec![NODE]]))), "InvalidReplicaAssignment");
    assert_eq!(kind(cluster.grow("t", 4, Some(vec![vec![2]]))), "InvalidReplicaAssignment");
    assert_eq!(kind(cluster.grow("t", 4, Some(vec![vec![]]))), "InvalidReplicaAssignment");
    assert_eq!(cluster.image().partition_count(), 3);
}

#[test]
fn deleted_topic_is_removed_with_its_settings() {
    let mut cluster = TestCluster::started();
    let configs = vec![("retention.ms".to_owned(), Some("1".to_owned()))];
    let topic = NewTopic { configs, ..cluster.topic("t") };
    let id = cluster.create(topic).unwrap().id;
    cluster.delete("t").unwrap();
    let image = cluster.image();
    assert_eq!((image.topic("t"), image.topic_by_id(id)), (None, None));
    assert!(image.topic_configs("t").is_empty());
    assert_eq!((image.topic_count(), image.partition_count()), (0, 0));
    assert_eq!(kind(cluster.delete("t")), "UnknownTopicOrPartition");
}

#[test]
fn delete_topics_by_name_and_id_returns_results_in_request_order() {
    let mut cluster = TestCluster::started();
    let [a, b, c] = ["a", "b", "c"].map(|name| cluster.create_named(name, 1).id);
    let (name, id) = (|name: &str| TopicRef::Name(name.into()), TopicRef::Id);
    let wanted = vec![name("a"), id(b), name("none"), id(Uuid([99; 16])), name("c"), id(c), name("a2"), name("a2")];
    let MetadataReply::DeleteTopics(results) =
        cluster.run(MetadataCommand::DeleteTopics(DeleteTopics { topics: wanted, ..Default::default() }))
    else {
        panic!()
    };
    let results: Vec<_> = results
        .into_iter()
        .map(|it| (it.name, it.id, it.result.map_or_else(|e| kind::<()>(Err(e)), |()| "ok".to_owned())))
        .collect();
    let expected = [
        (Some("a"), a, "ok"),
        (Some("b"), b, "ok"),
        (Some("none"), Uuid::ZERO, "UnknownTopicOrPartition"),
        (None, Uuid([99; 16]), "UnknownTopicId"),
        // Given by name and by id: one result.
        (Some("c"), c, "InvalidRequest"),
        (Some("a2"), Uuid::ZERO, "InvalidRequest"),
    ];
    let expected: Vec<_> =
        expected.into_iter().map(|(name, id, result)| (name.map(TopicName::from), id, result.to_owned())).collect();
    assert_eq!(results, expected);
    assert_eq!(names(cluster.image()), ["c".into()] as [TopicName; 1]);
}

#[test]
fn delete_topics_is_rejected_if_deletion_is_disabled() {
    let mut cluster = TestCluster::with(MetadataConfig { topic_deletion: false, ..config() }).start();
    cluster.create_named("t", 1);
    assert_eq!(kind(cluster.delete("t")), "TopicDeletionDisabled");
    assert!(cluster.image().topic("t").is_some());
}

#[test]
fn recreated_topic_starts_with_a_higher_leader_epoch() {
    let mut cluster = TestCluster::started();
    let mut last = -1;
    for round in 0..3 {
        cluster.create_named("t", 1);
        cluster.grow("t", 3, None).unwrap();
        for index in 0..3 {
            let epoch = cluster.image().partition("t", index).unwrap().leader_epoch;
            assert!(epoch > last, "round {round}: {epoch} after {last}");
        }
        last = cluster.image().partition("t", 2).unwrap().leader_epoch;
        cluster.delete("t").unwrap();
        // The floor survives a restart and a snapshot.
        cluster = if round == 0 { cluster.restarted() } else { cluster.recovered_from_snapshot() };
    }
}

#[test]
fn internal_topics_have_kafkas_settings() {
    let mut cluster = TestCluster::started();
    let id = cluster.id();
    cluster.create(NewTopic::consumer_offsets(id, 50, 104_857_600)).unwrap();
    let id = cluster.id();
    cluster.create(NewTopic::transaction_state(id, 50, 104_857_600)).unwrap();
    let image = cluster.image();
    let offsets = image.topic(CONSUMER_OFFSETS).unwrap();
    assert!(offsets.is_internal() && image.topic(TRANSACTION_STATE).unwrap().is_internal());
    assert_eq!(offsets.partition_count(), 50);
    assert_eq!(image.topic_configs(CONSUMER_OFFSETS)["cleanup.policy"], "compact");
    assert_eq!(image.topic_configs(TRANSACTION_STATE)["segment.bytes"], "104857600");
}

#[test]
fn cloned_image_does_not_change_with_the_machine() {
    let mut cluster = TestCluster::started();
    cluster.create_named("a", 1);
    let before = cluster.image().clone();
    cluster.grow("a", 2, None).unwrap();
    cluster.create_named("b", 1);
    cluster.delete("a").unwrap();
    assert_eq!(names(&before), ["a".into()] as [TopicName; 1]);
    assert_eq!(before.topic("a").unwrap().partition_count(), 1);
    assert_eq!(names(cluster.image()), ["b".into()] as [TopicName; 1]);
}
