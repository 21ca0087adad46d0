//! InitProducerId (key 22), versions 0 to 5, for producers without a transactional id.
//!
//! There are no transactions yet. Transactional producers are refused when they look for the coordinator (see
//! [`transactions::refuse`]). A transactional id in this API is INVALID_REQUEST, which no client retries. An idempotent
//! producer that names its previous id and epoch (version 3 and above) gets a new id, as in Kafka; one without the
//! other is INVALID_REQUEST.

use std::sync::Arc;

use super::authorizer::{Operation, Resource};
use super::context::{Answer, Context};
use super::errors::ToErrorCode;
use super::transactions;
use ottla_wire::protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use ottla_wire::types::{ErrorCode, NO_PRODUCER_EPOCH, NO_PRODUCER_ID};

pub(super) fn init(context: &Context, request: InitProducerIdRequest) -> Answer {
    if let Some(transactional_id) = &request.transactional_id {
        if transactional_id.is_empty() {
            return refused(ErrorCode::InvalidRequest).into();
        }
        if let Err(denied) = context.authorize(Operation::Write, Resource::TransactionalId(transactional_id)) {
            return refused(denied.error_code()).into();
        }
        transactions::refuse(context, transactional_id);
        return refused(ErrorCode::InvalidRequest).into();
    }
    if !context.allows(Operation::IdempotentWrite, Resource::Cluster)
        && context.authorize(Operation::Write, Resource::AnyTopic).is_err()
    {
        return refused(ErrorCode::ClusterAuthorizationFailed).into();
    }
    if (request.producer_id == NO_PRODUCER_ID) != (request.producer_epoch == NO_PRODUCER_EPOCH) {
        return refused(ErrorCode::InvalidRequest).into();
    }
    let broker = Arc::clone(&context.broker);
    Answer::parked(async move {
        match broker.producer_ids().next(broker.metadata()).await {
            Ok(producer_id) => InitProducerIdResponse { producer_id, producer_epoch: 0, ..Default::default() },
            Err(unavailable) => refused(unavailable.error_code()),
        }
    })
}

fn refused(error: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse {
        error_code: error.code(),
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        ..Default::default()
    }
}
