//! Virtual environments with pinned Python clients, created once and used by all later runs.
//!
//! ```ignore
//! use common::python_env;
//! let python = python_env::TODAY.python();    // Ok("target/python-envs/<hash>/bin/python"), clients installed
//! ```
//!
//! An environment is named by a hash of its requirements and of the Python version, so that a changed requirement
//! creates a new one. A lock file prevents two processes from installing at once. A file that is written last marks the
//! environment as complete.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use rustix::fs::{FlockOperation, flock};

/// The old clients that courses and older services pin: kafka-python 2.0.2, confluent-kafka 2.3.0, aiokafka
/// 0.8.1.
pub static PINNED_OLD: Environment =
    Environment::new("pinned-old", include_str!("../python/requirements-pinned-old.txt"), (8, Some(11)));

/// The newest clients, aiokafka and Faust among them.
pub static TODAY: Environment = Environment::new("today", include_str!("../python/requirements-today.txt"), (11, None));

/// quixstreams, which needs an older confluent-kafka than today's.
pub static QUIXSTREAMS: Environment =
    Environment::new("quixstreams", include_str!("../python/requirements-quixstreams.txt"), (11, None));

/// Testcontainers for Python and a client to use its container with.
pub static TESTCONTAINERS: Environment = Environment {
    name: "testcontainers",
    requirements: include_str!("../external/docker/python/requirements.txt"),
    versions: (11, None),
    python: OnceLock::new(),
};

/// A set of clients and the environment that they are installed in.
pub struct Environment {
    name: &'static str,
    requirements: &'static str,
    /// The minor versions of Python 3 that its packages are built for: the first and the last.
    versions: (u32, Option<u32>),
    python: OnceLock<Result<PathBuf, Unavailable>>,
}

/// The reason why there is no environment, in one line that says what to do.
#[derive(Clone, Debug)]
pub enum Unavailable {
    /// Every installed Python is too new for these old clients.
    OnlyNewer(String),
    /// A program or package is missing.
    Missing(String),
}

impl Environment {
    /// Packages with their versions, and the minor versions of Python 3 that they are built for.
    pub const fn new(name: &'static str, requirements: &'static str, versions: (u32, Option<u32>)) -> Environment {
        Environment { name, requirements, versions, python: OnceLock::new() }
    }

    /// The interpreter of the environment. The first call creates the environment if it does not exist and prints its
    /// progress; other threads and processes wait.
    pub fn python(&self) -> Result<PathBuf, Unavailable> {
        self.python.get_or_init(|| self.create()).clone()
    }

    fn create(&self) -> Result<PathBuf, Unavailable> {
        let base = find_python(self.versions)?;
        let folder = environments_folder();
        let hash = crc32c::crc32c(format!("{}{}", base.version, self.requirements).as_bytes());
        let home = folder.join(format!("{}-{hash:08x}", self.name));
        let (python, complete) = (home.join("bin/python"), home.join("installed"));
        fs::create_dir_all(&folder).map_err(|error| cannot("create", &folder, &error))?;
        let lock = home.with_extension("lock");
        let lock = File::create(&lock).map_err(|error| cannot("create", &lock, &error))?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|error| cannot("lock", &folder, &error.into()))?;
        if complete.exists() {
            return Ok(python);
        }
        print_now(&format!(
            "installing Python clients ({}) for Python 3.{} in {}",
            self.name,
            base.version,
            home.display()
        ));
        let _ = fs::remove_dir_all(&home);
        run(Command::new(&base.path).args(["-m", "venv"]).arg(&home), "python3 could not create an environment")?;
        let requirements = home.join("requirements.txt");
        fs::write(&requirements, self.requirements).map_err(|error| cannot("write", &requirements, &error))?;
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--timeout", "30"]);
        pip.args(["--only-binary", ":all:", "--requirement"]).arg(&requirements);
        run(&mut pip, "pip could not install the Python clients; is there a network connection?")?;
        fs::write(&complete, "").map_err(|error| cannot("write", &complete, &error))?;
        print_now(&format!("installed Python clients ({})", self.name));
        Ok(python)
    }
}

/// A Python interpreter.
struct Python {
    path: PathBuf,
    /// The minor version: 11 for Python 3.11.
    version: u32,
}

