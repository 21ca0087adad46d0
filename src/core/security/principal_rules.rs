//! `ssl.principal.mapping.rules`: rules that derive a user's name from the distinguished name of a client certificate
//! (Kafka's `SslPrincipalMapper`).
//!
//! A rule is `DEFAULT`, which leaves the name as it is, or `RULE:pattern/replacement/`, with `L` or `U` behind it for
//! lower or upper case. The first rule whose pattern matches the whole name applies. Patterns are regular expressions of
//! the crate regex: look-around and references inside of a pattern, which Java has, are refused.

use regex::{Captures, Regex};

/// The rules of a listener.
#[derive(Clone, Debug)]
pub struct PrincipalRules(Vec<Rule>);

#[derive(Clone, Debug)]
enum Rule {
    Default,
    Replace {
        /// Finds matches anywhere in a name.
        pattern: Regex,
        /// The same pattern for a whole name.
        whole: Regex,
        replacement: Vec<Piece>,
        case: Case,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    AsIs,
    Lower,
    Upper,
}

/// A piece of a replacement.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Group(usize),
    NamedGroup(String),
}

/// No rule applies to a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("No rules apply to {0}")]
pub struct NoMatchingRule(pub String);

const DEFAULT: &str = "DEFAULT";
const RULE: &str = "RULE:";

impl PrincipalRules {
    /// Parses rules, which are separated by commas; empty ones are ignored. The error is one line.
    pub fn parse(rules: &str) -> Result<PrincipalRules, String> {
        let mut parsed = Vec::new();
        let mut rest = rules.trim();
        while !rest.is_empty() {
            let (rule, after) = next_rule(rest).map_err(|error| error.replace(char::is_control, " "))?;
            parsed.extend(rule);
            rest = after;
        }
        Ok(PrincipalRules(parsed))
    }

    /// The user's name for a distinguished name.
    pub fn apply(&self, distinguished_name: &str) -> Result<String, NoMatchingRule> {
        let name = self.0.iter().find_map(|rule| rule.apply(distinguished_name));
        name.ok_or_else(|| NoMatchingRule(distinguished_name.to_owned()))
    }
}

/// Parses the rule at the front. Returns it, if it is not empty, and the text behind its comma.
fn next_rule(text: &str) -> Result<(Option<Rule>, &str), String> {
    let invalid = || format!("Invalid rule: {}", text.split(',').next().unwrap_or_default().trim());
    let (rule, rest) = match text.strip_prefix(RULE) {
        Some(body) => {
            let (pattern, rest) = until_slash(body).ok_or_else(invalid)?;
            let (replacement, rest) = until_slash(rest).ok_or_else(invalid)?;
            let (case, rest) = match rest.as_bytes().first() {
                Some(b'L') => (Case::Lower, rest.get(1..).unwrap_or_default()),
                Some(b'U') => (Case::Upper, rest.get(1..).unwrap_or_default()),
                _ => (Case::AsIs, rest),
            };
            (Some(Rule::new(pattern, replacement, case)?), rest)
        }
        None => match text.strip_prefix(DEFAULT) {
            Some(rest) => (Some(Rule::Default), rest),
            None => (None, text),
        },
    };
    let rest = rest.trim_start();
    match rest.strip_prefix(',') {
        Some(after) => Ok((rule, after.trim_start())),
        None if rest.is_empty() => Ok((rule, "")),
        None => Err(invalid()),
    }
}

