//! Who may use the console.

use serde_json::json;

use super::{change, create_topic, done, get, raw, send, with_console};
use crate::admin::http::{ADMIN, address};
use common::Broker;

#[test]
fn console_is_off_by_default() {
    let broker = Broker::with().arg("--admin-port").arg("0").start();
    for path in ["/console", "/console/", "/console/app.js", "/api/v1/topics"] {
        assert_eq!(send(&broker, "GET", path, &[], "").status, 404, "{path}");
    }
    assert!(!broker.log().contains("console"));
}

#[test]
fn start_line_shows_the_address_of_the_console() {
    let broker = with_console();
    broker.wait_for_log(&format!(", console http://{}/console/", address(&broker)));
}

#[test]
fn console_that_others_can_reach_needs_a_token() {
    let args = ["--ephemeral", "--port", "0", "--console", "--set", "ottla.admin.listener=0.0.0.0:0"];
    let output = common::run(&args);
    let stderr = String::from_utf8(output.stderr).unwrap();
    let expect = "ottla.console.enable=true needs a token, because other machines can reach the admin port; set \
                  ottla.admin.token, or bind ottla.admin.listener to localhost";
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.lines().last().unwrap().contains(expect), "{stderr}");
    let broker = Broker::with()
        .arg("--console")
        .set("ottla.admin.listener", "0.0.0.0:0")
        .env("KAFKA_OTTLA_ADMIN_TOKEN", "secret")
        .start();
    assert_eq!(get(&broker, "/topics").status, 401);
    assert_eq!(send(&broker, "GET", "/api/v1/topics", &["Authorization: Bearer secret"], "").status, 200);
    assert_eq!(send(&broker, "GET", "/api/v1/topics?token=secret", &[], "").status, 401);
    // The pages contain no data, and ask for the token.
    assert_eq!(send(&broker, "GET", "/console/", &[], "").status, 200);
    assert_eq!(send(&broker, "GET", "/console/app.js", &[], "").status, 200);
    assert_eq!(send(&broker, "GET", "/console", &[], "").status, 401);
    assert!(!broker.log().contains("secret"));
}

#[test]
fn pages_of_other_sites_can_read_and_change_nothing() {
    let broker = with_console();
    create_topic(&broker, "orders", 1);
    let host = address(&broker);
    let own = format!("Origin: http://{host}");
    let body = json!({"name": "others"}).to_string();
    let post = |headers: &[&str]| send(&broker, "POST", "/api/v1/topics", headers, &body).status;
    for headers in [
        &[][..],
        &[own.as_str()],
        &[ADMIN, "Origin: http://evil.test"],
        &[ADMIN, "Origin: null"],
        &[ADMIN, "Origin: http://localhost:1"],
        &[ADMIN, "Sec-Fetch-Site: cross-site"],
        &[ADMIN, "Sec-Fetch-Site: same-site"],
    ] {
        assert_eq!(post(headers), 403, "{headers:?}");
    }
    assert_eq!(post(&[ADMIN, &own, "Sec-Fetch-Site: same-origin"]), 201);
    for headers in [&["Origin: http://evil.test"][..], &["Sec-Fetch-Site: cross-site"]] {
        assert_eq!(send(&broker, "GET", "/api/v1/topics", headers, "").status, 403, "{headers:?}");
    }
    for path in ["/api/v1/topics", "/console/", "/console/app.js"] {
        let foreign = raw(&broker, &format!("GET {path} HTTP/1.1\r\nHost: evil.test\r\n\r\n"));
        assert_eq!(foreign.status, 403, "{path}");
    }
    // A reset of everything is still refused to pages, also to those of this port.
    assert_eq!(send(&broker, "POST", "/reset", &[ADMIN, &own], "").status, 403);
    let preflight = send(&broker, "OPTIONS", "/api/v1/topics", &[&own, "Access-Control-Request-Method: POST"], "");
    assert!(!preflight.head.contains("access-control"), "{}", preflight.head);
}

#[test]
fn response_forbids_browsers_to_frame_it_and_to_run_foreign_scripts() {
    let broker = with_console();
    for path in ["/console/", "/console/app.js", "/api/v1/topics", "/api/v1/nothing", "/api/v1/topics/missing"] {
        let answer = send(&broker, "GET", path, &[], "");
        for header in [
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src \
             'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
            "x-content-type-options: nosniff",
            "x-frame-options: deny",
            "referrer-policy: no-referrer",
            "cross-origin-resource-policy: same-origin",
        ] {
            assert!(answer.head.contains(header), "{path}: {}", answer.head);
        }
        assert!(!answer.head.contains("set-cookie"), "{path}: {}", answer.head);
    }
}

#[test]
fn unknown_path_method_and_body_get_an_error_of_the_api() {
    let broker = with_console();
    for (method, path, body, status, code) in [
        ("GET", "/nothing", "", 404, "NOT_FOUND"),
        ("PUT", "/topics", "", 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/topics", "", 400, "INVALID_REQUEST"),
        ("POST", "/topics", "[]", 400, "INVALID_REQUEST"),
        ("POST", "/topics", "{\"name\": 1}", 400, "INVALID_REQUEST"),
        ("POST", "/topics", "{\"name\": \"a\", \"nome\": 1}", 400, "INVALID_REQUEST"),
        ("POST", "/topics", "{\"name\": \"<b>\"}", 400, "INVALID_TOPIC_EXCEPTION"),
        ("GET", "/topics/%3Cscript%3E", "", 400, "INVALID_TOPIC_EXCEPTION"),
        ("GET", "/groups/%3Cscript%3E", "", 404, "GROUP_ID_NOT_FOUND"),
    ] {
        let answer = send(&broker, method, &format!("/api/v1{path}"), &[ADMIN], body);
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{method} {path} {body}: {answer:?}");
        assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
    }
    let large = json!({"value": "x".repeat(2 << 20)});
    assert_eq!(change(&broker, "POST", "/topics/a/records", &large).status, 413);
    let large = json!({"name": "a", "configs": {"a": "x".repeat(300_000)}});
    let answer = change(&broker, "POST", "/topics", &large);
    assert_eq!((answer.status, answer.code().as_str()), (400, "INVALID_REQUEST"), "{answer:?}");
    assert!(answer.text.contains("the body is larger than 262144 bytes"), "{answer:?}");
    create_topic(&broker, "a", 1);
    done(&broker, "POST", "/topics/a/records", &json!({"value": "x".repeat(900_000)}));
}
