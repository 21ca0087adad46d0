//! Resolution of `$ref`.

use std::collections::HashMap;

use super::JsonSchemaError;
use crate::json::{Json, parse_exact};
use crate::schema::ResolvedReference;

/// Maximum size of a URI together with the one that it is relative to, and of a pointer to a schema with an identifier.
const MAX_URI_BYTES: usize = 4 << 10;

/// A document: the schema itself, or one that it refers to.
pub(super) struct Document {
    pub json: Json,
    /// The URI of the document; empty if it has none.
    pub base: String,
    /// Pointers to subschemas with an identifier, by their absolute URIs.
    ids: HashMap<String, String>,
}

/// A place in a document.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub document: usize,
    /// A JSON pointer; empty for the whole document.
    pub pointer: String,
}

/// What a reference means.
pub(super) enum Target {
    At(Place),
    /// A schema about schemas, which is not compared.
    MetaSchema,
}

/// Reads the documents: the schema first, then those that it refers to by name.
pub(super) fn documents(
    root: &Json,
    references: &[ResolvedReference],
    id_keyword: &str,
) -> Result<Vec<Document>, JsonSchemaError> {
    let base = root.get(id_keyword).and_then(Json::as_str).unwrap_or_default().to_owned();
    let mut documents = vec![Document::new(root.clone(), base.clone(), id_keyword)?];
    for reference in references {
        let json = parse_exact(&reference.text)
            .map_err(|error| JsonSchemaError::new(format!("the schema {} is not JSON: {error}", reference.name)))?;
        documents.push(Document::new(json, resolve(&base, &reference.name)?, id_keyword)?);
    }
    Ok(documents)
}

impl Document {
    fn new(json: Json, base: String, id_keyword: &str) -> Result<Document, JsonSchemaError> {
        let json = with_definitions(json);
        let mut ids = HashMap::new();
        collect_ids(&json, &base, &mut String::new(), id_keyword, &mut ids)?;
        Ok(Document { json, base, ids })
    }

    pub fn get(&self, pointer: &str) -> Option<&Json> {
        pointer.split('/').skip(1).try_fold(&self.json, |json, part| {
            let part = decode(part).replace("~1", "/").replace("~0", "~");
            match json {
                Json::Object(object) => object.get(&part),
                Json::Array(items) => items.get(part.parse::<usize>().ok()?),
                _ => None,
            }
        })
    }
}

/// Makes what is under `definitions` reachable as `$defs` too, as Confluent does.
fn with_definitions(mut json: Json) -> Json {
    let Json::Object(object) = &mut json else { return json };
    let Some(Json::Object(definitions)) = object.get("definitions").cloned() else { return json };
    if definitions.is_empty() {
        return json;
    }
    let target = object.entry("$defs".to_owned()).or_insert_with(|| Json::Object(crate::json::Object::new()));
    if let Json::Object(target) = target {
        for (name, definition) in definitions {
            target.entry(name).or_insert(definition);
        }
    }
    json
}

fn collect_ids(
    json: &Json,
    base: &str,
    pointer: &mut String,
    id_keyword: &str,
    ids: &mut HashMap<String, String>,
) -> Result<(), JsonSchemaError> {
    let id = json.get(id_keyword).and_then(Json::as_str).map(|id| resolve(base, id)).transpose()?;
    let anchor = json.get("$anchor").and_then(Json::as_str);
    if (id.is_some() || anchor.is_some()) && pointer.len() > MAX_URI_BYTES {
        return Err(too_long());
    }
    if let Some(id) = &id {
        ids.entry(id.trim_end_matches('#').to_owned()).or_insert_with(|| pointer.clone());
    }
    let base = id.as_deref().filter(|id| !id.contains('#')).unwrap_or(base);
    if let Some(anchor) = anchor {
        ids.entry(format!("{base}#{anchor}")).or_insert_with(|| pointer.clone());
    }
    let length = pointer.len();
    let mut visit = |part: &str, child: &Json| {
        pointer.push('/');
        pointer.push_str(&part.replace('~', "~0").replace('/', "~1"));
        collect_ids(child, base, pointer, id_keyword, ids)?;
        pointer.truncate(length);
        Ok(())
    };
    match json {
        Json::Object(object) => object.iter().try_for_each(|(name, child)| visit(name, child)),
        Json::Array(items) => items.iter().enumerate().try_for_each(|(at, child)| visit(&at.to_string(), child)),
        _ => Ok(()),
    }
}

