//! AlterClientQuotas (key 49), versions 0 to 1: sets client quotas (KIP-546).
//!
//! - 1: flexible.

use crate::codec::{Str, structs};

structs! {
    struct AlterClientQuotasRequest {
        entries: Vec<RequestEntryData> = 0..;
        validate_only: bool = 0..;
    }

    struct RequestEntryData {
        entity: Vec<EntityData> = 0..;
        ops: Vec<OpData> = 0..;
    }

    struct EntityData {
        entity_type: Str = 0..;
        entity_name: Option<Str> = 0..;
    }

    struct OpData {
        key: Str = 0..;
        value: f64 = 0..;
        remove: bool = 0..;
    }

    struct AlterClientQuotasResponse {
        throttle_time_ms: i32 = 0..;
        entries: Vec<ResponseEntryData> = 0..;
    }

    struct ResponseEntryData {
        error_code: i16 = 0..;
        error_message: Option<Str> = 0..;
        entity: Vec<EntityData> = 0..;
    }
}
