//! InitProducerId (key 22), versions 0 to 5, for producers without a transactional id.
//!
//! A transactional id has no coordinator here yet: COORDINATOR_NOT_AVAILABLE. An idempotent producer
//! that names an id and epoch it had (version 3 and above) is given a new id, as in Kafka; one without
//! the other is INVALID_REQUEST.

use std::sync::Arc;

use super::errors::ToErrorCode;
use super::{Answer, Context};
use crate::protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use crate::types::{ErrorCode, NO_PRODUCER_EPOCH, NO_PRODUCER_ID};

pub(super) fn init(context: &Context, request: InitProducerIdRequest) -> Answer {
    if let Some(transactional_id) = &request.transactional_id {
        let error = match transactional_id.is_empty() {
            true => ErrorCode::InvalidRequest,
            false => ErrorCode::CoordinatorNotAvailable,
        };
        return refused(error).into();
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
