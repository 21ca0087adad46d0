//! The extension for JUnit. `mvn package` in src/packages/junit does the same with Maven; these tests need no network.

use std::fs;
use std::path::{Path, PathBuf};

use super::{package, page};
use crate::harness::trials;
use crate::java::{Java, java};
use crate::testing_page::{leftovers, path, write_listings};
use libtest_mimic::Trial;
use tempfile::TempDir;

/// The oldest Java that the extension supports.
const OLDEST_JAVA: &str = "11";

/// Returns the Java sources of the package below `src`.
fn sources(directory: &str) -> Vec<PathBuf> {
    let directory = package("junit/src").join(directory).join("java/io/github/ottla/junit");
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Returns the directory with the classes of the extension.
fn extension(java: &Java) -> PathBuf {
    java.compile_for(OLDEST_JAVA, "classes-junit-extension", &sources("main"), &java.libs("junit"))
}

fn run_junit(java: &Java, directory: &Path, libraries: &str) -> String {
    let temporary = TempDir::with_prefix("junit-tmp-").unwrap();
    let output = java.run_junit(directory, libraries, &path(), temporary.path());
    assert_eq!(leftovers(temporary.path()), Vec::<std::ffi::OsString>::new(), "{output}");
    output
}

fn junit_extension_passes_its_own_tests() {
    let Some(java) = java() else { return };
    let directory = TempDir::with_prefix("ottla-junit-").unwrap();
    for source in sources("test") {
        fs::copy(&source, directory.path().join(source.file_name().unwrap())).unwrap();
    }
    let output = run_junit(java, directory.path(), &extension(java).display().to_string());
    assert!(output.contains("49 tests successful") && output.contains("0 tests failed"), "{output}");
}

fn junit_listings_pass() {
    let Some(java) = java() else { return };
    let directory = write_listings(page("java"), "java");
    let output = run_junit(java, directory.path(), &extension(java).display().to_string());
    assert!(output.contains("5 tests successful"), "{output}");
}

pub fn tests() -> Vec<Trial> {
    trials![plain: junit_extension_passes_its_own_tests, junit_listings_pass]
}
