//! A result that is usually available at once, and sometimes waits for a sync or for other members.

use std::pin::Pin;

use super::context::Answer;
use crate::state::runtime::{PendingReply, Unavailable};
use ottla_core::machine::{Command, StateMachine};
use ottla_wire::protocol::Response;

/// A result, or the future of one.
pub(super) enum Eventual<T> {
    Now(T),
    Later(Pin<Box<dyn Future<Output = T> + Send>>),
}

impl<T: 'static> Eventual<T> {
    /// The result that `finish` makes of a command's reply.
    pub fn of<C>(
        pending: PendingReply<C>,
        finish: impl FnOnce(Result<C::Reply, Unavailable>) -> T + Send + 'static,
    ) -> Eventual<T>
    where
        C: Command + 'static,
        <C::Machine as StateMachine>::Reply: Send,
    {
        match pending.try_reply() {
            Ok(reply) => Eventual::Now(finish(reply)),
            Err(pending) => Eventual::Later(Box::pin(async move { finish(pending.reply().await) })),
        }
    }

    /// Waits for the result.
    pub async fn wait(self) -> T {
        match self {
            Eventual::Now(result) => result,
            Eventual::Later(result) => result.await,
        }
    }

    /// The answer that `respond` makes of the result.
    pub fn answer<R>(self, respond: impl FnOnce(T) -> R + Send + 'static) -> Answer
    where
        R: Into<Response> + 'static,
    {
        match self {
            Eventual::Now(result) => respond(result).into().into(),
            Eventual::Later(result) => Answer::parked(async move { respond(result.await) }),
        }
    }
}
