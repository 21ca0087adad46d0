//! `ottla schemas`: lists, shows, registers, checks and deletes the schemas of a registry.
//!
//! | module | content |
//! |---|---|
//! | [`client`] | a client of a registry |
//! | [`codec`] | keys and values with schemas |
//! | [`formats`] | the flags for formats of `ottla consume` and `ottla produce` |

pub mod client;
pub mod codec;
pub mod formats;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::outcome::{Outcome, exit_code, print_json};
use super::table::table;
use super::tools::output::Output;
use client::{RegistryClient, RegistryUrl, encoded};

/// The largest file with a schema.
const MAX_SCHEMA_BYTES: u64 = 8 << 20;
const LATEST: &str = "latest";

const EXAMPLES: &str = "\
Examples:
  ottla schemas
  ottla schemas show orders-value
  ottla schemas register orders-value order.avsc
  ottla schemas check orders-value order.proto --type protobuf
  ottla schemas delete orders-value --version 1";

/// The arguments of `ottla schemas`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SchemasArgs {
    #[command(flatten)]
    registry: RegistryUrl,

    /// Print JSON
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the latest version of every subject (the default command)
    List {
        /// Only subjects that begin with PREFIX
        #[arg(long, value_name = "PREFIX")]
        prefix: Option<String>,
        /// Also deleted versions
        #[arg(long)]
        deleted: bool,
    },
    /// Print the text of a schema
    Show {
        /// The subject
        #[arg(required_unless_present = "id")]
        subject: Option<String>,
        /// The version [default: latest]
        #[arg(long, value_name = "N", conflicts_with = "id")]
        version: Option<String>,
        /// The schema with this id
        #[arg(long, value_name = "ID", conflicts_with = "subject")]
        id: Option<i32>,
    },
    /// Register a schema, and print its id
    Register(NewSchema),
    /// Test whether a schema is compatible with the versions of a subject; exits with 1 if not
    Check {
        #[command(flatten)]
        schema: NewSchema,
        /// Compare with this version only [default: those that the subject's compatibility level says]
        #[arg(long, value_name = "N")]
        version: Option<String>,
    },
    /// Delete a subject, or one of its versions
    Delete {
        /// The subject
        subject: String,
        /// The version [default: all]
        #[arg(long, value_name = "N")]
        version: Option<String>,
        /// Delete for ever what was deleted before
        #[arg(long)]
        permanent: bool,
    },
}

