//! kafka-storage.

use std::fs;
use std::path::Path;

use super::side_by_side::{self, Ran};
use crate::harness::trials;
use common::Broker;
use libtest_mimic::Trial;
use ottla::client::Client;
use ottla_wire::protocol::messages::api_versions::ApiVersionsRequest;
use tempfile::TempDir;

const CLUSTER: &str = "5L6g3nShT-eMCtK--X86sw";

/// Makes a directory with settings files `mine.properties` and `java.properties`, for data in `mine` and `java`.
fn settings_dir(more: &str) -> TempDir {
    let dir = TempDir::with_prefix("ottla-test-").unwrap();
    for name in ["mine", "java"] {
        let data = dir.path().join(name);
        let text = format!(
            "process.roles=broker,controller\nnode.id=1\nlisteners=PLAINTEXT://localhost:9092,\
             CONTROLLER://localhost:9093\ncontroller.listener.names=CONTROLLER\nlog.dirs={}\n{more}\n",
            data.display()
        );
        fs::write(dir.path().join(format!("{name}.properties")), text).unwrap();
    }
    dir
}

const STATIC: &str = "controller.quorum.voters=1@localhost:9093";
const DYNAMIC: &str = "controller.quorum.bootstrap.servers=localhost:9093";

/// Compares both tools; `FILE` in the line is the settings file.
fn check(dir: &Path, line: &str) -> Ran {
    let ids = |text: &str| {
        let id = regex::Regex::new("directory.id=[A-Za-z0-9_-]{22}").unwrap();
        id.replace_all(text, "directory.id=ID").into_owned()
    };
    let file = dir.join("{}.properties");
    side_by_side::check(&format!("kafka-storage {}", line.replace("FILE", &file.display().to_string())), "", ids)
}

fn format_of_a_formatted_directory_is_refused() {
    let dir = settings_dir(STATIC);
    let check = |line: &str| check(dir.path(), line);
    check("info -c FILE");
    let formatted = check(&format!("format -t {CLUSTER} -c FILE"));
    assert!(formatted.out.ends_with("with metadata.version 4.3-IV0.\n"), "{}", formatted.out);
    assert!(check("info --config FILE").out.contains(&format!("cluster.id={CLUSTER}")));
    let again = check(&format!("format --cluster-id {CLUSTER} -c FILE"));
    assert!(again.err.contains("is already formatted"), "{}", again.err);
    check(&format!("format -g -t {CLUSTER} -c FILE"));
    check("format -g -t AAAAAAAAAAAAAAAAAAAAAQ -c FILE");
    // Kafka's tool reads what Ottla's wrote.
    let line = format!("kafka-storage info -c {}", dir.path().join("mine.properties").display());
    let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
    if let Some(theirs) = side_by_side::apache_kafkas(&words, "") {
        assert_eq!((theirs.code, theirs.out), (0, side_by_side::ours(&words, "").out));
    }
}

fn release_versions_and_quorums_format_the_same() {
    let format =
        |more: &str, flags: &str| check(settings_dir(more).path(), &format!("format -t {CLUSTER} -c FILE {flags}"));
    format(STATIC, "--release-version 4.0");
    format(STATIC, "--release-version 3.9 --feature group.version=1");
    format(STATIC, "--feature group.version=0");
    format(STATIC, "--feature metadata.version=25");
    format(STATIC, "--feature metadata.version=25 --release-version 4.0");
    format(STATIC, "--feature foo=1");
    format(STATIC, "--feature group.version=9");
    format(STATIC, "--release-version 9");
    format(STATIC, "--standalone");
    format(DYNAMIC, "");
    format(DYNAMIC, "--standalone");
    format(DYNAMIC, "--no-initial-controllers");
    format(DYNAMIC, "--initial-controllers 1@localhost:9093:AAAAAAAAAAAAAAAAAAAAAw");
    format(DYNAMIC, "--initial-controllers 1localhost:9093");
    format(DYNAMIC, "--standalone --feature kraft.version=0");
}

fn commands_without_a_directory_print_the_same() {
    let check = |line: &str| check(Path::new("/does/not/exist"), line);
    check("version-mapping");
    check("version-mapping --release-version 4.0");
    check("version-mapping -r bogus");
    check("feature-dependencies --feature group.version=1 -f metadata.version=17");
    check("feature-dependencies --feature foo=1");
    check("info -c FILE");
    let uuid = side_by_side::ours(&["kafka-storage".to_owned(), "random-uuid".to_owned()], "");
    assert!(uuid.out.len() == 23 && !uuid.out.starts_with('-'), "{}", uuid.out);
}

async fn broker_starts_on_a_formatted_directory() {
    let dir = settings_dir(STATIC);
    check(dir.path(), &format!("format -t {CLUSTER} -c FILE --release-version 4.0"));
    for name in ["mine", "java"] {
        let data = dir.path().join(name);
        if !data.exists() {
            continue;
        }
        let broker = Broker::with().data_dir(&data).start();
        let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
        assert_eq!(client.metadata(None).await.unwrap().cluster_id.as_deref(), Some(CLUSTER));
        let request = ApiVersionsRequest {
            client_software_name: "test".into(),
            client_software_version: "1".into(),
            ..Default::default()
        };
        let response = client.call(request).await.unwrap();
        assert_eq!(response.finalized_features[0].max_version_level, 25, "formatted by {name}");
    }
}

pub fn tests() -> Vec<Trial> {
    trials![
        plain: format_of_a_formatted_directory_is_refused, release_versions_and_quorums_format_the_same, commands_without_a_directory_print_the_same;
        on_tokio: broker_starts_on_a_formatted_directory
    ]
}
