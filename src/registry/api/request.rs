//! Reading of requests.

use std::borrow::Cow;

use super::MEDIA_TYPE;
use crate::error::RegistryError;
use crate::json::{Json, parse};
use crate::store::Registry;
use crate::subject::{Subject, WILDCARD_PREFIX, normalize_context};

/// Media types of requests.
const CONSUMED: [&str; 4] =
    [MEDIA_TYPE, "application/vnd.schemaregistry+json", "application/json", "application/octet-stream"];
/// Media types of responses, the preferred one first.
const PRODUCED: [&str; 3] = [MEDIA_TYPE, "application/vnd.schemaregistry+json", "application/json"];

/// The media type of responses that a header Content-Type has.
pub(super) fn known_media_type(text: &str) -> Option<&'static str> {
    let name = text.split(';').next().unwrap_or_default().trim();
    PRODUCED.into_iter().find(|known| known.eq_ignore_ascii_case(name))
}

/// A request as a listener received it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    pub method: &'a str,
    /// The path, with escapes.
    pub path: &'a str,
    /// The query without the question mark; empty if there is none.
    pub query: &'a str,
    pub content_type: Option<&'a str>,
    pub accept: Option<&'a str>,
    pub body: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Post,
    Put,
    Delete,
    Other,
}

/// How long a request may take, and whether it may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Reads what is registered.
    Read,
    /// Finds a schema among the versions of its subject, which may have to be parsed.
    LookUp,
    /// Compares schemas, or writes.
    CompareOrWrite,
}

impl Request<'_> {
    pub fn work(&self) -> Work {
        let segments: Vec<&str> = self.path.split('/').filter(|segment| !segment.is_empty()).collect();
        match (self.method(), segments.as_slice()) {
            (Method::Get | Method::Other, _) | (Method::Post, []) => Work::Read,
            (Method::Post, ["subjects", _] | ["contexts", _, "subjects", _]) => Work::LookUp,
            (Method::Post | Method::Put | Method::Delete, _) => Work::CompareOrWrite,
        }
    }

    pub(super) fn method(&self) -> Method {
        match self.method {
            // The listener leaves out the body of the response to HEAD.
            "GET" | "HEAD" => Method::Get,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "DELETE" => Method::Delete,
            _ => Method::Other,
        }
    }

    /// The media type of the response; `None` if the client accepts none that there is.
    pub(super) fn accepted(&self) -> Option<&'static str> {
        let Some(accept) = self.accept.filter(|accept| !accept.trim().is_empty()) else { return Some(MEDIA_TYPE) };
        let ranges: Vec<&str> =
            accept.split(',').map(|range| range.split(';').next().unwrap_or_default().trim()).collect();
        let is_accepted = |media_type: &str| {
            ranges
                .iter()
                .any(|range| *range == "*/*" || *range == "application/*" || range.eq_ignore_ascii_case(media_type))
        };
        PRODUCED.into_iter().find(|media_type| is_accepted(media_type))
    }
}

/// A request with its path and query decoded.
pub(super) struct Call<'a> {
    pub segments: Vec<String>,
    query: Vec<(String, String)>,
    request: &'a Request<'a>,
}

