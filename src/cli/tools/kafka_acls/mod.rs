//! kafka-acls: lists, adds and removes ACLs.
//!
//! A broker without an authorizer answers these requests with SecurityDisabledException.
//!
//! Source of behaviour: `org.apache.kafka.tools.AclCommand`.

mod binding;
mod request;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use super::connect::block_on;
use super::exceptions::Exception;
use super::options::ParserStyle;
use super::output::Output;
use super::servers::Servers;
use super::{RunTool, Tool};
use binding::{ANY, Entry, Pattern, PatternKind};
use ottla_client::Client;
use ottla_core::security::acl::{AclOperation, PatternType, Permission, ResourceType};
use ottla_wire::protocol::messages::create_acls::{AclCreation, CreateAclsRequest};
use ottla_wire::protocol::messages::delete_acls::{DeleteAclsFilter, DeleteAclsRequest};
use ottla_wire::protocol::messages::describe_acls::DescribeAclsRequest;
use request::Request;

pub const TOOL: Tool = Tool::new::<Options>("kafka-acls", ParserStyle::JoptSimple);

/// This tool helps to manage acls on kafka.
#[derive(Debug, Default, Parser)]
pub struct Options {
    /// The brokers to connect to. This or --bootstrap-controller is required.
    #[arg(long, value_name = "String: server to connect to")]
    bootstrap_server: Option<String>,
    /// The controllers to connect to.
    #[arg(long, value_name = "String: controller to connect to")]
    bootstrap_controller: Option<String>,
    /// Properties for the client.
    #[arg(long, value_name = "String: command-config")]
    command_config: Option<PathBuf>,
    /// Add ACLs.
    #[arg(long)]
    add: bool,
    /// Remove ACLs.
    #[arg(long)]
    remove: bool,
    /// List the ACLs of the given resources, or all ACLs.
    #[arg(long)]
    list: bool,
    /// A topic; '*' means all topics.
    #[arg(long, value_name = "String: topic")]
    topic: Vec<String>,
    /// The cluster.
    #[arg(long)]
    cluster: bool,
    /// A consumer group; '*' means all groups.
    #[arg(long, value_name = "String: group")]
    group: Vec<String>,
    /// A transactional id; '*' means all transactional ids.
    #[arg(long, value_name = "String: transactional-id")]
    transactional_id: Vec<String>,
    /// A delegation token; '*' means all tokens.
    #[arg(long, value_name = "String: delegation-token")]
    delegation_token: Vec<String>,
    /// A user, as a resource of the operations CreateTokens and DescribeTokens.
    #[arg(long, value_name = "String: user-principal")]
    user_principal: Vec<String>,
    /// With --producer: the producer is idempotent.
    #[arg(long)]
    idempotent: bool,
    /// How the given names match resources: literally, or as prefixes of their names (prefixed). With --list and
    /// --remove also 'any' for both, and 'match' for all patterns that match a resource with that name.
    #[arg(long, default_value = "LITERAL", value_name = "ANY|MATCH|LITERAL|PREFIXED")]
    resource_pattern_type: String,
    /// The principal to allow, as User:name; User:* means everybody.
    #[arg(long, value_name = "String: allow-principal")]
    allow_principal: Vec<String>,
    /// The principal to deny, as User:name. Takes precedence over --allow-principal.
    #[arg(long, value_name = "String: deny-principal")]
    deny_principal: Vec<String>,
    /// With --list: the principal whose ACLs to list, as User:name.
    #[arg(long, value_name = "String: principal")]
    principal: Vec<String>,
    /// The host from which to allow --allow-principal; all hosts, if not given.
    #[arg(long, value_name = "String: allow-host")]
    allow_host: Vec<String>,
    /// The host from which to deny --deny-principal; all hosts, if not given.
    #[arg(long, value_name = "String: deny-host")]
    deny_host: Vec<String>,
    /// The operation to allow or deny: All (the default), Read, Write, Create, Delete, Alter, Describe, ClusterAction,
    /// DescribeConfigs, AlterConfigs, IdempotentWrite, CreateTokens, DescribeTokens, TwoPhaseCommit.
    #[arg(long, value_name = "String")]
    operation: Vec<String>,
    /// The operations that a producer needs: Write, Describe and Create on topics.
    #[arg(long)]
    producer: bool,
    /// The operations that a consumer needs: Read and Describe on topics, and Read on groups.
    #[arg(long)]
    consumer: bool,
    /// Don't ask for confirmation before removing.
    #[arg(long)]
    force: bool,
}

/// Why a command failed.
enum Failure {
    /// The options are invalid; printed before the help.
    Usage(String),
    /// Any other error.
    Thrown(Exception),
}

impl From<Exception> for Failure {
    fn from(error: Exception) -> Failure {
        Failure::Thrown(error)
    }
}

