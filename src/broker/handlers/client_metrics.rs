//! GetTelemetrySubscriptions (key 71) and PushTelemetry (72), version 0: metrics that clients push (KIP-714).
//!
//! As in Kafka, every client may push: which ones do is a setting of the cluster.

use std::sync::Arc;

use super::context::{Answer, Context};
use super::errors::ToErrorCode;
use crate::log_rate_limiter::log_limited;
use crate::state::client_metrics::Unreadable;
use ottla_core::client_metrics::{Client, Push, PushRefused};
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::get_telemetry_subscriptions::{
    GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse,
};
use ottla_wire::protocol::messages::push_telemetry::{PushTelemetryRequest, PushTelemetryResponse};
use ottla_wire::record::Codec;
use ottla_wire::types::{ErrorCode, Uuid};

/// The codecs that clients may use, in Kafka's order: clients take the first one that they have.
const ACCEPTED: [Codec; 4] = [Codec::Zstd, Codec::Lz4, Codec::Gzip, Codec::Snappy];
/// Characters of a client's names that are remembered.
const MAX_NAME_CHARS: usize = 256;

pub(super) fn subscription(context: &Context, request: &GetTelemetrySubscriptionsRequest) -> Answer {
    let is_new = request.client_instance_id.is_zero();
    let instance_id = if is_new { context.broker.new_uuid() } else { request.client_instance_id };
    let client_metrics = context.broker.client_metrics();
    let cluster = context.broker.cluster();
    let settings = cluster.image.configs().client_metrics();
    let client = client(context, instance_id);
    let Ok(subscribed) = client_metrics.subscription(settings, &client, context.connection.id) else {
        let error_code = ErrorCode::ThrottlingQuotaExceeded.code();
        return GetTelemetrySubscriptionsResponse { error_code, ..Default::default() }.into();
    };
    GetTelemetrySubscriptionsResponse {
        client_instance_id: instance_id,
        subscription_id: subscribed.subscription_id,
        accepted_compression_types: ACCEPTED.map(|codec| codec.id().cast_signed()).to_vec(),
        push_interval_ms: subscribed.push_interval_ms,
        telemetry_max_bytes: i32::try_from(client_metrics.max_bytes()).unwrap_or(i32::MAX),
        delta_temporality: true,
        requested_metrics: subscribed.metrics.iter().map(|name| Str::from(name.as_str())).collect(),
        ..Default::default()
    }
    .into()
}

pub(super) fn push(context: &Context, request: PushTelemetryRequest) -> Answer {
    let client_metrics = Arc::clone(context.broker.client_metrics());
    let client = client(context, request.client_instance_id);
    let push = Push {
        subscription_id: request.subscription_id,
        terminating: request.terminating,
        compression_type: request.compression_type,
        bytes: request.metrics.len(),
        max_bytes: client_metrics.max_bytes(),
    };
    let cluster = context.broker.cluster();
    let settings = cluster.image.configs().client_metrics();
    let codec = u8::try_from(push.compression_type).ok().and_then(|id| Codec::from_id(id).ok());
    let accepted = client_metrics.push(settings, &client, context.connection.id, &push);
    let (accepted, codec) = match (accepted, codec) {
        (Ok(accepted), Some(codec)) => (accepted, codec),
        (Ok(_), None) => return response(PushRefused::UnsupportedCompression.error_code()).into(),
        (Err(refused), _) => return response(refused.error_code()).into(),
    };
    if request.metrics.is_empty() {
        return response(ErrorCode::None).into();
    }
    let (limiter, connection) = (Arc::clone(context.broker.log_rate_limiter()), Arc::clone(&context.connection));
    Answer::parked(async move {
        match client_metrics.read(accepted, codec, request.metrics).await {
            Ok(()) => response(ErrorCode::None),
            Err(error) => {
                log_limited!(
                    WARN, limiter, connection.peer.ip(), "pushes of client metrics that cannot be read",
                    client = %connection, client_instance_id = %client.instance_id, %error,
                    "failed to read the metrics that a client has pushed"
                );
                response(error.error_code())
            }
        }
    })
}

fn response(error: ErrorCode) -> PushTelemetryResponse {
    PushTelemetryResponse { error_code: error.code(), ..Default::default() }
}

fn client(context: &Context, instance_id: Uuid) -> Client {
    let bounded = |text: &str| text.chars().take(MAX_NAME_CHARS).collect::<String>();
    let software = context.connection.client_software();
    Client {
        instance_id,
        client_id: context.header.client_id.as_deref().map(bounded),
        software_name: software.map(|software| bounded(&software.name)),
        software_version: software.map(|software| bounded(&software.version)),
        source_address: context.connection.peer.ip().to_string(),
        source_port: context.connection.peer.port(),
    }
}

impl ToErrorCode for PushRefused {
    fn error_code(&self) -> ErrorCode {
        match self {
            PushRefused::InvalidRequest => ErrorCode::InvalidRequest,
            PushRefused::Throttled => ErrorCode::ThrottlingQuotaExceeded,
            PushRefused::UnknownSubscriptionId => ErrorCode::UnknownSubscriptionId,
            PushRefused::UnsupportedCompression => ErrorCode::UnsupportedCompressionType,
            PushRefused::TooLarge => ErrorCode::TelemetryTooLarge,
        }
    }
}

impl ToErrorCode for Unreadable {
    fn error_code(&self) -> ErrorCode {
        match self {
            Unreadable::TooLarge(_) => ErrorCode::TelemetryTooLarge,
            // Kafka's code for a plug-in that fails; clients do not push again after it.
            Unreadable::Compression(_) | Unreadable::Malformed(_) => ErrorCode::InvalidRecord,
            // Clients push again after the interval.
            Unreadable::Stopping => ErrorCode::ThrottlingQuotaExceeded,
        }
    }
}