#[derive(Debug, Args)]
struct NewSchema {
    /// The subject
    subject: String,
    /// The file with the schema; - is standard input
    file: PathBuf,
    /// The format [default: by the end of the file's name: .proto, .json (JSON Schema), otherwise Avro]
    #[arg(long = "type", value_enum, value_name = "TYPE")]
    schema_type: Option<SchemaType>,
    /// A schema that this one refers to; may be given many times
    #[arg(long = "reference", value_name = "NAME=SUBJECT:VERSION", value_parser = reference)]
    references: Vec<Reference>,
    /// Compare normal forms, so that the order of properties and the like does not count
    #[arg(long)]
    normalize: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SchemaType {
    Avro,
    Json,
    Protobuf,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Reference {
    name: String,
    subject: String,
    version: i32,
}

fn reference(text: &str) -> Result<Reference, String> {
    let parsed = text.split_once('=').and_then(|(name, place)| {
        let (subject, version) = place.rsplit_once(':')?;
        Some(Reference { name: name.to_owned(), subject: subject.to_owned(), version: version.parse().ok()? })
    });
    parsed.ok_or_else(|| "give it as NAME=SUBJECT:VERSION, such as shop.User=users-value:1".to_owned())
}

pub fn run(args: &SchemasArgs) -> ExitCode {
    match args.run() {
        Ok(code) => code,
        Err(why) => exit_code(Err(why)),
    }
}

impl SchemasArgs {
    fn run(&self) -> Result<ExitCode, String> {
        let client = RegistryClient::new(&self.registry.registry, None)?;
        let done: Outcome = match &self.action {
            None => self.list(&client, None, false),
            Some(Action::List { prefix, deleted }) => self.list(&client, prefix.as_deref(), *deleted),
            Some(Action::Show { subject, version, id }) => {
                self.show(&client, subject.as_deref().unwrap_or_default(), version.as_deref(), *id)
            }
            Some(Action::Register(schema)) => self.register(&client, schema),
            Some(Action::Check { schema, version }) => return self.check(&client, schema, version.as_deref()),
            Some(Action::Delete { subject, version, permanent }) => {
                self.delete(&client, subject, version.as_deref(), *permanent)
            }
        };
        done.map(|()| ExitCode::SUCCESS)
    }

    fn list(&self, client: &RegistryClient, prefix: Option<&str>, deleted: bool) -> Outcome {
        let prefix = prefix.map(|prefix| format!("&subjectPrefix={}", encoded(prefix))).unwrap_or_default();
        let listed = client.get(&format!("/schemas?latestOnly=true&deleted={deleted}{prefix}"))?;
        if self.json {
            return print_json(&listed);
        }
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let row = |schema: &Value| {
            let schema_type = schema["schemaType"].as_str().unwrap_or("AVRO").to_owned();
            vec![text(&schema["subject"]), text(&schema["version"]), text(&schema["id"]), schema_type]
        };
        let rows: Vec<Vec<String>> = listed.as_array().into_iter().flatten().map(row).collect();
        table(&["SUBJECT", "VERSION", "ID", "TYPE"], &rows).into_iter().for_each(|line| Output::stdout().line(line));
        Ok(())
    }

    fn show(&self, client: &RegistryClient, subject: &str, version: Option<&str>, id: Option<i32>) -> Outcome {
        let path = match id {
            Some(id) => format!("/schemas/ids/{id}"),
            None => format!("/subjects/{}/versions/{}", encoded(subject), encoded(version.unwrap_or(LATEST))),
        };
        let schema = client.get(&path)?;
        match self.json {
            true => print_json(&schema),
            false => {
                Output::stdout().line(schema["schema"].as_str().unwrap_or_default());
                Ok(())
            }
        }
    }

    fn register(&self, client: &RegistryClient, schema: &NewSchema) -> Outcome {
        let path = format!("/subjects/{}/versions?normalize={}", encoded(&schema.subject), schema.normalize);
        let registered = client.post(&path, &schema.body()?)?;
        match self.json {
            true => print_json(&registered),
            false => {
                Output::stdout().line(format_args!("{} has the id {}", schema.subject, registered["id"]));
                Ok(())
            }
        }
    }

    fn check(&self, client: &RegistryClient, schema: &NewSchema, version: Option<&str>) -> Result<ExitCode, String> {
        let version = version.map(|version| format!("/{}", encoded(version))).unwrap_or_default();
        let (subject, normalize) = (encoded(&schema.subject), schema.normalize);
        let path = format!("/compatibility/subjects/{subject}/versions{version}?verbose=true&normalize={normalize}");
        let checked = client.post(&path, &schema.body()?)?;
        let is_compatible = checked["is_compatible"].as_bool() == Some(true);
        if self.json {
            print_json(&checked)?;
        } else {
            let verdict = if is_compatible { "compatible" } else { "not compatible" };
            let mut output = Output::stdout();
            output.line(verdict);
            for message in checked["messages"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                output.line(format_args!("  {message}"));
            }
        }
        Ok(if is_compatible { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn delete(&self, client: &RegistryClient, subject: &str, version: Option<&str>, permanent: bool) -> Outcome {
        let version = version.map(|version| format!("/versions/{}", encoded(version))).unwrap_or_default();
        let deleted = client.delete(&format!("/subjects/{}{version}?permanent={permanent}", encoded(subject)))?;
        if self.json {
            return print_json(&deleted);
        }
        let versions = match &deleted {
            Value::Array(versions) => versions.iter().map(Value::to_string).collect::<Vec<_>>().join(", "),
            version => version.to_string(),
        };
        Output::stdout().line(format_args!("deleted from {subject}: {versions}"));
        Ok(())
    }
}

impl NewSchema {
    /// The body of a request with this schema.
    fn body(&self) -> Result<Value, String> {
        let references: Vec<Value> = self
            .references
            .iter()
            .map(|it| json!({ "name": it.name, "subject": it.subject, "version": it.version }))
            .collect();
        let schema_type = match self.schema_type.unwrap_or_else(|| type_of(&self.file)) {
            SchemaType::Avro => "AVRO",
            SchemaType::Json => "JSON",
            SchemaType::Protobuf => "PROTOBUF",
        };
        Ok(json!({ "schema": read(&self.file)?, "schemaType": schema_type, "references": references }))
    }
}

fn type_of(file: &Path) -> SchemaType {
    match file.extension().and_then(|end| end.to_str()) {
        Some("proto") => SchemaType::Protobuf,
        Some("json") => SchemaType::Json,
        _ => SchemaType::Avro,
    }
}

fn read(file: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = match file.as_os_str() == "-" {
        true => std::io::stdin().take(MAX_SCHEMA_BYTES).read_to_string(&mut text),
        false => std::fs::File::open(file).and_then(|file| file.take(MAX_SCHEMA_BYTES).read_to_string(&mut text)),
    };
    read.map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reference_has_a_name_a_subject_and_a_version() {
        let expect = Reference { name: "a.B".to_owned(), subject: ":.c:s".to_owned(), version: 2 };
        assert_eq!(reference("a.B=:.c:s:2"), Ok(expect));
        assert!(reference("a.B=s").is_err());
        assert!(reference("s:2").is_err());
        assert_eq!(type_of(Path::new("a.proto")), SchemaType::Protobuf);
        assert_eq!(type_of(Path::new("-")), SchemaType::Avro);
    }
}
