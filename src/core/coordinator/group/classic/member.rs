//! One member of a classic group.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::member_connection::MemberConnection;
use crate::coordinator::group::command::{GroupReply, JoinGroup, JoinRefused, Joined, JoinedMember, Protocol, Synced};
use crate::coordinator::group::config::GroupConfig;
use crate::coordinator::group::decision::Decision;
use crate::coordinator::group::error::GroupError;
use crate::coordinator::records::MemberMetadata;
use crate::coordinator::{InstanceId, MemberId, ReplyTo};

/// A member, and its pending requests.
#[derive(Debug)]
pub(super) struct Member {
    pub id: MemberId,
    pub instance_id: Option<InstanceId>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    pub session_timeout_ms: i32,
    pub rebalance_timeout_ms: i32,
    /// In order of preference. After a restart only the selected one is known.
    pub protocols: Vec<Protocol>,
    pub assignment: Bytes,
    pub connection: MemberConnection,
    /// Whether its first join is pending. It may not know its id yet, so it cannot send heartbeats.
    pub is_new: bool,
    /// Whether it got the JoinGroup response of this generation, and has not sent SyncGroup yet.
    pub sync_pending: bool,
    pending_join: Option<ReplyTo>,
    pending_sync: Option<ReplyTo>,
}

impl Member {
    /// Creates a new member.
    pub fn new(id: MemberId, connection: MemberConnection, request: JoinGroup) -> Member {
        let mut member = Member {
            id,
            instance_id: request.instance_id.clone(),
            client_id: request.client_id.clone(),
            client_host: request.client_host.clone(),
            session_timeout_ms: 0,
            rebalance_timeout_ms: 0,
            protocols: Vec::new(),
            assignment: Bytes::new(),
            connection,
            is_new: true,
            sync_pending: false,
            pending_join: None,
            pending_sync: None,
        };
        member.update(request);
        member
    }

    /// Restores a member from the log, in a group that had selected `protocol`.
    pub fn from_metadata(metadata: &MemberMetadata, protocol: Option<&Arc<str>>) -> Member {
        // Version 0 of the record has no rebalance timeout.
        let rebalance_timeout_ms = match metadata.rebalance_timeout_ms {
            -1 => metadata.session_timeout_ms,
            timeout => timeout,
        };
        let protocols =
            protocol.map(|name| Protocol { name: name.clone(), metadata: metadata.subscription.clone() }).into_iter();
        Member {
            id: metadata.member_id.clone(),
            instance_id: metadata.instance_id.clone(),
            client_id: metadata.client_id.clone(),
            client_host: metadata.client_host.clone(),
            session_timeout_ms: metadata.session_timeout_ms,
            rebalance_timeout_ms,
            protocols: protocols.collect(),
            assignment: metadata.assignment.clone(),
            connection: MemberConnection::Unknown,
            is_new: false,
            sync_pending: false,
            pending_join: None,
            pending_sync: None,
        }
    }

    /// The record of this member, in a group that has selected `protocol`.
    pub fn to_metadata(&self, protocol: Option<&Arc<str>>) -> MemberMetadata {
        MemberMetadata {
            member_id: self.id.clone(),
            instance_id: self.instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            session_timeout_ms: self.session_timeout_ms,
            subscription: self.metadata(protocol),
            assignment: self.assignment.clone(),
        }
    }

    /// Updates timeouts and protocols from a JoinGroup request.
    pub fn update(&mut self, request: JoinGroup) {
        self.session_timeout_ms = request.session_timeout_ms;
        self.rebalance_timeout_ms = match request.rebalance_timeout_ms {
            timeout if timeout < 0 => request.session_timeout_ms,
            timeout => timeout,
        };
        self.protocols = request.protocols.into_iter().map(detached).collect();
    }

    pub fn session_timeout(&self) -> Duration {
        millis(self.session_timeout_ms)
    }

    /// The current session timeout, which depends on the connection.
    pub fn session(&self, config: &GroupConfig) -> Duration {
        match (self.connection, config.disconnected_member_timeout) {
            (MemberConnection::Closed, Some(timeout)) => self.session_timeout().min(timeout),
            _ => self.session_timeout(),
        }
    }

    pub fn rebalance_timeout(&self) -> Duration {
        millis(self.rebalance_timeout_ms)
    }

    pub fn supports(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|p| *p.name == *protocol)
    }

    /// The member's metadata for a protocol; empty if it does not support it.
    pub fn metadata(&self, protocol: Option<&Arc<str>>) -> Bytes {
        self.protocols.iter().find(|p| Some(&p.name) == protocol).map(|p| p.metadata.clone()).unwrap_or_default()
    }

    /// This member in the response to the leader.
    pub fn to_joined_member(&self, protocol: Option<&Arc<str>>) -> JoinedMember {
        JoinedMember {
            member_id: self.id.clone(),
            instance_id: self.instance_id.clone(),
            metadata: self.metadata(protocol),
        }
    }

    /// Whether its join is pending until the next generation.
    pub fn has_joined(&self) -> bool {
        self.pending_join.is_some()
    }

    /// Whether the member waits for a response, so that its session does not expire. This is false for new members,
    /// whose timer limits the join itself, and for members whose connection closed.
    pub fn is_awaiting_response(&self) -> bool {
        !self.is_new
            && self.connection != MemberConnection::Closed
            && (self.pending_join.is_some() || self.pending_sync.is_some())
    }

    /// Keeps a join pending. An earlier pending join was abandoned by its client, and is rejected.
    pub fn set_pending_join(&mut self, decision: &mut Decision, to: ReplyTo) {
        self.reject_join(decision, self.id.clone(), GroupError::RebalanceInProgress);
        self.pending_join = Some(to);
    }

    /// Keeps a sync pending. An earlier pending sync was abandoned by its client, and is rejected.
    pub fn set_pending_sync(&mut self, decision: &mut Decision, to: ReplyTo) {
        self.reply_to_sync(decision, Err(GroupError::RebalanceInProgress));
        self.pending_sync = Some(to);
    }

    /// Replies to the pending join, if there is one.
    pub fn reply_to_join(&mut self, decision: &mut Decision, joined: Joined) {
        if let Some(to) = self.pending_join.take() {
            decision.reply(to, GroupReply::Join(Ok(joined)));
        }
    }

    /// Rejects the pending join, if there is one.
    pub fn reject_join(&mut self, decision: &mut Decision, member_id: MemberId, error: GroupError) {
        if let Some(to) = self.pending_join.take() {
            decision.reply(to, GroupReply::Join(Err(JoinRefused { member_id, error })));
        }
    }

    /// Replies to the pending sync; false if there was none.
    pub fn reply_to_sync(&mut self, decision: &mut Decision, result: Result<Synced, GroupError>) -> bool {
        let Some(to) = self.pending_sync.take() else { return false };
        decision.reply(to, GroupReply::Sync(result));
        true
    }
}

/// Copies the metadata, so that it does not keep the whole request frame in memory.
fn detached(protocol: Protocol) -> Protocol {
    Protocol { metadata: Bytes::copy_from_slice(&protocol.metadata), ..protocol }
}

fn millis(timeout: i32) -> Duration {
    Duration::from_millis(u64::try_from(timeout).unwrap_or(0))
}
