//! The root, contexts, and what the registry says about itself.

use super::request::Call;
use super::{Answer, Routed};
use crate::json::Json;
use crate::store::Registry;
use crate::subject::{DEFAULT_CONTEXT, Subject};

pub(super) fn root() -> Routed {
    Ok(Answer::of(&Json::object([])))
}

pub(super) fn contexts(registry: &mut Registry, call: &Call<'_>) -> Routed {
    let prefix = call.value("contextPrefix").unwrap_or_default();
    let all = std::iter::once(DEFAULT_CONTEXT).chain(registry.state.contexts());
    let names: Vec<String> = all.filter(|context| context.starts_with(prefix)).map(str::to_owned).collect();
    Ok(Answer::of(&call.page(names, usize::MAX)?.into()))
}

pub(super) fn delete_context(registry: &mut Registry, context: &str) -> Routed {
    let decided = registry.delete_context(&Subject::parse(context))?;
    Ok(Answer { records: decided.records, status: 204, body: String::new() })
}

pub(super) fn cluster_id(registry: &mut Registry) -> Routed {
    let settings = &registry.settings;
    let clusters = Json::object([
        ("kafka-cluster", settings.kafka_cluster_id.as_str().into()),
        ("schema-registry-cluster", settings.group_id.as_str().into()),
    ]);
    let scope = Json::object([("path", Json::Array(Vec::new())), ("clusters", clusters)]);
    Ok(Answer::of(&Json::object([("scope", scope)])))
}

pub(super) fn version(registry: &mut Registry) -> Routed {
    let settings = &registry.settings;
    let version =
        Json::object([("version", settings.version.as_str().into()), ("commitId", settings.commit_id.as_str().into())]);
    Ok(Answer::of(&version))
}

pub(super) fn deployment() -> Routed {
    Ok(Answer::of(&Json::object([("attributes", Json::Array(Vec::new()))])))
}
