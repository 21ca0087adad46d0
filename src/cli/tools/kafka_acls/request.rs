//! Converts the options to the ACLs to list, add or remove.

use std::collections::BTreeMap;

use super::binding::{Entry, Pattern, PatternKind, operation_named, operations_of};
use super::{Failure, Options};
use crate::cli::tools::exceptions::Exception;
use ottla_core::security::acl::{AclOperation, PatternType, Permission, ResourceType};

/// ACLs by resource pattern; an empty list means all ACLs of the pattern.
type ByPattern = BTreeMap<Pattern, Vec<Entry>>;

/// What the options request.
pub enum Request {
    /// List the ACLs of these patterns, or all ACLs if there are none.
    List(Vec<Pattern>),
    Add(ByPattern),
    Remove(ByPattern),
}

/// The resource name of the cluster.
const CLUSTER: &str = "kafka-cluster";
const LITERAL: PatternKind = PatternKind::Of(PatternType::Literal);
/// Matches every host.
const ALL_HOSTS: &str = "*";

impl Request {
    /// Validates the options and converts them.
    pub fn new(options: &Options) -> Result<Request, Failure> {
        let kind = PatternKind::named(&options.resource_pattern_type).ok_or_else(|| {
            let message =
                format!("Cannot parse argument '{}' of option resource-pattern-type", options.resource_pattern_type);
            Exception::new("joptsimple.OptionArgumentConversionException", message)
        })?;
        if options.list {
            options.principal.iter().try_for_each(|principal| check_principal(principal))?;
            return Ok(Request::List(patterns(options, kind)));
        }
        if options.add && !matches!(kind, PatternKind::Of(_)) {
            let why = format!("A '--resource-pattern-type' value of '{kind}' is not valid when adding acls.");
            return Err(Failure::Usage(why));
        }
        let patterns = patterns(options, kind);
        if patterns.is_empty() {
            let why = "You must provide at least one resource: --topic <topic> or --cluster or --group <group> or \
                       --delegation-token <Delegation Token ID>";
            return Err(Failure::Usage(why.to_owned()));
        }
        let all = by_pattern(options, patterns)?;
        match options.add {
            true if all.values().any(Vec::is_empty) => {
                let why = "You must specify one of: --allow-principal, --deny-principal when trying to add ACLs.";
                Err(Failure::Usage(why.to_owned()))
            }
            true => Ok(Request::Add(all)),
            false => Ok(Request::Remove(all)),
        }
    }
}

/// Returns the patterns of the resources in the options.
fn patterns(options: &Options, kind: PatternKind) -> Vec<Pattern> {
    let named = [
        (ResourceType::Topic, &options.topic),
        (ResourceType::Group, &options.group),
        (ResourceType::TransactionalId, &options.transactional_id),
        (ResourceType::DelegationToken, &options.delegation_token),
        (ResourceType::User, &options.user_principal),
    ];
    let pattern = |resource, name: &String| Pattern { resource, name: name.trim().to_owned(), kind };
    let named = named.into_iter().flat_map(|(resource, names)| names.iter().map(move |name| pattern(resource, name)));
    let cluster = (kind == LITERAL && (options.cluster || options.idempotent)).then(cluster);
    cluster.into_iter().chain(named).collect()
}

fn cluster() -> Pattern {
    Pattern { resource: ResourceType::Cluster, name: CLUSTER.to_owned(), kind: LITERAL }
}

fn by_pattern(options: &Options, patterns: Vec<Pattern>) -> Result<ByPattern, Failure> {
    use AclOperation::{Create, Describe, IdempotentWrite, Read, Write};
    let mut all = ByPattern::new();
    let mut add = |pattern: &Pattern, operations: &[AclOperation]| -> Result<(), Failure> {
        let entries = entries(options, operations)?;
        let known = all.entry(pattern.clone()).or_default();
        entries.into_iter().for_each(|entry| {
            if !known.contains(&entry) {
                known.push(entry)
            }
        });
        Ok(())
    };
    if !options.producer && !options.consumer {
        let operations = operations(options, &patterns)?;
        patterns.iter().try_for_each(|pattern| add(pattern, &operations))?;
        return Ok(all);
    }
    for pattern in &patterns {
        match pattern.resource {
            ResourceType::Topic if options.producer => add(pattern, &[Write, Describe, Create])?,
            ResourceType::TransactionalId if options.producer => add(pattern, &[Write, Describe])?,
            _ => {}
        }
        match pattern.resource {
            ResourceType::Topic if options.consumer => add(pattern, &[Read, Describe])?,
            ResourceType::Group if options.consumer => add(pattern, &[Read])?,
            _ => {}
        }
    }
    if options.producer && options.idempotent {
        add(&cluster(), &[IdempotentWrite])?;
    }
    Ok(all)
}

