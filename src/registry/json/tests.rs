use super::*;

fn rewritten(text: &str) -> String {
    parse(text).unwrap().to_string()
}

#[test]
fn values_are_written_as_jackson_writes_them() {
    for (read, written) in [
        (" { \"b\" : 1 , \"a\" : [ ] } ", r#"{"b":1,"a":[]}"#),
        (r#""é/\/\b\f\n\r\t\u0001\u007f""#, "\"é//\\b\\f\\n\\r\\t\\u0001\u{7f}\""),
        (r#""\ud83d\ude00""#, "\"😀\""),
        ("[0,-1,9223372036854775807,9223372036854775808]", "[0,-1,9223372036854775807,9223372036854775808]"),
        ("[1.0,1e10,0.00001,1E400,-0.0]", "[1.0,1.0E10,1.0E-5,\"Infinity\",-0.0]"),
        ("[true,false,null]", "[true,false,null]"),
    ] {
        assert_eq!(rewritten(read), written);
    }
}

#[test]
fn repeated_name_keeps_its_place_and_takes_the_last_value() {
    assert_eq!(rewritten(r#"{"a":1,"b":2,"a":3}"#), r#"{"a":3,"b":2}"#);
}

#[test]
fn malformed_texts_are_refused_with_a_position() {
    for text in [
        "",
        "{",
        "[",
        "\"",
        "{\"a\"}",
        "{\"a\":}",
        "[1,]",
        "{\"a\":1,}",
        "01",
        "-",
        "1.",
        "1e",
        "nul",
        "string",
        "\"\u{1}\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\ud800\"",
        "1 2",
        "// comment\n1",
        "\\",
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
    assert_eq!(parse("[1,\n x]").unwrap_err().to_string(), "unrecognized token 'x' at line 2, column 2");
}

#[test]
fn comments_are_allowed_where_asked_for() {
    assert_eq!(parse_with_comments("/* a */ [1, // b\n 2] ").unwrap(), Json::from(vec![1, 2]));
    assert!(parse_with_comments("/* a").is_err());
    assert!(parse_with_comments("/").is_err());
    assert!(parse_with_comments("1 // a").is_err());
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(&nested(MAX_DEPTH)).is_ok());
    assert!(parse(&nested(MAX_DEPTH + 1)).is_err());
    assert!(parse(&"[".repeat(1 << 20)).is_err());
}

#[test]
fn numbers_compare_as_in_jackson() {
    let equal = |a: &str, b: &str| parse(a).unwrap() == parse(b).unwrap();
    assert!(equal("1", "1"));
    assert!(!equal("1", "1.0"));
    assert!(equal("1.0", "1e0"));
    assert!(!equal("0.0", "-0.0"));
}

#[test]
fn exact_numbers_are_written_as_big_decimals() {
    for (read, written) in [
        ("1.50", "1.50"),
        ("1e5", "1E+5"),
        ("0.0000001", "1E-7"),
        ("-0.0", "0.0"),
        ("1.5e3", "1.5E+3"),
        ("12e-1", "1.2"),
        ("0.001", "0.001"),
        ("0e0", "0"),
        ("100", "100"),
        ("1.0e0", "1.0"),
        ("123.45e-10", "1.2345E-8"),
        ("0.00", "0.00"),
        ("1e2147483647", "1E+2147483647"),
        ("0.000001", "0.000001"),
        ("1e0", "1"),
    ] {
        assert_eq!(parse_exact(read).unwrap().to_string(), written);
    }
}