/// Splits at the first slash without a backslash before it. `None` without such a slash.
fn until_slash(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    let at = text.find(|c: char| {
        let ends = c == '/' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

impl Rule {
    fn new(pattern: &str, replacement: &str, case: Case) -> Result<Rule, String> {
        let compile = |text: &str| {
            Regex::new(text).map_err(|error| {
                let why = error.to_string();
                let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                format!("Invalid rule: the pattern {pattern} is not supported: {why}")
            })
        };
        // Java has escapes that mean the character itself.
        let text = plain_escapes(pattern);
        let compiled = compile(&text)?;
        let groups = compiled.captures_len() - 1;
        let replacement = pieces(replacement, groups)
            .ok_or_else(|| format!("Invalid rule: the replacement {replacement} has a reference to no group"))?;
        for piece in &replacement {
            let known = |name: &str| compiled.capture_names().flatten().any(|known| known == name);
            if let Piece::NamedGroup(name) = piece
                && !known(name)
            {
                return Err(format!("Invalid rule: the pattern {pattern} has no group {name}"));
            }
        }
        Ok(Rule::Replace { whole: compile(&format!("^(?:{text})$"))?, pattern: compiled, replacement, case })
    }

    /// The name that the rule makes; `None` if it does not apply.
    fn apply(&self, name: &str) -> Option<String> {
        let Rule::Replace { pattern, whole, replacement, case } = self else { return Some(name.to_owned()) };
        if !whole.is_match(name) {
            return None;
        }
        let replaced = replace_all(name, pattern, replacement);
        Some(match case {
            Case::AsIs => replaced,
            Case::Lower => replaced.to_lowercase(),
            Case::Upper => replaced.to_uppercase(),
        })
    }
}

/// Replaces all matches as Java does: unlike in the crate regex, an empty match directly behind another match counts.
fn replace_all(name: &str, pattern: &Regex, replacement: &[Piece]) -> String {
    let mut replaced = String::new();
    let (mut copied, mut from) = (0, 0);
    while let Some(found) = pattern.captures_at(name, from) {
        let (start, end) = found.get(0).map_or((from, from), |all| (all.start(), all.end()));
        replaced.push_str(name.get(copied..start).unwrap_or_default());
        replacement.iter().for_each(|piece| piece.append(&found, &mut replaced));
        copied = end;
        from = match name.get(end..).and_then(|rest| rest.chars().next()) {
            _ if end > start => end,
            Some(next) => end + next.len_utf8(),
            None => break,
        };
        if from > name.len() {
            break;
        }
    }
    replaced.push_str(name.get(copied..).unwrap_or_default());
    replaced
}

impl Piece {
    fn append(&self, found: &Captures<'_>, to: &mut String) {
        let group = match self {
            Piece::Text(text) => Some(text.as_str()),
            Piece::Group(number) => found.get(*number).map(|group| group.as_str()),
            Piece::NamedGroup(name) => found.name(name).map(|group| group.as_str()),
        };
        to.push_str(group.unwrap_or_default());
    }
}

/// Parses a replacement of Java: `$1` is a group, `${name}` a named one, and a backslash makes the next character plain.
/// As in Kafka, a reference to a group above the last one is plain text. `None` for a reference without a number or name.
fn pieces(replacement: &str, groups: usize) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = replacement;
    while let Some(c) = rest.chars().next() {
        rest = rest.get(c.len_utf8()..)?;
        let piece = match c {
            '\\' => {
                let plain = rest.chars().next()?;
                rest = rest.get(plain.len_utf8()..)?;
                text.push(plain);
                continue;
            }
            '$' if rest.starts_with('{') => {
                let (name, after) = rest.get(1..)?.split_once('}')?;
                rest = after;
                Piece::NamedGroup(name.to_owned())
            }
            '$' => {
                let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                match group_number(rest.get(..digits)?, groups)? {
                    (Some(number), used) => {
                        rest = rest.get(used..)?;
                        Piece::Group(number)
                    }
                    (None, _) => {
                        text.push('$');
                        continue;
                    }
                }
            }
            other => {
                text.push(other);
                continue;
            }
        };
        if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut text)));
        }
        pieces.push(piece);
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Some(pieces)
}

/// The longest number of a group that exists, at the front of `digits`, and its length; no number if the first digit is
/// already above the last group. `None` without digits.
fn group_number(digits: &str, groups: usize) -> Option<(Option<usize>, usize)> {
    let first = digits.get(..1)?;
    let mut best = (None, 0);
    for used in first.len()..=digits.len() {
        match digits.get(..used).and_then(|digits| digits.parse::<usize>().ok()) {
            Some(number) if number <= groups => best = (Some(number), used),
            _ => break,
        }
    }
    Some(best)
}

