//! The Go module.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{command, kill_test_run, package, page};
use crate::go::{go_is_installed, write_module};
use crate::harness::trials;
use crate::testing_page::{run, write_listings};
use libtest_mimic::Trial;
use tempfile::TempDir;

/// Makes a Go module that uses the package where it is.
fn use_package(dir: &Path) {
    let file = dir.join("go.mod");
    let mut text = fs::read_to_string(&file).unwrap_or_else(|_| "module orders\n\ngo 1.21\n".to_owned());
    let module = "github.com/ottla/ottla-go";
    text.push_str(&format!("\nrequire {module} v0.0.0\n\nreplace {module} => {}\n", package("go").display()));
    fs::write(file, text).unwrap();
}

/// With the race detector where a C compiler is installed.
fn go_package_passes_its_own_tests() {
    if !go_is_installed() {
        return;
    }
    let cgo = Command::new("go").args(["env", "CGO_ENABLED"]).output().unwrap();
    let race: &[&str] = if cgo.stdout.starts_with(b"1") { &["-race"] } else { &[] };
    let mut go = command("go");
    go.args(["test", "-count=1", "-timeout", "200s"]).args(race).env("OTTLA_BINARY", common::ottla());
    run(&package("go"), go.arg("."));
    for arguments in [&["vet", "."][..], &["mod", "verify"]] {
        run(&package("go"), command("go").args(arguments));
    }
    assert_eq!(run(&package("go"), Command::new("gofmt").args(["-l", "."])), "");
}

fn go_listing_passes() {
    if !go_is_installed() {
        return;
    }
    let dir = write_listings(page("go"), "go");
    write_module(dir.path(), "orders");
    use_package(dir.path());
    let output = run(dir.path(), command("go").args(["test", "-count=1", "-v", "-timeout", "200s", "./..."]));
    assert_eq!(output.matches("--- PASS").count(), 5, "{output}");
    assert_eq!(run(dir.path(), Command::new("gofmt").args(["-l", "."])), "");
}

/// The program of the tests outlives `go test`, but its broker does not.
fn killed_go_test_leaves_nothing() {
    if !go_is_installed() {
        return;
    }
    let dir = TempDir::with_prefix("ottla-go-").unwrap();
    use_package(dir.path());
    fs::write(dir.path().join("hang_test.go"), include_str!("../go/hang_test.go")).unwrap();
    // Built before, because that takes far longer.
    run(dir.path(), command("go").args(["test", "-c", "-o", "/dev/null"]));
    kill_test_run(dir.path(), 1, command("go").args(["test", "-count=1", "-timeout", "60s"]));
}

pub fn tests() -> Vec<Trial> {
    trials![plain: go_package_passes_its_own_tests, go_listing_passes, killed_go_test_leaves_nothing]
}
