//! Virtual environments with pinned Python clients, made once and used by all later runs.
//!
//! ```ignore
//! use common::python_env;
//! let python = python_env::TODAY.python();    // Ok("target/python-envs/<hash>/bin/python"), clients installed
//! ```
//!
//! An environment is named by a hash of its requirements and of the Python version, so a changed requirement makes a
//! new one. A lock file keeps two processes from installing at once, and a file written last tells a whole
//! environment from one whose making was interrupted.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use rustix::fs::{FlockOperation, flock};

/// The clients that courses and older services pin: kafka-python 2.0.2, confluent-kafka 2.3.0.
pub static PINNED_OLD: Environment =
    Environment::new("pinned-old", include_str!("../python/requirements-pinned-old.txt"), (8, Some(11)));

/// The newest clients, aiokafka and Faust among them.
pub static TODAY: Environment = Environment::new("today", include_str!("../python/requirements-today.txt"), (11, None));

/// Testcontainers for Python and a client to use its container with.
pub static TESTCONTAINERS: Environment = Environment {
    name: "testcontainers",
    requirements: include_str!("../external/docker/python/requirements.txt"),
    versions: (11, None),
    made: OnceLock::new(),
};

/// A set of clients and where they are installed.
pub struct Environment {
    name: &'static str,
    requirements: &'static str,
    /// The minor versions of Python 3 that its packages are built for: the first and the last.
    versions: (u32, Option<u32>),
    made: OnceLock<Result<PathBuf, Unavailable>>,
}

/// Why there is no environment, in one line that says what to do.
#[derive(Clone, Debug)]
pub enum Unavailable {
    /// Every Python here is too new for pins this old.
    OnlyNewer(String),
    /// Something has to be installed first.
    Missing(String),
}

impl Environment {
    /// Packages with their versions, and the minor versions of Python 3 that they are built for.
    pub const fn new(name: &'static str, requirements: &'static str, versions: (u32, Option<u32>)) -> Environment {
        Environment { name, requirements, versions, made: OnceLock::new() }
    }

    /// The environment's interpreter. The first call makes the environment if need be, which takes a while and prints
    /// what it does; other threads and processes wait for it.
    pub fn python(&self) -> Result<PathBuf, Unavailable> {
        self.made.get_or_init(|| self.make()).clone()
    }

    fn make(&self) -> Result<PathBuf, Unavailable> {
        let base = find_python(self.versions)?;
        let folder = environments_folder();
        let hash = crc32c::crc32c(format!("{}{}", base.version, self.requirements).as_bytes());
        let home = folder.join(format!("{}-{hash:08x}", self.name));
        let (python, whole) = (home.join("bin/python"), home.join("installed"));
        fs::create_dir_all(&folder).map_err(|error| cannot("make", &folder, &error))?;
        let lock = home.with_extension("lock");
        let lock = File::create(&lock).map_err(|error| cannot("make", &lock, &error))?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|error| cannot("lock", &folder, &error.into()))?;
        if whole.exists() {
            return Ok(python);
        }
        say(&format!("installing Python clients ({}) for Python 3.{} in {}", self.name, base.version, home.display()));
        let _ = fs::remove_dir_all(&home);
        run(Command::new(&base.path).args(["-m", "venv"]).arg(&home), "python3 could not make an environment")?;
        let requirements = home.join("requirements.txt");
        fs::write(&requirements, self.requirements).map_err(|error| cannot("write", &requirements, &error))?;
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--timeout", "30"]);
        pip.args(["--only-binary", ":all:", "--requirement"]).arg(&requirements);
        run(&mut pip, "pip could not install the Python clients; is the network there?")?;
        fs::write(&whole, "").map_err(|error| cannot("write", &whole, &error))?;
        say(&format!("installed Python clients ({})", self.name));
        Ok(python)
    }
}

/// An interpreter that can make environments.
struct Python {
    path: PathBuf,
    /// The minor version: 11 for Python 3.11.
    version: u32,
}

/// The first interpreter within the wanted versions that has what it takes to make an environment.
fn find_python((first, last): (u32, Option<u32>)) -> Result<Python, Unavailable> {
    let found: Vec<Python> = candidates().into_iter().filter_map(probe).collect();
    let fits = |python: &&Python| python.version >= first && last.is_none_or(|last| python.version <= last);
    let range = last.map_or(format!("3.{first} or newer"), |last| format!("3.{first} to 3.{last}"));
    let mut fitting = found.iter().filter(fits).peekable();
    if fitting.peek().is_some() {
        let whole = fitting.find(|python| can_make_environments(&python.path));
        return whole.map(|python| Python { path: python.path.clone(), ..*python }).ok_or_else(|| {
            Unavailable::Missing(format!("Python {range} is here without its venv module: install python3-venv"))
        });
    }
    match found.iter().map(|python| python.version).min() {
        Some(oldest) if last.is_some_and(|last| oldest > last) => Err(Unavailable::OnlyNewer(format!(
            "every Python here is too new for old clients: install Python {range} beside it, with its venv module"
        ))),
        _ => Err(Unavailable::Missing(format!(
            "the Python suites need Python {range}: install python3 and python3-venv (or python@3.13 from Homebrew)"
        ))),
    }
}

/// Commands that may be a Python: what PATH calls python3 first, then by version, then what pyenv has installed.
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

/// The Python behind a command, if it is one that runs.
fn probe(path: PathBuf) -> Option<Python> {
    let output = Command::new(&path).args(["-c", "import sys; print(*sys.version_info[:2])"]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (major, minor) = text.trim().split_once(' ')?;
    (output.status.success() && major == "3")
        .then(|| minor.parse().ok())
        .flatten()
        .map(|version| Python { path, version })
}

/// Debian keeps these modules in a package of their own.
fn can_make_environments(python: &Path) -> bool {
    let check = Command::new(python).args(["-c", "import venv, ensurepip"]).stderr(Stdio::null()).status();
    check.is_ok_and(|status| status.success())
}

fn environments_folder() -> PathBuf {
    crate::target_folder().join("python-envs")
}

/// Runs a command quietly; if it fails, its output and then the one line.
fn run(command: &mut Command, failure: &str) -> Result<(), Unavailable> {
    let output = command.stdin(Stdio::null()).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            say(&String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
            Err(Unavailable::Missing(failure.to_owned()))
        }
        Err(error) => Err(Unavailable::Missing(format!("{failure}: {error}"))),
    }
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Unavailable {
    Unavailable::Missing(format!("cannot {what} {}: {error}", path.display()))
}

/// Prints a line at once: what a test prints by macro is held back until it fails, and installing takes a while.
fn say(line: &str) {
    let mut bytes = OsString::from(line).into_encoded_bytes();
    bytes.push(b'\n');
    let _ = io::stderr().write_all(&bytes);
}
