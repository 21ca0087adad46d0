//! The arguments of `redpanda start`.

use std::path::PathBuf;

/// What the arguments say. Each flag with an address has the value of its environment variable if it is not given.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Arguments {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--mode`.
    pub mode: Option<String>,
    /// `--node-id`.
    pub node_id: Option<String>,
    /// `--kafka-addr`.
    pub kafka: Option<String>,
    /// `--advertise-kafka-addr`.
    pub advertised_kafka: Option<String>,
    /// `--schema-registry-addr`.
    pub schema_registry: Option<String>,
    /// `--pandaproxy-addr`.
    pub rest_proxy: Option<String>,
    /// `--set`, in order.
    pub set: Vec<(String, String)>,
    /// `--ready-file`, which only Ottla has: the image's scripts give it.
    pub ready_file: Option<PathBuf>,
    pub help: bool,
    /// The flags without effect.
    pub ignored: Vec<String>,
}

/// Flags of Redpanda, rpk and their runtime that need no value. All others take the next word, unless it is a flag.
const SWITCHES: &[&str] = &[
    "abort-on-seastar-bad-alloc",
    "check",
    "ignore-profile",
    "lock-memory",
    "mbind",
    "overprovisioned",
    "thread-affinity",
    "tune",
    "unsafe-bypass-fsync",
    "verbose",
];

impl Arguments {
    /// Parses the words after `redpanda start`. The error is one line.
    pub fn parse(words: &[String]) -> Result<Arguments, String> {
        let mut arguments = Arguments::default();
        let mut words = words.iter().peekable();
        while let Some(word) = words.next() {
            let Some(flag) = word.strip_prefix("--").filter(|flag| !flag.is_empty()) else {
                match word.as_str() {
                    "-h" => arguments.help = true,
                    "-s" | "-X" => {
                        arguments.ignored.push(word.clone());
                        words.next_if(|next| !next.starts_with('-'));
                    }
                    // What follows -- is for the runtime. Other words: a shell that split an address list at blanks.
                    "--" => continue,
                    _ if word.starts_with('-') => arguments.ignored.push(word.clone()),
                    _ => return Err(format!("unexpected argument \"{}\" of redpanda start", word.escape_debug())),
                }
                continue;
            };
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None if SWITCHES.contains(&flag) || flag == "help" => (flag, None),
                None => (flag, words.next_if(|next| !next.starts_with('-')).cloned()),
            };
            arguments.add(name, value)?;
        }
        Ok(arguments)
    }

    fn add(&mut self, name: &str, value: Option<String>) -> Result<(), String> {
        let place = match name {
            "help" => {
                self.help = true;
                return Ok(());
            }
            "set" => {
                let pair = value.as_deref().and_then(|value| value.split_once('='));
                let (key, value) =
                    pair.ok_or("--set needs NAME=VALUE, such as redpanda.auto_create_topics_enabled=true")?;
                self.set.push((key.trim().to_owned(), value.to_owned()));
                return Ok(());
            }
            "config" | "ready-file" => {
                let path = Some(PathBuf::from(value.ok_or_else(|| format!("--{name} needs a value"))?));
                *(if name == "config" { &mut self.config } else { &mut self.ready_file }) = path;
                return Ok(());
            }
            "mode" => &mut self.mode,
            "node-id" => &mut self.node_id,
            "kafka-addr" => &mut self.kafka,
            "advertise-kafka-addr" => &mut self.advertised_kafka,
            "schema-registry-addr" => &mut self.schema_registry,
            "pandaproxy-addr" => &mut self.rest_proxy,
            _ => {
                self.ignored.push(format!("--{name}"));
                return Ok(());
            }
        };
        let value = value.ok_or_else(|| format!("--{name} needs a value"))?;
        // Like rpk, which appends the lists of repeated flags.
        match place {
            Some(list) if name.ends_with("-addr") => *list = format!("{list},{value}"),
            place => *place = Some(value),
        }
        Ok(())
    }

    /// Fills what is not given from the environment variables that rpk reads.
    pub fn add_environment(&mut self, variable: impl Fn(&str) -> Option<String>) {
        for (place, name) in [
            (&mut self.kafka, "REDPANDA_KAFKA_ADDRESS"),
            (&mut self.advertised_kafka, "REDPANDA_ADVERTISE_KAFKA_ADDRESS"),
            (&mut self.schema_registry, "REDPANDA_SCHEMA_REGISTRY_ADDRESS"),
            (&mut self.rest_proxy, "REDPANDA_PANDAPROXY_ADDRESS"),
        ] {
            if place.is_none() {
                *place = variable(name).filter(|value| !value.is_empty());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        Arguments::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn flags_have_their_values_with_or_without_an_equals_sign() {
        let kafka = "PLAINTEXT://0.0.0.0:29092,OUTSIDE://0.0.0.0:9092";
        let expect = Arguments {
            mode: Some("dev-container".to_owned()),
            kafka: Some(kafka.to_owned()),
            ignored: ["--smp", "--memory"].map(str::to_owned).into(),
            ..Arguments::default()
        };
        for line in [
            format!("--mode dev-container --smp 1 --memory 1G --kafka-addr {kafka}"),
            format!("--mode=dev-container --smp=1 --memory=1G --kafka-addr={kafka}"),
        ] {
            assert_eq!(parse(&line).as_ref(), Ok(&expect), "{line}");
        }
    }

    #[test]
    fn switches_and_unknown_flags_take_no_flag_as_their_value() {
        let found = parse("--overprovisioned --check=false --unknown --new value -v -s a:1 --node-id 0").unwrap();
        assert_eq!(found.node_id.as_deref(), Some("0"));
        assert_eq!(found.ignored, ["--overprovisioned", "--check", "--unknown", "--new", "-v", "-s"]);
    }

    #[test]
    fn repeated_addresses_are_one_list_and_settings_keep_their_order() {
        let found = parse("--kafka-addr a://x:1 --kafka-addr b://x:2 --set a=1 --set b={c:2}").unwrap();
        assert_eq!(found.kafka.as_deref(), Some("a://x:1,b://x:2"));
        assert_eq!(found.set, [("a", "1"), ("b", "{c:2}")].map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn faulty_arguments_are_refused_with_one_line() {
        for (line, expect) in [
            ("--kafka-addr", "--kafka-addr needs a value"),
            ("--kafka-addr --mode x", "--kafka-addr needs a value"),
            ("--set a", "--set needs NAME=VALUE, such as redpanda.auto_create_topics_enabled=true"),
            ("stop", "unexpected argument \"stop\" of redpanda start"),
        ] {
            assert_eq!(parse(line), Err(expect.to_owned()), "{line}");
        }
    }

    #[test]
    fn environment_fills_what_no_flag_gives() {
        let mut found = parse("--kafka-addr a:1").unwrap();
        found.add_environment(|name| Some(name.to_owned()));
        assert_eq!(found.kafka.as_deref(), Some("a:1"));
        assert_eq!(found.schema_registry.as_deref(), Some("REDPANDA_SCHEMA_REGISTRY_ADDRESS"));
    }
}
