//! Decisions on SCRAM credentials of users (Kafka's `ScramControlManager`).

use std::collections::HashMap;
use std::sync::Arc;

use super::commands::{AlterUserScramCredentials, MetadataReply, ScramDeletion, ScramUpsertion, StartUser};
use super::errors::MetadataError;
use super::image::credential_of;
use super::records::{MetadataRecord, RecordBody, RemoveUserScramCredentialRecord, UserScramCredentialRecord};
use super::{Decision, MetadataMachine};
use crate::security::sasl::{ScramCredential, ScramMechanism};
use ottla_wire::codec::Str;
use ottla_wire::java::sort_by_name;
use ottla_wire::types::sort_by_key;

/// The level of `metadata.version` from which on there are SCRAM credentials: `3.5-IV2`.
pub const SCRAM_LEVEL: i16 = 11;

const TWICE: &str = "A user credential cannot be altered twice in the same request";

type UserResult = (Str, Result<(), MetadataError>);

/// What a request does to one user.
enum Change<'a> {
    Delete(&'a ScramDeletion),
    Upsert(&'a ScramUpsertion),
    Refuse(MetadataError),
}

/// What a request does, by user.
#[derive(Default)]
struct Plan<'a> {
    /// The numbers are the order of decisions.
    changes: HashMap<&'a Str, (usize, Change<'a>)>,
    decisions: usize,
}

impl<'a> Plan<'a> {
    /// Notes the change of a user. `check` validates it without regard to the other changes.
    fn note(&mut self, user: &'a Str, change: Change<'a>, check: impl FnOnce() -> Result<(), MetadataError>) {
        let decided = match self.changes.get(user) {
            Some((_, Change::Refuse(_))) => return,
            Some(_) => Change::Refuse(MetadataError::DuplicateResource(TWICE.to_owned())),
            None => check().map_or_else(Change::Refuse, |()| change),
        };
        self.decisions += 1;
        self.changes.insert(user, (self.decisions, decided));
    }
}

