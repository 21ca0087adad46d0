//! Property: the image is the same after live commands, after replay of the log, and after a snapshot.

use proptest::prelude::*;

use super::*;

/// Few names, so that commands affect the same topics. Some names collide, some are illegal.
const NAMES: [&str; 5] = ["a", "b.c", "b_c", "bad name", "__consumer_offsets"];

fn name() -> impl Strategy<Value = TopicName> {
    prop::sample::select(&NAMES[..]).prop_map(TopicName::from)
}

fn topic_setting() -> impl Strategy<Value = (String, Option<String>)> {
    let names = prop::sample::select(&["retention.ms", "cleanup.policy", "no.such"][..]);
    let values = prop::sample::select(&[Some("1"), Some("compact"), Some("delete,compact"), None][..]);
    (names, values).prop_map(|(name, value)| (name.to_owned(), value.map(str::to_owned)))
}

fn new_topic() -> impl Strategy<Value = NewTopic> {
    let assignments =
        prop::option::weighted(0.2, prop::collection::vec((0..3, prop::collection::vec(1..3, 0..3)), 1..3));
    (name(), -1..5, -1i16..3, assignments, prop::collection::vec(topic_setting(), 0..3)).prop_map(
        |(name, partitions, replication_factor, assignments, configs)| match assignments {
            Some(assignments) => NewTopic { assignments, configs, ..NewTopic::new(name, Uuid::ZERO) },
            None => NewTopic { partitions, replication_factor, configs, ..NewTopic::new(name, Uuid::ZERO) },
        },
    )
}

fn resource() -> impl Strategy<Value = ConfigResource> {
    prop_oneof![
        name().prop_map(ConfigResource::topic),
        prop::sample::select(&["", "1", "2"][..]).prop_map(|name| ConfigResource::new(ConfigKind::Broker, name)),
        name().prop_map(|name| ConfigResource::new(ConfigKind::Group, name)),
    ]
}

fn alteration() -> impl Strategy<Value = Alteration> {
    let kinds = prop::sample::select(&[OpKind::Set, OpKind::Delete, OpKind::Append, OpKind::Subtract][..]);
    let names = prop::sample::select(&["retention.ms", "cleanup.policy", "log.retention.ms", "node.id"][..]);
    let values = prop::sample::select(&[Some("1"), Some("compact"), None][..]);
    let op = (names, kinds, values).prop_map(|(name, kind, value)| ConfigOp {
        name: name.to_owned(),
        kind,
        value: value.map(str::to_owned),
    });
    prop_oneof![
        prop::collection::vec(op, 0..3).prop_map(Alteration::Incremental),
        prop::collection::vec(topic_setting(), 0..3).prop_map(Alteration::Replace),
    ]
}

fn command() -> impl Strategy<Value = MetadataCommand> {
    let create = (prop::collection::vec(new_topic(), 1..4), any::<bool>()).prop_map(|(topics, validate_only)| {
        MetadataCommand::CreateTopics(CreateTopics { topics, validate_only, quota: Default::default() })
    });
    let delete = prop::collection::vec(name().prop_map(TopicRef::Name), 1..3)
        .prop_map(|topics| MetadataCommand::DeleteTopics(DeleteTopics { topics, ..Default::default() }));
    let grow = (name(), 0..8).prop_map(|(name, count)| {
        let topics = vec![NewPartitions { name, count, assignments: None }];
        MetadataCommand::CreatePartitions(CreatePartitions { topics, validate_only: false, quota: Default::default() })
    });
    let alter = (resource(), alteration()).prop_map(|(resource, how)| {
        MetadataCommand::AlterConfigs(AlterConfigs {
            changes: vec![ConfigChange { resource, how }],
            validate_only: false,
        })
    });
    let register = (9092u16..9095).prop_map(|port| {
        let mut registration = registration();
        registration.endpoints[0].port = port;
        MetadataCommand::RegisterBroker(registration)
    });
    prop_oneof![4 => create, 2 => delete, 2 => grow, 3 => alter, 1 => register, 1 => Just(MetadataCommand::AllocateProducerIds(AllocateProducerIds))]
}

/// Runs a command; topics get unique ids.
fn run(cluster: &mut TestCluster, mut command: MetadataCommand) {
    if let MetadataCommand::CreateTopics(request) = &mut command {
        request.topics.iter_mut().for_each(|topic| topic.id = cluster.id());
    }
    cluster.run(command);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn live_replayed_and_snapshot_images_are_equal(commands in prop::collection::vec(command(), 1..40)) {
        let mut cluster = TestCluster::started();
        for command in commands {
            run(&mut cluster, command);
        }
        let (restarted, recovered_from_snapshot) = (cluster.restarted(), cluster.recovered_from_snapshot());
        prop_assert_eq!(restarted.image(), cluster.image());
        prop_assert_eq!(recovered_from_snapshot.image(), cluster.image());
    }

    /// The leader epochs of a topic name never decrease.
    #[test]
    fn leader_epochs_of_a_name_never_decrease(commands in prop::collection::vec(command(), 1..40)) {
        let mut cluster = TestCluster::started();
        let mut seen = std::collections::HashMap::new();
        for command in commands {
            run(&mut cluster, command);
            for topic in cluster.image().topics() {
                for (index, partition) in topic.partitions() {
                    let (id, epoch) = (topic.id, partition.leader_epoch);
                    if let Some((before, last)) = seen.insert((topic.name.clone(), index), (id, epoch)) {
                        prop_assert!(epoch > last || (epoch == last && id == before));
                    }
                }
            }
        }
    }
}
