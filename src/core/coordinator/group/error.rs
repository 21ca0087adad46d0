//! Why a group request was refused.

/// A refusal; each variant bears the name of the Kafka error that it becomes on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum GroupError {
    #[error("the group id is empty")]
    InvalidGroupId,
    #[error("the session timeout is outside the range the broker allows")]
    InvalidSessionTimeout,
    #[error("the group does not know this member")]
    UnknownMemberId,
    /// Not a failure: the first of the two steps in which a dynamic member joins (KIP-394).
    #[error("the member has to join again with the member id it was given")]
    MemberIdRequired,
    #[error("another member has taken over this group instance id")]
    FencedInstanceId,
    #[error("the request belongs to another generation of the group")]
    IllegalGeneration,
    #[error("the member has no protocol in common with the group")]
    InconsistentGroupProtocol,
    #[error("the group is rebalancing, join it again")]
    RebalanceInProgress,
    #[error("the group has as many members as it may have")]
    GroupMaxSizeReached,
    #[error("the group still has members")]
    NonEmptyGroup,
    #[error("there is no such group")]
    GroupIdNotFound,
    #[error("the group is subscribed to the topic")]
    GroupSubscribedToTopic,
    #[error("the text that goes with the offset is too long")]
    OffsetMetadataTooLarge,
    #[error("a transaction that is still open may change this offset")]
    UnstableOffsetCommit,
}
