//! SaslHandshake (key 17), versions 0 to 1: chooses a SASL mechanism.
//!
//! - 1: SaslAuthenticate carries what follows; after version 0 it goes bare over the connection.

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
