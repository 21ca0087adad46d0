//! Properties of generated schemas.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::super::*;

fn type_name() -> impl Strategy<Value = String> {
    let names = ["int32", "string", "bytes", "bool", "double", "sint64", "M0", "M1", ".p.M0", "p.E", "M0.In", "E"];
    let maps = ["map<string, int32>", "map<int32, M1>", "map<bool, E>"];
    let names: Vec<&str> = names.into_iter().chain(maps).collect();
    proptest::sample::select(names).prop_map(str::to_owned)
}

fn options() -> impl Strategy<Value = String> {
    let choices =
        ["", "", " [deprecated = true]", " [(x) = {a: 1, b: [\"s\", X]}, json_name = \"j\"]", " [(y).z = 1.50]"];
    proptest::sample::select(choices.to_vec()).prop_map(str::to_owned)
}

fn message(name: String) -> impl Strategy<Value = String> {
    let fields = btree_map(1..60i32, (type_name(), options(), 0..4u8), 0..6);
    fields.prop_map(move |fields| {
        let mut text = format!("message {name} {{ message In {{ E e = 1; }} reserved 100 to 110, 90;");
        for (tag, (type_name, options, place)) in fields {
            let is_map = type_name.starts_with("map");
            text += &match place {
                0 if !is_map => format!("oneof o{tag} {{ {type_name} f{tag} = {tag}{options}; }}"),
                1 if !is_map => format!("repeated {type_name} f{tag} = {tag}{options};"),
                2 if !is_map => format!("optional {type_name} f{tag} = {tag}{options};"),
                _ => format!("{type_name} f{tag} = {tag}{options};"),
            };
        }
        text + "}"
    })
}

pub(super) fn schema() -> impl Strategy<Value = String> {
    (message("M0".to_owned()), message("M1".to_owned()), vec(0..9i32, 0..4)).prop_map(|(first, second, values)| {
        let constants: String = values.iter().enumerate().map(|(index, tag)| format!("V{index} = {tag};")).collect();
        format!("syntax = \"proto3\"; package p; {first} {second} enum E {{ Z = 0; {constants} }}")
    })
}

proptest! {
    #[test]
    fn schema_reads_its_own_data_and_keeps_its_texts(text in schema()) {
        let schema = ProtobufSchema::parse(&text, &[]).unwrap();
        let again = ProtobufSchema::parse(schema.canonical(), &[]).unwrap();
        prop_assert_eq!(again.canonical(), schema.canonical());
        let normalized = schema.normalized(&[]).unwrap();
        let twice = normalized.normalized(&[]).unwrap();
        prop_assert_eq!(twice.canonical(), normalized.canonical());
        let serialized = schema.formatted("serialized");
        let decoded = ProtobufSchema::parse(&serialized, &[]).unwrap();
let again = ProtobufSchema::parse(&decoded.formatted("serialized"), &[]).unwrap();
        prop_assert_eq!(again.canonical(), decoded.canonical());
        for (reader, writer) in [(&schema, &schema), (&schema, &normalized), (&normalized, &schema), (&decoded, &schema)] {
            prop_assert_eq!(reader.differences(writer), Ok(Vec::new()));
        }
    }

    #[test]
    fn changed_text_is_parsed_or_refused(text in schema(), at in 0..400usize, with in "[ -~]{0,3}") {
        let at = at.min(text.len());
        let changed = format!("{}{with}{}", &text[..at], &text[(at + 1).min(text.len())..]);
        if let Ok(schema) = ProtobufSchema::parse(&changed, &[]) {
            let again = ProtobufSchema::parse(schema.canonical(), &[]);
            prop_assert_eq!(again.map(|again| again.canonical().to_owned()), Ok(schema.canonical().to_owned()));
            let _ = schema.check(true);
        }
    }
}
