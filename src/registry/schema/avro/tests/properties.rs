//! What holds for every schema.

use proptest::prelude::*;

use super::*;

/// The text of a schema. Names are drawn from few, so that types are used again; not every text is a schema.
pub(super) fn schema_text() -> impl Strategy<Value = String> {
    let primitive = prop::sample::select(vec![
        "\"null\"",
        "\"boolean\"",
        "\"int\"",
        "\"long\"",
        "\"float\"",
        "\"double\"",
        "\"bytes\"",
        "\"string\"",
        r#"{"type":"long","logicalType":"timestamp-millis"}"#,
        r#"{"type":"bytes","scale":2,"precision":6,"logicalType":"decimal"}"#,
        "\"T0\"",
        "\"n.T1\"",
    ]);
    let name = || prop::sample::select(vec!["T0", "T1", "T2", "T3", "n.T1", "n.T2"]);
    let named = name().prop_flat_map(|name| {
        prop_oneof![
            Just(format!(r#"{{"type":"enum","name":"{name}","symbols":["A","B"],"aliases":["Z","m.Y"]}}"#)),
            Just(format!(r#"{{"type":"enum","name":"{name}","symbols":["A"],"default":"A","doc":"é"}}"#)),
            Just(format!(r#"{{"type":"fixed","name":"{name}","size":12,"logicalType":"duration","b":1,"a":[2.5]}}"#)),
        ]
    });
    let leaf = prop_oneof![primitive.prop_map(str::to_owned), named];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let field =
            (prop::sample::select(vec!["a", "b", "c", "d"]), inner.clone(), 0..4u8).prop_map(|(name, schema, kind)| {
                let more = match kind {
                    0 => "",
                    1 => r#","doc":"x","order":"descending""#,
                    2 => r#","aliases":["q","r"],"z":{"b":1,"a":2}"#,
                    _ => r#","default":null"#,
                };
                format!(r#"{{"name":"{name}","type":{schema}{more}}}"#)
            });
        prop_oneof![
            inner.clone().prop_map(|items| format!(r#"{{"type":"array","items":{items},"p":1}}"#)),
            inner.clone().prop_map(|values| format!(r#"{{"type":"map","values":{values}}}"#)),
            prop::collection::vec(inner, 1..3).prop_map(|branches| format!("[\"null\",{}]", branches.join(","))),
            (name(), prop::collection::vec(field, 0..4)).prop_map(|(name, fields)| {
                format!(r#"{{"type":"record","name":"{name}","namespace":"s","fields":[{}]}}"#, fields.join(","))
            }),
        ]
    })
}

/// Parses a text as a schema that was registered; `None` if it is not one.
fn registered(text: &str) -> Option<AvroSchema> {
    AvroSchema::parse(text, &[], Validation::Registered).ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn canonical_text_is_its_own_canonical_text(text in schema_text()) {
        if let Some(schema) = registered(&text) {
            let again = registered(schema.canonical()).unwrap();
            prop_assert_eq!(again.canonical(), schema.canonical());
            prop_assert!(again.is_equivalent(&schema));
        }
    }

    #[test]
    fn schema_can_read_what_it_wrote(text in schema_text()) {
        if let Some(schema) = registered(&text) {
            prop_assert!(schema.differences(&schema).unwrap().is_empty());
            let again = registered(schema.canonical()).unwrap();
            prop_assert!(again.differences(&schema).unwrap().is_empty());
        }
    }

    #[test]
    fn normalisation_is_idempotent(text in schema_text()) {
        if let Some(schema) = registered(&text) && let Ok(once) = schema.normalized(&[], Validation::Registered) {
            let twice = once.normalized(&[], Validation::Registered).unwrap();
            prop_assert_eq!(twice.canonical(), once.canonical());
        }
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in "\\PC{0,60}") {
        let _ = registered(&text);
    }

    #[test]
    fn any_json_with_the_words_of_avro_is_parsed_or_refused(text in prop::collection::vec(prop::sample::select(vec![
        "{", "}", "[", "]", ":", ",", "\"type\"", "\"record\"", "\"name\"", "\"fields\"", "\"A\"", "\"enum\"", "\"symbols\"",
        "\"int\"", "\"null\"", "1", "\"default\"", "\"array\"", "\"items\"", "\"size\"", "\"fixed\"",
    ]), 0..40)) {
        let _ = registered(&text.concat());
    }
}