impl RunTool for Options {
    fn run(self, tool: &Tool) -> ExitCode {
        if let Some(message) = self.find_usage_error() {
            return tool.usage_error(&message);
        }
        match block_on_result(self.act()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(Failure::Usage(message)) => tool.usage_error(&message),
            Err(Failure::Thrown(error)) => {
                let text = match error.class.starts_with("org.apache.kafka") {
                    true => error.to_string(),
                    false => error.message,
                };
                Output::stdout().line(format_args!("Error while executing ACL command: {text}"));
                ExitCode::FAILURE
            }
        }
    }
}

/// Runs work that returns a result instead of an exit code.
fn block_on_result(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let mut result = Ok(());
    block_on(async {
        result = work.await;
        ExitCode::SUCCESS
    });
    result
}

impl Options {
    /// Returns the first error in the combination of options, in the order of Kafka's checks.
    fn find_usage_error(&self) -> Option<String> {
        match (&self.bootstrap_server, &self.bootstrap_controller) {
            (Some(_), Some(_)) => {
                return Some("Only one of --bootstrap-server or --bootstrap-controller must be specified".to_owned());
            }
            (None, None) => {
                return Some("One of --bootstrap-server or --bootstrap-controller must be specified".to_owned());
            }
            _ => {}
        }
        if [self.list, self.add, self.remove].into_iter().filter(|action| *action).count() != 1 {
            return Some("Command must include exactly one action: --list, --add, --remove. ".to_owned());
        }
        let denies = [("deny-principal", !self.deny_principal.is_empty()), ("deny-host", !self.deny_host.is_empty())];
        let roles = [("producer", self.producer), ("consumer", self.consumer)];
        let allows =
            [("allow-host", !self.allow_host.is_empty()), ("allow-principal", !self.allow_principal.is_empty())];
        let operations = [("operation", !self.operation.is_empty())];
        let conflict = |option: &str, set: bool, others: &[(&str, bool)]| {
            let other = others.iter().find(|(_, given)| set && *given)?;
            Some(format!("Option \"[{option}]\" can't be used with option \"[{}]\"", other.0))
        };
        let conflicts = conflict("list", self.list, &[&roles[..], &allows, &denies].concat())
            .or_else(|| conflict("producer", self.producer, &[&operations[..], &denies].concat()))
            .or_else(|| conflict("consumer", self.consumer, &[&operations[..], &denies].concat()));
        if conflicts.is_some() {
            return conflicts;
        }
        let lacks_resources = self.topic.is_empty() || self.group.is_empty();
        let has_other_resources = !self.producer && (self.cluster || !self.transactional_id.is_empty());
        let message = match () {
            () if !self.principal.is_empty() && !self.list => {
                "The --principal option is only available if --list is set"
            }
            () if self.producer && self.topic.is_empty() => "With --producer you must specify a --topic",
            () if self.idempotent && !self.producer => "The --idempotent option is only available if --producer is set",
            () if self.consumer && (lacks_resources || has_other_resources) => {
                "With --consumer you must specify a --topic and a --group and no --cluster or --transactional-id option \
                 should be specified."
            }
            () => return None,
        };
        Some(message.to_owned())
    }

    async fn act(&self) -> Result<(), Failure> {
        // As in Kafka's tool, invalid options are reported before connecting.
        let request = Request::new(self)?;
        let servers = Servers {
            bootstrap_server: self.bootstrap_server.clone(),
            bootstrap_controller: self.bootstrap_controller.clone(),
        };
        let client = servers.connect(self.command_config.as_deref()).await.map_err(Exception::illegal_argument)?;
        match request {
            Request::List(patterns) => self.list(&client, patterns).await?,
            Request::Add(all) => {
                for (pattern, entries) in all {
                    add(&client, &pattern, entries).await?;
                }
            }
            Request::Remove(all) => {
                for (pattern, entries) in all {
                    self.remove(&client, &pattern, &entries).await?;
                }
            }
        }
        Ok(())
    }

    async fn list(&self, client: &Client, patterns: Vec<Pattern>) -> Result<(), Exception> {
        let mut found: BTreeMap<Pattern, BTreeSet<Entry>> = BTreeMap::new();
        let filters: Vec<_> = if patterns.is_empty() { vec![None] } else { patterns.iter().map(Some).collect() };
        for filter in filters {
            for (pattern, entries) in describe(client, filter).await? {
                found.entry(pattern).or_default().extend(entries);
            }
        }
        let mut output = Output::stdout();
        let mut print = |chosen: &dyn Fn(&Entry) -> bool| {
            for (pattern, entries) in &found {
                let entries: Vec<_> =
                    entries.iter().filter(|entry| chosen(entry)).map(|it| format!("\t{it}")).collect();
                if !entries.is_empty() {
                    output.line(format_args!("Current ACLs for resource `{pattern}`:\n{}\n", entries.join("\n")));
                }
            }
        };
        if self.principal.is_empty() {
            print(&|_| true);
        }
        for principal in &self.principal {
            Output::stdout().line(format_args!("ACLs for principal `{principal}`"));
            print(&|entry| entry.principal == *principal);
        }
        Ok(())
    }