/// Returns the operations of --operation; fails if a resource doesn't support one of them.
fn operations(options: &Options, patterns: &[Pattern]) -> Result<Vec<AclOperation>, Failure> {
    if options.operation.is_empty() {
        return Ok(vec![AclOperation::All]);
    }
    let named: Vec<_> = options.operation.iter().map(|name| operation_named(name)).collect();
    for resource in patterns.iter().map(|pattern| pattern.resource) {
        let known = operations_of(resource);
        let is_known = |operation: &Option<AclOperation>| {
            operation.is_some_and(|operation| known.clone().any(|known| known == operation))
        };
        if !named.iter().all(is_known) {
            let known: Vec<_> = known.map(AclOperation::name).collect();
            let why = format!("ResourceType {resource} only supports operations [{}]", known.join(", "));
            return Err(Failure::Usage(why));
        }
    }
    Ok(named.into_iter().flatten().collect())
}

/// Returns the entries that allow or deny these operations.
fn entries(options: &Options, operations: &[AclOperation]) -> Result<Vec<Entry>, Failure> {
    let all_hosts = [ALL_HOSTS.to_owned()];
    let mut entries = Vec::new();
    for (permission, principals, hosts) in [
        (Permission::Allow, &options.allow_principal, &options.allow_host),
        (Permission::Deny, &options.deny_principal, &options.deny_host),
    ] {
        let hosts = if hosts.is_empty() { &all_hosts[..] } else { hosts };
        for principal in principals {
            check_principal(principal)?;
            for operation in operations {
                entries.extend(hosts.iter().map(|host| Entry {
                    principal: principal.trim().to_owned(),
                    host: host.trim().to_owned(),
                    operation: *operation,
                    permission,
                }));
            }
        }
    }
    Ok(entries)
}

/// Checks that a principal has the form `type:name`.
fn check_principal(text: &str) -> Result<(), Exception> {
    match text.trim().split_once(':') {
        Some((kind, name)) if !kind.is_empty() && !name.is_empty() => Ok(()),
        _ => {
            let message = format!("expected a string in format principalType:principalName but got {}", text.trim());
            Err(Exception::illegal_argument(message))
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn check(line: &str, expect: &[&str]) {
        let words = std::iter::once("kafka-acls").chain(line.split(' '));
        let found = match Request::new(&Options::try_parse_from(words).unwrap()) {
            Ok(Request::List(patterns)) => patterns.iter().map(ToString::to_string).collect(),
            Ok(Request::Add(all) | Request::Remove(all)) => {
                let shown = |(pattern, entries): (Pattern, Vec<Entry>)| {
                    let entries: Vec<_> =
                        entries.iter().map(|it| format!("{} {}", it.permission, it.operation)).collect();
                    format!("{} {}: {}", pattern.resource, pattern.name, entries.join(", "))
                };
                all.into_iter().map(shown).collect()
            }
            Err(Failure::Usage(why)) => vec![why],
            Err(Failure::Thrown(error)) => vec![error.message],
        };
        assert_eq!(found, expect, "{line}");
    }

    #[test]
    fn options_become_acls_or_kafkas_error() {
        check("--list", &[]);
        check("--list --group g", &["ResourcePattern(resourceType=GROUP, name=g, patternType=LITERAL)"]);
        check("--add --topic t --allow-principal User:a", &["TOPIC t: ALLOW ALL"]);
        check(
            "--add --topic t --allow-principal User:a --deny-principal User:b --operation read",
            &["TOPIC t: ALLOW READ, DENY READ"],
        );
        check(
            "--add --producer --idempotent --topic t --transactional-id x --allow-principal User:a",
            &[
                "TOPIC t: ALLOW WRITE, ALLOW DESCRIBE, ALLOW CREATE",
                "CLUSTER kafka-cluster: ALLOW IDEMPOTENT_WRITE",
                "TRANSACTIONAL_ID x: ALLOW WRITE, ALLOW DESCRIBE",
            ],
        );
        check(
            "--add --producer --consumer --topic t --group g --allow-principal User:a",
            &["TOPIC t: ALLOW WRITE, ALLOW DESCRIBE, ALLOW CREATE, ALLOW READ", "GROUP g: ALLOW READ"],
        );
        check("--remove --topic t", &["TOPIC t: "]);
        let no_principal = "You must specify one of: --allow-principal, --deny-principal when trying to add ACLs.";
        check("--add --topic t", &[no_principal]);
        let any = "A '--resource-pattern-type' value of 'ANY' is not valid when adding acls.";
        check("--add --topic t --resource-pattern-type any", &[any]);
        let principal = "expected a string in format principalType:principalName but got foo";
        check("--add --topic t --allow-principal foo", &[principal]);
        let token = "ResourceType DELEGATION_TOKEN only supports operations [ALL, DESCRIBE]";
        check("--add --delegation-token t --allow-principal User:a --operation Read", &[token]);
    }
}
