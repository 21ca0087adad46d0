//! UnregisterBroker (key 64), version 0: forgets a broker that is gone for good (KIP-631).

use crate::codec::{Str, structs};

structs! {
    struct UnregisterBrokerRequest {
        broker_id: i32 = 0..;
    }

    struct UnregisterBrokerResponse {
        throttle_time_ms: i32 = 0..;
        error_code: i16 = 0..;
        error_message: Option<Str> = 0..;
    }
}
