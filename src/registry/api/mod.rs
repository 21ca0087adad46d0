//! The REST API: from a request to records and a response.
//!
//! Pure. A driver reads requests from a listener, calls [`handle`] with the registry or a snapshot of it, appends the records of
//! the decision, replays them, and sends the response. If the records cannot be appended, it sends [`Response::store_error`].
//!
//! | module | content |
//! |---|---|
//! | `request` | paths, queries, media types, and the rewriting for contexts and aliases |
//! | `subjects`, `versions`, `schemas`, `compatibility`, `config`, `modes`, `server` | the resources |
//! | `forms` | the forms of schemas in responses |
//! | `owned_request` | requests with their own memory |

mod compatibility;
mod config;
mod forms;
mod modes;
mod owned_request;
mod request;
mod schemas;
mod server;
mod subjects;
mod versions;

#[cfg(test)]
mod tests;

use crate::error::RegistryError;
use crate::json::Json;
use crate::store::{Decided, Record, Registry};
use crate::subject::Subject;
pub use owned_request::OwnedRequest;
use request::{Call, Method};
pub use request::{Request, Work};

/// The media type of requests and responses.
pub const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// A response, to be sent when the records of its decision are appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub content_type: &'static str,
    pub body: String,
}

impl Response {
    /// The response to a request whose records could not be appended.
    pub fn store_error(message: &str) -> Response {
        Response::error(&RegistryError::new(50001, message), MEDIA_TYPE)
    }

    /// The response to a request whose records were not appended in time.
    pub fn timeout(message: &str) -> Response {
        Response::error(&RegistryError::new(50002, message), MEDIA_TYPE)
    }

    /// The response to a request that could not be passed on to the leader of the group of registries.
    pub fn forwarding_error(message: &str) -> Response {
        Response::error(&RegistryError::new(50003, message), MEDIA_TYPE)
    }

    /// The response to a request that needs a leader while there is none.
    pub fn unknown_leader(message: &str) -> Response {
        Response::error(&RegistryError::new(50004, message), MEDIA_TYPE)
    }

    /// The response to a request that the listener refuses, such as one whose body is too large.
    pub fn refused(status: u16, message: &str) -> Response {
        Response::error(&RegistryError::http(status, message), MEDIA_TYPE)
    }

    /// The response that another registry sent. Its media type is one of those of this API.
    pub fn passed_on(status: u16, content_type: &str, body: String) -> Response {
        let content_type = request::known_media_type(content_type).unwrap_or(MEDIA_TYPE);
        Response { status, content_type, body }
    }

    fn error(error: &RegistryError, content_type: &'static str) -> Response {
        let code = i64::from(error.code);
        let body = Json::object([("error_code", code.into()), ("message", error.message.as_str().into())]);
        Response { status: error.status(), content_type, body: body.to_string() }
    }
}

/// What to do for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "the client waits for the response"]
pub enum Decision {
    /// Send the response now.
    Respond(Response),
    /// Append the records as one batch, replay them, and send the response.
    Append { records: Vec<Record>, response: Response },
}

/// The successful result of a route.
struct Answer {
    records: Vec<Record>,
    status: u16,
    body: String,
}

impl Answer {
    fn of(body: &Json) -> Answer {
        Answer { records: Vec::new(), status: 200, body: body.to_string() }
    }

    /// An answer whose body is a schema as it is.
    fn raw(body: String) -> Answer {
        Answer { records: Vec::new(), status: 200, body }
    }

    fn decided<T>(decided: Decided<T>, body: impl FnOnce(T) -> Json) -> Answer {
        Answer { records: decided.records, status: 200, body: body(decided.answer).to_string() }
    }
}

type Routed = Result<Answer, RegistryError>;

/// Decides on a request.
pub fn handle(registry: &mut Registry, request: &Request<'_>) -> Decision {
    registry.begin_request();
    let content_type = request.accepted().unwrap_or(MEDIA_TYPE);
    match route(registry, request) {
        Ok(Answer { records, status, body }) => {
            let response = Response { status, content_type, body };
            match records.is_empty() {
                true => Decision::Respond(response),
                false => Decision::Append { records, response },
            }
        }
        Err(error) => Decision::Respond(Response::error(&error, content_type)),
    }
}

fn route(registry: &mut Registry, request: &Request<'_>) -> Routed {
    let method = request.method();
    let mut call = Call::read(request)?;
    call.rewrite_context()?;
    call.rewrite_aliases(registry);
    let segments: Vec<String> = call.segments.clone();
    let path: Vec<&str> = segments.iter().map(String::as_str).collect();
    let routed = dispatch(registry, method, &path, &call);
    if matches!(routed, Err(Refused::Method)) {
        return Err(RegistryError::http(405, "HTTP 405 Method Not Allowed"));
    }
    if request.accepted().is_none() {
        return Err(RegistryError::http(406, "HTTP 406 Not Acceptable"));
    }
    match routed {
        Ok(answer) => Ok(answer),
        Err(Refused::Error(error)) => Err(error),
        Err(Refused::Method | Refused::Path) => Err(RegistryError::http(404, "HTTP 404 Not Found")),
    }
}

/// Why a request has no answer.
enum Refused {
    /// No route has the path.
    Path,
    /// Routes with the path have other methods.
    Method,
    Error(RegistryError),
}

