//! Unmodified Python clients, each program with its own broker: one test for each program in tests/python and each set
//! of clients. tests/python/README.md describes the programs.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::client_metrics::{check, start_broker};
use crate::harness::{plain, skip, trials};
use crate::testing_page::write_listings;
use common::certificates::{Authority, Validity};
use common::python_env::{Environment, PINNED_OLD, QUIXSTREAMS, TODAY, Unavailable};
use common::{Broker, RegistryProcess};
use libtest_mimic::Trial;
use rcgen::DnType;
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

/// Programs that measure time hold the write lock; all others hold a read lock.
static MACHINE_LOAD: RwLock<()> = RwLock::new(());

/// Far longer than any program takes: each bounds its own cases.
const TIMEOUT: Duration = Duration::from_secs(400);

/// Programs, each with the environments that it is run in.
const PROGRAMS: [(&str, &[&str]); 21] = [
    ("kafka_python_producing", &["pinned_old", "today"]),
    ("kafka_python_partitioning", &["pinned_old", "today"]),
    ("kafka_python_consuming", &["pinned_old", "today"]),
    ("kafka_python_groups", &["pinned_old", "today"]),
    ("kafka_python_admin", &["pinned_old", "today"]),
    ("kafka_python_pipelines", &["pinned_old", "today"]),
    ("confluent_producing", &["pinned_old", "today"]),
    ("confluent_consuming", &["pinned_old", "today"]),
    ("confluent_groups", &["pinned_old", "today"]),
    ("confluent_admin", &["pinned_old", "today"]),
    ("confluent_patterns", &["pinned_old", "today"]),
    ("cross_client", &["pinned_old", "today"]),
    ("starting_together", &["pinned_old", "today"]),
    ("aiokafka_client", &["today"]),
    ("faust_streams", &["today"]),
    ("kafka_python_transactions", &["pinned_old", "today"]),
    ("confluent_transactions", &["pinned_old", "today", "quixstreams"]),
    ("aiokafka_transactions", &["pinned_old", "today"]),
    ("faust_exactly_once", &["today"]),
    ("quix_streams", &["quixstreams"]),
    ("quotas", &["pinned_old", "today"]),
];

/// The exercise's thousand transactions per second, within its latency, while no other program runs.
fn fraud_detection() {
    let _alone = MACHINE_LOAD.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(python) = python_of(&TODAY) {
        run(&python, "fraud_detection", &Broker::start(), &[]);
    }
}

/// A producer of confluent-kafka pushes its metrics.
fn client_metrics() {
    let _shared = MACHINE_LOAD.read().unwrap_or_else(PoisonError::into_inner);
    let Some(python) = python_of(&TODAY) else { return };
    let broker = start_broker(&[]);
    run(&python, "client_metrics", &broker, &[]);
    check(&broker, "confluent-kafka-python", "org_apache_kafka_producer_node_request_latency_avg");
}

/// Consumers that stay open while all topics are deleted between two tests.
fn aiokafka_across_resets() {
    let _shared = MACHINE_LOAD.read().unwrap_or_else(PoisonError::into_inner);
    let Some(python) = python_of(&TODAY) else { return };
    let broker = Broker::with().arg("--admin-port").arg("0").arg("--create-topic").arg("orders:3").start();
    let admin = format!("--admin={}", broker.ready().admin_url.clone().unwrap());
    run(&python, "aiokafka_across_resets", &broker, &[&admin]);
}

/// Old clients read what new ones wrote, and the reverse, on one broker.
fn old_and_new_clients_read_each_other() {
    let _shared = MACHINE_LOAD.read().unwrap_or_else(PoisonError::into_inner);
    let (Some(old), Some(new)) = (python_of(&PINNED_OLD), python_of(&TODAY)) else { return };
    let broker = Broker::start();
    run(&old, "cross_client", &broker, &["--role=write", "from-old"]);
    run(&new, "cross_client", &broker, &["--role=write", "from-new"]);
    run(&old, "cross_client", &broker, &["--role=read", "from-new"]);
    run(&new, "cross_client", &broker, &["--role=read", "from-old"]);
}