/// Finds what a reference means that is used in a document with the base URI `base`.
pub(super) fn find(
    documents: &[Document],
    document: usize,
    base: &str,
    reference: &str,
) -> Result<Target, JsonSchemaError> {
    let missing = || JsonSchemaError::new(format!("the reference {reference} means nothing"));
    let absolute = resolve(base, reference)?;
    if is_meta_schema(&absolute) {
        return Ok(Target::MetaSchema);
    }
    let trimmed = absolute.trim_end_matches('#');
    let with_id = documents.iter().enumerate().find_map(|(at, document)| Some((at, document.ids.get(trimmed)?)));
    if let Some((document, pointer)) = with_id {
        return Ok(Target::At(Place { document, pointer: pointer.clone() }));
    }
    let (uri, fragment) = absolute.split_once('#').unwrap_or((&absolute, ""));
    let at = match reference.starts_with('#') {
        true => Some(document),
        false => documents.iter().position(|document| document.base == uri || names(&document.base, uri)),
    };
    let Some(at) = at else {
        return Err(match uri.starts_with("http:") || uri.starts_with("https:") {
            true => JsonSchemaError::External(uri.to_owned()),
            false => missing(),
        });
    };
    if !fragment.is_empty() && !fragment.starts_with('/') {
        let anchor = documents[at].ids.get(&format!("{}#{fragment}", documents[at].base));
        let pointer = anchor.ok_or_else(missing)?.clone();
        return Ok(Target::At(Place { document: at, pointer }));
    }
    documents[at].get(fragment).ok_or_else(missing)?;
    Ok(Target::At(Place { document: at, pointer: fragment.to_owned() }))
}

/// Whether two relative names mean the same, such as `a.json` and `./a.json`.
fn names(base: &str, uri: &str) -> bool {
    base.strip_prefix("./").unwrap_or(base) == uri.strip_prefix("./").unwrap_or(uri)
}

fn is_meta_schema(uri: &str) -> bool {
    let uri = uri.trim_end_matches('#');
    let path = uri.strip_prefix("http://json-schema.org/").or_else(|| uri.strip_prefix("https://json-schema.org/"));
    path.is_some_and(|path| path.starts_with("draft") || path == "schema")
}

/// Resolves a reference against a base URI.
pub(super) fn resolve(base: &str, reference: &str) -> Result<String, JsonSchemaError> {
    if base.len() + reference.len() > MAX_URI_BYTES {
        return Err(too_long());
    }
    Ok(joined(base, reference))
}

fn too_long() -> JsonSchemaError {
    JsonSchemaError::new(format!("an identifier or a reference has more than {MAX_URI_BYTES} bytes"))
}

fn joined(base: &str, reference: &str) -> String {
    let has_scheme = |text: &str| {
        let scheme = text.split([':', '/', '#', '?']).next().unwrap_or_default();
        text[scheme.len()..].starts_with(':') && scheme.starts_with(|char: char| char.is_ascii_alphabetic())
    };
    if base.is_empty() || has_scheme(reference) {
        return reference.to_owned();
    }
    let base = base.split('#').next().unwrap_or_default();
    if reference.is_empty() || reference.starts_with('#') {
        return format!("{base}{reference}");
    }
    // The authority is kept.
    let start = base.find("://").map_or(0, |at| at + 3);
    let path = base[start..].find('/').map_or(base.len(), |at| start + at);
    if reference.starts_with('/') {
        return format!("{}{reference}", &base[..path]);
    }
    let reference = reference.strip_prefix("./").unwrap_or(reference);
    match base.rfind('/').filter(|at| *at >= start) {
        Some(at) => format!("{}/{reference}", &base[..at]),
        None if start > 0 => format!("{base}/{reference}"),
        None => reference.to_owned(),
    }
}

/// Replaces the escapes of a URI. What is malformed stays.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match escape.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}