impl<'a> Call<'a> {
    pub fn read(request: &'a Request<'a>) -> Result<Call<'a>, RegistryError> {
        let bad = || RegistryError::http(400, "HTTP 400 Bad Request");
        let segments = request.path.split('/').filter(|segment| !segment.is_empty());
        let segments = segments.map(|segment| decode(segment, false)).collect::<Option<_>>().ok_or_else(bad)?;
        let pairs = request.query.split('&').filter(|pair| !pair.is_empty());
        let query = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name, true)?, decode(value, true)?))
        });
        let query = query.collect::<Option<_>>().ok_or_else(bad)?;
        Ok(Call { segments, query, request })
    }

    /// Moves the context of a path (`/contexts/c/subjects/s`) into the subject (`:.c:s`).
    pub fn rewrite_context(&mut self) -> Result<(), RegistryError> {
        let ["contexts", context, rest @ ..] = &self.segments.iter().map(String::as_str).collect::<Vec<_>>()[..] else {
            return Ok(());
        };
        let prefix = normalize_context(context).map_err(|message| RegistryError::http(400, message))?;
        let mut path: Vec<String> = Vec::with_capacity(rest.len() + 1);
        let mut expects_subject = false;
        for (at, segment) in rest.iter().enumerate() {
            if expects_subject {
                path.push(in_context(&prefix, segment));
                expects_subject = false;
                continue;
            }
            expects_subject = *segment == "subjects" || (at == 0 && (*segment == "config" || *segment == "mode"));
            path.push((*segment).to_owned());
        }
        let is_settings = matches!(rest.first(), Some(&"config" | &"mode"));
        if rest.is_empty() {
            path = vec!["contexts".to_owned(), prefix.clone()];
        } else if is_settings && expects_subject && !prefix.is_empty() {
            path.push(prefix.clone());
        }
        self.segments = path;
        self.rewrite_query(&prefix);
        Ok(())
    }

    fn rewrite_query(&mut self, prefix: &str) {
        let path: Vec<&str> = self.segments.iter().map(String::as_str).collect();
        let name = match path.as_slice() {
            ["schemas", "ids", ..] => "subject",
            ["schemas"] | ["subjects"] => "subjectPrefix",
            _ => return,
        };
        let values: Vec<String> = self.values(name).map(|value| in_context(prefix, value)).collect();
        let values = if values.is_empty() { vec![prefix.to_owned()] } else { values };
        self.query.retain(|(other, _)| other != name);
        self.query.extend(values.into_iter().map(|value| (name.to_owned(), value)));
    }

    /// Replaces subjects by what they are an alias of.
    pub fn rewrite_aliases(&mut self, registry: &Registry) {
        let mut is_subject = false;
        for segment in &mut self.segments {
            if is_subject {
                *segment = replace_alias(registry, segment);
                is_subject = false;
            } else {
                is_subject = segment == "subjects";
            }
        }
        if self.segments.first().is_some_and(|first| first == "schemas")
            && self.segments.get(1).is_some_and(|second| second == "ids")
        {
            for (name, value) in &mut self.query {
                if name == "subject" {
                    *value = replace_alias(registry, value);
                }
            }
        }
    }

    pub fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.query.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub fn value(&self, name: &str) -> Option<&str> {
        self.values(name).next()
    }

    pub fn flag(&self, name: &str) -> bool {
        self.value(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// Returns a format that is asked for; empty if none is.
    pub fn format(&self) -> &str {
        self.value("format").unwrap_or_default().trim()
    }

    /// Cuts a page out of a list. `max` is the largest page, which is also the default.
    pub fn page<T>(&self, items: Vec<T>, max: usize) -> Result<Vec<T>, RegistryError> {
        let number = |name: &str, default: i32| match self.value(name).filter(|value| !value.is_empty()) {
            None => Ok(default),
            // What is not a number has no route, as in Jersey.
            Some(value) => value.parse::<i32>().map_err(|_| RegistryError::http(404, "HTTP 404 Not Found")),
        };
        let offset = usize::try_from(number("offset", 0)?).unwrap_or(0);
        let limit = usize::try_from(number("limit", -1)?).ok().filter(|limit| (1..=max).contains(limit));
        Ok(items.into_iter().skip(offset).take(limit.unwrap_or(max)).collect())
    }

    /// Reads the body as JSON.
    pub fn json(&self) -> Result<Json, RegistryError> {
        if let Some(content_type) = self.request.content_type {
            let media_type = content_type.split(';').next().unwrap_or_default().trim();
            if !CONSUMED.iter().any(|consumed| consumed.eq_ignore_ascii_case(media_type)) && !media_type.is_empty() {
                return Err(RegistryError::http(415, "HTTP 415 Unsupported Media Type"));
            }
        }
        let text =
            std::str::from_utf8(self.request.body).map_err(|_| RegistryError::http(400, "the body is not UTF-8"))?;
        if text.trim().is_empty() {
            return Err(RegistryError::http(422, "the body must not be null"));
        }
        let json = parse(text).map_err(|error| RegistryError::http(400, error.to_string()))?;
        match json.is_null() {
            true => Err(RegistryError::http(422, "the body must not be null")),
            false => Ok(json),
        }
    }

    /// Reads the body with a function that reads JSON.
    pub fn body<T>(
        &self,
        read: impl FnOnce(&Json) -> Result<T, crate::fields::FieldError>,
    ) -> Result<T, RegistryError> {
        read(&self.json()?).map_err(|error| RegistryError::http(400, error.to_string()))
    }
}

/// Puts a subject into a context if it names none.
fn in_context(prefix: &str, subject: &str) -> String {
    let names_context = subject.starts_with(":.") || subject.starts_with(WILDCARD_PREFIX);
    if names_context { subject.to_owned() } else { format!("{prefix}{subject}") }
}

fn replace_alias(registry: &Registry, text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let subject = Subject::parse(text);
    let alias = registry.config(Some(&subject)).and_then(|config| config.alias);
    match alias.filter(|alias| !alias.is_empty()) {
        Some(alias) => Subject::with_parent(&alias, &subject).qualified(),
        None => text.to_owned(),
    }
}

/// Replaces escapes; `None` if one is malformed or the result is not UTF-8.
fn decode(text: &str, is_query: bool) -> Option<String> {
    let text = if is_query && text.contains('+') { Cow::Owned(text.replace('+', " ")) } else { Cow::Borrowed(text) };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first != b'%' {
            bytes.push(*first);
            rest = after;
            continue;
        }
        let digits = after.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = &after[2..];
    }
    String::from_utf8(bytes).ok()
}
