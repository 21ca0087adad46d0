//! The reply to a command, which may come later.

use std::marker::PhantomData;

use tokio::sync::oneshot;

use super::Unavailable;
use ottla_core::machine::{Command, StateMachine};

/// The reply of a machine to any command.
type ReplyOf<C> = <<C as Command>::Machine as StateMachine>::Reply;

/// A reply that has not arrived yet.
#[must_use = "the reply says whether the command succeeded"]
pub struct PendingReply<C: Command> {
    receiver: oneshot::Receiver<ReplyOf<C>>,
    command: PhantomData<fn() -> C>,
}

impl<C: Command> PendingReply<C> {
    pub(super) fn new(receiver: oneshot::Receiver<ReplyOf<C>>) -> Self {
        PendingReply { receiver, command: PhantomData }
    }

    /// Waits for the reply. [`Unavailable::NotAvailable`] if the machine was dropped meanwhile.
    pub async fn reply(self) -> Result<C::Reply, Unavailable> {
        self.receiver.await.ok().and_then(C::reply).ok_or(Unavailable::NotAvailable)
    }

    /// The reply if there is one already.
    pub fn try_reply(mut self) -> Result<Result<C::Reply, Unavailable>, Self> {
        match self.receiver.try_recv() {
            Ok(reply) => Ok(C::reply(reply).ok_or(Unavailable::NotAvailable)),
            Err(oneshot::error::TryRecvError::Closed) => Ok(Err(Unavailable::NotAvailable)),
            Err(oneshot::error::TryRecvError::Empty) => Err(self),
        }
    }
}
