//! AlterClientQuotas. What Kafka answers to more requests is in the table of its answers.

use super::*;

type Entity<'a> = &'a [(&'a str, Option<&'a str>)];

fn entity(parts: Entity) -> QuotaEntity {
    parts.iter().map(|(kind, name)| (kind.to_string(), name.map(str::to_owned))).collect()
}

fn alteration(parts: Entity, ops: &[(&str, Option<f64>)]) -> QuotaAlteration {
    let ops = ops.iter().map(|(key, value)| (key.to_string(), *value)).collect();
    QuotaAlteration { entity: entity(parts), ops }
}

fn alter(cluster: &mut TestCluster, alterations: Vec<QuotaAlteration>, validate_only: bool) -> Vec<Result<(), String>> {
    let request = AlterClientQuotas { alterations, unresolvable: ["nowhere".to_owned()].into(), validate_only };
    match cluster.run(MetadataCommand::AlterClientQuotas(request)) {
        MetadataReply::AlterClientQuotas(results) => {
            results.into_iter().map(|(_, result)| result.map_err(|error| error.to_string())).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn quotas(cluster: &TestCluster) -> Vec<(QuotaEntity, String, f64)> {
    let quotas = cluster.image().client_quotas();
    quotas.map(|(entity, key, value)| (entity.clone(), key.to_owned(), value)).collect()
}

const USER_AND_CLIENT: Entity = &[("user", Some("u")), ("client-id", None)];

#[test]
fn altered_quotas_are_in_the_image_and_survive_restart_and_snapshot() {
    let mut cluster = TestCluster::started();
    let ops = [("producer_byte_rate", Some(1_000.0)), ("request_percentage", Some(12.5))];
    assert_eq!(alter(&mut cluster, vec![alteration(USER_AND_CLIENT, &ops)], false), [Ok(())]);
    let ops = [("producer_byte_rate", None), ("consumer_byte_rate", None), ("request_percentage", Some(50.0))];
    assert_eq!(alter(&mut cluster, vec![alteration(USER_AND_CLIENT, &ops)], false), [Ok(())]);
    let mut sorted = entity(USER_AND_CLIENT);
    sorted.sort();
    let expected = [(sorted, "request_percentage".to_owned(), 50.0)];
    assert_eq!(quotas(&cluster), expected);
    assert_eq!(quotas(&cluster.restarted()), expected);
    assert_eq!(quotas(&cluster.recovered_from_snapshot()), expected);
}

#[test]
fn reset_removes_quotas() {
    let mut cluster = TestCluster::started();
    assert_eq!(
        alter(&mut cluster, vec![alteration(USER_AND_CLIENT, &[("request_percentage", Some(1.0))])], false),
        [Ok(())]
    );
    cluster.run(MetadataCommand::Reset(Reset::default()));
    assert_eq!(quotas(&cluster), []);
}

/// Permits changes of at most this many partitions in all.
struct AtMost(std::sync::Mutex<usize>);

impl PermitMutations for AtMost {
    fn permit(&self, partitions: usize) -> bool {
        let mut left = self.0.lock().unwrap();
        let permitted = *left >= partitions;
        *left -= if permitted { partitions } else { 0 };
        permitted
    }
}

#[test]
fn topics_above_the_mutation_quota_are_refused_and_invalid_ones_do_not_count() {
    let mut cluster = TestCluster::started();
    let quota = MutationQuota(Some(Arc::new(AtMost(10.into()))));
    let mut topic = |name: &str, partitions| NewTopic { partitions, ..cluster.topic(name) };
    let topics = vec![topic("a", 4), topic("not/valid", 4), topic("b", 7), topic("c", 2)];
    let create = CreateTopics { topics, validate_only: false, quota: quota.clone() };
    let MetadataReply::CreateTopics(results) = cluster.run(MetadataCommand::CreateTopics(create)) else { panic!() };
    let errors: Vec<_> = results.iter().map(|(_, result)| result.as_ref().err().map(ToString::to_string)).collect();
    assert_eq!(errors[2].as_deref(), Some("The throttling quota has been exceeded."));
    assert_eq!((errors[0].is_none(), errors[1].is_some(), errors[3].is_none()), (true, true, true));
    // Four permits are left.
    let grow = |name: &str, count| NewPartitions { name: name.into(), count, assignments: None };
    let topics = vec![grow("a", 9), grow("c", 4)];
    let grow = CreatePartitions { topics, validate_only: true, quota: quota.clone() };
    let MetadataReply::CreatePartitions(results) = cluster.run(MetadataCommand::CreatePartitions(grow)) else {
        panic!()
    };
    assert_eq!(results[0].1, Err(MetadataError::ThrottlingQuotaExceeded));
    assert_eq!(results[1].1, Ok(()), "a request that only validates counts, as in Kafka");
    let topics = ["a", "c"].map(|name| TopicRef::Name(name.into())).to_vec();
    let MetadataReply::DeleteTopics(results) =
        cluster.run(MetadataCommand::DeleteTopics(DeleteTopics { topics, quota }))
    else {
        panic!()
    };
    let results: Vec<_> = results.into_iter().map(|deletion| deletion.result).collect();
    assert_eq!(results, [Err(MetadataError::ThrottlingQuotaExceeded), Ok(())]);
}

#[test]
fn unchanged_and_validated_quotas_write_no_record() {
    let mut cluster = TestCluster::started();
    let set = || vec![alteration(USER_AND_CLIENT, &[("producer_byte_rate", Some(1_000.0))])];
    let before = cluster.log.len();
    assert_eq!(alter(&mut cluster, set(), true), [Ok(())]);
    assert_eq!(cluster.log.len(), before);
    assert_eq!(alter(&mut cluster, set(), false), [Ok(())]);
    assert_eq!(cluster.log.len(), before + 1);
    assert_eq!(alter(&mut cluster, set(), false), [Ok(())]);
    assert_eq!(cluster.log.len(), before + 1);
}

#[test]
fn one_bad_value_rejects_its_entity_and_no_other() {
    let mut cluster = TestCluster::started();
    let alterations = vec![
        alteration(&[("user", Some("u"))], &[("producer_byte_rate", Some(10.0)), ("request_percentage", Some(0.0))]),
        alteration(&[("client-id", Some("c"))], &[("producer_byte_rate", Some(10.0))]),
        alteration(&[("ip", Some("nowhere"))], &[("connection_creation_rate", Some(10.0))]),
        alteration(&[("ip", Some("nowhere")), ("user", None)], &[("connection_creation_rate", Some(10.0))]),
    ];
    let mut results = alter(&mut cluster, alterations, false);
    results.sort();
    let refused = |message: &str| Err(message.to_owned());
    assert_eq!(
        results,
        [
            Ok(()),
            refused("Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId"),
            refused("Quota request_percentage must be greater than 0"),
            refused("nowhere is not a valid IP or resolvable host."),
        ]
    );
    assert_eq!(quotas(&cluster), [(entity(&[("client-id", Some("c"))]), "producer_byte_rate".to_owned(), 10.0)]);
}
