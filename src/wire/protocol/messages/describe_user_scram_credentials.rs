//! DescribeUserScramCredentials (key 50), version 0: lists which users have SCRAM credentials
//! (KIP-554).

use crate::codec::{Str, structs};

structs! {
    struct DescribeUserScramCredentialsRequest {
        users: Option<Vec<UserName>> = 0..;
    }

    struct UserName {
        name: Str = 0..;
    }

    struct DescribeUserScramCredentialsResponse {
        throttle_time_ms: i32 = 0..;
        error_code: i16 = 0..;
        error_message: Option<Str> = 0..;
        results: Vec<DescribeUserScramCredentialsResult> = 0..;
    }

    struct DescribeUserScramCredentialsResult {
        user: Str = 0..;
        error_code: i16 = 0..;
        error_message: Option<Str> = 0..;
        credential_infos: Vec<CredentialInfo> = 0..;
    }

    struct CredentialInfo {
        mechanism: i8 = 0..;
        iterations: i32 = 0..;
    }
}
