//! AlterUserScramCredentials (key 51), version 0: sets and removes SCRAM credentials (KIP-554).

use bytes::Bytes;

use crate::codec::{Str, structs};

structs! {
    struct AlterUserScramCredentialsRequest {
        deletions: Vec<ScramCredentialDeletion> = 0..;
        upsertions: Vec<ScramCredentialUpsertion> = 0..;
    }

    struct ScramCredentialDeletion {
        name: Str = 0..;
        mechanism: i8 = 0..;
    }

    struct ScramCredentialUpsertion {
        name: Str = 0..;
        mechanism: i8 = 0..;
        iterations: i32 = 0..;
        salt: Bytes = 0..;
        salted_password: Bytes = 0..;
    }

    struct AlterUserScramCredentialsResponse {
        throttle_time_ms: i32 = 0..;
        results: Vec<AlterUserScramCredentialsResult> = 0..;
    }

    struct AlterUserScramCredentialsResult {
        user: Str = 0..;
        error_code: i16 = 0..;
        error_message: Option<Str> = 0..;
    }
}
