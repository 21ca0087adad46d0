//! Test programs must be named in Cargo.toml, because `autotests` is off.

use std::fs;
use std::path::Path;

#[test]
fn every_test_program_is_named_in_the_manifest() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let entries = fs::read_dir(root.join("tests")).unwrap().map(|entry| entry.unwrap().file_name());
    let files = entries.filter_map(|name| name.into_string().ok()).filter(|name| name.ends_with(".rs"));
    let unnamed: Vec<String> = files.filter(|name| !manifest.contains(&format!("\"tests/{name}\""))).collect();
    assert_eq!(unnamed, Vec::<String>::new(), "never run: move them into a module of tests/ottla");
}
