//! Tarball, npm packages, Go module, Homebrew formula, licences and sums.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use super::dist::{Made, files, is_installed, root, stand_in, stdout};
use super::wheel::tools;
use crate::harness::{skip, trials};
use libtest_mimic::Trial;
use tempfile::TempDir;

const VERSION: &str = env!("CARGO_PKG_VERSION");
const MACHINE: &str = std::env::consts::ARCH;

/// Unpacks a compressed tar into a new directory.
fn unpacked(archive: &Path) -> TempDir {
    let dir = TempDir::with_prefix("ottla-unpacked-").unwrap();
    stdout(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(dir.path()));
    dir
}

fn tarball_has_links_pages_and_completions_and_the_formula_names_its_sum() {
    let made = Made::new(&["tarball", "homebrew"], stand_in());
    let tarball = made.file("tarball", ".tar.gz");
    let dir = unpacked(&tarball);
    let name = format!("ottla-{VERSION}-{MACHINE}-linux");
    assert_eq!(tarball.file_name().unwrap().to_str().unwrap(), format!("{name}.tar.gz"));
    let root = dir.path().join(name);
    assert_eq!(stdout(Command::new(root.join("bin/ottla")).arg("--version")), format!("ottla {VERSION}\n"));
    for tool in tools() {
        assert_eq!(fs::read_link(root.join("bin").join(&tool)).unwrap(), Path::new("ottla"), "{tool}");
        let page = fs::read_to_string(root.join(format!("share/man/man1/{tool}.1"))).unwrap();
        assert!(page.contains(".SH OPTIONS"), "{tool}: {page}");
        let about = page.lines().skip_while(|line| *line != ".SH NAME").nth(1).unwrap_or_default();
        assert!(about.contains(r" \- "), "{tool} has no description: {about}");
    }
    for page in files(&root.join("share/man/man1")) {
        let text = fs::read_to_string(&page).unwrap();
        assert!(text.contains(&format!("\"Ottla {VERSION}\"")), "{}", page.display());
    }
    for path in [
        "LICENSE",
        "THIRD-PARTY-LICENSES.txt",
        "README",
        "etc/ottla/server.properties",
        "lib/systemd/system/ottla.service",
        "share/bash-completion/completions/ottla",
        "share/zsh/site-functions/_ottla",
        "share/fish/vendor_completions.d/ottla.fish",
    ] {
        assert!(fs::metadata(root.join(path)).unwrap().len() > 0, "{path}");
    }
    // bash looks for the file with the command's name.
    let complete =
        "source $0; COMP_WORDS=($1 --boot); COMP_CWORD=1; _ottla_tool $1 --boot; echo ${COMPREPLY[*]}; complete -p $1";
    for name in ["kafka-topics", "kafka-console-consumer"] {
        let script = root.join("share/bash-completion/completions").join(name);
        let completed = stdout(Command::new("bash").args(["-c", complete]).arg(script).arg(name));
        assert!(completed.starts_with("--bootstrap-server\ncomplete "), "{name}: {completed}");
    }
    let sum = stdout(Command::new("sha256sum").arg(&tarball));
    let formula = fs::read_to_string(made.file("homebrew", "ottla.rb")).unwrap();
    assert!(formula.contains(&format!("sha256 \"{}\"", &sum[..64])), "{formula}");
    assert!(formula.contains(&format!("version \"{VERSION}\"")), "{formula}");
    // An installed file is not changed: an upgrade keeps it, and nothing would be found in it.
    let (change, install) = (formula.find("inreplace \"etc/"), formula.find("(etc/\"ottla\").install"));
    assert!(change.is_some() && change < install && !formula.contains("inreplace etc"), "{formula}");
    assert!(formula.contains("url \"https://") && !formula.contains("{resources}"), "{formula}");
}

/// What is given to `dist` and is wrong is one line, without a traceback.
fn files_that_are_not_the_program_and_unknown_kinds_are_refused_in_one_line() {
    let dir = TempDir::with_prefix("ottla-refused-").unwrap();
    let (text, other) = (dir.path().join("text"), dir.path().join("other"));
    fs::write(&text, "no program").unwrap();
    fs::write(&other, "#!/bin/sh\necho other 7\n").unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o755)).unwrap();
    let (text, other) = (text.to_str().unwrap(), other.to_str().unwrap());
    let another = format!("other is not the program ottla {VERSION}: --version prints 'other 7'");
    for (arguments, expect) in [
        (&["tarball", "--binary", text][..], "text is not the program ottla: cannot run "),
        (&["tarball", "--binary", other], another.as_str()),
        (&["tarball", "--binary", "/nowhere"], "--binary /nowhere is not a file"),
        (&["bogus"], "there is no kind bogus; the kinds are wheel, pytest, "),
    ] {
        let mut dist = Command::new("python3");
        dist.arg(super::dist::root().join("src/packages/dist"))
            .args(arguments)
            .arg("--out")
            .arg(dir.path().join("out"));
        let output = dist.output().unwrap();
        let printed = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(!output.status.success() && printed.contains(expect) && !printed.contains("Traceback"), "{printed}");
    }
}