/// Returns an interpreter of each minor version from 3.`first` on that is installed and can create environments, oldest first.
pub fn every_python(first: u32) -> Vec<(u32, PathBuf)> {
    let found = candidates().into_iter().filter_map(probe).filter(|python| python.version >= first);
    let by_version: BTreeMap<u32, PathBuf> = found.map(|python| (python.version, python.path)).collect();
    by_version.into_iter().filter(|(_, path)| can_create_environments(path)).collect()
}

/// Finds the first interpreter in the range of versions that can create environments.
fn find_python((first, last): (u32, Option<u32>)) -> Result<Python, Unavailable> {
    let found: Vec<Python> = candidates().into_iter().filter_map(probe).collect();
    let fits = |python: &&Python| python.version >= first && last.is_none_or(|last| python.version <= last);
    let range = last.map_or(format!("3.{first} or newer"), |last| format!("3.{first} to 3.{last}"));
    let mut fitting = found.iter().filter(fits).peekable();
    if fitting.peek().is_some() {
        let usable = fitting.find(|python| can_create_environments(&python.path));
        return usable.map(|python| Python { path: python.path.clone(), ..*python }).ok_or_else(|| {
            Unavailable::Missing(format!("Python {range} is installed without its venv module: install python3-venv"))
        });
    }
    match found.iter().map(|python| python.version).min() {
        Some(oldest) if last.is_some_and(|last| oldest > last) => Err(Unavailable::OnlyNewer(format!(
            "every installed Python is too new for the old clients: install Python {range} beside it, with its venv module"
        ))),
        _ => Err(Unavailable::Missing(format!(
            "the Python suites need Python {range}: install python3 and python3-venv (or python@3.13 from Homebrew)"
        ))),
    }
}

/// Commands that may be a Python: `python3` in PATH first, then by version, then those installed by pyenv.
fn candidates() -> Vec<PathBuf> {
    let by_version = [13, 12, 11, 14, 10, 9, 8].map(|minor| PathBuf::from(format!("python3.{minor}")));
    let pyenv = std::env::var_os("PYENV_ROOT").map(PathBuf::from).or_else(|| {
        let home = std::env::var_os("HOME")?;
        Some(Path::new(&home).join(".pyenv"))
    });
    let versions = pyenv.and_then(|root| fs::read_dir(root.join("versions")).ok()).into_iter().flatten().flatten();
    let mut installed: Vec<PathBuf> = versions.map(|version| version.path().join("bin/python3")).collect();
    installed.sort();
    [PathBuf::from("python3")].into_iter().chain(by_version).chain(installed.into_iter().rev()).collect()
}

/// Runs a command to find its version; `None` if it is not a working Python 3.
fn probe(path: PathBuf) -> Option<Python> {
    let output = Command::new(&path).args(["-c", "import sys; print(*sys.version_info[:2])"]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (major, minor) = text.trim().split_once(' ')?;
    (output.status.success() && major == "3")
        .then(|| minor.parse().ok())
        .flatten()
        .map(|version| Python { path, version })
}

/// Whether the modules are there that Debian has in a separate package.
fn can_create_environments(python: &Path) -> bool {
    let check = Command::new(python).args(["-c", "import venv, ensurepip"]).stderr(Stdio::null()).status();
    check.is_ok_and(|status| status.success())
}

fn environments_folder() -> PathBuf {
    crate::target_folder().join("python-envs")
}

/// Runs a command; prints its output only if it fails.
fn run(command: &mut Command, failure: &str) -> Result<(), Unavailable> {
    let output = command.stdin(Stdio::null()).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            print_now(&String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
            Err(Unavailable::Missing(failure.to_owned()))
        }
        Err(error) => Err(Unavailable::Missing(format!("{failure}: {error}"))),
    }
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Unavailable {
    Unavailable::Missing(format!("cannot {what} {}: {error}", path.display()))
}

/// Prints a line at once. The test harness would hold back what `println!` prints until the test fails.
fn print_now(line: &str) {
    let mut bytes = OsString::from(line).into_encoded_bytes();
    bytes.push(b'\n');
    let _ = io::stderr().write_all(&bytes);
}
