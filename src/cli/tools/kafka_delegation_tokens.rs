//! kafka-delegation-tokens: creates, renews, expires and describes delegation tokens.
//!
//! As in Kafka's tool, `--describe` without `--owner-principal` finds no tokens.
//!
//! Source of behaviour: `org.apache.kafka.tools.DelegationTokenCommand`. Differences: times are in UTC.

use std::path::PathBuf;
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use bytes::Bytes;
use clap::Parser;

use super::connect::{Properties, connect, run_to_exit};
use super::date_format::DateFormat;
use super::exceptions::Exception;
use super::options::{ParserStyle, one_value, required};
use super::output::Output;
use super::{RunTool, Tool};
use crate::cli::admin::delegation_tokens::{self as admin, Token};
use ottla_client::Client;
use ottla_core::security::Principal;
use ottla_wire::types::TimestampMs;

/// Base64 with or without padding, as Java decodes it.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

pub const TOOL: Tool = Tool::new::<Options>("kafka-delegation-tokens", ParserStyle::JoptSimple);

#[derive(Debug, Parser)]
#[command(about = "This tool helps to create, renew, expire, or describe delegation tokens.")]
pub struct Options {
    /// REQUIRED: server(s) to use for bootstrapping.
    #[arg(long, value_name = "String")]
    bootstrap_server: Vec<String>,
    /// REQUIRED: A property file containing configs to be passed to Admin Client. Token management operations are allowed
    /// in secure mode only.
    #[arg(long, value_name = "String")]
    command_config: Vec<String>,
    /// Create a new delegation token. Use --renewer-principal option to pass renewer principals.
    #[arg(long)]
    create: bool,
    /// Renew delegation token. Use --renew-time-period option to set renew time period.
    #[arg(long)]
    renew: bool,
    /// Expire delegation token. Use --expiry-time-period option to expire the token.
    #[arg(long)]
    expire: bool,
    /// Describe delegation tokens for the given principals. Use --owner-principal to pass owner/renewer principals.
    #[arg(long)]
    describe: bool,
    /// An owner, as principalType:name.
    #[arg(long, value_name = "String")]
    owner_principal: Vec<String>,
    /// A renewer, as principalType:name.
    #[arg(long, value_name = "String")]
    renewer_principal: Vec<String>,
    /// Max life period for the token in milliseconds; -1 for delegation.token.max.lifetime.ms of the broker.
    #[arg(long, value_name = "Long", allow_hyphen_values = true)]
    max_life_time_period: Vec<i64>,
    /// Renew time period in milliseconds; -1 for delegation.token.expiry.time.ms of the broker.
    #[arg(long, value_name = "Long", allow_hyphen_values = true)]
    renew_time_period: Vec<i64>,
    /// Expiry time period in milliseconds; -1 invalidates the token immediately.
    #[arg(long, value_name = "Long", allow_hyphen_values = true)]
    expiry_time_period: Vec<i64>,
    /// HMAC of the delegation token.
    #[arg(long, value_name = "String")]
    hmac: Vec<String>,
}

impl RunTool for Options {
    fn run(self, tool: &Tool) -> ExitCode {
        if let Some(message) = self.find_usage_error() {
            return tool.usage_error(&message);
        }
        run_to_exit(self.act())
    }
}

impl Options {
    fn find_usage_error(&self) -> Option<String> {
        if [self.create, self.renew, self.expire, self.describe].into_iter().filter(|given| *given).count() != 1 {
            let message = "Command must include exactly one action: --create, --renew, --expire or --describe";
            return Some(message.to_owned());
        }
        let given = |period: &[i64]| period.iter().map(i64::to_string).collect::<Vec<_>>();
        let [max_life, renew, expiry] =
            [&self.max_life_time_period, &self.renew_time_period, &self.expiry_time_period].map(|period| given(period));
        let max_life = ("max-life-time-period", &max_life);
        let renew = ("renew-time-period", &renew);
        let expiry = ("expiry-time-period", &expiry);
        let hmac = ("hmac", &self.hmac);
        let owner = ("owner-principal", &self.owner_principal);
        let renewer = ("renewer-principal", &self.renewer_principal);
        let connection = [("bootstrap-server", &self.bootstrap_server), ("command-config", &self.command_config)];
        let (action, needed, invalid) = match () {
            () if self.create => ("create", vec![max_life], vec![hmac, renew, expiry]),
            () if self.renew => ("renew", vec![hmac, renew], vec![renewer, max_life, expiry, owner]),
            () if self.expire => ("expire", vec![hmac, expiry], vec![max_life, renew, owner]),
            () => ("describe", vec![], vec![renew, max_life, hmac, expiry]),
        };
        let missing = required(&[&connection[..], &needed].concat());
        missing.or_else(|| {
            let (name, _) = invalid.into_iter().find(|(_, values)| !values.is_empty())?;
            Some(format!("Option \"[{action}]\" can't be used with option \"[{name}]\""))
        })
    }

