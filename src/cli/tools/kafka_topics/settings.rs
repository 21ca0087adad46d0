//! Parses the values of `--config` and `--replica-assignment`.

use std::collections::BTreeMap;

use crate::cli::tools::exceptions::Exception;
use ottla_config::{self as config, Refused};

/// Parses a topic's settings, each given as `name=value`, and validates them as the broker does.
pub fn topic_settings(given: &[String]) -> Result<Vec<(String, String)>, Exception> {
    let mut settings = BTreeMap::new();
    for text in given {
        let mut parts: Vec<_> = text.split('=').map(str::trim).collect();
        while parts.len() > 1 && parts.last().is_some_and(|part| part.is_empty()) {
            parts.pop();
        }
        let [name, value] = parts[..] else {
            return Err(Exception::illegal_argument(
                "requirement failed: Invalid topic config: all configs to be added must be in the format \"key=val\".",
            ));
        };
        settings.insert(name.to_owned(), value.to_owned());
    }
    config::validate_topic(&settings).map_err(|why| {
        let class = match why {
            Refused::Invalid(_) => "org.apache.kafka.common.config.ConfigException",
            _ => "org.apache.kafka.common.errors.InvalidConfigurationException",
        };
        Exception::new(class, why.to_string())
    })?;
    Ok(settings.into_iter().collect())
}

/// Parses the brokers of each partition: brokers are separated by colons, partitions by commas.
pub fn assignment(text: &str) -> Result<Vec<Vec<i32>>, Exception> {
    let number = |text: &str| {
        let invalid = || Exception::new("java.lang.NumberFormatException", format!("For input string: \"{text}\""));
        text.parse::<i32>().map_err(|_| invalid())
    };
    let mut partitions: Vec<Vec<i32>> = Vec::new();
    for (index, brokers) in text.trim_end_matches(',').split(',').enumerate() {
        let brokers: Vec<i32> =
            brokers.trim_end_matches(':').split(':').map(|id| number(id.trim())).collect::<Result<_, _>>()?;
        let repeated =
            |(place, id): (usize, &i32)| brokers.iter().take(place).any(|before| before == id).then_some(*id);
        let mut duplicates: Vec<i32> = brokers.iter().enumerate().filter_map(repeated).collect();
        duplicates.sort_unstable();
        duplicates.dedup();
        if !duplicates.is_empty() {
            let listed: Vec<_> = duplicates.iter().map(i32::to_string).collect();
            let message = format!("Partition replica lists may not contain duplicate entries: {}", listed.join(","));
            return Err(Exception::new("org.apache.kafka.tools.AdminCommandFailedException", message));
        }
        if partitions.first().is_some_and(|first| first.len() != brokers.len()) {
            let message = format!("Partition {index} has different replication factor: {brokers:?}");
            return Err(Exception::new("org.apache.kafka.tools.AdminOperationException", message));
        }
        partitions.push(brokers);
    }
    Ok(partitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_settings_without_a_value_or_with_unknown_names_are_refused() {
        let check = |given: &[&str], expect: Result<&[(&str, &str)], &str>| {
            let given: Vec<_> = given.iter().map(|text| (*text).to_owned()).collect();
            let found = topic_settings(&given);
            let found = found
                .as_ref()
                .map(|pairs| pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>());
            assert_eq!(found.as_deref().map_err(|error| error.message.as_str()), expect, "{given:?}");
        };
        let form =
            "requirement failed: Invalid topic config: all configs to be added must be in the format \"key=val\".";
        check(&[], Ok(&[]));
        check(&["retention.ms = 5"], Ok(&[("retention.ms", "5")]));
        check(&["retention.ms=5", "retention.ms=6"], Ok(&[("retention.ms", "6")]));
        check(&["retention.ms=5="], Ok(&[("retention.ms", "5")]));
        check(&["retention.ms"], Err(form));
        check(&["retention.ms="], Err(form));
        check(&["retention.ms=5=6"], Err(form));
        check(&["=5"], Err("Unknown topic config name: "));
        check(&["bogus=5"], Err("Unknown topic config name: bogus"));
    }

    #[test]
    fn assignments_with_duplicate_brokers_or_unequal_sizes_are_refused() {
        let check = |text, expect: Result<&[&[i32]], &str>| {
            let expect = expect.map(|all| all.iter().map(|brokers| brokers.to_vec()).collect::<Vec<_>>());
            assert_eq!(assignment(text).map_err(|error| error.message), expect.map_err(str::to_owned), "{text}");
        };
        check("1", Ok(&[&[1]]));
        check("1:2 , 2 : 1,", Ok(&[&[1, 2], &[2, 1]]));
        check("1,q", Err("For input string: \"q\""));
        check("1:1", Err("Partition replica lists may not contain duplicate entries: 1"));
        check("1,1:2", Err("Partition 1 has different replication factor: [1, 2]"));
    }
}
