//! Errors of requests, with Confluent's codes and messages.

use thiserror::Error;

use crate::subject::Subject;

/// An error that the client gets. The status of the response is the first three digits of the code.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct RegistryError {
    pub code: u32,
    pub message: String,
}

impl RegistryError {
    pub fn new(code: u32, message: impl Into<String>) -> RegistryError {
        RegistryError { code, message: message.into() }
    }

    /// The status of the response.
    pub fn status(&self) -> u16 {
        let status = if self.code > 999 { self.code / 100 } else { self.code };
        u16::try_from(status).unwrap_or(500)
    }

    pub fn subject_not_found(subject: &Subject) -> RegistryError {
        RegistryError::new(40401, format!("Subject '{}' not found.", subject.qualified()))
    }

    pub fn version_not_found(version: i32) -> RegistryError {
        RegistryError::new(40402, format!("Version {version} not found."))
    }

    pub fn schema_not_found() -> RegistryError {
        RegistryError::new(40403, "Schema not found")
    }

    pub fn schema_id_not_found(id: &str) -> RegistryError {
        RegistryError::new(40403, format!("Schema {id} not found"))
    }

    pub fn subject_soft_deleted(subject: &Subject) -> RegistryError {
        let name = subject.qualified();
        RegistryError::new(40404, format!("Subject '{name}' was soft deleted.Set permanent=true to delete permanently"))
    }

    pub fn subject_not_soft_deleted(subject: &Subject) -> RegistryError {
        let name = subject.qualified();
        RegistryError::new(40405, format!("Subject '{name}' was not deleted first before being permanently deleted"))
    }

    pub fn version_soft_deleted(subject: &Subject, version: i32) -> RegistryError {
        let name = subject.qualified();
        RegistryError::new(
            40406,
            format!("Subject '{name}' Version {version} was soft deleted.Set permanent=true to delete permanently"),
        )
    }

    pub fn version_not_soft_deleted(subject: &Subject, version: i32) -> RegistryError {
        let name = subject.qualified();
        RegistryError::new(
            40407,
            format!("Subject '{name}' Version {version} was not deleted first before being permanently deleted"),
        )
    }

    pub fn compatibility_not_configured(subject: &Subject) -> RegistryError {
        let name = subject.qualified();
        RegistryError::new(40408, format!("Subject '{name}' does not have subject-level compatibility configured"))
    }

    pub fn mode_not_configured(subject: &Subject) -> RegistryError {
        let name = subject.qualified();
        RegistryError::new(40409, format!("Subject '{name}' does not have subject-level mode configured"))
    }

    pub fn incompatible(subject: &Subject, messages: &[String]) -> RegistryError {
        RegistryError::new(
            40901,
            format!(
                "Schema being registered is incompatible with an earlier schema for subject \"{}\", details: [{}]",
                subject.qualified(),
                messages.join(", ")
            ),
        )
    }

    pub fn invalid_schema(message: impl Into<String>) -> RegistryError {
        RegistryError::new(42201, message)
    }

    pub fn invalid_version(version: &str) -> RegistryError {
        RegistryError::new(
            42202,
            format!(
                "The specified version '{version}' is not a valid version id. Allowed values are between [1, 2^31-1] \
                 and the string \"latest\""
            ),
        )
    }

    pub fn invalid_compatibility() -> RegistryError {
        RegistryError::new(
            42203,
            "Invalid compatibility level. Valid values are none, backward, forward, full, backward_transitive, \
             forward_transitive, and full_transitive",
        )
    }

    pub fn invalid_mode(message: &str) -> RegistryError {
        RegistryError::new(42204, message)
    }

    pub fn not_permitted(message: impl Into<String>) -> RegistryError {
        RegistryError::new(42205, message)
    }

    pub fn reference_exists(subject: &Subject, version: i32) -> RegistryError {
        let name = subject.qualified();
        RegistryError::new(
            42206,
            format!(
                "One or more references exist to the schema {{magic=1,keytype=SCHEMA,subject={name},version={version}}}."
            ),
        )
    }

    pub fn invalid_subject(subject: &str) -> RegistryError {
        RegistryError::new(42208, format!("The specified subject '{subject}' is not a valid."))
    }

    pub fn schema_too_large() -> RegistryError {
        RegistryError::new(42209, "Register operation failed because schema is too large")
    }

    pub fn invalid_rule_set(message: impl Into<String>) -> RegistryError {
        RegistryError::new(42210, message)
    }

    pub fn context_not_empty(context: &str) -> RegistryError {
        RegistryError::new(42211, format!("The specified context '{context}' is not empty."))
    }

    /// The code that Confluent's registry has for requests that take too long.
    pub fn too_many_versions(limit: usize) -> RegistryError {
        RegistryError::new(
            50002,
            format!("Operation timed out: the request would compare schemas of more than {} MiB", limit >> 20),
        )
    }

    /// An error of the HTTP layer, such as an unknown path.
    pub fn http(status: u16, message: impl Into<String>) -> RegistryError {
        RegistryError::new(status.into(), message)
    }
}
