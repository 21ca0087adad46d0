//! The supported APIs and versions, which ApiVersions returns.
//!
//! Invariant: a version is listed only if its handler implements all of it.

use std::ops::RangeInclusive;

use ottla_wire::protocol::ApiKey;

/// The supported APIs with their versions, in the order of their keys.
pub const SERVED: &[(ApiKey, RangeInclusive<i16>)] = &[
    (ApiKey::Produce, 0..=13),
    (ApiKey::Fetch, 0..=18),
    (ApiKey::ListOffsets, 0..=11),
    (ApiKey::Metadata, 0..=13),
    (ApiKey::OffsetCommit, 0..=10),
    (ApiKey::OffsetFetch, 0..=10),
    (ApiKey::FindCoordinator, 0..=6),
    (ApiKey::JoinGroup, 0..=9),
    (ApiKey::Heartbeat, 0..=4),
    (ApiKey::LeaveGroup, 0..=5),
    (ApiKey::SyncGroup, 0..=5),
    (ApiKey::DescribeGroups, 0..=6),
    (ApiKey::ListGroups, 0..=5),
    (ApiKey::SaslHandshake, 0..=1),
    (ApiKey::ApiVersions, 0..=5),
    (ApiKey::CreateTopics, 0..=7),
    (ApiKey::DeleteTopics, 0..=6),
    (ApiKey::DeleteRecords, 0..=2),
    (ApiKey::InitProducerId, 0..=5),
    (ApiKey::OffsetForLeaderEpoch, 0..=4),
    (ApiKey::AddPartitionsToTxn, 0..=5),
    (ApiKey::AddOffsetsToTxn, 0..=4),
    (ApiKey::EndTxn, 0..=5),
    (ApiKey::WriteTxnMarkers, 1..=2),
    (ApiKey::TxnOffsetCommit, 0..=6),
    (ApiKey::DescribeAcls, 0..=3),
    (ApiKey::CreateAcls, 0..=3),
    (ApiKey::DeleteAcls, 0..=3),
    (ApiKey::DescribeConfigs, 0..=4),
    (ApiKey::AlterConfigs, 0..=2),
    (ApiKey::AlterReplicaLogDirs, 0..=2),
    (ApiKey::DescribeLogDirs, 0..=5),
    (ApiKey::SaslAuthenticate, 0..=2),
    (ApiKey::CreatePartitions, 0..=3),
    (ApiKey::CreateDelegationToken, 0..=3),
    (ApiKey::RenewDelegationToken, 0..=2),
    (ApiKey::ExpireDelegationToken, 0..=2),
    (ApiKey::DescribeDelegationToken, 0..=3),
    (ApiKey::DeleteGroups, 0..=3),
    (ApiKey::ElectLeaders, 0..=2),
    (ApiKey::IncrementalAlterConfigs, 0..=1),
    (ApiKey::AlterPartitionReassignments, 0..=1),
    (ApiKey::ListPartitionReassignments, 0..=0),
    (ApiKey::OffsetDelete, 0..=0),
    (ApiKey::DescribeClientQuotas, 0..=1),
    (ApiKey::AlterClientQuotas, 0..=1),
    (ApiKey::DescribeUserScramCredentials, 0..=0),
    (ApiKey::AlterUserScramCredentials, 0..=0),
    (ApiKey::DescribeQuorum, 0..=2),
    (ApiKey::UpdateFeatures, 0..=2),
    (ApiKey::DescribeCluster, 0..=2),
    (ApiKey::DescribeProducers, 0..=0),
    (ApiKey::UnregisterBroker, 0..=0),
    (ApiKey::DescribeTransactions, 0..=0),
    (ApiKey::ListTransactions, 0..=2),
    (ApiKey::GetTelemetrySubscriptions, 0..=0),
    (ApiKey::PushTelemetry, 0..=0),
    (ApiKey::ListConfigResources, 0..=1),
    (ApiKey::DescribeTopicPartitions, 0..=0),
];

/// The supported versions of an API; `None` if it is not supported.
pub fn versions(key: ApiKey) -> Option<RangeInclusive<i16>> {
    SERVED.iter().find(|(served, _)| *served == key).map(|(_, range)| range.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn supported_versions_are_decodable_and_apis_are_sorted_and_unique() {
        assert!(SERVED.is_sorted_by(|(a, _), (b, _)| a < b));
        for (key, range) in SERVED {
            let read = key.versions();
            assert!(read.contains(range.start()) && read.contains(range.end()), "{key}");
        }
    }
}
