//! The Debian package: its contents and its systemd unit.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::dist::{Made, is_installed, root, stand_in, stdout};
use super::wheel::tools;
use crate::harness::{skip, trials};
use libtest_mimic::Trial;
use tempfile::TempDir;

/// What `systemd-analyze security` may give the unit at most: 0 is the least exposed, 10 the most.
const MAX_EXPOSURE_TENTHS: u32 = 20;

/// Makes the package from the stand-in; `None` if this is not possible here.
fn package() -> Option<(Made, PathBuf)> {
    is_installed("dpkg-deb", "dpkg", "dpkg").then(|| {
        let made = Made::new(&["deb"], stand_in());
        let package = made.file("deb", ".deb");
        (made, package)
    })
}

fn package_has_program_tools_pages_completions_service_and_settings() {
    let Some((_made, package)) = package() else { return };
    let name = package.file_name().unwrap().to_str().unwrap();
    let architecture = stdout(Command::new("dpkg").arg("--print-architecture"));
    assert_eq!(name, format!("ottla_{}_{}.deb", env!("CARGO_PKG_VERSION"), architecture.trim_end()));
    let listed = stdout(Command::new("dpkg-deb").arg("--contents").arg(&package));
    for line in listed.lines() {
        assert!(line.contains(" root/root "), "{line}");
    }
    let has = |path: &str| listed.lines().any(|line| line.split_whitespace().nth(5) == Some(path));
    for path in [
        "./usr/bin/ottla",
        "./etc/ottla/server.properties",
        "./lib/systemd/system/ottla.service",
        "./usr/share/bash-completion/completions/ottla",
        "./usr/share/zsh/vendor-completions/_ottla",
        "./usr/share/fish/vendor_completions.d/ottla.fish",
        "./usr/share/man/man1/ottla.1.gz",
        "./usr/share/man/man1/ottla-topics-create.1.gz",
        "./usr/share/doc/ottla/copyright",
        "./usr/share/doc/ottla/changelog.gz",
        "./usr/share/doc/ottla/THIRD-PARTY-LICENSES.txt.gz",
    ] {
        assert!(has(path), "{path} is missing in\n{listed}");
    }
    for tool in tools() {
        assert!(listed.contains(&format!(" ./usr/bin/{tool} -> ottla\n")), "{tool} is missing in\n{listed}");
        assert!(has(&format!("./usr/share/man/man1/{tool}.1.gz")), "no page of {tool} in\n{listed}");
    }
    let field = |name: &str| stdout(Command::new("dpkg-deb").arg("--field").arg(&package).arg(name));
    assert_eq!(field("Version").trim_end(), env!("CARGO_PKG_VERSION"));
    assert_eq!(field("Maintainer").trim_end(), "Tests <tests@example.org>");
    let control = TempDir::with_prefix("ottla-deb-").unwrap();
    stdout(Command::new("dpkg-deb").arg("--control").arg(&package).arg(control.path()));
    let conffiles = std::fs::read_to_string(control.path().join("conffiles")).unwrap();
    assert_eq!(conffiles, "/etc/ottla/server.properties\n");
    for script in ["postinst", "prerm", "postrm"] {
        stdout(Command::new("sh").arg("-n").arg(control.path().join(script)));
    }
}

fn unit_is_valid_and_hardened() {
    if !is_installed("systemd-analyze", "systemd", "systemd") {
        return;
    }
    let unit = root().join("src/packages/system/ottla.service");
    // The program and the user need not be installed here.
    let dir = TempDir::with_prefix("ottla-unit-").unwrap();
    let text = std::fs::read_to_string(&unit).unwrap();
    let copy = dir.path().join("ottla.service");
    std::fs::write(&copy, text.replace("/usr/bin/ottla", common::ottla().to_str().unwrap())).unwrap();
    let verified = systemd_analyze(&["verify", "--man=no"], &copy);
    assert_eq!(verified.0, "", "{}", verified.0);
    let limit = MAX_EXPOSURE_TENTHS.to_string();
    let (text, succeeded) = systemd_analyze(&["security", "--offline=true", "--threshold", &limit], &copy);
    assert!(succeeded, "{text}");
}

fn systemd_analyze(arguments: &[&str], unit: &Path) -> (String, bool) {
    let output = Command::new("systemd-analyze").args(arguments).arg(unit).env("SYSTEMD_PAGER", "").output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (text, output.status.success())
}

/// The settings of the package are accepted, and are as safe as its comments say.
fn packaged_settings_listen_on_this_machine_alone() {
    let settings = root().join("src/packages/system/server.properties");
    let shown = stdout(Command::new(common::ottla()).arg("config").arg("--config").arg(settings));
    let value = |name: &str| shown.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    assert!(value("listeners").contains("PLAINTEXT://localhost:9092"), "{shown}");
    assert!(value("log.dirs").contains("/var/lib/ottla"), "{shown}");
}

fn package_passes_lintian() {
    if Command::new("lintian").arg("--version").output().is_err() {
        return skip("lintian", "lintian is missing: install lintian");
    }
    let Some((_made, package)) = package() else { return };
    // The stand-in is a script; the real program is tested by `released`.
    let tags = ["--fail-on", "error,warning", "--suppress-tags", "executable-is-not-world-readable"];
    stdout(Command::new("lintian").args(tags).arg("--allow-root").arg(&package));
}

pub fn tests() -> Vec<Trial> {
    trials![
        plain: package_has_program_tools_pages_completions_service_and_settings, unit_is_valid_and_hardened,
            packaged_settings_listen_on_this_machine_alone, package_passes_lintian,
    ]
}
