//! The check of the broker's retention settings.

/// Rejects a retention time of 0 (Kafka's `getLogRetentionTimeMillis`). `given` returns the value given for a name; the
/// finest unit that is given counts.
pub fn check_retention<'a>(given: impl Fn(&str) -> Option<&'a str>) -> Result<(), String> {
    let finest = ["log.retention.ms", "log.retention.minutes", "log.retention.hours"].into_iter().find_map(given);
    match finest.and_then(|value| value.trim().parse::<i64>().ok()) {
        Some(0) => Err("log.retention.ms must be unlimited (-1) or, greater than or equal to 1".to_owned()),
        _ => Ok(()),
    }
}
