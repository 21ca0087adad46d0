//! Every error of every version of every API, beside when Kafka had them (`tests/data/protocol/releases.tsv`) and
//! what is answered for those that are newer than the version (`tests/data/error-versions.tsv`).

use std::collections::{HashMap, HashSet};

use super::*;
use crate::handlers::served::SERVED;
use ottla_wire::protocol::messages::fetch::{FetchResponse, FetchableTopicResponse, PartitionData};

const RELEASES: &str = include_str!("../../../../tests/data/protocol/releases.tsv");
const ANSWERS: &str = include_str!("../../../../tests/data/error-versions.tsv");

/// A release such as 0.10.1 or 2.4, comparable.
type Release = Vec<u32>;

#[derive(Default)]
struct Releases {
    errors: HashMap<i16, Release>,
    versions: HashMap<(i16, i16), Release>,
}

impl Releases {
    fn read() -> Releases {
        let mut releases = Releases::default();
        for line in RELEASES.lines().skip(1) {
            let [what, number, version, release] = fields(line);
            let release = release.split('.').map(|part| part.parse().unwrap()).collect();
            let number = number.parse().unwrap();
            match what {
                "error" => releases.errors.insert(number, release),
                _ => releases.versions.insert((number, version.parse().unwrap()), release),
            };
        }
        releases
    }

    /// Whether Kafka had the version before it had the code.
    fn is_newer(&self, code: ErrorCode, api: ApiKey, version: i16) -> bool {
        self.errors[&code.code()] > self.versions[&(api as i16, version)]
    }
}

fn fields<const N: usize>(line: &str) -> [&str; N] {
    let mut columns = line.split('\t');
    std::array::from_fn(|_| columns.next().unwrap_or_default())
}

struct Row {
    until: i16,
    /// `None` where the version can't come to answer it.
    answer: Option<ErrorCode>,
}

/// For each error that an API can answer, what is answered in versions that are older than it.
fn answers() -> HashMap<(ApiKey, ErrorCode), Vec<Row>> {
    let code = |name: &str| *ErrorCode::ALL.iter().find(|code| code.name() == name).expect(name);
    let mut answers: HashMap<_, Vec<Row>> = HashMap::new();
    for line in ANSWERS.lines().skip(1) {
        let [api, error, until, answer, why] = fields(line);
        let api = *ApiKey::ALL.iter().find(|key| key.name() == api).expect(api);
        let error = code(error);
        let rows = answers.entry((api, error)).or_default();
        if !until.is_empty() {
            assert!(!why.is_empty(), "{line}");
            let answer = match answer {
                "-" => Option::None,
                "same" => Some(error),
                other => Some(code(other)),
            };
            rows.push(Row { until: until.parse().unwrap(), answer });
        }
    }
    answers
}

#[test]
fn every_error_newer_than_its_version_has_an_answer_that_is_known() {
    let (releases, answers) = (Releases::read(), answers());
    let mut wrong = Vec::new();
    for (api, versions) in SERVED {
        for version in versions.clone() {
            for &code in ErrorCode::ALL {
                let told = known(*api, version, code);
                let Some(rows) = answers.get(&(*api, code)) else {
                    if told != code {
                        wrong.push(format!("{api} {version}: {code} is replaced, and not answered"));
                    }
                    continue;
                };
                let row = rows.iter().find(|row| version <= row.until);
                let expected = row.map_or(Some(code), |row| row.answer);
                if expected.is_some_and(|expected| expected != told) {
                    wrong.push(format!("{api} {version}: {code} is told as {told}, not as {expected:?}"));
                }
                if told != code && releases.is_newer(told, *api, version) {
                    wrong.push(format!("{api} {version}: {code} is replaced by {told}, which is no older"));
                }
                if releases.is_newer(code, *api, version) != row.is_some() {
                    wrong.push(format!("{api} {version}: whether {code} is newer"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_api_served_tells_which_errors_it_answers() {
    let told: HashSet<_> = answers().keys().map(|(api, _)| *api).collect();
    let missing: Vec<_> = SERVED.iter().map(|(api, _)| *api).filter(|api| !told.contains(api)).collect();
    assert_eq!(missing, []);
}

#[test]
fn codes_are_replaced_wherever_they_stand_in_a_response() {
    let response = || {
        let failed = |code: ErrorCode| PartitionData { error_code: code.code(), ..Default::default() };
        let partitions = vec![failed(OffsetOutOfRange), failed(KafkaStorageError)];
        let topic = FetchableTopicResponse { partitions, ..Default::default() };
        Response::from(FetchResponse {
            error_code: KafkaStorageError.code(),
            responses: vec![topic],
            ..Default::default()
        })
    };
    let told = |version| {
        let (mut response, mut codes) = (response(), Vec::new());
        translate(version, &mut response);
        response.visit_error_codes(&mut |code| codes.push(ErrorCode::from_code(*code).unwrap()));
        codes.sort_by_key(|code| code.code());
        codes
    };
    assert_eq!(told(5), [OffsetOutOfRange, NotLeaderOrFollower, NotLeaderOrFollower]);
    assert_eq!(told(6), [OffsetOutOfRange, KafkaStorageError, KafkaStorageError]);
}
