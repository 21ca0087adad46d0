use serde_json::json;

use super::*;

fn input() -> Input {
    Input {
        value: json!({
            "id": 7, "name": "Ann", "tags": ["a", "bc"], "price": 2.5, "nested": {"x-y": [1, 2, 3]}, "none": null,
            "big": 9_007_199_254_740_993_i64, "text": "{\"n\":1}",
        }),
        key: json!("k1"),
        headers: json!({"source": "test"}),
        partition: json!(3),
        offset: json!(41),
        timestamp: json!(1_700_000_000_000_i64),
    }
}

fn check(text: &str, expect: Result<bool, Failed>) {
    let filter = Filter::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
    assert_eq!(filter.matches(&input()), expect, "{text}");
}

#[test]
fn filter_selects_as_jq_does() {
    for (text, expect) in [
        (".", true),
        (".id", true),
        (".none", false),
        (".missing.deeper", false),
        (".id == 7", true),
        (".id != 7", false),
        (".id >= 7 and .price < 3", true),
        (".id > 7 or .name == \"Ann\"", true),
        ("(.id > 7 or .name == \"Ann\") and false", false),
        (".big == 9007199254740993", true),
        (".tags[0] == \"a\"", true),
        (".tags[-1] == \"bc\"", true),
        (".tags[9]", false),
        (".tags[] == \"bc\"", true),
        (".tags | length == 2", true),
        (".tags | any(startswith(\"b\"))", true),
        (".tags | all(endswith(\"c\"))", false),
        (".nested[\"x-y\"][1] == 2", true),
        (".nested.\"x-y\"", true),
        (".nested | has(\"x-y\")", true),
        ("select(.id == 7) | .name", true),
        ("select(.id == 8) | .name", false),
        ("select(.id == 8) | true", false),
        (".name | test(\"^A.*n$\")", true),
        (".name | ascii_downcase == \"ann\"", true),
        (".tags | contains(.tags)?", false),
        (".none // \"other\" == \"other\"", true),
        (".id * 2 + 1 == 15", true),
        (".price * 2 == 5", true),
        ("-.id == -7", true),
        (".id % 4 == 3", true),
        (".text | fromjson | .n == 1", true),
        (".id | tostring == \"7\"", true),
        (".id | type == \"number\"", true),
        ("$key == \"k1\" and $headers.source == \"test\"", true),
        ("$partition == 3 and $offset > 40 and $timestamp > 1e12", true),
        (".name | not", false),
        (".id[0]?", false),
        ("empty", false),
    ] {
        check(text, Ok(expect));
    }
}

#[test]
fn operation_on_another_type_fails() {
    for text in
        [".id[0]", ".name.first", ".id | startswith(\"a\")", ".name * 2", ".id / 0", ".none[]", ".name | tonumber"]
    {
        check(text, Err(Failed::Type));
    }
}

#[test]
fn invalid_filter_is_refused_with_one_line() {
    let deep = "(".repeat(200);
    let (long, minus) = ("1".repeat(MAX_TEXT + 1), "-".repeat(301));
    for text in [
        "",
        "|",
        ".a |",
        ".a ==",
        "(.a",
        ".a)",
        ".[",
        ".a b",
        "\"open",
        "1.2.3",
        "nothing",
        "select",
        "select(",
        "test(.a)",
        "test(\"(\")",
        "test(\"a{9999999}\")",
        "$other",
        "..",
        "{",
        "#",
        &deep,
        &long,
        "def f: f; f",
        "range(9)",
        &minus,
    ] {
        let why = Filter::parse(text).expect_err(text);
        assert!(!why.is_empty() && why.lines().count() == 1, "{text}: {why}");
    }
}

#[test]
fn filter_with_too_many_results_ends_after_its_limit_of_steps() {
    let value = json!((0..1000).collect::<Vec<_>>());
    let filter = Filter::parse("(.[] == .[]) == (.[] == .[]) | empty").unwrap();
    assert_eq!(filter.matches(&Input { value, ..Input::default() }), Err(Failed::TooManySteps));
    let value = json!(vec!["x".repeat(10_000); 1000]);
    let filter = Filter::parse(".[] | ascii_upcase | empty").unwrap();
    assert_eq!(filter.matches(&Input { value, ..Input::default() }), Err(Failed::TooManySteps));
}
