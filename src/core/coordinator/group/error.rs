//! Errors of the group coordinator.

/// Why a group request was rejected. Each variant has the name of a Kafka error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum GroupError {
    #[error("the group id is empty")]
    InvalidGroupId,
    #[error("the session timeout is outside the allowed range")]
    InvalidSessionTimeout,
    #[error("the group has no member with this id")]
    UnknownMemberId,
    /// Not a failure: the response to the first of two JoinGroup requests of a dynamic member (KIP-394).
    #[error("the member must join again with its new member id")]
    MemberIdRequired,
    #[error("another member has this group instance id now")]
    FencedInstanceId,
    #[error("the request has another generation than the group")]
    IllegalGeneration,
    #[error("the member has no protocol in common with the group")]
    InconsistentGroupProtocol,
    #[error("the group is rebalancing, the member must join again")]
    RebalanceInProgress,
    #[error("the group has reached its maximum size")]
    GroupMaxSizeReached,
    #[error("the group still has members")]
    NonEmptyGroup,
    #[error("the group does not exist")]
    GroupIdNotFound,
    #[error("the group is subscribed to the topic")]
    GroupSubscribedToTopic,
    #[error("the metadata of the offset is too long")]
    OffsetMetadataTooLarge,
    #[error("a transaction that is still open may change this offset")]
    UnstableOffsetCommit,
}
