//! `ottla trace`: shows what clients say to a running broker, which it reads from the broker's admin port.

mod messages;
mod summary;

use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use ureq::Agent;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use super::http_errors;
use super::outcome::{Outcome, exit_code};
use super::ready_file::Announced;
use super::tools::output::Output;
use ottla_config::Password;

/// The admin port of a broker that was started with `--admin-port 9644`.
const DEFAULT_URL: &str = "http://localhost:9644";
/// The variables with the setting `ottla.admin.token`, as for the broker.
const TOKEN: &str = "KAFKA_OTTLA_ADMIN_TOKEN";
const TOKEN_FILE: &str = "KAFKA_OTTLA_ADMIN_TOKEN_FILE";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest error that is read from the broker.
const MAX_ERROR_BYTES: u64 = 64 << 10;
/// The longest line that is read from the broker, far longer than it sends.
const MAX_LINE_BYTES: u64 = 64 << 20;

/// The arguments of `ottla trace`.
#[derive(Debug, Clone, Args)]
#[command(after_help = AFTER_HELP)]
pub struct TraceArgs {
    /// The URL of the broker's admin port [default: http://localhost:9644]
    #[arg(long, value_name = "URL", conflicts_with = "ready_file")]
    admin_url: Option<String>,

    /// Find the admin port in the broker's ready file
    #[arg(long, value_name = "PATH")]
    ready_file: Option<PathBuf>,

    /// Trust the certificates in this PEM file, if the admin port has TLS
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,

    /// Only requests with this client id; several can be separated by commas
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    client_id: Vec<String>,

    /// Only requests of this API, such as Produce or Fetch; several can be separated by commas
    #[arg(long, value_name = "API", value_delimiter = ',')]
    api: Vec<String>,

    /// Only requests that name this group; several can be separated by commas
    #[arg(long, value_name = "GROUP", value_delimiter = ',')]
    group: Vec<String>,

    /// Only requests or responses that name this topic; several can be separated by commas
    #[arg(long, value_name = "TOPIC", value_delimiter = ',')]
    topic: Vec<String>,

    /// Only requests that failed: with an error in the response, or because the broker closed the connection
    #[arg(long)]
    errors: bool,

    /// Show the requests of the last time, such as 30s, 5m or 1h, as far as the broker has kept them, and end
    #[arg(long, value_name = "TIME")]
    last: Option<String>,

    /// After the requests of --last, show the new ones
    #[arg(long, requires = "last")]
    follow: bool,

    /// Print each request as one line of JSON with all fields
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
The broker needs an admin port: ottla --admin-port 9644. KAFKA_OTTLA_ADMIN_TOKEN is its token, if it has one.

Examples:
  ottla trace                                  all requests, until Ctrl-C
  ottla trace --api Produce,Fetch --topic orders
  ottla trace --errors --last 5m               what failed in the last five minutes
  ottla trace --client-id billing --json | jq .request";

/// Runs the command.
pub fn run(args: &TraceArgs) -> ExitCode {
    exit_code(follow(args))
}

fn follow(args: &TraceArgs) -> Outcome {
    let url = args.url()?;
    let unavailable = |error: String| format!("no trace from {url}: {error}");
    let agent = agent(args.ca.as_deref())?;
    let mut request = agent.get(format!("{}/trace?{}", url.trim_end_matches('/'), args.query()));
    if let Some(token) = token()? {
        request = request.header("Authorization", format!("Bearer {}", token.expose()));
    }
    let mut response = request.call().map_err(|error| unavailable(http_errors::reason(&error)))?;
    let status = response.status();
    let mut lines = BufReader::new(response.body_mut().as_reader());
    if !status.is_success() {
        let mut text = String::new();
        let _ = lines.take(MAX_ERROR_BYTES).read_to_string(&mut text);
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        let why = match status.as_u16() {
            401 => Some("the port has a token: the variable KAFKA_OTTLA_ADMIN_TOKEN must have the same".to_owned()),
            _ => body["error"].as_str().map(summary::escaped),
        };
        return Err(unavailable(why.unwrap_or_else(|| format!("status {}", status.as_u16()))));
    }
    let mut output = Output::stdout();
    let mut line = String::new();
    loop {
        line.clear();
        let read = lines.by_ref().take(MAX_LINE_BYTES).read_line(&mut line);
        match read.map_err(|error| unavailable(error.to_string()))? {
            0 => break,
            _ => print(&mut output, line.trim_end(), args.json),
        }
        // More lines that were received are printed together.
        if lines.buffer().is_empty() {
            output.flush();
        }
    }
    match args.last.is_some() && !args.follow {
        true => Ok(()),
        false => Err("the broker has ended the trace".to_owned()),
    }
}

fn print(output: &mut Output, line: &str, json: bool) {
    match line {
        // The broker has nothing to say.
        "" => {}
        _ if json => output.line(line),
        _ => match serde_json::from_str(line) {
            Ok(event) => output.line(summary::line(&event)),
            Err(error) => output.error_line(format_args!("ottla: a line of the trace is not JSON: {error}")),
        },
    }
}

impl TraceArgs {
    fn url(&self) -> Result<String, String> {
        let Some(path) = &self.ready_file else {
            return Ok(self.admin_url.as_deref().unwrap_or(DEFAULT_URL).to_owned());
        };
        let unusable = |error: String| format!("cannot use the ready file {}: {error}", path.display());
        let text = fs::read_to_string(path).map_err(|error| unusable(error.to_string()))?;
        let announced: Announced = serde_json::from_str(&text).map_err(|error| unusable(error.to_string()))?;
        announced.admin_url.ok_or_else(|| unusable("the broker has no admin port".to_owned()))
    }

