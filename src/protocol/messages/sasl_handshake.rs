//! SaslHandshake (key 17), versions 0 to 1.

use crate::codec::{Str, structs};

structs! {
    struct SaslHandshakeRequest {
        mechanism: Str = 0..;
    }

    struct SaslHandshakeResponse {
        error_code: i16 = 0..;
        mechanisms: Vec<Str> = 0..;
    }
}
