//! Requests as Confluent's client for Java sends them for its serializers, for Kafka Connect and for its Maven plug-in:
//! paths, queries, bodies and headers, in the order of their calls.

use super::*;

/// What Java's HttpURLConnection accepts, today and before Java 20. Confluent's client adds none of its own.
const ACCEPTED: [&str; 2] =
    ["text/html, image/gif, image/jpeg, */*; q=0.2", "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"];

const RECORD: &str = r#"{"schemaType":"AVRO","schema":"{\"type\":\"record\",\"name\":\"U\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"}]}"}"#;
/// The same with a field that has no default.
const OTHER: &str = r#"{"schemaType":"AVRO","schema":"{\"type\":\"record\",\"name\":\"U\",\"fields\":[{\"name\":\"b\",\"type\":\"int\"}]}"}"#;
const BASE: &str =
    r#"{"schemaType":"PROTOBUF","schema":"syntax = \"proto3\";\npackage p;\n\nmessage R {\n  int32 a = 1;\n}\n"}"#;
const USER: &str = r#"{"schemaType":"PROTOBUF","references":[{"name":"r.proto","subject":"r.proto","version":1}],"schema":"syntax = \"proto3\";\npackage p;\n\nimport \"r.proto\";\n\nmessage U {\n  .p.R r = 1;\n}\n"}"#;

/// Requests, with the status and the beginning of the response.
const CALLS: [(&str, &str, u16, &str); 41] = [
    // The serializer and the deserializer. Subjects with other names can be associated with a topic; 404 means none.
    ("GET /associations/resources/-/a%20b?resourceType=topic&associationType=value", "", 404, r#"{"error_code":404,"#),
    ("POST /subjects/a%20b-value/versions?normalize=false", RECORD, 200, r#"{"id":1,"version":1,"guid":""#),
    ("GET /schemas/ids/1?fetchMaxId=false&subject=a%20b-value", "", 200, r#"{"subject":"a b-value","version":1,"#),
    ("POST /subjects/a%20b-value/versions?normalize=true", RECORD, 200, r#"{"id":1,"#),
    (
        "POST /subjects/a%20b-value?normalize=false&deleted=true",
        RECORD,
        200,
        r#"{"subject":"a b-value","version":1,"id":1,"#,
    ),
    ("POST /subjects/a%20b-value?normalize=false&deleted=false", OTHER, 404, r#"{"error_code":40403,"#),
    ("GET /subjects/a%20b-value/versions/latest", "", 200, r#"{"subject":"a b-value","version":1,"id":1,"#),
    ("GET /subjects/a%20b-value/metadata?key=k&value=v&deleted=true", "", 404, r#"{"error_code":40403,"#),
    ("GET /schemas/guids/00000000-0000-0000-0000-000000000000", "", 404, r#"{"error_code":40403,"#),
    // References of Protobuf schemas.
    ("POST /subjects/r.proto/versions?normalize=false", BASE, 200, r#"{"id":2,"version":1,"#),
    ("POST /subjects/r.proto?normalize=false&deleted=true", BASE, 200, r#"{"subject":"r.proto","version":1,"id":2,"#),
    ("POST /subjects/p-value/versions?normalize=false", USER, 200, r#"{"id":3,"version":1,"#),
    ("GET /subjects/r.proto/versions/1?deleted=true", "", 200, r#"{"subject":"r.proto","version":1,"id":2,"#),
    ("GET /subjects/r.proto/versions/1/referencedby?deleted=false", "", 200, "[3]"),
    // The goals of the Maven plug-in.
    (
        "POST /compatibility/subjects/a%20b-value/versions/latest?normalize=false&verbose=false",
        RECORD,
        200,
        r#"{"is_compatible":true}"#,
    ),
    (
        "POST /compatibility/subjects/a%20b-value/versions/latest?normalize=false&verbose=true",
        OTHER,
        200,
        r#"{"is_compatible":false,"messages":["#,
    ),
    (
        "POST /compatibility/subjects/a%20b-value/versions/?normalize=false&verbose=true",
        RECORD,
        200,
        r#"{"is_compatible":true,"messages":[]}"#,
    ),
    ("POST /subjects/a%20b-value/versions?normalize=false", OTHER, 409, r#"{"error_code":40901,"#),
    ("PUT /config/a%20b-value", r#"{"compatibility":"FULL"}"#, 200, r#"{"compatibility":"FULL"}"#),
    ("GET /config/a%20b-value?defaultToGlobal=false", "", 200, r#"{"compatibilityLevel":"FULL"}"#),
    ("DELETE /config/a%20b-value", "", 200, r#"{"compatibilityLevel":"FULL"}"#),
    ("GET /config/a%20b-value?defaultToGlobal=false", "", 404, r#"{"error_code":40408,"#),
    ("GET /config?defaultToGlobal=false", "", 200, r#"{"compatibilityLevel":"BACKWARD"}"#),
    ("GET /subjects/a%20b-value/versions?deleted=false&deletedOnly=false", "", 200, "[1]"),
    ("GET /schemas?subjectPrefix=a&deleted=false&latestOnly=true", "", 200, r#"[{"subject":"a b-value","#),
    // Further calls of the client.
    ("GET /subjects?deleted=false&deletedOnly=false&subjectPrefix=a", "", 200, r#"["a b-value"]"#),
    ("GET /schemas/types", "", 200, r#"["JSON","PROTOBUF","AVRO"]"#),
    ("GET /schemas/ids/1/subjects?deleted=false", "", 200, r#"["a b-value"]"#),
    ("GET /schemas/ids/1/versions?deleted=false", "", 200, r#"[{"subject":"a b-value","version":1}]"#),
    ("GET /mode?defaultToGlobal=false", "", 200, r#"{"mode":"READWRITE"}"#),
    ("PUT /mode/a%20b-value?force=false", r#"{"mode":"READONLY"}"#, 200, r#"{"mode":"READONLY"}"#),
    ("POST /subjects/a%20b-value/versions?normalize=false", OTHER, 422, r#"{"error_code":42205,"#),
    ("DELETE /mode/a%20b-value", "", 200, r#"{"mode":"READONLY"}"#),
    ("POST /subjects/:.c:a%2Fb/versions?normalize=false", RECORD, 200, r#"{"id":1,"version":1,"#),
    ("GET /subjects/:.c:a%2Fb/versions/latest", "", 200, r#"{"subject":":.c:a/b","version":1,"#),
    ("GET /contexts", "", 200, r#"[".",".c"]"#),
    ("GET /v1/metadata/id", "", 200, r#"{"scope":{"#),
    ("DELETE /subjects/a%20b-value/versions/1?permanent=false", "", 200, "1"),
    ("DELETE /subjects/a%20b-value?permanent=false", "", 404, r#"{"error_code":40404,"#),
    ("DELETE /subjects/a%20b-value?permanent=true", "", 200, "[1]"),
    ("GET /subjects/a%20b-value/versions/latest", "", 404, r#"{"error_code":40401,"#),
];

#[test]
fn requests_of_confluents_java_client_are_answered_as_it_expects() {
    for accept in ACCEPTED {
        let mut driven = Driven::new();
        for (line, body, status, start) in CALLS {
            let (method, target) = line.split_once(' ').unwrap();
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            // The client sends the type of a body also without one.
            let content_type = Some(MEDIA_TYPE);
            let body = body.as_bytes();
            let response = driven.send(&Request { method, path, query, content_type, accept: Some(accept), body });
            assert_eq!((response.status, response.content_type), (status, MEDIA_TYPE), "{line}: {}", response.body);
            assert!(response.body.starts_with(start), "{line}: {}", response.body);
        }
    }
}
