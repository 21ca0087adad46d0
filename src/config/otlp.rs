//! Export to a collector of OpenTelemetry.

use super::password::Password;
use super::values::Values;

const ENDPOINT: &str = "ottla.otlp.endpoint";
const HEADERS: &str = "ottla.otlp.headers";
const TRACES: &str = "ottla.otlp.traces.enable";

/// A collector, and what it gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtlpConfig {
    /// `ottla.otlp.endpoint`, without a slash at its end.
    pub endpoint: String,
    /// `ottla.otlp.headers`.
    pub headers: Vec<(String, Password)>,
    /// `ottla.otlp.traces.enable`.
    pub traces: bool,
}

/// Reads the settings; `None` without a collector. The error is one line.
pub(super) fn resolve(values: &Values) -> Result<Option<OtlpConfig>, String> {
    let Some(endpoint) = values.given(ENDPOINT).map(str::trim).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let rest = endpoint.strip_prefix("http://").or_else(|| endpoint.strip_prefix("https://"));
    if rest.is_none_or(|rest| rest.is_empty() || rest.starts_with('/') || rest.contains(char::is_whitespace)) {
        let shown = endpoint.escape_debug();
        return Err(format!("{ENDPOINT}: \"{shown}\" is not the URL of a collector, such as http://localhost:4318"));
    }
    let headers = headers(values.given(HEADERS).unwrap_or_default())?;
    Ok(Some(OtlpConfig { endpoint: endpoint.trim_end_matches('/').to_owned(), headers, traces: values.read(TRACES) }))
}

/// `NAME=VALUE,NAME=VALUE`, as in `OTEL_EXPORTER_OTLP_HEADERS`.
fn headers(text: &str) -> Result<Vec<(String, Password)>, String> {
    let header = |entry: &str| {
        let is_token = |char: char| char.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(char);
        let (name, value) = entry.split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        let is_valid =
            !name.is_empty() && name.chars().all(is_token) && value.chars().all(|char| (' '..='~').contains(&char));
        is_valid.then(|| (name.to_owned(), Password::new(value)))
    };
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    let headers: Option<Vec<_>> = entries.map(header).collect();
    headers.ok_or_else(|| format!("{HEADERS} is not a list of NAME=VALUE, separated by commas"))
}

/// Notices about settings without a collector.
pub(super) fn notices(values: &Values) -> Vec<String> {
    let is_given = |name| values.given(name).is_some_and(|value| !value.is_empty());
    if is_given(ENDPOINT) {
        return Vec::new();
    }
    let without_effect = [(HEADERS, is_given(HEADERS)), (TRACES, values.read::<bool>(TRACES))];
    let names = without_effect.into_iter().filter(|(_, is_set)| *is_set);
    names.map(|(name, _)| format!("{name} has no effect without {ENDPOINT}")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Resolved, Sources, load};
    use super::*;

    fn resolved(pairs: &[(&str, &str)]) -> Result<Resolved, String> {
        let command_line = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        load(&Sources { command_line, ..Sources::default() }).map_err(|error| error.to_string())
    }

    #[test]
    fn collector_has_a_url_and_headers() {
        assert_eq!(resolved(&[]).unwrap().config.otlp, None);
        let pairs =
            [(ENDPOINT, "https://otlp.example:4318/x/"), (HEADERS, "a=b=c, Authorization = Basic x"), (TRACES, "true")];
        let otlp = resolved(&pairs).unwrap().config.otlp.unwrap();
        assert_eq!((&*otlp.endpoint, otlp.traces), ("https://otlp.example:4318/x", true));
        let headers: Vec<_> = otlp.headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
        assert_eq!(headers, [("a", "b=c"), ("Authorization", "Basic x")]);
    }

    #[test]
    fn endpoint_that_is_no_url_and_headers_without_names_are_refused() {
        for endpoint in ["localhost:4318", "grpc://localhost", "http://", "http:///v1", "http://a b"] {
            let error = resolved(&[(ENDPOINT, endpoint)]).unwrap_err();
            assert!(error.starts_with("ottla.otlp.endpoint: \""), "{error}");
        }
        for headers in ["secret", "=secret", "a b=secret"] {
            let error = resolved(&[(ENDPOINT, "http://localhost:4318"), (HEADERS, headers)]).unwrap_err();
            assert_eq!(error, "ottla.otlp.headers is not a list of NAME=VALUE, separated by commas");
        }
    }

    #[test]
    fn settings_without_a_collector_are_noticed() {
        let notices = resolved(&[(TRACES, "true"), (HEADERS, "a=b")]).unwrap().notices;
        let expect = [HEADERS, TRACES].map(|name| format!("{name} has no effect without ottla.otlp.endpoint"));
        assert_eq!(notices, expect);
    }
}
