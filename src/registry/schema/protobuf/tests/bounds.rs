//! Input that is too deep, too long or too connected.

use super::super::*;
use crate::schema::nesting::MAX_DIFFERENCES;

fn parse(text: &str) -> Result<ProtobufSchema, ProtobufError> {
    ProtobufSchema::parse(text, &[])
}

#[test]
fn deep_messages_options_and_names_are_refused() {
    let nested = |open: &str, close: &str, depth: usize| format!("{}{}", open.repeat(depth), close.repeat(depth));
    assert!(parse(&nested("message M {", "}", MAX_DEPTH)).is_ok());
    assert!(parse(&nested("message M {", "}", MAX_DEPTH + 1)).is_err());
    for depth in [MAX_DEPTH + 2, 100_000] {
        assert!(parse(&nested("message M {", "}", depth)).is_err());
        assert!(parse(&format!("option a = {};", nested("{a:", "}", depth))).is_err());
        assert!(parse(&format!("option a = {};", nested("[", "]", depth))).is_err());
        assert!(parse(&format!("option (a){} = 1;", ".(a)".repeat(depth))).is_err());
        assert!(parse(&format!("package a{};", ".a".repeat(depth))).is_err());
        assert!(parse(&nested("message M { map<string,", ">", depth)).is_err());
    }
    assert!(parse(&format!("option a{} = 1;", ".a".repeat(MAX_NAME_BYTES))).is_err());
    assert!(parse(&format!("message {} {{}}", "a".repeat(MAX_NAME_BYTES + 1))).is_err());
}

#[test]
fn random_descriptors_are_decoded_or_refused() {
    use base64::Engine;
    let mut seed = 7u64;
    for length in 0..2_000usize {
        let mut bytes = vec![0x22, (length % 120) as u8];
        for _ in 0..length % 200 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            bytes.push((seed >> 40) as u8 & 0x3f);
        }
        let text = base64::engine::general_purpose::STANDARD.encode(&bytes);
        if let Ok(schema) = parse(&text) {
            schema.formatted("serialized");
        }
    }
}

/// Each message has two fields of the next type, so that the paths through them double with each message.
#[test]
fn comparison_of_many_paths_ends() {
    let chain = |last: &str| {
        let mut text = "syntax = \"proto3\"; package r;".to_owned();
        for index in 0..40 {
            let next = index + 1;
            text += &format!("message M{index} {{ M{next} a = 1; M{next} b = 2; }}");
        }
        text + &format!("message M40 {{ {last} a = 1; }}")
    };
    let schema = |last: &str| {
        let text = "syntax = \"proto3\"; import \"r.proto\"; message M { r.M0 m = 1; }";
        let reference = ResolvedReference { name: "r.proto".to_owned(), text: chain(last) };
        ProtobufSchema::parse(text, &[reference]).unwrap()
    };
    let compared = schema("int32").differences(&schema("string")).unwrap();
    assert_eq!(compared.len(), MAX_DIFFERENCES);
    assert_eq!(schema("int32").differences(&schema("int64")), Ok(Vec::new()));
    let many: Vec<ResolvedReference> = (0..40)
        .map(|index| {
            let next = index + 1;
            let text = format!(
                "syntax = \"proto3\"; package p{index}; import \"{next}.proto\"; message M {{ p{next}.M a = 1; p{next}.M b = 2; }}"
            );
            ResolvedReference { name: format!("{index}.proto"), text }
        })
        .collect();
    let text = "syntax = \"proto3\"; import \"0.proto\"; message M { p0.M m = 1; }";
    let schema = ProtobufSchema::parse(text, &many).unwrap();
    assert_eq!(schema.differences(&schema), Ok(Vec::new()));
}

#[test]
fn default_with_parts_is_refused() {
    let error = parse("syntax = \"proto3\"; message A { string a = 1 [default = {a: 1}]; }").unwrap_err().to_string();
    assert!(error.contains("expected a value without parts for 'default'"), "{error}");
}

#[test]
fn names_of_fields_are_found_through_a_public_import() {
    let reference = ResolvedReference {
        name: "r.proto".to_owned(),
        text: "syntax = \"proto3\"; message R { string x = 1; oneof o { string y = 2; } }".to_owned(),
    };
    let wrapper = ProtobufSchema::parse("syntax = \"proto3\"; import public \"r.proto\";", &[reference]).unwrap();
    assert!(wrapper.has_top_level_field("x"));
    assert!(!wrapper.has_top_level_field("y"));
}

#[test]
fn options_in_many_pieces_are_merged_within_a_bound() {
    let schema = |pieces: usize| {
        let options: Vec<String> =
            (0..pieces).map(|index| format!("(confluent.field_meta).tags = \"t{index}\"")).collect();
        parse(&format!("syntax = \"proto3\"; message M {{ string a = 1 [{}]; }}", options.join(",")))
    };
    assert!(schema(200).unwrap().check(false).is_ok());
    let large = schema(20_000).unwrap();
    let error = large.check(false).unwrap_err().to_string();
    assert!(error.contains("too large to be merged"), "{error}");
    large.formatted("serialized");
    assert_eq!(schema(200).unwrap().tagged_entities()[0].1.len(), 200);
    assert_eq!(large.tagged_entities(), []);
    let entity = TaggedEntity { path: "M.a".to_owned(), entity_type: crate::schema::EntityType::Field };
    let changes = TagChanges { add: vec![(entity, vec!["t".to_owned()])], remove: Vec::new() };
    assert!(large.text_with_tags(&changes).is_err());
}

#[test]
fn long_full_names_are_refused() {
    let name = "a".repeat(MAX_NAME_BYTES / 2);
    assert!(parse(&format!("message {name} {{}}")).is_ok());
    let error = parse(&format!("package {name}; message {name} {{}}")).unwrap_err().to_string();
    assert_eq!(error, "a name in the schema is too long");
}

/// Each name is looked up in all messages around it.
#[test]
fn strict_check_of_many_names_in_deep_messages_is_refused() {
    let schema = |count: usize| {
        let open = "message Ooooooooooooooo { ".repeat(60);
        let fields: String = (1..=count).map(|tag| format!("N{tag} f{tag} = {tag};")).collect();
        let types: String = (1..=count).map(|number| format!("message N{number} {{ }} ")).collect();
        parse(&format!("syntax = \"proto3\"; {open}{fields}{} {types}", "}".repeat(60))).unwrap()
    };
    assert_eq!(schema(100).check(true), Ok(()));
    let error = schema(8_000).check(true).unwrap_err().to_string();
    assert_eq!(error, "the schema has too many long names to check its fields");
}