    async fn remove(&self, client: &Client, pattern: &Pattern, entries: &[Entry]) -> Result<(), Exception> {
        let question = match entries {
            [] => format!("Are you sure you want to delete all ACLs for resource filter `{pattern}`? (y/n)"),
            entries => format!(
                "Are you sure you want to remove ACLs: \n {}\n from resource filter `{pattern}`? (y/n)",
                tabbed(entries)
            ),
        };
        if !self.force && !confirmed(&question) {
            return Ok(());
        }
        let any = DeleteAclsFilter {
            resource_type_filter: pattern.resource.code(),
            resource_name_filter: Some(pattern.name.as_str().into()),
            pattern_type_filter: pattern.kind.code(),
            operation: ANY,
            permission_type: ANY,
            ..Default::default()
        };
        let filter = |entry: &Entry| DeleteAclsFilter {
            principal_filter: Some(entry.principal.as_str().into()),
            host_filter: Some(entry.host.as_str().into()),
            operation: entry.operation.code(),
            permission_type: entry.permission.code(),
            ..any.clone()
        };
        let filters = if entries.is_empty() { vec![any.clone()] } else { entries.iter().map(filter).collect() };
        let answer = client.call(DeleteAclsRequest { filters }).await?;
        match answer.filter_results.iter().find(|result| result.error_code != 0) {
            Some(refused) => Err(Exception::refused(refused.error_code, refused.error_message.as_deref())),
            None => Ok(()),
        }
    }
}

fn tabbed(entries: &[Entry]) -> String {
    entries.iter().map(|entry| format!("\t{entry}")).collect::<Vec<_>>().join("\n")
}

fn confirmed(question: &str) -> bool {
    Output::stdout().line(question);
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).is_ok() && answer.trim_end().eq_ignore_ascii_case("y")
}

/// Describes the ACLs of matching resources, or all ACLs. Skips ACLs with unknown codes.
async fn describe(client: &Client, filter: Option<&Pattern>) -> Result<Vec<(Pattern, Vec<Entry>)>, Exception> {
    let request = DescribeAclsRequest {
        resource_type_filter: filter.map_or(ANY, |pattern| pattern.resource.code()),
        resource_name_filter: filter.map(|pattern| pattern.name.as_str().into()),
        pattern_type_filter: filter.map_or(ANY, |pattern| pattern.kind.code()),
        operation: ANY,
        permission_type: ANY,
        ..Default::default()
    };
    let answer = client.call(request).await?;
    if answer.error_code != 0 {
        return Err(Exception::refused(answer.error_code, answer.error_message.as_deref()));
    }
    let found = answer.resources.into_iter().filter_map(|of| {
        let resource = ResourceType::from_code(of.resource_type)?;
        let kind = PatternType::from_code(of.pattern_type).map(PatternKind::Of)?;
        let pattern = Pattern { resource, name: of.resource_name.to_string(), kind };
        let entries = of.acls.into_iter().filter_map(|acl| {
            Some(Entry {
                principal: acl.principal.to_string(),
                host: acl.host.to_string(),
                operation: AclOperation::from_code(acl.operation)?,
                permission: Permission::from_code(acl.permission_type)?,
            })
        });
        Some((pattern, entries.collect()))
    });
    Ok(found.collect())
}

async fn add(client: &Client, pattern: &Pattern, entries: Vec<Entry>) -> Result<(), Exception> {
    let existing: Vec<Entry> =
        describe(client, Some(pattern)).await?.into_iter().flat_map(|(_, entries)| entries).collect();
    let (old, new): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| existing.contains(entry));
    for entry in old {
        Output::stdout().line(format_args!("Acl (pattern={pattern}, entry={entry}) already exists."));
    }
    if new.is_empty() {
        return Ok(());
    }
    Output::stdout().line(format_args!("Adding ACLs for resource `{pattern}`: \n {}\n", tabbed(&new)));
    let creation = |entry: &Entry| AclCreation {
        resource_type: pattern.resource.code(),
        resource_name: pattern.name.as_str().into(),
        resource_pattern_type: pattern.kind.code(),
        principal: entry.principal.as_str().into(),
        host: entry.host.as_str().into(),
        operation: entry.operation.code(),
        permission_type: entry.permission.code(),
    };
    let answer = client.call(CreateAclsRequest { creations: new.iter().map(creation).collect() }).await?;
    match answer.results.iter().find(|result| result.error_code != 0) {
        Some(refused) => Err(Exception::refused(refused.error_code, refused.error_message.as_deref())),
        None => Ok(()),
    }
}
