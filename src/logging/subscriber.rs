//! The `tracing` subscriber.

use std::sync::Arc;

use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, Subscriber};
use tracing::{Event, Level, Metadata};

use super::levels::Levels;
use super::line::{AtomicFormat, Line};
use super::writer::LineWriter;

/// Writes a line for each enabled event.
///
/// `tracing` caches for each callsite whether it is enabled, until the levels change, so a disabled event costs one
/// comparison.
pub(super) struct Lines {
    levels: Arc<Levels>,
    writer: Arc<LineWriter>,
    format: Arc<AtomicFormat>,
    has_colors: bool,
}

impl Lines {
    pub fn new(levels: Arc<Levels>, writer: Arc<LineWriter>, format: Arc<AtomicFormat>, has_colors: bool) -> Lines {
        Lines { levels, writer, format, has_colors }
    }
}

impl Subscriber for Lines {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        match self.enabled(metadata) {
            true => Interest::always(),
            false => Interest::never(),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // The metadata may also be that of `tracing::enabled!`, which is not an event.
        !metadata.is_span() && self.levels.allow(metadata.target(), *metadata.level())
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.levels.most_verbose())
    }

    fn event(&self, event: &Event<'_>) {
        let level = *event.metadata().level();
        let mut line = Line::begin(level, self.format.load(), self.has_colors);
        event.record(&mut line);
        self.writer.push(line.finish(), level <= Level::WARN);
    }

    // The project uses no spans, and those of libraries are not shown.
    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use parking_lot::Mutex;
    use tracing::subscriber::with_default;

    use super::super::line::Format;
    use super::super::writer::Sink;
    use super::*;

    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Sink for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn wait(&mut self, _at_most: Duration) {}
    }

    /// Returns what is written for the events in `log`.
    fn written(has_colors: bool, log: impl FnOnce()) -> String {
        written_as(Format::Text, has_colors, log)
    }

    fn written_as(format: Format, has_colors: bool, log: impl FnOnce()) -> String {
        let bytes = Arc::default();
        let writer = Arc::new(LineWriter::new(Box::new(Memory(Arc::clone(&bytes)))));
        let levels = Arc::new(Levels::parse("trace").0);
        with_default(Lines::new(levels, Arc::clone(&writer), Arc::new(AtomicFormat::new(format)), has_colors), log);
        assert!(writer.flush());
        let bytes = bytes.lock().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn enabled_macro_follows_the_levels() {
        let levels = Arc::new(Levels::parse("info").0);
        let writer = Arc::new(LineWriter::new(Box::new(Memory(Arc::default()))));
        with_default(Lines::new(levels, writer, Arc::default(), false), || {
            assert!(tracing::enabled!(Level::WARN) && tracing::enabled!(Level::INFO));
            assert!(!tracing::enabled!(Level::DEBUG));
        });
    }

    fn without_times(text: &str) -> Vec<&str> {
        text.lines().map(|line| line.split_once(' ').unwrap().1).collect()
    }

    #[test]
    fn event_in_text_has_level_message_and_fields() {
        let text = written(false, || {
            let error = io::Error::other("no luck");
            tracing::info!(client = %"127.0.0.1:1", client_id = "it", count = 7, "produce refused: {}", "why");
            tracing::error!(%error, "failed");
            tracing::debug!(?error, yes = true, nothing = Option::<u64>::None);
        });
        let expect = [
            " INFO produce refused: why client=127.0.0.1:1 client_id=\"it\" count=7",
            "ERROR failed error=no luck",
            "DEBUG error=Custom { kind: Other, error: \"no luck\" } yes=true",
        ];
        assert_eq!(without_times(&text), expect);
    }

    #[test]
    fn event_in_json_has_time_level_message_and_fields() {
        let text = written_as(Format::Json, true, || {
            let error = io::Error::other("no \"luck\"\n\u{9b}\u{202e}\u{1f600}");
            tracing::info!(client = %"127.0.0.1:1", client_id = "it", count = 7, "produce refused: {}", "why");
            tracing::error!(%error, level = "odd", yes = true, nothing = Option::<u64>::None);
            tracing::warn!("{}", "y".repeat(1 << 20));
        });
        assert!(text.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{text}");
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 3);
        let timestamp = lines[0]["timestamp"].as_str().unwrap();
        assert!(timestamp.parse::<jiff::Timestamp>().is_ok(), "{timestamp}");
        assert_eq!(lines[0]["level"], "INFO");
        assert_eq!(lines[0]["message"], "produce refused: why");
        assert_eq!(lines[0]["fields"], serde_json::json!({"client": "127.0.0.1:1", "client_id": "it", "count": 7}));
        assert_eq!(lines[1]["level"], "ERROR");
        assert_eq!(
            lines[1]["fields"],
            serde_json::json!({"error": "no \"luck\"\n\u{9b}\u{202e}\u{1f600}", "level": "odd", "yes": true})
        );
        assert!(text.len() < 20 << 10, "{}", text.len());
    }

    /// Text from a peer, in any part of an event, adds no line and no terminal control sequence.
    #[test]
    fn event_with_hostile_text_is_one_line_without_terminal_control_sequences() {
        let forged = "x\n2026-01-01T00:00:00.000000Z  INFO all is well\r\x1b[2J\u{9b}2J\u{2028}\u{202e}";
        let error = io::Error::other(forged);
        let log = || {
            tracing::info!("the message has {forged}");
            tracing::info!("{forged}");
            tracing::warn!(field = forged, "a string");
            tracing::warn!(field = %forged, "a display");
            tracing::warn!(field = ?forged, "a debug");
            tracing::warn!(field = ?forged.as_bytes(), "bytes");
            tracing::error!(error = &error as &dyn std::error::Error, "an error");
            tracing::error!(%error, "an error as text");
            tracing::error!(?error, "an error as a struct");
            tracing::error!(message = forged);
        };
        let plain = written(false, log);
        assert_eq!(plain.lines().count(), 10, "{plain}");
        assert!(plain.chars().all(|c| c == '\n' || !c.is_control()), "{plain}");
        assert!(!plain.contains(['\u{2028}', '\u{202e}']));

        let colored = written(true, log);
        assert_eq!(colored.lines().count(), 10);
        let own = ["\x1b[0m", "\x1b[2m", "\x1b[3m", "\x1b[31m", "\x1b[32m", "\x1b[33m"];
        let rest = own.iter().fold(colored, |text, own| text.replace(own, ""));
        assert!(rest.chars().all(|c| c == '\n' || !c.is_control()), "{rest}");
    }

    #[test]
    fn line_of_an_event_with_long_fields_is_bounded() {
        let long = "y".repeat(1 << 20);
        let text = written(false, || {
            tracing::info!(a = %long, b = long.as_str(), c = ?long, d = %long, e = %long, f = %long, "{long}");
        });
        assert!(text.len() < 20 << 10, "{}", text.len());
    }
}
