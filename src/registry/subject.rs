//! Names of subjects and contexts (Confluent's `QualifiedSubject`).
//!
//! A subject outside the default context is written with its context: `:.context:subject`. The name of a context begins with
//! a dot; the default one is `.`. A context without a subject (`:.context:`) stands for all its subjects in settings.

use std::cmp::Ordering;

use crate::utf16;

/// The default context.
pub const DEFAULT_CONTEXT: &str = ".";
/// The prefix that means the subjects of all contexts.
pub const WILDCARD_PREFIX: &str = ":*:";
/// The context whose settings and mode hold for all contexts.
pub const GLOBAL_CONTEXT: &str = ".__GLOBAL";
/// Names that cannot be subjects.
const RESERVED_SUBJECTS: [&str; 2] = ["__GLOBAL", "__EMPTY"];
const CONTEXT_PREFIX: &str = ":.";

/// A subject with its context. It may be a context only; then the subject is empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Subject {
    pub context: String,
    pub name: String,
}

impl Subject {
    /// Splits a subject as clients write it.
    pub fn parse(text: &str) -> Subject {
        let (context, name) = if let Some(rest) = text.strip_prefix(CONTEXT_PREFIX) {
            match rest.split_once(':') {
                Some((context, name)) => (format!(".{context}"), name),
                None => (format!(".{rest}"), ""),
            }
        } else if let Some(name) = text.strip_prefix(WILDCARD_PREFIX) {
            ("*".to_owned(), name)
        } else {
            (DEFAULT_CONTEXT.to_owned(), text)
        };
        Subject { context, name: name.to_owned() }
    }

    /// The subject in the context of `parent`, if it names no context itself. References and aliases are written so.
    pub fn with_parent(text: &str, parent: &Subject) -> Subject {
        let subject = Subject::parse(text);
        match subject.is_in_default_context() && !parent.is_in_default_context() {
            true => Subject { context: parent.context.clone(), name: text.to_owned() },
            false => subject,
        }
    }

    pub fn is_in_default_context(&self) -> bool {
        self.context == DEFAULT_CONTEXT
    }

    /// Whether this is a context without a subject.
    pub fn is_context(&self) -> bool {
        self.name.is_empty()
    }

    pub fn is_default_context(&self) -> bool {
        self.is_in_default_context() && self.is_context()
    }

    pub fn is_global_context(&self) -> bool {
        self.context == GLOBAL_CONTEXT && self.is_context()
    }

    /// The context as it is written before a subject; empty for the default one.
    pub fn context_prefix(&self) -> String {
        if self.is_in_default_context() { String::new() } else { format!(":{}:", self.context) }
    }

    /// The subject as it is written: without the default context.
    pub fn qualified(&self) -> String {
        format!("{}{}", self.context_prefix(), self.name)
    }

    /// Whether `other` is this subject or, if this is a context, one of its subjects.
    pub fn covers(&self, other: &Subject) -> bool {
        self == other || (self.is_context() && (self.context == GLOBAL_CONTEXT || self.context == other.context))
    }
}

impl Ord for Subject {
    fn cmp(&self, other: &Subject) -> Ordering {
        let context = utf16::compare(&self.context, &other.context);
        context.then_with(|| utf16::compare(&self.name, &other.name))
    }
}

impl PartialOrd for Subject {
    fn partial_cmp(&self, other: &Subject) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Whether schemas can be registered under a subject, or settings and a mode be made for it.
pub fn is_valid(text: &str, for_settings: bool) -> bool {
    let subject = Subject::parse(text);
    !text.chars().any(char::is_control)
        && !RESERVED_SUBJECTS.contains(&subject.name.as_str())
        && (for_settings || subject.context != GLOBAL_CONTEXT)
}

/// Returns the prefix of a context that a path names: `c`, `.c`, and `:.c:` are `:.c:`; the default one is empty.
pub fn normalize_context(text: &str) -> Result<String, String> {
    let text = text.strip_prefix(':').unwrap_or(text);
    let text = text.strip_suffix(':').unwrap_or(text);
    if text.contains(':') {
        return Err(format!("Context name '{text}' cannot contain a colon"));
    }
    let text = if text.starts_with('.') { text.to_owned() } else { format!(".{text}") };
    Ok(if text == DEFAULT_CONTEXT { String::new() } else { format!(":{text}:") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_split_into_context_and_name() {
        for (text, context, name, qualified) in [
            ("s", ".", "s", "s"),
            (":.:s", ".", "s", "s"),
            (":.c:s", ".c", "s", ":.c:s"),
            (":.c:s:t", ".c", "s:t", ":.c:s:t"),
            (":.c:", ".c", "", ":.c:"),
            (":.c", ".c", "", ":.c:"),
            (":*:s", "*", "s", ":*:s"),
            (":x:s", ".", ":x:s", ":x:s"),
            ("", ".", "", ""),
        ] {
            let subject = Subject::parse(text);
            assert_eq!((subject.context.as_str(), subject.name.as_str()), (context, name), "{text}");
            assert_eq!(subject.qualified(), qualified, "{text}");
        }
    }

    #[test]
    fn references_are_in_the_context_of_the_schema_that_has_them() {
        let parent = Subject::parse(":.c:s");
        assert_eq!(Subject::with_parent("t", &parent).qualified(), ":.c:t");
        assert_eq!(Subject::with_parent(":.d:t", &parent).qualified(), ":.d:t");
        assert_eq!(Subject::with_parent("t", &Subject::parse("s")).qualified(), "t");
    }

    #[test]
    fn context_covers_its_subjects() {
        let covers = |a: &str, b: &str| Subject::parse(a).covers(&Subject::parse(b));
        assert!(covers(":.c:", ":.c:s"));
        assert!(covers("s", "s"));
        assert!(covers(":.__GLOBAL:", ":.c:s"));
        assert!(!covers(":.c:", "s"));
        assert!(!covers("s", "t"));
    }

    #[test]
    fn reserved_names_and_control_characters_are_no_subjects() {
        assert!(is_valid("s", false));
        assert!(is_valid("", false));
        assert!(!is_valid("__GLOBAL", false));
        assert!(!is_valid("a\nb", false));
        assert!(!is_valid(":.__GLOBAL:", false));
        assert!(is_valid(":.__GLOBAL:", true));
    }

    #[test]
    fn contexts_in_paths_are_normalized() {
        for (text, expected) in [("c", ":.c:"), (".c", ":.c:"), (":.c:", ":.c:"), (".", ""), (":.:", "")] {
            assert_eq!(normalize_context(text).unwrap(), expected);
        }
        assert!(normalize_context("a:b").is_err());
    }
}