fn npm_packages_have_the_program_for_one_platform_and_install_without_network() {
    if !is_installed("npm", "node", "Node.js 18 or newer") {
        return;
    }
    let made = Made::new(&["npm"], stand_in());
    let cpu = if MACHINE == "aarch64" { "arm64" } else { "x64" };
    let (main, platform) = (
        made.file("npm", &format!("npm/ottla-{VERSION}.tgz")),
        made.file("npm", &format!("linux-{cpu}-{VERSION}.tgz")),
    );
    let manifest = |archive: &Path| fs::read_to_string(unpacked(archive).path().join("package/package.json")).unwrap();
    let wanted = ["\"os\": [\n    \"linux\"\n  ]".to_owned(), format!("\"cpu\": [\n    \"{cpu}\"\n  ]")];
    for part in wanted.iter().map(String::as_str).chain([r#""license": "Apache-2.0""#]) {
        assert!(manifest(&platform).contains(part), "{part} is missing in {}", manifest(&platform));
    }
    assert!(manifest(&main).contains(&format!("\"@ottla/linux-{cpu}\": \"{VERSION}\"")), "{}", manifest(&main));
    assert!(!manifest(&main).contains("install\""), "a script runs at installation: {}", manifest(&main));
    let project = TempDir::with_prefix("ottla-npm-").unwrap();
    fs::write(project.path().join("package.json"), "{}").unwrap();
    let npm = ["install", "--offline", "--no-audit", "--no-fund", "--omit=optional"];
    stdout(Command::new("npm").args(npm).args([&main, &platform]).current_dir(project.path()));
    let run = project.path().join("node_modules/.bin/ottla");
    let version = stdout(Command::new(run).arg("--version").env_remove("OTTLA_BINARY").current_dir(project.path()));
    assert_eq!(version, format!("ottla {VERSION}\n"));
}

fn junit_artifact_has_jar_sources_documentation_and_pom() {
    if !is_installed("mvn", "java", "Apache Maven") {
        return;
    }
    let made = Made::new(&["maven"], stand_in());
    let name = |end: &str| format!("ottla-junit/{VERSION}/ottla-junit-{VERSION}{end}");
    let pom = fs::read_to_string(made.file("maven", &name(".pom"))).unwrap();
    assert!(pom.contains(&format!("<version>{VERSION}</version>")), "{pom}");
    assert!(pom.contains("<name>Apache-2.0</name>"), "{pom}");
    for end in [".jar", "-sources.jar", "-javadoc.jar"] {
        let listed =
            stdout(Command::new("python3").args(["-m", "zipfile", "--list"]).arg(made.file("maven", &name(end))));
        assert!(listed.contains("OttlaExtension"), "{end}: {listed}");
    }
}

fn pytest_plugin_requires_the_same_version() {
    let made = Made::new(&["pytest"], stand_in());
    let dir = TempDir::with_prefix("ottla-plugin-").unwrap();
    let extract = ["-m", "zipfile", "--extract"];
    stdout(Command::new("python3").args(extract).arg(made.file("pytest", ".whl")).arg(dir.path()));
    let info = dir.path().join(format!("pytest_ottla-{VERSION}.dist-info"));
    let metadata = fs::read_to_string(info.join("METADATA")).unwrap();
    for line in [format!("Version: {VERSION}"), format!("Requires-Dist: ottla>={VERSION}")] {
        assert!(metadata.lines().any(|one| one == line), "{line} is missing in {metadata}");
    }
    let entry_points = fs::read_to_string(info.join("entry_points.txt")).unwrap();
    assert!(entry_points.contains("[pytest11]"), "{entry_points}");
    assert!(made.file("pytest", ".tar.gz").exists());
}

fn go_module_is_taken_from_its_directory() {
    if Command::new("go").arg("version").output().is_err() {
        return skip("go", "Go is missing: install Go 1.26 or later");
    }
    let made = Made::new(&["go"], stand_in());
    let path = fs::read_to_string(root().join("src/packages/go/go.mod")).unwrap();
    let path = path.lines().find_map(|line| line.strip_prefix("module ")).unwrap().to_owned();
    let dir = TempDir::with_prefix("ottla-go-").unwrap();
    fs::write(dir.path().join("go.mod"), "module user\n\ngo 1.21\n").unwrap();
    fs::write(dir.path().join("user.go"), format!("package user\n\nimport _ \"{path}\"\n")).unwrap();
    let go = |arguments: &[&str]| {
        let proxy = format!("file://{}", made.path().join("go").display());
        let cache = dir.path().join("cache");
        let mut command = Command::new("go");
        command.args(arguments).current_dir(dir.path()).env("GOPROXY", proxy).env("GOMODCACHE", cache);
        stdout(command.env("GONOSUMDB", "*").env("GOFLAGS", "-mod=mod -modcacherw"))
    };
    go(&["get", &format!("{path}@v{VERSION}")]);
    go(&["vet", "."]);
    assert!(go(&["list", "-m", "all"]).contains(&format!("{path} v{VERSION}")));
}

fn licences_of_all_linked_crates_are_listed() {
    let made = Made::new(&["licences"], stand_in());
    let text = fs::read_to_string(made.file("licences", ".txt")).unwrap();
    let tree = ["tree", "--offline", "--locked", "--package", "ottla", "--edges", "normal,no-proc-macro"];
    let linked = stdout(Command::new(env!("CARGO")).args(tree).args(["--prefix", "none"]).current_dir(root()));
    let linked: BTreeSet<&str> = linked.lines().filter(|line| !line.contains('(')).collect();
    assert!(linked.len() > 50, "{linked:?}");
    for line in linked {
        let crate_and_version = line.replace(" v", " ");
        assert!(text.contains(&format!("\n{crate_and_version}: ")), "{crate_and_version}");
    }
    for own in ["GNU C Library", "GNU LESSER GENERAL PUBLIC LICENSE", "LZ4 Library", "Zstandard software"] {
        assert!(text.contains(own), "{own}");
    }
    assert!(!text.contains("\nottla-"), "own crates are listed");
}

fn sums_are_those_of_all_files() {
    let made = Made::new(&["licences", "tarball"], stand_in());
    let checked =
        stdout(Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(made.path()));
    assert_eq!(checked.lines().count(), files(made.path()).len() - 1, "{checked}");
}

fn packages_made_with_another_umask_and_time_zone_have_the_same_sums() {
    let kinds: &[&str] = if is_installed("dpkg-deb", "dpkg", "dpkg") { &["go", "deb"] } else { &["go"] };
    let sums = |environment: &[(&str, &str)]| {
        let made = Made::with(kinds, stand_in(), environment);
        fs::read_to_string(made.path().join("SHA256SUMS")).unwrap()
    };
    assert_eq!(sums(&[("UMASK", "077"), ("TZ", "Asia/Tokyo")]), sums(&[]));
}

fn bill_of_materials_names_linked_crates() {
    let tool = format!("dist-tools/cargo-cyclonedx-{}/bin/cargo-cyclonedx", cyclonedx_version());
    if !common::target_folder().join(tool).exists() {
        return skip(
            "cargo-cyclonedx",
            "cargo-cyclonedx is missing: run src/packages/dist sbom once, which compiles it",
        );
    }
    let made = Made::new(&["sbom"], stand_in());
    let bill = fs::read_to_string(made.file("sbom", ".cdx.json")).unwrap();
    let bill: serde_json::Value = serde_json::from_str(&bill).unwrap();
    assert_eq!(bill["bomFormat"], "CycloneDX");
    assert_eq!(bill["metadata"]["component"]["version"], VERSION);
    let names: BTreeSet<&str> =
        bill["components"].as_array().unwrap().iter().map(|component| component["name"].as_str().unwrap()).collect();
    for name in ["tokio", "zstd-sys", "rustls", "ottla-core"] {
        assert!(names.contains(name), "{name} is missing in {names:?}");
    }
    for name in ["proptest", "libtest-mimic", "kafka-protocol"] {
        assert!(!names.contains(name), "{name} is for tests");
    }
}

fn cyclonedx_version() -> String {
    let source = fs::read_to_string(root().join("src/packages/dist_lib/sbom.py")).unwrap();
    let line = source.lines().find_map(|line| line.strip_prefix("VERSION = \"")).unwrap();
    line.trim_end_matches('"').to_owned()
}

pub fn tests() -> Vec<Trial> {
    trials![
        plain: files_that_are_not_the_program_and_unknown_kinds_are_refused_in_one_line, tarball_has_links_pages_and_completions_and_the_formula_names_its_sum,
            npm_packages_have_the_program_for_one_platform_and_install_without_network,
            junit_artifact_has_jar_sources_documentation_and_pom, pytest_plugin_requires_the_same_version,
            go_module_is_taken_from_its_directory, licences_of_all_linked_crates_are_listed, sums_are_those_of_all_files,
            packages_made_with_another_umask_and_time_zone_have_the_same_sums,
            bill_of_materials_names_linked_crates,
    ]
}