/// The program that the benchmarks use prints a time for every client.
fn first_message() {
    let _shared = MACHINE_LOAD.read().unwrap_or_else(PoisonError::into_inner);
    let Some(python) = python_of(&TODAY) else { return };
    let output = run(&python, "first_message", &Broker::start(), &["2"]);
    let last = output.lines().last().unwrap_or_default();
    let report: serde_json::Value = serde_json::from_str(last).expect("one JSON object");
    for client in ["kafka-python", "confluent-kafka", "aiokafka"] {
        assert!(report[client]["median_ms"].as_f64().is_some_and(|time| time > 0.0), "{client} in {report}");
    }
}

/// Clients of a listener that demands client certificates.
fn tls_clients(environment: &Environment) {
    let _shared = MACHINE_LOAD.read().unwrap_or_else(PoisonError::into_inner);
    let Some(python) = python_of(environment) else { return };
    let dir = TempDir::new().unwrap();
    let path = |name: &str| dir.path().join(name);
    let (authority, other) = (Authority::new(), Authority::new());
    authority.server(&["localhost"]).write(&path("broker.pem"));
    fs::write(path("authority.pem"), authority.pem()).unwrap();
    fs::write(path("other-authority.pem"), other.pem()).unwrap();
    for (name, authority) in [("client", &authority), ("untrusted", &other)] {
        let issued = authority.client(&[(DnType::CommonName, name)], Validity::Valid);
        fs::write(path(&format!("{name}.pem")), issued.certificate).unwrap();
        fs::write(path(&format!("{name}.key")), issued.key).unwrap();
    }
    let text = |name: &str| path(name).display().to_string();
    let broker = Broker::with()
        .set("listeners", "SSL://localhost:0")
        .set("ssl.keystore.type", "PEM")
        .set("ssl.keystore.location", &text("broker.pem"))
        .set("ssl.truststore.type", "PEM")
        .set("ssl.truststore.location", &text("authority.pem"))
        .set("ssl.client.auth", "required")
        .start();
    run(&python, "tls_clients", &broker, &[&format!("--certificates={}", dir.path().display())]);
}

/// Clients and serializers of the schema registry, one program after the other at one broker.
fn schema_registry(environment: &Environment, programs: &[&str]) {
    let _shared = MACHINE_LOAD.read().unwrap_or_else(PoisonError::into_inner);
    let Some(python) = python_of(environment) else { return };
    let broker = Broker::with().arg("--registry-port").arg("0").start();
    let registry = format!("--registry={}", broker.ready().schema_registry_url.clone().unwrap());
    for program in programs {
        run(&python, program, &broker, &[&registry]);
    }
}

/// The same at a registry that is a process of its own.
fn schema_registry_process(environment: &Environment) {
    let _shared = MACHINE_LOAD.read().unwrap_or_else(PoisonError::into_inner);
    let Some(python) = python_of(environment) else { return };
    let broker = Broker::start();
    let registry = RegistryProcess::start(&broker, &[]);
    run(&python, "confluent_schema_registry", &broker, &[&format!("--registry={}", registry.url())]);
}

fn run_shared(program: &str, environment: &Environment) {
    let _shared = MACHINE_LOAD.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(python) = python_of(environment) {
        let ottla = format!("--ottla={}", common::ottla().display());
        run(&python, program, &Broker::start(), &[&ottla]);
    }
}

/// Returns the interpreter of an environment. If this machine has only a newer Python than the environment's clients
/// support, the test is skipped. Panics if something must be installed first.
pub fn python_of(environment: &Environment) -> Option<PathBuf> {
    match environment.python() {
        Ok(python) => Some(python),
        Err(Unavailable::OnlyNewer(why)) => {
            skip("old-python", &why);
            None
        }
        Err(Unavailable::Missing(what)) => panic!("{what}"),
    }
}

