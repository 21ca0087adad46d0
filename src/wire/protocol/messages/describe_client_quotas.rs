//! DescribeClientQuotas (key 48), versions 0 to 1: lists client quotas (KIP-546).
//!
//! - 1: flexible.

use crate::codec::{Str, structs};

structs! {
    struct DescribeClientQuotasRequest {
        components: Vec<ComponentData> = 0..;
        strict: bool = 0..;
    }

    struct ComponentData {
        entity_type: Str = 0..;
        match_type: i8 = 0..;
        r#match: Option<Str> = 0..;
    }

    struct DescribeClientQuotasResponse {
        throttle_time_ms: i32 = 0..;
        error_code: i16 = 0..;
        error_message: Option<Str> = 0..;
        entries: Option<Vec<EntryData>> = 0..;
    }

    struct EntryData {
        entity: Vec<EntityData> = 0..;
        values: Vec<ValueData> = 0..;
    }

    struct EntityData {
        entity_type: Str = 0..;
        entity_name: Option<Str> = 0..;
    }

    struct ValueData {
        key: Str = 0..;
        value: f64 = 0..;
    }
}
