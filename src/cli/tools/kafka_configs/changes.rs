//! Parses the values of `--add-config`, `--add-config-file` and `--delete-config`.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Failure, Options};
use crate::cli::tools::options::one_value;
use ottla_config as config;
use ottla_wire::types::InOrder as _;

/// Settings by name, with their values.
pub(super) type Additions = BTreeMap<String, String>;

impl Options {
    /// Returns the settings to add, from the file and from the command line.
    pub(super) fn additions(&self) -> Result<Additions, Failure> {
        let one = |option, values| one_value(option, values).map_err(Failure::from_option);
        let mut additions = match one("add-config-file", &self.add_config_file)? {
            Some(file) => file_additions(Path::new(file))?,
            None => Additions::new(),
        };
        if let Some(text) = one("add-config", &self.add_config)? {
            additions.extend(parse_additions(text).map_err(Failure::Usage)?);
        }
        let is_allowed = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '$' | '.' | '_' | '-');
        match additions.keys().find(|name| !name.chars().all(is_allowed)) {
            Some(name) => Failure::usage(format!("Invalid character found for config key: {name}")),
            None => Ok(additions),
        }
    }

    /// Returns the names of the settings to delete.
    pub(super) fn deletions(&self) -> Vec<String> {
        let names = self.delete_config.iter().flat_map(|text| text.split(','));
        names.filter(|name| !name.is_empty()).map(|name| name.trim().to_owned()).collect()
    }
}

fn file_additions(path: &Path) -> Result<Additions, Failure> {
    let file =
        std::fs::read(path).map_err(|error| Failure::Usage(format!("cannot read {}: {error}", path.display())))?;
    let entries = config::properties(&file).map_err(|why| Failure::Usage(format!("{}: {why}", path.display())))?;
    Ok(entries.into_iter().in_order())
}

/// Parses `k1=v1,k2=[v1,v2]`. The error is one plain line.
pub fn parse_additions(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut entries = split_outside_brackets(text, ',');
    while entries.len() > 1 && entries.last().is_some_and(|entry| entry.is_empty()) {
        entries.pop();
    }
    let entry = |entry: &&str| match split_outside_brackets(entry, '=')[..] {
        [name, value] => Ok((name.trim().to_owned(), value.replace(['[', ']'], "").trim().to_owned())),
        _ => Err("requirement failed: Invalid entity config: all configs to be added must be in the format \
                  \"key=val\" or  \"key=[val1,val2]\" to group values which contain commas."
            .to_owned()),
    };
    entries.iter().map(entry).collect()
}

/// Splits text at separators outside square brackets.
fn split_outside_brackets(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    let mut searched = 0;
    while let Some(found) = rest.get(searched..).and_then(|tail| tail.find(separator)) {
        let (part, tail) = (&rest[..searched + found], &rest[searched + found + separator.len_utf8()..]);
        let is_inside = tail.find(['[', ']']).is_some_and(|position| tail[position..].starts_with(']'));
        if is_inside {
            searched += found + separator.len_utf8();
        } else {
            parts.push(part);
            (rest, searched) = (tail, 0);
        }
    }
    parts.push(rest);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn additions_with_brackets_are_parsed_and_invalid_ones_refused() {
        let check = |text, expect: Option<&[(&str, &str)]>| {
            let expect =
                expect.map(|all| all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect());
            assert_eq!(parse_additions(text).ok(), expect, "{text}");
        };
        check("a=1", Some(&[("a", "1")]));
        check("a=1,b=2,", Some(&[("a", "1"), ("b", "2")]));
        check("a = 1 , b=[2,3],c=4", Some(&[("a", "1"), ("b", "2,3"), ("c", "4")]));
        check("a=[x=1,y=2]", Some(&[("a", "x=1,y=2")]));
        check("a=", Some(&[("a", "")]));
        check("a", None);
        check("a=1=2", None);
        check("a=1,,b=2", None);
    }
}