    async fn act(&self) -> Result<(), String> {
        let file = one_value("command-config", &self.command_config)?.map(PathBuf::from);
        let properties = Properties::read_optional(file.as_deref())?;
        let servers = one_value("bootstrap-server", &self.bootstrap_server)?.unwrap_or_default();
        let client = connect(servers, &properties).await?;
        match () {
            () if self.create => self.create(&client).await,
            () if self.renew => self.renew(&client).await,
            () if self.expire => self.expire(&client).await,
            () => self.describe(&client).await,
        }
        .map_err(|error| match error.simple_name() {
            "IllegalArgumentException" => error.message,
            _ => error.to_string(),
        })
    }

    async fn create(&self, client: &Client) -> Result<(), Exception> {
        let renewers = principals(&self.renewer_principal)?;
        let owners = principals(&self.owner_principal)?;
        let period = self.max_life_time_period.first().copied().unwrap_or(-1);
        let mut output = Output::stdout();
        output.line(format_args!(
            "Calling create token operation with renewers :{} , max-life-time-period :{period}",
            list(&renewers)
        ));
        output.flush();
        let token = admin::create(client, owners.first(), &renewers, period).await?;
        output.line(format_args!("Created delegation token with tokenId : {}", token.id));
        print(&mut output, &[token])
    }

    async fn renew(&self, client: &Client) -> Result<(), Exception> {
        let (text, hmac) = self.hmac()?;
        let period = self.renew_time_period.first().copied().unwrap_or(-1);
        let mut output = Output::stdout();
        output.line(format_args!("Calling renew token operation with hmac :{text} , renew-time-period :{period}"));
        output.flush();
        let expires = admin::renew(client, hmac?, period).await?;
        output.text(&format!("Completed renew operation. New expiry date : {}", date(expires)?));
        Ok(())
    }

    async fn expire(&self, client: &Client) -> Result<(), Exception> {
        let (text, hmac) = self.hmac()?;
        let period = self.expiry_time_period.first().copied().unwrap_or(-1);
        let mut output = Output::stdout();
        output.line(format_args!("Calling expire token operation with hmac :{text} , expire-time-period :{period}"));
        output.flush();
        let expires = admin::expire(client, hmac?, period).await?;
        output.text(&format!("Completed expire operation. New expiry date : {}", date(expires)?));
        Ok(())
    }

    async fn describe(&self, client: &Client) -> Result<(), Exception> {
        let owners = principals(&self.owner_principal)?;
        let mut output = Output::stdout();
        match owners.is_empty() {
            true => output.line("Calling describe token operation for current user."),
            false => output.line(format_args!("Calling describe token operation for owners: {}", list(&owners))),
        }
        output.flush();
        let tokens = admin::describe(client, &owners).await?;
        output.text(&format!("Total number of tokens : {}", tokens.len()));
        print(&mut output, &tokens)
    }

    /// The HMAC as given, and decoded.
    fn hmac(&self) -> Result<(&str, Result<Bytes, Exception>), Exception> {
        let text = one_value("hmac", &self.hmac)?.unwrap_or_default();
        let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
        let decoded = LENIENT.decode(text).map_err(|_| {
            let illegal = text.bytes().find(|byte| !is_base64(byte)).unwrap_or(b'=');
            Exception::illegal_argument(format!("Illegal base64 character {illegal:x}"))
        });
        Ok((text, decoded.map(Bytes::from)))
    }
}

fn principals(texts: &[String]) -> Result<Vec<Principal>, Exception> {
    let parse = |text: &String| match text.trim().split_once(':') {
        Some((kind, name)) if !kind.is_empty() && !name.is_empty() => Ok(Principal::parse(text.trim())),
        _ => Err(Exception::illegal_argument(format!(
            "expected a string in format principalType:principalName but got {}",
            text.trim()
        ))),
    };
    texts.iter().map(parse).collect()
}

/// A list as Java prints it.
fn list(principals: &[Principal]) -> String {
    let texts: Vec<_> = principals.iter().map(Principal::to_string).collect();
    format!("[{}]", texts.join(", "))
}

fn date(time: TimestampMs) -> Result<String, Exception> {
    let format = DateFormat::new("yyyy-MM-dd'T'HH:mm").map_err(Exception::illegal_argument)?;
    Ok(format.format(time))
}

fn print(output: &mut Output, tokens: &[Token]) -> Result<(), Exception> {
    let line = |columns: [&str; 8]| {
        let [id, hmac, owner, requester, renewers, issued, expires, max] = columns;
        format!(
            "\n{id:<15} {hmac:<30} {owner:<15} {requester:<15} {renewers:<25} {issued:<15} {expires:<15} {max:<15}\n"
        )
    };
    output.text(&line(["TOKENID", "HMAC", "OWNER", "REQUESTER", "RENEWERS", "ISSUEDATE", "EXPIRYDATE", "MAXDATE"]));
    for token in tokens {
        let hmac = STANDARD.encode(&token.hmac);
        let (owner, requester) = (token.owner.to_string(), token.requester.to_string());
        let [issued, expires, max] = [date(token.issued)?, date(token.expires)?, date(token.max)?];
        output.text(&line([&token.id, &hmac, &owner, &requester, &list(&token.renewers), &issued, &expires, &max]));
    }
    Ok(())
}