/// Removes backslashes before characters that need none and that the crate regex refuses: `\/` is what people write.
fn plain_escapes(pattern: &str) -> String {
    let mut plain = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, false) => plain.push(c),
            (_, true) => match chars.next() {
                Some(next @ ('/' | ',' | '=' | '"' | '\'' | ':' | ';' | '@' | ' ' | '_' | '<' | '>')) => {
                    plain.push(next)
                }
                Some(next) => plain.extend([c, next]),
                None => plain.push(c),
            },
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(rules: &str, name: &str) -> String {
        PrincipalRules::parse(rules).unwrap().apply(name).unwrap_or_else(|error| error.to_string())
    }

    fn is_valid(rules: &str) -> bool {
        PrincipalRules::parse(rules).is_ok()
    }

    const RULES: &str = "RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/L, \
        RULE:^CN=(.*?),OU=(.*?),O=(.*?),L=(.*?),ST=(.*?),C=(.*?)$/$1@$2/L, \
        RULE:^cn=(.*?),ou=(.*?),dc=(.*?),dc=(.*?)$/$1@$2/U, \
        RULE:^.*[Cc][Nn]=([a-zA-Z0-9.]*).*$/$1/U, DEFAULT";

    #[test]
    fn first_rule_that_matches_the_whole_name_applies() {
        let check = |name, expect: &str| assert_eq!(apply(RULES, name), expect, "{name}");
        check("CN=Duke,OU=ServiceUsers,O=Org,C=US", "duke");
        check("CN=Duke,OU=SME,O=mycp,L=Fulton,ST=MD,C=US", "duke@sme");
        check("cn=duke,ou=sme,dc=mycp,dc=com", "DUKE@SME");
        check("cN=duke,OU=JavaSoft,O=Sun Microsystems", "DUKE");
        check("OU=JavaSoft,O=Sun Microsystems,C=US", "OU=JavaSoft,O=Sun Microsystems,C=US");
        assert_eq!(apply("RULE:^CN=(a),.*$/$1/", "CN=b"), "No rules apply to CN=b");
        assert_eq!(apply("RULE:CN=a/x/", "CN=ab"), "No rules apply to CN=ab", "only a part matches");
        assert_eq!(apply("", "CN=b"), "No rules apply to CN=b");
    }

    #[test]
    fn rules_without_their_form_are_refused() {
        for rules in [
            "DEFAULT",
            "RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/",
            "RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/L, DEFAULT",
            "RULE:^CN=([^,ADEFLTU,]+)(,.*|$)/$1/",
            "RULE://",
            "  RULE:// ,  DEFAULT  ",
            "  RULE:  /     /U   ,DEFAULT  ",
            ",   , , ,      , , ,   ",
            ",,RULE://,,,DEFAULT,,",
            "RULE:,RULE:,/,RULE:,\\//U,RULE:,/RULE:,/,RULE:,RULE:,/L,RULE:,/L,RULE:, DEFAULT, /DEFAULT/,DEFAULT",
            "",
        ] {
            assert!(is_valid(rules), "{rules}: {:?}", PrincipalRules::parse(rules));
        }
        for rules in [
            "default",
            "DEFAUL",
            "DEFAULT/L",
            "DEFAULT/U",
            "RULE:CN=(.*?),OU=ServiceUsers.*/$1",
            "rule:^CN=(.*?),OU=ServiceUsers.*$/$1/",
            "RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/L/U",
            "RULE:^CN=(.*?),OU=ServiceUsers.*$/L",
            "RULE:^CN=(.*?),OU=ServiceUsers.*$/LU",
            "RULE:^CN=(.*/$1/",
            "RULE:^CN=(.*)$/${name}/",
            "RULE:^CN=(.*)$/$x/",
        ] {
            assert!(!is_valid(rules), "{rules}");
        }
    }

    #[test]
    fn error_is_one_line_whatever_the_rules_have() {
        for rules in ["DEFAULT\n\nx", "RULE:a\n(/x/", "RULE:a/$\n/", "RULE:a/${a\nb}/"] {
            let error = PrincipalRules::parse(rules).unwrap_err();
            assert!(error.starts_with("Invalid rule: ") && !error.contains(char::is_control), "{error:?}");
        }
    }

    #[test]
    fn replacements_follow_java() {
        let check = |rules, name, expect: &str| assert_eq!(apply(rules, name), expect, "{rules}");
        check("RULE:^CN=(.*)$/$1@$4/", "CN=a", "a@$4");
        check("RULE:^CN=(.*)$/$12/", "CN=a", "a2");
        check("RULE:^CN=(.*)$/$0\\/\\$1/", "CN=a", "CN=a/$1");
        check("RULE:^CN=(?P<user>.*)$/${user}/", "CN=a", "a");
        // Java finds the empty match at the end too.
        check("RULE:.*/x/", "CN=a", "xx");
        check("RULE:^CN=((\\\\, *|\\w)+)(,.*|$)/$1/,DEFAULT", "CN=Tkac\\, Adam,OU=ITZ,DC=geodis,DC=cz", "Tkac\\, Adam");
        check("RULE:^CN=(.*)\\/(.*)$/$2/U", "CN=a/b", "B");
        check("RULE:([A-Z]*)=.*/$1/U   ,RULE:([a-z]+)/$1/,   DEFAULT  ", "abc", "abc");
    }

    proptest::proptest! {
        /// Rules come from the settings, names from clients.
        #[test]
        fn any_rules_and_names_are_handled_without_a_panic(
            rules in "(RULE:|[(.*)$1\\\\/LU, {}a-c]|DEFAULT){0,24}",
            name in "([A-C=,\\\\ ]|\\PC){0,24}",
        ) {
            if let Ok(rules) = PrincipalRules::parse(&rules) {
                let _ = rules.apply(&name);
            }
        }
    }

    #[test]
    fn pattern_with_look_around_is_refused_in_one_line() {
        let error = PrincipalRules::parse("RULE:^CN=(?!a).*$/x/").unwrap_err();
        assert!(error.starts_with("Invalid rule: the pattern ^CN=(?!a).*$ is not supported: "), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}