    /// The part of the URL after the question mark.
    fn query(&self) -> String {
        let mut pairs = Vec::new();
        let lists =
            [("client-id", &self.client_id), ("api", &self.api), ("group", &self.group), ("topic", &self.topic)];
        for (name, values) in lists {
            pairs.extend(values.iter().map(|value| format!("{name}={}", encoded(value))));
        }
        pairs.extend(self.errors.then(|| "errors=true".to_owned()));
        pairs.extend(self.last.iter().map(|last| format!("last={}&follow={}", encoded(last), self.follow)));
        pairs.join("&")
    }
}

/// The token of the admin port, if the environment has one.
fn token() -> Result<Option<Password>, String> {
    let text = match (env::var(TOKEN), env::var_os(TOKEN_FILE)) {
        (Ok(token), _) => token,
        (Err(_), Some(path)) => fs::read_to_string(&path)
            .map_err(|error| format!("cannot read {}, which {TOKEN_FILE} names: {error}", path.display()))?,
        (Err(_), None) => return Ok(None),
    };
    Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()).map(Password::new))
}

fn agent(ca: Option<&Path>) -> Result<Agent, String> {
    let mut config = Agent::config_builder().http_status_as_error(false).timeout_connect(Some(CONNECT_TIMEOUT));
    if let Some(path) = ca {
        let unusable = |error: String| format!("cannot use the certificates in {}: {error}", path.display());
        let pem = fs::read(path).map_err(|error| unusable(error.to_string()))?;
        let mut trusted = Vec::new();
        for item in parse_pem(&pem) {
            if let PemItem::Certificate(certificate) = item.map_err(|error| unusable(error.to_string()))? {
                trusted.push(certificate);
            }
        }
        if trusted.is_empty() {
            return Err(unusable("it has none".to_owned()));
        }
        config = config.tls_config(TlsConfig::builder().root_certs(RootCerts::Specific(Arc::new(trusted))).build());
    }
    Ok(config.build().into())
}

/// Encodes a value for a URL.
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => encoded.push(byte.into()),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: TraceArgs,
    }

    fn query(line: &[&str]) -> String {
        Line::parse_from([&["trace"], line].concat()).args.query()
    }

    #[test]
    fn arguments_become_the_parameters_of_the_request() {
        assert_eq!(query(&[]), "");
        assert_eq!(
            query(&["--client-id", "a b,c", "--api", "Produce", "--topic", "t", "--group", "g&h", "--errors"]),
            "client-id=a%20b&client-id=c&api=Produce&group=g%26h&topic=t&errors=true"
        );
        assert_eq!(query(&["--last", "5m"]), "last=5m&follow=false");
        assert_eq!(query(&["--last", "5m", "--follow"]), "last=5m&follow=true");
    }
}
