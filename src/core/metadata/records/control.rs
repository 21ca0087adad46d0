//! The values of the control records in KRaft's files.
//!
//! Their keys are the control types of [`record`](ottla_wire::record): LeaderChange, SnapshotHeader,
//! SnapshotFooter and, for dynamic quorums, KRaftVersion and KRaftVoters. Each is the only record of its batch.

use bytes::Bytes;

use ottla_wire::codec::{EncodeError, Message, Str, Writer, messages, structs};
use ottla_wire::types::{TimestampMs, Uuid};

structs! {
    /// The first record of an epoch: its leader.
    struct LeaderChangeMessage {
        version: i16 = 0..;
        leader_id: i32 = 0..;
        voters: Vec<Voter> = 0..;
        granting_voters: Vec<Voter> = 0..;
    }

    /// A member of the quorum. (Its directory belongs to version 1, of dynamic quorums.)
    struct Voter {
        voter_id: i32 = 0..;
    }

    /// The first record of a snapshot.
    struct SnapshotHeaderRecord {
        version: i16 = 0..;
        last_contained_log_timestamp: i64 = 0..;
    }

    /// The last record of a snapshot. A snapshot without it is incomplete.
    struct SnapshotFooterRecord {
        version: i16 = 0..;
    }

    /// The level of the quorum's own records (KIP-853).
    struct KRaftVersionRecord {
        version: i16 = 0..;
        k_raft_version: i16 = 0..;
    }

    /// The members of a dynamic quorum (KIP-853).
    struct VotersRecord {
        version: i16 = 0..;
        voters: Vec<DynamicVoter> = 0..;
    }

    /// `Voter` in the schema of [`VotersRecord`].
    struct DynamicVoter {
        voter_id: i32 = 0..;
        voter_directory_id: Uuid = 0..;
        endpoints: Vec<VoterEndpoint> = 0..;
        k_raft_version_feature: KRaftVersionFeature = 0..;
    }

    /// See [`VotersRecord`].
    struct VoterEndpoint {
        name: Str = 0..;
        host: Str = 0..;
        port: u16 = 0..;
    }

    /// See [`VotersRecord`].
    struct KRaftVersionFeature {
        min_supported_version: i16 = 0..;
        max_supported_version: i16 = 0..;
    }
}

messages! {
    LeaderChangeMessage, versions 0..=0, flexible 0;
    SnapshotHeaderRecord, versions 0..=0, flexible 0;
    SnapshotFooterRecord, versions 0..=0, flexible 0;
    KRaftVersionRecord, versions 0..=0, flexible 0;
    VotersRecord, versions 0..=0, flexible 0;
}

/// Encodes `LeaderChange` for a quorum of one.
pub fn leader_change(node_id: i32) -> Result<Bytes, EncodeError> {
    let voters = vec![Voter { voter_id: node_id }];
    write(&LeaderChangeMessage { version: 0, leader_id: node_id, granting_voters: voters.clone(), voters })
}

/// Encodes `SnapshotHeader`, with the timestamp of the last batch that the snapshot includes.
pub fn snapshot_header(last_contained_log_timestamp: TimestampMs) -> Result<Bytes, EncodeError> {
    write(&SnapshotHeaderRecord { version: 0, last_contained_log_timestamp })
}

/// Encodes `SnapshotFooter`.
pub fn snapshot_footer() -> Result<Bytes, EncodeError> {
    write(&SnapshotFooterRecord { version: 0 })
}

fn write(message: &impl Message) -> Result<Bytes, EncodeError> {
    let mut w = Writer::new();
    message.write(&mut w, 0)?;
    Ok(w.into_bytes())
}

/// The content of the file `quorum-state` for a quorum of one that leads `epoch` (Kafka's
/// `QuorumStateData`, version 0).
pub fn quorum_state(node_id: i32, epoch: i32) -> String {
    format!(
        r#"{{"clusterId":"","leaderId":{node_id},"leaderEpoch":{epoch},"votedId":-1,"appliedOffset":0,"currentVoters":[{{"voterId":{node_id}}}],"data_version":0}}"#
    )
}

/// Reads the epoch from a file `quorum-state`; `None` if it has no valid epoch.
pub fn quorum_state_epoch(text: &str) -> Option<i32> {
    let state: serde_json::Value = serde_json::from_str(text).ok()?;
    state.get("leaderEpoch")?.as_i64()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_records_are_encoded_as_in_apache_kafka() {
        let leader = [0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 1, 0, 2, 0, 0, 0, 1, 0, 0];
        assert_eq!(leader_change(1).unwrap()[..], leader);
        assert_eq!(snapshot_header(0).unwrap()[..], [0; 11]);
        assert_eq!(snapshot_footer().unwrap()[..], [0; 3]);
    }

    #[test]
    fn quorum_state_is_formatted_as_in_apache_kafka_and_its_epoch_is_read() {
        let kafka = r#"{"clusterId":"","leaderId":1,"leaderEpoch":7,"votedId":-1,"appliedOffset":0,"currentVoters":[{"voterId":1}],"data_version":0}"#;
        assert_eq!(quorum_state(1, 7), kafka);
        assert_eq!(quorum_state_epoch(kafka), Some(7));
        assert_eq!(quorum_state_epoch("{}"), None);
        assert_eq!(quorum_state_epoch(r#"{"leaderEpoch":99999999999}"#), None);
    }
}