/// Runs a program and returns its output; panics with the output unless the program succeeds in time.
pub fn run(python: &Path, program: &str, broker: &Broker, arguments: &[&str]) -> String {
    let mut running = Program::start(python, program, broker, arguments);
    let status = running.wait();
    let output = running.output();
    if status.is_none_or(|status| !status.success()) {
        let outcome = status.map_or(format!("did not end in {TIMEOUT:?}"), |status| format!("ended with {status}"));
        panic!("{program}.py {outcome}; broker {}\n{output}", broker.bootstrap_servers());
    }
    output
}

/// A running Python program, in one process group with the processes that it starts.
struct Program {
    process: Child,
    dir: TempDir,
}

impl Program {
    fn start(python: &Path, name: &str, broker: &Broker, arguments: &[&str]) -> Program {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python");
        let dir = TempDir::with_prefix("ottla-python-").expect("a temporary directory");
        let output =
            || File::options().create(true).append(true).open(dir.path().join("output")).expect("an output file");
        let process = Command::new(python)
            .arg(folder.join(format!("{name}.py")))
            .arg(broker.bootstrap_servers())
            .args(arguments)
            .env("PYTHONUNBUFFERED", "1")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output())
            .process_group(0)
            .spawn()
            .expect("the interpreter starts");
        Program { process, dir }
    }

    /// Waits for the end of the program; returns `None` on a timeout.
    fn wait(&mut self) -> Option<ExitStatus> {
        let deadline = Instant::now() + TIMEOUT;
        while Instant::now() < deadline {
            if let Some(status) = self.process.try_wait().expect("the program can be waited for") {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }

    /// Returns what it has written so far.
    fn output(&self) -> String {
        fs::read(self.dir.path().join("output"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }
}

impl Drop for Program {
    /// Kills the process group, also when the test fails.
    fn drop(&mut self) {
        if let Some(group) = self.process.id().try_into().ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.process.wait();
    }
}

/// The Python listings of docs/security.md, beside a broker that is started as the page says.
fn security_page() {
    let _shared = MACHINE_LOAD.read().unwrap_or_else(PoisonError::into_inner);
    let Some(python) = python_of(&TODAY) else { return };
    let dir = write_listings(include_str!("../../docs/security.md"), "python");
    let data_dir = dir.path().join("ottla-data");
    let broker = Broker::with().secure("ann", "secret").arg("--admin-port").arg("0").data_dir(&data_dir).start();
    let mut listings: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    listings.retain(|path| path.extension().is_some_and(|extension| extension == "py"));
    assert_eq!(listings.len(), 4, "{listings:?}");
    for listing in listings {
        let output = Command::new(&python).arg(&listing).current_dir(dir.path()).output().unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{}: {text}\n{}", listing.display(), broker.log());
    }
}

pub fn tests() -> Vec<Trial> {
    let mut tests = trials![
        plain: security_page, fraud_detection, aiokafka_across_resets, old_and_new_clients_read_each_other, first_message, client_metrics
    ];
    let module = format!("{}::tls_clients", module_path!());
    tests.push(plain(&module, "pinned_old", || tls_clients(&PINNED_OLD)));
    tests.push(plain(&module, "today", || tls_clients(&TODAY)));
    let module = format!("{}::schema_registry", module_path!());
    tests.push(plain(&module, "pinned_old", || schema_registry(&PINNED_OLD, &["confluent_schema_registry"])));
    let programs = ["confluent_schema_registry", "confluent_registry_contracts", "registry_clients"];
    tests.push(plain(&module, "today", move || schema_registry(&TODAY, &programs)));
    tests.push(plain(&module, "quixstreams", || schema_registry(&QUIXSTREAMS, &["quix_registry"])));
    tests.push(plain(&module, "of_its_own", || schema_registry_process(&TODAY)));
    for (program, environments) in PROGRAMS {
        for (name, environment) in [("pinned_old", &PINNED_OLD), ("today", &TODAY), ("quixstreams", &QUIXSTREAMS)] {
            if environments.contains(&name) {
                let module = format!("{}::{program}", module_path!());
                tests.push(plain(&module, name, || run_shared(program, environment)));
            }
        }
    }
    tests
}