impl MetadataMachine {
    /// Alters credentials of distinct users. The results are in the order of Kafka's hash maps: deletions, upsertions,
    /// errors.
    pub(super) fn alter_user_scram_credentials(&self, request: &AlterUserScramCredentials) -> Decision {
        let mut plan = Plan::default();
        for deletion in &request.deletions {
            plan.note(&deletion.user, Change::Delete(deletion), || self.check_deletion(deletion));
        }
        for upsertion in &request.upsertions {
            plan.note(&upsertion.user, Change::Upsert(upsertion), || self.check_upsertion(upsertion));
        }
        let mut changes: Vec<_> = plan.changes.into_iter().collect();
        sort_by_key(&mut changes, |(_, (order, _))| *order);
        let (mut deletions, mut upsertions, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        for (user, (_, change)) in changes {
            match change {
                Change::Delete(deletion) => deletions.push(deletion),
                Change::Upsert(upsertion) => upsertions.push(upsertion),
                Change::Refuse(error) => errors.push((user.clone(), Err(error))),
            }
        }
        sort_by_name(&mut deletions, |it| &it.user);
        sort_by_name(&mut upsertions, |it| &it.user);
        sort_by_name(&mut errors, |(user, _)| user);
        let mut records: Vec<MetadataRecord> = deletions.iter().map(|it| removal(it)).collect();
        let mut results: Vec<UserResult> = deletions.iter().map(|it| (it.user.clone(), Ok(()))).collect();
        for upsertion in upsertions {
            match credential_record(upsertion) {
                Some(record) => {
                    records.push(record);
                    results.push((upsertion.user.clone(), Ok(())));
                }
                None => errors.push((upsertion.user.clone(), Err(MetadataError::UnsupportedSaslMechanism))),
            }
        }
        results.extend(errors);
        Decision::new(records, MetadataReply::AlterUserScramCredentials(results))
    }

    /// The records that leave only these credentials.
    pub(super) fn start_user_records(&self, users: &[StartUser]) -> Vec<MetadataRecord> {
        let is_kept = |user: &Str, mechanism| users.iter().any(|it| it.user == *user && it.mechanism == mechanism);
        let present = self.image.scram_credentials();
        let removed = present.iter().filter(|(user, mechanism, _)| !is_kept(user, *mechanism));
        let removals = removed
            .map(|(user, mechanism, _)| removal(&ScramDeletion { user: (*user).clone(), mechanism: *mechanism }));
        let is_missing = |it: &&StartUser| {
            !present.iter().any(|(user, mechanism, credential)| {
                it.user == **user && it.mechanism == *mechanism && it.credential == **credential
            })
        };
        let set = users.iter().filter(is_missing).map(|it| scram_record_of(&it.user, it.mechanism, &it.credential));
        removals.chain(set).collect()
    }

    fn check_deletion(&self, deletion: &ScramDeletion) -> Result<(), MetadataError> {
        self.check_level()?;
        check_user(&deletion.user, deletion.mechanism)?;
        if !self.image.has_scram_credential(&deletion.user, deletion.mechanism) {
            return Err(MetadataError::ResourceNotFound(
                "Attempt to delete a user credential that does not exist".to_owned(),
            ));
        }
        Ok(())
    }

    fn check_upsertion(&self, upsertion: &ScramUpsertion) -> Result<(), MetadataError> {
        self.check_level()?;
        check_user(&upsertion.user, upsertion.mechanism)?;
        match u32::try_from(upsertion.iterations) {
            Ok(ScramMechanism::FEWEST_ITERATIONS..=ScramMechanism::MOST_ITERATIONS) => Ok(()),
            Ok(many) if many > ScramMechanism::MOST_ITERATIONS => unacceptable("Too many iterations"),
            Ok(_) | Err(_) => unacceptable("Too few iterations"),
        }
    }

    fn check_level(&self) -> Result<(), MetadataError> {
        match self.image.metadata_version() {
            Some(level) if level < SCRAM_LEVEL => {
                Err(MetadataError::UnsupportedVersion("The current metadata.version does not support SCRAM".to_owned()))
            }
            _ => Ok(()),
        }
    }
}

fn check_user(user: &str, mechanism: i8) -> Result<(), MetadataError> {
    if user.is_empty() {
        return unacceptable("Username must not be empty");
    }
    match ScramMechanism::from_code(mechanism) {
        Some(_) => Ok(()),
        None => Err(MetadataError::UnsupportedSaslMechanism),
    }
}

fn unacceptable(message: &str) -> Result<(), MetadataError> {
    Err(MetadataError::UnacceptableCredential(message.to_owned()))
}

fn removal(deletion: &ScramDeletion) -> MetadataRecord {
    let record = RemoveUserScramCredentialRecord { name: deletion.user.clone(), mechanism: deletion.mechanism };
    MetadataRecord::new(0, record)
}

/// The record of a new credential; `None` for an unknown mechanism.
fn credential_record(upsertion: &ScramUpsertion) -> Option<MetadataRecord> {
    let mechanism = ScramMechanism::from_code(upsertion.mechanism)?;
    let iterations = u32::try_from(upsertion.iterations).ok()?;
    let salted = upsertion.salted_password.expose();
    let credential = ScramCredential::of_salted_password(mechanism, salted, upsertion.salt.to_vec(), iterations);
    Some(scram_record(&upsertion.user, mechanism, &credential))
}

/// The users among these records, such as those of `bootstrap.checkpoint`.
pub fn users_of(records: &[MetadataRecord]) -> Vec<StartUser> {
    let user = |record: &MetadataRecord| match &record.body {
        RecordBody::UserScramCredential(record) => Some(StartUser {
            user: Str::from(&*record.name),
            mechanism: record.mechanism,
            credential: Arc::new(credential_of(record)),
        }),
        _ => None,
    };
    records.iter().filter_map(user).collect()
}

/// The record that sets a user's credential.
pub fn scram_record(user: &str, mechanism: ScramMechanism, credential: &ScramCredential) -> MetadataRecord {
    scram_record_of(user, mechanism.code(), credential)
}

pub(super) fn scram_record_of(user: &str, mechanism: i8, credential: &ScramCredential) -> MetadataRecord {
    let record = UserScramCredentialRecord {
        name: user.into(),
        mechanism,
        salt: credential.salt.clone().into(),
        stored_key: credential.stored_key.clone().into(),
        server_key: credential.server_key.clone().into(),
        iterations: i32::try_from(credential.iterations).unwrap_or_default(),
    };
    MetadataRecord::new(0, record)
}
