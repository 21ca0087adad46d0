//! Topics come, grow and go.

use super::*;

#[test]
fn a_new_topic_has_what_was_asked_for() {
    let mut world = World::started();
    let configs = vec![("cleanup.policy".to_owned(), Some("compact".to_owned()))];
    let topic = NewTopic { partitions: 3, replication_factor: 1, configs, ..world.topic("orders") };
    let created = world.create(topic.clone()).unwrap();
    assert_eq!((created.id, created.partitions, created.replication_factor), (topic.id, 3, 1));
    assert_eq!(created.configs["cleanup.policy"], "compact");

    let image = world.image();
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
fn minus_one_means_the_brokers_default() {
    let mut world = World::with(MetadataConfig { default_partitions: 6, ..config() }).start();
    let topic = world.topic("t");
    let created = world.create(topic).unwrap();
    assert_eq!((created.partitions, created.replication_factor, created.clamped_from), (6, 1, None));
}

#[test]
fn names_are_checked() {
    let mut world = World::started();
    for name in ["", ".", "a b", "a/b", &"x".repeat(250)] {
        let topic = world.topic(name);
        assert_eq!(kind(world.create(topic)), "InvalidTopic", "{name}");
    }
    let topic = world.topic("__cluster_metadata");
    assert_eq!(kind(world.create(topic)), "InvalidRequest");
}

#[test]
fn a_name_is_free_once() {
    let mut world = World::started();
    world.create_named("a.b", 1);
    let again = world.topic("a.b");
    assert_eq!(kind(world.create(again)), "TopicAlreadyExists");
    let alike = world.topic("a_b");
    assert_eq!(world.create(alike).unwrap_err().to_string(), "Topic 'a_b' collides with existing topic: a.b");
    world.delete("a.b").unwrap();
    world.create_named("a_b", 1);
}

/// As in Kafka, where a request's topics are compared with those that are there.
#[test]
fn one_request_may_create_names_that_collide() {
    let mut world = World::started();
    let topics = ["a.b", "a_b"].map(|name| world.topic(name)).to_vec();
    world.run(Command::CreateTopics(CreateTopics { topics, validate_only: false }));
    assert_eq!(world.image().topic_count(), 2);
    world.delete("a.b").unwrap();
    assert_eq!(world.image().colliding_topic("a.b"), Some(&"a_b".into()));
    world.delete("a_b").unwrap();
    assert_eq!(world.image().colliding_topic("a.b"), None);
}

#[test]
fn each_topic_of_a_request_has_its_own_result() {
    let mut world = World::started();
    world.create_named("old", 1);
    let topics = ["new", "old", "twice", "twice", "bad name"].map(|name| world.topic(name)).to_vec();
    let Reply::TopicsCreated(results) = world.run(Command::CreateTopics(CreateTopics { topics, validate_only: false }))
    else {
        panic!()
    };
    let told: Vec<String> = results
        .into_iter()
        .map(|(name, it)| format!("{name}: {}", it.map_or_else(|e| kind::<()>(Err(e)), |_| "ok".into())))
        .collect();
    assert_eq!(told, ["new: ok", "old: TopicAlreadyExists", "twice: InvalidRequest", "bad name: InvalidTopic"]);
    assert_eq!(names(world.image()), ["new".into(), "old".into()] as [TopicName; 2]);
}

#[test]
fn counts_are_checked() {
    let mut world = World::started();
    let mut refusal = |partitions, replication_factor| {
        let topic = NewTopic { partitions, replication_factor, ..world.topic("t") };
        kind(world.create(topic))
    };
    assert_eq!(refusal(0, 1), "InvalidPartitions");
    assert_eq!(refusal(-2, 1), "InvalidPartitions");
    assert_eq!(refusal(1, 0), "InvalidReplicationFactor");
    assert_eq!(refusal(1, -2), "InvalidReplicationFactor");
    assert_eq!(refusal(10_001, 1), "PolicyViolation");
    assert_eq!(refusal(i32::MAX, 1), "PolicyViolation");
}

#[test]
fn the_limit_on_partitions_is_for_all_topics_of_a_request() {
    let mut world = World::started();
    let topics = ["a", "b", "c"].map(|name| NewTopic { partitions: i32::MAX / 2, ..world.topic(name) }).to_vec();
    let Reply::TopicsCreated(results) = world.run(Command::CreateTopics(CreateTopics { topics, validate_only: false }))
    else {
        panic!()
    };
    assert!(results.into_iter().all(|(_, result)| kind(result) == "PolicyViolation"));
}

#[test]
fn more_replicas_than_brokers_are_clamped_and_told() {
    let mut world = World::started();
    let topic = NewTopic { replication_factor: 3, ..world.topic("t") };
    let created = world.create(topic).unwrap();
    assert_eq!((created.replication_factor, created.clamped_from), (1, Some(3)));
}

#[test]
fn more_replicas_than_brokers_are_refused_where_that_is_wanted() {
    let mut world = World::with(MetadataConfig { replication: ReplicationFactorPolicy::Strict, ..config() }).start();
    let topic = NewTopic { replication_factor: 3, ..world.topic("t") };
    assert_eq!(kind(world.create(topic)), "InvalidReplicationFactor");
}

#[test]
fn replicas_can_be_assigned_by_hand() {
    let mut world = World::started();
    let topic = NewTopic { assignments: vec![(1, vec![NODE]), (0, vec![NODE])], ..world.topic("t") };
    let created = world.create(topic).unwrap();
    assert_eq!((created.partitions, created.replication_factor), (2, 1));
    assert_eq!(world.image().topic("t").unwrap().partition_count(), 2);
}

#[test]
fn replicas_assigned_to_brokers_that_are_not_there_are_clamped_like_their_number() {
    let assigned = |world: &mut World| {
        let topic = NewTopic { assignments: vec![(0, vec![8, NODE, 9]), (1, vec![NODE, 8, 9])], ..world.topic("t") };
        world.create(topic)
    };
    let mut world = World::started();
    let created = assigned(&mut world).unwrap();
    assert_eq!((created.replication_factor, created.clamped_from), (1, Some(3)));
    assert_eq!(world.grow("t", 3, Some(vec![vec![NODE, 8, 9]])), Ok(()));
    assert_eq!(kind(world.grow("t", 4, Some(vec![vec![8, 9]]))), "InvalidReplicaAssignment");
    let mut strict = World::with(MetadataConfig { replication: ReplicationFactorPolicy::Strict, ..config() }).start();
    assert_eq!(kind(assigned(&mut strict)), "InvalidReplicaAssignment");
}

#[test]
fn assignments_are_checked() {
    let mut world = World::started();
    let mut refusal = |assignments: &[(i32, &[i32])]| {
        let assignments = assignments.iter().map(|(index, replicas)| (*index, replicas.to_vec())).collect();
        let topic = NewTopic { assignments, ..world.topic("t") };
        kind(world.create(topic))
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
    let counted = NewTopic { partitions: 1, assignments: vec![(0, vec![NODE])], ..world.topic("t") };
    assert_eq!(kind(world.create(counted)), "InvalidRequest");
    let counted = NewTopic { replication_factor: 1, assignments: vec![(0, vec![NODE])], ..world.topic("t") };
    assert_eq!(kind(world.create(counted)), "InvalidRequest");
}

#[test]
fn settings_of_a_new_topic_are_checked() {
    let mut world = World::started();
    let mut refusal = |name: &str, value: Option<&str>| {
        let configs = vec![(name.to_owned(), value.map(str::to_owned))];
        let topic = NewTopic { configs, ..world.topic("t") };
        world.create(topic).unwrap_err()
    };
    assert_eq!(
        refusal("no.such", Some("1")),
        MetadataError::InvalidConfig("Unknown topic config name: no.such".into())
    );
    assert_eq!(kind::<()>(Err(refusal("retention.ms", Some("soon")))), "InvalidConfig");
    assert_eq!(kind::<()>(Err(refusal("retention.ms", None))), "InvalidConfig");
    assert_eq!(world.image().topic("t"), None);
}

#[test]
fn validating_leaves_no_trace() {
    let mut world = World::started();
    let written = world.log.len();
    let topic = world.topic("t");
    let request = CreateTopics { topics: vec![topic.clone()], validate_only: true };
    let Reply::TopicsCreated(results) = world.run(Command::CreateTopics(request)) else { panic!() };
    assert_eq!(results[0].1.as_ref().unwrap().id, topic.id);
    assert_eq!((world.log.len(), world.image().topic("t")), (written, None));
}

#[test]
fn topics_grow() {
    let mut world = World::started();
    world.create_named("t", 2);
    world.grow("t", 5, None).unwrap();
    assert_eq!(world.image().topic("t").unwrap().partition_count(), 5);
    world.grow("t", 6, Some(vec![vec![NODE]])).unwrap();
    assert_eq!(world.image().partition_count(), 6);
}

#[test]
fn growth_is_checked() {
    let mut world = World::started();
    world.create_named("t", 3);
    assert_eq!(kind(world.grow("t", 3, None)), "InvalidPartitions");
    assert_eq!(kind(world.grow("t", 2, None)), "InvalidPartitions");
    assert_eq!(kind(world.grow("t", -1, None)), "InvalidPartitions");
    assert_eq!(kind(world.grow("t", i32::MAX, None)), "PolicyViolation");
    assert_eq!(kind(world.grow("none", 3, None)), "UnknownTopicOrPartition");
    assert_eq!(kind(world.grow("t", 5, Some(vec![vec![NODE]]))), "InvalidReplicaAssignment");
    assert_eq!(kind(world.grow("t", 4, Some(vec![vec![2]]))), "InvalidReplicaAssignment");
    assert_eq!(kind(world.grow("t", 4, Some(vec![vec![]]))), "InvalidReplicaAssignment");
    assert_eq!(world.image().partition_count(), 3);
}

#[test]
fn a_deleted_topic_is_gone_with_its_settings() {
    let mut world = World::started();
    let configs = vec![("retention.ms".to_owned(), Some("1".to_owned()))];
    let topic = NewTopic { configs, ..world.topic("t") };
    let id = world.create(topic).unwrap().id;
    world.delete("t").unwrap();
    let image = world.image();
    assert_eq!((image.topic("t"), image.topic_by_id(id)), (None, None));
    assert!(image.topic_configs("t").is_empty());
    assert_eq!((image.topic_count(), image.partition_count()), (0, 0));
    assert_eq!(kind(world.delete("t")), "UnknownTopicOrPartition");
}

#[test]
fn topics_are_deleted_by_name_or_id_and_answered_in_order() {
    let mut world = World::started();
    let [a, b, c] = ["a", "b", "c"].map(|name| world.create_named(name, 1).id);
    let (name, id) = (|name: &str| TopicRef::Name(name.into()), TopicRef::Id);
    let wanted = vec![name("a"), id(b), name("none"), id(Uuid([99; 16])), name("c"), id(c), name("a2"), name("a2")];
    let Reply::TopicsDeleted(results) = world.run(Command::DeleteTopics(wanted)) else { panic!() };
    let told: Vec<_> = results
        .into_iter()
        .map(|it| (it.name, it.id, it.result.map_or_else(|e| kind::<()>(Err(e)), |()| "ok".to_owned())))
        .collect();
    let expected = [
        (Some("a"), a, "ok"),
        (Some("b"), b, "ok"),
        (Some("none"), Uuid::ZERO, "UnknownTopicOrPartition"),
        (None, Uuid([99; 16]), "UnknownTopicId"),
        // By name and by id: told once.
        (Some("c"), c, "InvalidRequest"),
        (Some("a2"), Uuid::ZERO, "InvalidRequest"),
    ];
    let expected: Vec<_> =
        expected.into_iter().map(|(name, id, told)| (name.map(TopicName::from), id, told.to_owned())).collect();
    assert_eq!(told, expected);
    assert_eq!(names(world.image()), ["c".into()] as [TopicName; 1]);
}

#[test]
fn deletion_can_be_switched_off() {
    let mut world = World::with(MetadataConfig { topic_deletion: false, ..config() }).start();
    world.create_named("t", 1);
    assert_eq!(kind(world.delete("t")), "TopicDeletionDisabled");
    assert!(world.image().topic("t").is_some());
}

#[test]
fn a_recreated_name_never_falls_back_to_an_earlier_leader_epoch() {
    let mut world = World::started();
    let mut last = -1;
    for round in 0..3 {
        world.create_named("t", 1);
        world.grow("t", 3, None).unwrap();
        for index in 0..3 {
            let epoch = world.image().partition("t", index).unwrap().leader_epoch;
            assert!(epoch > last, "round {round}: {epoch} after {last}");
        }
        last = world.image().partition("t", 2).unwrap().leader_epoch;
        world.delete("t").unwrap();
        // Neither a restart nor the loss of the log before a snapshot makes the broker forget.
        world = if round == 0 { world.restarted() } else { world.cut_to_snapshot() };
    }
}

#[test]
fn internal_topics_are_as_kafka_makes_them() {
    let mut world = World::started();
    let id = world.id();
    world.create(NewTopic::consumer_offsets(id, 50, 104_857_600)).unwrap();
    let id = world.id();
    world.create(NewTopic::transaction_state(id, 50, 104_857_600)).unwrap();
    let image = world.image();
    let offsets = image.topic(CONSUMER_OFFSETS).unwrap();
    assert!(offsets.is_internal() && image.topic(TRANSACTION_STATE).unwrap().is_internal());
    assert_eq!(offsets.partition_count(), 50);
    assert_eq!(image.topic_configs(CONSUMER_OFFSETS)["cleanup.policy"], "compact");
    assert_eq!(image.topic_configs(TRANSACTION_STATE)["segment.bytes"], "104857600");
}

#[test]
fn an_image_that_somebody_reads_stays_as_it_is() {
    let mut world = World::started();
    world.create_named("a", 1);
    let before = world.image().clone();
    world.grow("a", 2, None).unwrap();
    world.create_named("b", 1);
    world.delete("a").unwrap();
    assert_eq!(names(&before), ["a".into()] as [TopicName; 1]);
    assert_eq!(before.topic("a").unwrap().partition_count(), 1);
    assert_eq!(names(world.image()), ["b".into()] as [TopicName; 1]);
}
