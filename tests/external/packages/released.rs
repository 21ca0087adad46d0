//! Packages of the static program: its size, that it needs nothing of the system, and that the Debian package and the image's
//! archive work. The program is that of the container image, or the one that `OTTLA_DIST_PROGRAM` names.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use super::dist::{Made, is_installed, stdout};
use crate::docker::engine::{IMAGE, LABEL, docker, docker_available, docker_stdout, unique};
use crate::harness::trials;
use libtest_mimic::Trial;
use tempfile::TempDir;

/// Limit of the wheel's size, so that it is installed within a second or two.
const MAX_WHEEL_BYTES: u64 = 8_000_000;

/// Installs the package, runs the unit's command as its user, uses the broker, removes the package, and purges it.
const INSTALL_RUN_AND_PURGE: &str = r"
set -eux
dpkg -i /ottla.deb
[ $(stat -c %U:%G:%a /var/lib/ottla) = ottla:ottla:750 ]
id ottla
command=$(sed -n s/^ExecStart=//p /lib/systemd/system/ottla.service)
cd /var/lib/ottla
setpriv --reuid=ottla --regid=ottla --clear-groups --no-new-privs $command &
broker=$!
for _ in $(seq 100); do
    if ottla healthcheck --config /etc/ottla/server.properties; then break; fi
    kill -0 $broker
    sleep 0.1
done
kafka-topics --bootstrap-server localhost:9092 --create --topic orders
echo book | kafka-console-producer --bootstrap-server localhost:9092 --topic orders
[ -d /var/lib/ottla/orders-0 ]
kill $broker
wait $broker
cd /
dpkg --remove ottla
[ ! -e /usr/bin/ottla ]
[ ! -e /usr/bin/kafka-topics ]
[ -d /var/lib/ottla/orders-0 ]
[ -e /etc/ottla/server.properties ]
dpkg -i /ottla.deb
[ -d /var/lib/ottla/orders-0 ]
dpkg --purge ottla
[ ! -e /var/lib/ottla ]
[ ! -e /etc/ottla ]
";

/// Returns the path of the static program; without one the test is skipped.
fn program() -> Option<PathBuf> {
    static PROGRAM: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    if let Some(given) = std::env::var_os("OTTLA_DIST_PROGRAM") {
        return Some(PathBuf::from(given));
    }
    if !docker_available() {
        return None;
    }
    let (_, path) = PROGRAM.get_or_init(|| {
        let dir = TempDir::with_prefix("ottla-program-").unwrap();
        let path = dir.path().join("ottla");
        let container = unique("program");
        docker_stdout(&["create", "--name", &container, "--label", LABEL, IMAGE]);
        docker_stdout(&["cp", &format!("{container}:/usr/bin/ottla"), path.to_str().unwrap()]);
        docker(&["rm", &container]);
        (dir, path)
    });
    Some(path.clone())
}

fn static_program_needs_no_interpreter_and_no_library() {
    let Some(program) = program() else { return };
    if !is_installed("readelf", "binutils", "binutils") {
        return;
    }
    let headers = stdout(Command::new("readelf").args(["--wide", "--program-headers", "--dynamic"]).arg(program));
    assert!(headers.contains("LOAD"), "{headers}");
    assert!(!headers.contains("INTERP") && !headers.contains("NEEDED"), "{headers}");
}

fn wheel_of_the_static_program_is_small() {
    let Some(program) = program() else { return };
    let made = Made::new(&["wheel"], &program);
    let size = fs::metadata(made.file("wheel", ".whl")).unwrap().len();
    assert!(size <= MAX_WHEEL_BYTES, "{size} bytes");
}

fn debian_package_installs_runs_and_is_purged() {
    let Some(program) = program() else { return };
    if !docker_available() || !is_installed("dpkg-deb", "dpkg", "dpkg") {
        return;
    }
    let made = Made::new(&["deb"], &program);
    let mount = format!("--volume={}:/ottla.deb:ro", made.file("deb", ".deb").display());
    let (name, base) = (unique("deb"), "debian:bookworm-slim");
    let own = ["run", "--rm", "--network=none", "--name", &name, "--label", LABEL, &mount];
    docker_stdout(&[&own[..], &[base, "bash", "-c", INSTALL_RUN_AND_PURGE]].concat());
}

fn image_archive_is_complete_and_loads() {
    let Some(program) = program() else { return };
    if !docker_available() {
        return;
    }
    let made = Made::new(&["image"], &program);
    let archive = made.file("image", "-oci.tar");
    let dir = TempDir::with_prefix("ottla-oci-").unwrap();
    stdout(Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(dir.path()));
    let json = |path: &str| -> serde_json::Value {
        serde_json::from_str(&fs::read_to_string(dir.path().join(path)).unwrap()).unwrap()
    };
    let blob = |entry: &serde_json::Value| {
        let digest = entry["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
        let path = format!("blobs/sha256/{digest}");
        assert_eq!(entry["size"].as_u64(), Some(fs::metadata(dir.path().join(&path)).unwrap().len()));
        let sum = stdout(Command::new("sha256sum").arg(dir.path().join(&path)));
        assert!(sum.starts_with(digest), "{path}: {sum}");
        path
    };
    assert_eq!(json("oci-layout")["imageLayoutVersion"], "1.0.0");
    let index = json(&blob(&json("index.json")["manifests"][0]));
    let image = &index["manifests"][0];
    assert_eq!(image["platform"]["os"], "linux");
    let manifest = json(&blob(image));
    let config = json(&blob(&manifest["config"]));
    assert_eq!(config["config"]["User"], "1000:0");
    let layers = manifest["layers"].as_array().unwrap();
    assert_eq!(layers.len(), config["rootfs"]["diff_ids"].as_array().unwrap().len());
    layers.iter().for_each(|layer| drop(blob(layer)));

    let name = format!("ottla:{}", env!("CARGO_PKG_VERSION"));
    let licences = ["ottla/LICENSE", "ottla/THIRD-PARTY-LICENSES.txt.gz", "bash/copyright", "busybox/copyright"];
    let licences = licences.map(|name| format!("/usr/share/doc/{name}"));
    docker_stdout(&["load", "--quiet", "--input", archive.to_str().unwrap()]);
    let version = docker_stdout(&["run", "--rm", "--label", LABEL, &name, "ottla", "--version"]);
    let list = ["run", "--rm", "--entrypoint=ls", "--label", LABEL, &name];
    let listed = docker_stdout(&[&list[..], &licences.each_ref().map(String::as_str)[..]].concat());
    docker(&["image", "rm", "--force", &name]);
    assert_eq!(listed.lines().count(), licences.len(), "{listed}");
    assert_eq!(version, format!("ottla {}", env!("CARGO_PKG_VERSION")));
}

pub fn tests() -> Vec<Trial> {
    trials![
        plain: static_program_needs_no_interpreter_and_no_library, wheel_of_the_static_program_is_small,
            debian_package_installs_runs_and_is_purged, image_archive_is_complete_and_loads,
    ]
}
