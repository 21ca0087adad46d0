//! Resolution of names.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::names::{Scope, Types};
use super::super::*;

/// What a name means: the first of the scopes around it, from the inside, that has it.
fn expected(types: &Types<'_>, name: &str, scope: &Scope) -> Option<String> {
    if let Some(name) = name.strip_prefix('.') {
        return types.by_full_name(name).map(|_| name.to_owned());
    }
    let mut parts: Vec<&str> = scope.package.split('.').filter(|part| !part.is_empty()).collect();
    parts.extend(scope.names.iter().map(String::as_str));
    loop {
        let full = if parts.is_empty() { name.to_owned() } else { format!("{}.{name}", parts.join(".")) };
        if types.by_full_name(&full).is_some() {
            return Some(full);
        }
        parts.pop()?;
    }
}

fn nested(names: &[String]) -> String {
    let open: String = names.iter().map(|name| format!("message {name} {{")).collect();
    format!("{open} enum E {{ X{} = 0; }} {}", names.join(""), "}".repeat(names.len()))
}

fn parts() -> impl Strategy<Value = Vec<String>> {
    let part = proptest::sample::select(vec!["a", "b", "c", "google", "protobuf", "Any", "E"]);
    vec(part.prop_map(str::to_owned), 1..4)
}

proptest! {
    #[test]
    fn name_means_the_first_definition_from_the_inside(
        package in parts(),
        messages in vec(parts(), 1..4),
        scope in parts(),
        name in parts(),
        is_full in any::<bool>(),
    ) {
        let types: String = messages.iter().map(|names| nested(names)).collect();
        let text = format!("syntax = \"proto3\"; package {}; {types}", package.join("."));
        let Ok(schema) = ProtobufSchema::parse(&text, &[]) else { return Ok(()) };
        let types = schema.types();
        let name = format!("{}{}", if is_full { "." } else { "" }, name.join("."));
        for package in [package.join("."), String::new()] {
            let scope = Scope { package, names: scope.clone() };
            prop_assert_eq!(types.resolve(&name, &scope), expected(&types, &name, &scope));
        }
    }
}