impl From<RegistryError> for Refused {
    fn from(error: RegistryError) -> Refused {
        Refused::Error(error)
    }
}

fn dispatch(registry: &mut Registry, method: Method, path: &[&str], call: &Call<'_>) -> Result<Answer, Refused> {
    use Method::{Delete, Get, Post, Put};
    let answer = match (path, method) {
        ([], Get | Post) => server::root(),
        (["subjects"], Get) => subjects::list(registry, call),
        (["subjects", subject], Post) => subjects::look_up(registry, call, subject),
        (["subjects", subject], Delete) => subjects::delete(registry, call, subject),
        (["subjects", subject, "metadata"], Get) => subjects::latest_with_metadata(registry, call, subject),
        (["subjects", subject, "versions"], Get) => versions::list(registry, call, subject),
        (["subjects", subject, "versions"], Post) => versions::register(registry, call, subject),
        (["subjects", subject, "versions", version], Get) => versions::get(registry, call, subject, version),
        (["subjects", subject, "versions", version], Delete) => versions::delete(registry, call, subject, version),
        (["subjects", subject, "versions", version, "schema"], Get) => {
            versions::get_schema(registry, call, subject, version)
        }
        (["subjects", subject, "versions", version, "referencedby"], Get) => {
            versions::referenced_by(registry, call, subject, version)
        }
        (["subjects", subject, "versions", version, "tags"], Post) => {
            versions::modify_tags(registry, call, subject, version)
        }
        (["schemas"], Get) => schemas::list(registry, call),
        (["schemas", "types"], Get) => schemas::types(),
        (["schemas", "ids", id], Get) => schemas::by_id(registry, call, id),
        (["schemas", "ids", id, "schema"], Get) => schemas::text_by_id(registry, call, id),
        (["schemas", "ids", id, "subjects"], Get) => schemas::subjects_by_id(registry, call, id),
        (["schemas", "ids", id, "versions"], Get) => schemas::versions_by_id(registry, call, id),
        (["schemas", "guids", guid], Get) => schemas::by_guid(registry, call, guid),
        (["schemas", "guids", guid, "ids"], Get) => schemas::ids_by_guid(registry, guid),
        (["compatibility", "subjects", subject, "versions"], Post) => compatibility::check_all(registry, call, subject),
        (["compatibility", "subjects", subject, "versions", version], Post) => {
            compatibility::check_version(registry, call, subject, version)
        }
        (["config"], Get) => config::get(registry, call, None),
        (["config"], Put) => config::update(registry, call, None),
        (["config"], Delete) => config::delete(registry, None),
        (["config", subject], Get) => config::get(registry, call, Some(subject)),
        (["config", subject], Put) => config::update(registry, call, Some(subject)),
        (["config", subject], Delete) => config::delete(registry, Some(subject)),
        (["mode"], Get) => modes::get(registry, call, None),
        (["mode"], Put) => modes::update(registry, call, None),
        (["mode"], Delete) => modes::delete(registry, call, None),
        (["mode", subject], Get) => modes::get(registry, call, Some(subject)),
        (["mode", subject], Put) => modes::update(registry, call, Some(subject)),
        (["mode", subject], Delete) => modes::delete(registry, call, Some(subject)),
        (["contexts"], Get) => server::contexts(registry, call),
        (["contexts", context], Delete) => server::delete_context(registry, context),
        (["v1", "metadata", "id"], Get) => server::cluster_id(registry),
        (["v1", "metadata", "version"], Get) => server::version(registry),
        (["v1", "metadata", "deployment"], Get) => server::deployment(),
        (path, _) => return Err(if is_known(path) { Refused::Method } else { Refused::Path }),
    };
    Ok(answer?)
}

/// Whether any method has the path.
fn is_known(path: &[&str]) -> bool {
    matches!(
        path,
        [] | ["subjects" | "schemas" | "config" | "mode" | "contexts"]
            | ["subjects" | "config" | "mode" | "contexts", _]
            | ["subjects", _, "metadata" | "versions"]
            | ["subjects", _, "versions", _]
            | ["subjects", _, "versions", _, "schema" | "referencedby" | "tags"]
            | ["schemas", "types"]
            | ["schemas", "ids" | "guids", _]
            | ["schemas", "ids", _, "schema" | "subjects" | "versions"]
            | ["schemas", "guids", _, "ids"]
            | ["compatibility", "subjects", _, "versions"]
            | ["compatibility", "subjects", _, "versions", _]
            | ["v1", "metadata", "id" | "version" | "deployment"]
    )
}

/// Reads the version in a path: a positive number, -1 or `latest`.
fn parse_version(text: &str) -> Result<i32, RegistryError> {
    if text.trim().eq_ignore_ascii_case("latest") {
        return Ok(-1);
    }
    let number = text.trim().parse::<i32>();
    match number {
        Ok(version) if version > 0 || version == -1 => Ok(version),
        Ok(version) => Err(RegistryError::invalid_version(&version.to_string())),
        Err(_) => Err(RegistryError::invalid_version(text)),
    }
}

/// Reads the subject in the path of settings. `None` if it stands for all.
fn settings_subject(text: Option<&str>) -> Option<Subject> {
    text.map(Subject::parse).filter(|subject| !subject.is_default_context())
}
