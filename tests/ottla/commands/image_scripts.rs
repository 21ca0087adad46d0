//! The scripts of the container image, run without a container: in their copies a folder replaces the root directory.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use common::{ottla, run_command, wait_until};
use tempfile::TempDir;

/// Paths of the image that the scripts use.
const PATHS: &[&str] = &[
    "/usr/share/ottla/",
    "/usr/bin/ottla",
    "/tmp/ottla.ready",
    "/etc/kafka/",
    "/etc/ottla/",
    "/opt/",
    "/mnt/shared/",
    "/bitnami/",
    "/var/lib/",
];

/// A folder that stands for the root directory of the image.
struct Image {
    root: TempDir,
}

impl Image {
    fn new() -> Image {
        let root = TempDir::with_prefix("ottla-test-").unwrap();
        let rootfs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docker/rootfs");
        for script in ["usr/share/ottla/image.sh", "usr/share/ottla/entrypoint", "usr/local/bin/ottla"] {
            let text = fs::read_to_string(rootfs.join(script)).unwrap();
            let moved = PATHS.iter().fold(text, |text, path| {
                // Only at the beginning of a word, so that no path is replaced twice.
                let at = |before: &str| (format!("{before}{path}"), format!("{before}{}{path}", root.path().display()));
                [" ", "\n", "=", "\""].into_iter().map(at).fold(text, |text, (from, to)| text.replace(&from, &to))
            });
            let to = root.path().join(script);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::write(&to, moved).unwrap();
            fs::set_permissions(&to, fs::Permissions::from_mode(0o755)).unwrap();
        }
        for folder in ["usr/bin", "tmp", "var/lib/kafka", "mnt/shared/config"] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        symlink(ottla(), root.path().join("usr/bin/ottla")).unwrap();
        Image { root }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    /// The main process of a container with these arguments.
    fn container(&self, line: &str) -> Command {
        let mut command = Command::new(self.path("usr/share/ottla/entrypoint"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("KAFKA_")) {
            command.env_remove(name);
        }
        let path: OsString = std::env::var_os("PATH").unwrap_or_default();
        let path = [self.path("usr/local/bin")].into_iter().chain(std::env::split_paths(&path));
        command.env("PATH", std::env::join_paths(path).unwrap()).current_dir(self.root.path());
        command.args(line.split_whitespace()).stdin(Stdio::null());
        command
    }

    fn run(&self, line: &str) -> Output {
        run_command(&mut self.container(line))
    }

    /// Runs a command line and returns its stdout; panics if it fails.
    fn stdout(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Starts a broker with these flags, stops it once it is ready, and returns its data directory.
    fn serve(&self, flags: &str) -> PathBuf {
        let ready_file = self.path("tmp/ottla.ready");
        let log = fs::File::create(self.path("tmp/log")).unwrap();
        let mut process = self.container(flags).stderr(log).spawn().unwrap();
        wait_until("the ready file", || ready_file.exists() || process.try_wait().unwrap().is_some());
        let text = fs::read_to_string(&ready_file);
        process.kill().unwrap();
        process.wait().unwrap();
        let text = text.unwrap_or_else(|_| panic!("{}", fs::read_to_string(self.path("tmp/log")).unwrap()));
        fs::remove_file(ready_file).unwrap();
        serde_json::from_str::<common::Ready>(&text).unwrap().data_dir
    }
}

#[test]
fn entrypoint_passes_flags_and_commands_to_ottla_and_runs_others() {
    let image = Image::new();
    assert!(image.stdout("--help").starts_with("A Kafka broker for one machine"));
    assert!(image.stdout("--version").starts_with("ottla "));
    assert!(image.stdout("topics --help").contains("ottla topics create orders"));
    assert_eq!(image.stdout("echo one two"), "one two\n");
    assert!(!image.serve("--ephemeral --port 0").starts_with(image.root.path()));
    // The script knows all commands.
    let script = fs::read_to_string(image.path("usr/share/ottla/entrypoint")).unwrap();
    let named = script.lines().find(|line| line.starts_with("serve |")).unwrap().trim_end_matches(')');
    let help = image.stdout("--help");
    let commands = help.split("Commands:").nth(1).unwrap().split("\n\n").next().unwrap();
    let commands: Vec<_> = commands.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   ")).collect();
    let commands: Vec<_> = commands.iter().filter_map(|line| line.split_whitespace().next()).collect();
    let commands: Vec<_> = commands.into_iter().filter(|name| *name != "help").collect();
    assert_eq!(named.split(" | ").collect::<Vec<_>>(), commands);
}

#[test]
fn commands_in_the_image_use_the_data_directory_of_the_broker() {
    let image = Image::new();
    let data = image.serve("--port 0");
    assert_eq!(data, image.path("var/lib/kafka/data"));
    assert!(image.stdout("check-log").contains("no faults found"));
    assert!(image.stdout("config log.dir").starts_with(&format!("log.dir = {}\n", data.display())));

    // A mounted settings file names another directory.
    let mounted = image.path("mnt/shared/config/server.properties");
    let elsewhere = image.path("elsewhere");
    fs::write(&mounted, format!("log.dirs={}\n", elsewhere.display())).unwrap();
    assert_eq!(image.serve("--port 0"), elsewhere);
    assert!(image.stdout("config log.dirs").contains(&format!("from     {}:1", mounted.display())));
    fs::remove_file(elsewhere.join("meta.properties")).unwrap();
    assert_eq!(image.run("check-log").status.code(), Some(1), "the configured directory is checked");
    assert!(image.stdout(&format!("check-log {}", data.display())).contains("no faults found"));
}

/// Bitnami's variable for the directory of mounted files.
#[test]
fn settings_file_in_the_directory_of_the_variable_is_used() {
    let image = Image::new();
    let dir = image.path("mounted by the user");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("server.properties"), "node.id=9\n").unwrap();
    let output = run_command(image.container("config node.id").env("KAFKA_MOUNTED_CONF_DIR", &dir));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("node.id = 9\n"), "{output:?}");
}

#[test]
fn check_log_uses_the_configured_log_dirs() {
    let dir = TempDir::with_prefix("ottla-test-").unwrap();
    let data = dir.path().join("data");
    common::Broker::with().data_dir(&data).start().stop();
    let settings = dir.path().join("server.properties");
    fs::write(&settings, format!("log.dirs={}\n", data.display())).unwrap();
    let check = |command: &mut Command| {
        let output = run_command(command.current_dir(dir.path()));
        assert!(String::from_utf8_lossy(&output.stdout).contains("no faults found"), "{output:?}");
    };
    let log_dirs = ("KAFKA_LOG_DIRS".to_owned(), data.display().to_string());
    check(common::command(&[log_dirs]).arg("check-log"));
    check(common::command(&[]).args(["check-log", "--config"]).arg(&settings));
    let output = run_command(common::command(&[]).arg("check-log").current_dir(dir.path()));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr, "ottla: there is no data directory ./ottla-data: name one, or give --config\n");
    assert_eq!(output.status.code(), Some(2));
}
