//! The Python wheel: its contents and tags, and that it installs without a network.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::dist::{Made, files, root, stand_in, stdout};
use crate::harness::{skip, trials};
use common::python_env::every_python;
use libtest_mimic::Trial;
use tempfile::TempDir;

/// The oldest Python that is supported.
const OLDEST_PYTHON: u32 = 9;

/// Lists a wheel's files with their permissions, and prints these of its files: `-` begins each name.
const LIST: &str = r#"
import sys, zipfile
wheel = zipfile.ZipFile(sys.argv[1])
for entry in wheel.infolist():
    print("file", oct(entry.external_attr >> 16 & 0o777), entry.filename)
for name in sys.argv[2:]:
    found = [one for one in wheel.namelist() if one.endswith(name)]
    print(wheel.read(found[0]).decode())
"#;

/// Returns the names of Kafka's tools.
pub fn tools() -> Vec<String> {
    let list = fs::read_to_string(root().join("docker/rootfs/usr/share/ottla/tools")).unwrap();
    list.lines().filter(|line| line.starts_with("kafka-")).map(str::to_owned).collect()
}

fn wheel_has_program_licences_commands_and_tags_of_both_c_libraries() {
    let made = Made::new(&["wheel"], stand_in());
    let wheel = made.file("wheel", ".whl");
    let name = wheel.file_name().unwrap().to_str().unwrap();
    let machine = std::env::consts::ARCH;
    let version = env!("CARGO_PKG_VERSION");
    let tags = format!("manylinux_2_17_{machine}.musllinux_1_1_{machine}");
    assert_eq!(name, format!("ottla-{version}-py3-none-{tags}.whl"));
    let read = ["dist-info/WHEEL", "METADATA", "entry_points.txt"];
    let listed = stdout(Command::new("python3").args(["-c", LIST]).arg(&wheel).args(read));
    let info = format!("ottla-{version}.dist-info");
    for line in [
        format!("file 0o755 ottla-{version}.data/scripts/ottla"),
        "file 0o644 ottla/__init__.py".to_owned(),
        "file 0o644 ottla/py.typed".to_owned(),
        format!("file 0o644 {info}/licenses/LICENSE"),
        format!("file 0o644 {info}/licenses/THIRD-PARTY-LICENSES.txt"),
        format!("Tag: py3-none-manylinux_2_17_{machine}"),
        format!("Tag: py3-none-musllinux_1_1_{machine}"),
        "Root-Is-Purelib: false".to_owned(),
        format!("Version: {version}"),
        "License-Expression: Apache-2.0".to_owned(),
        "Requires-Python: >=3.9".to_owned(),
    ] {
        assert!(listed.lines().any(|one| one == line), "{line} is missing in\n{listed}");
    }
    assert!(!listed.contains("Requires-Dist"), "{listed}");
    for tool in tools() {
        assert!(listed.contains(&format!("{tool} = ottla._tools:main")), "{tool} is missing in\n{listed}");
    }
}

/// The program is built elsewhere; all else of a wheel depends on nothing but the sources.
fn wheel_made_again_has_the_same_bytes() {
    let bytes = |environment: &[(&str, &str)]| {
        let made = Made::with(&["wheel"], stand_in(), environment);
        fs::read(made.file("wheel", ".whl")).unwrap()
    };
    let first = bytes(&[("TZ", "UTC"), ("LC_ALL", "C")]);
    assert!(first == bytes(&[("TZ", "Asia/Tokyo"), ("PYTHONHASHSEED", "7")]), "the bytes differ");
    assert!(first != bytes(&[("SOURCE_DATE_EPOCH", "1500000000")]), "the time of the sources is not in it");
}

fn wheel_installs_without_network_into_every_python() {
    let pythons = every_python(OLDEST_PYTHON);
    if pythons.is_empty() {
        return skip("python", "the wheel needs Python 3.9 or newer: install python3 and python3-venv");
    }
    let dir = TempDir::with_prefix("ottla-wheel-").unwrap();
    let program = dir.path().join("ottla");
    stripped(common::ottla(), &program);
    let made = Made::new(&["wheel"], &program);
    for (version, python) in pythons {
        let home = dir.path().join(format!("3.{version}"));
        stdout(Command::new(&python).args(["-m", "venv"]).arg(&home));
        let bin = home.join("bin");
        let pip = ["-m", "pip", "install", "--quiet", "--no-index", "--disable-pip-version-check"];
        let installed = stdout(
            Command::new(bin.join("python")).args(pip).arg(made.file("wheel", ".whl")).env_remove("PIP_FIND_LINKS"),
        );
        assert_eq!(installed, "", "3.{version}");
        let run = |name: &str, arguments: &[&str]| {
            // No other Python's module and no other program.
            stdout(Command::new(bin.join(name)).args(arguments).env_clear().env("PATH", "/nowhere"))
        };
        assert_eq!(run("ottla", &["--version"]), format!("ottla {}\n", env!("CARGO_PKG_VERSION")), "3.{version}");
        let version_of_tools = stdout(Command::new(common::ottla()).args(["kafka-topics", "--version"]));
        for tool in tools() {
            assert!(bin.join(&tool).exists(), "3.{version}: {tool}");
        }
        assert_eq!(run("kafka-topics", &["--version"]), version_of_tools, "3.{version}");
        let found = run("python", &["-c", "import ottla; print(ottla.find_binary())"]);
        assert_eq!(Path::new(found.trim_end()), bin.join("ottla"), "3.{version}");
        stdout(Command::new(bin.join("python")).args(["-m", "pip", "uninstall", "--quiet", "--yes", "ottla"]));
        assert!(files(&bin).iter().all(|path| !path.to_string_lossy().contains("kafka-")), "3.{version}");
        fs::remove_dir_all(&home).unwrap();
    }
}

/// Copies the program without its symbols, if there is `strip`: it is many times larger with them.
fn stripped(program: &Path, goal: &Path) {
    let done = Command::new("strip").arg("-o").arg(goal).arg(program).status();
    if !done.is_ok_and(|status| status.success()) {
        fs::copy(program, goal).unwrap();
    }
}

pub fn tests() -> Vec<Trial> {
    trials![
        plain: wheel_has_program_licences_commands_and_tags_of_both_c_libraries, wheel_made_again_has_the_same_bytes,
            wheel_installs_without_network_into_every_python,
    ]
}
