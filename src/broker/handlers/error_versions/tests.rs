//! Compares every error code of every supported version with the releases of Kafka that introduced them
//! (`tests/data/protocol/releases.tsv`) and with the expected answers (`tests/data/error-versions.tsv`).

use std::collections::{HashMap, HashSet};

use super::*;
use crate::handlers::served::SERVED;
use ottla_wire::protocol::messages::fetch::{FetchResponse, FetchableTopicResponse, PartitionData};

const RELEASES: &str = include_str!("../../../../tests/data/protocol/releases.tsv");
const ANSWERS: &str = include_str!("../../../../tests/data/error-versions.tsv");

/// A release such as 0.10.1 or 2.4, as numbers.
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

    /// Whether Kafka introduced the code after the version.
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
    /// `None` if the version can never answer the error.
    answer: Option<ErrorCode>,
}

/// The expected answers in versions that are older than the error, for each error that an API can answer.
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
fn error_newer_than_version_is_answered_with_the_expected_code() {
    let (releases, answers) = (Releases::read(), answers());
    let mut wrong = Vec::new();
    for (api, versions) in SERVED {
        for version in versions.clone() {
            for &code in ErrorCode::ALL {
                let answered = replacement(*api, version, code);
                let Some(rows) = answers.get(&(*api, code)) else {
                    if answered != code {
                        wrong.push(format!("{api} {version}: {code} is replaced but not listed"));
                    }
                    continue;
                };
                let row = rows.iter().find(|row| version <= row.until);
                let expected = row.map_or(Some(code), |row| row.answer);
                if expected.is_some_and(|expected| expected != answered) {
                    wrong.push(format!("{api} {version}: {code} is answered as {answered}, not as {expected:?}"));
                }
                if answered != code && releases.is_newer(answered, *api, version) {
                    wrong.push(format!("{api} {version}: {code} is replaced by {answered}, which is not older"));
                }
                if releases.is_newer(code, *api, version) != row.is_some() {
                    wrong.push(format!("{api} {version}: {code} is newer than the version, or listed, but not both"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_supported_api_lists_its_errors() {
    let listed: HashSet<_> = answers().keys().map(|(api, _)| *api).collect();
    let missing: Vec<_> = SERVED.iter().map(|(api, _)| *api).filter(|api| !listed.contains(api)).collect();
    assert_eq!(missing, []);
}

#[test]
fn translate_replaces_codes_at_all_levels_of_a_response() {
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
    let translated = |version| {
        let (mut response, mut codes) = (response(), Vec::new());
        translate(version, &mut response);
        response.visit_error_codes(&mut |code| codes.push(ErrorCode::from_code(*code).unwrap()));
        codes.sort_by_key(|code| code.code());
        codes
    };
    assert_eq!(translated(5), [OffsetOutOfRange, NotLeaderOrFollower, NotLeaderOrFollower]);
    assert_eq!(translated(6), [OffsetOutOfRange, KafkaStorageError, KafkaStorageError]);
}
