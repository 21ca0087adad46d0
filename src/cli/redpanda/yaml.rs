//! YAML as a tree of text: which type a scalar has depends on the property.

use saphyr_parser::{Event, Parser, ScalarStyle};

/// The deepest nesting that is read. The files of Redpanda have five levels.
const MAX_DEPTH: usize = 32;

/// A value of a YAML document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Node {
    #[default]
    Null,
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    /// Parses the first document of a text; an empty text is null. The error is one line.
    pub fn parse(text: &str) -> Result<Node, String> {
        let mut open: Vec<Open> = Vec::new();
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| {
                let (at, why) = (error.marker(), error.info());
                format!("line {}, column {}: {why}", at.line(), at.col() + 1)
            })?;
            let at = |why: &str| format!("line {}: {why}", span.start.line());
            let done = match event {
                Event::SequenceStart(..) | Event::MappingStart(..) if open.len() == MAX_DEPTH => {
                    return Err(at("values are nested too deeply"));
                }
                Event::SequenceStart(..) => {
                    open.push(Open::List(Vec::new()));
                    continue;
                }
                Event::MappingStart(..) => {
                    open.push(Open::Map(Vec::new(), None));
                    continue;
                }
                Event::SequenceEnd | Event::MappingEnd => open.pop().map(Open::close).unwrap_or_default(),
                Event::Scalar(text, style, ..) => Node::of_scalar(&text, style),
                Event::Alias(_) => return Err(at("aliases are not supported")),
                Event::DocumentEnd => return Ok(Node::Null),
                _ => continue,
            };
            match open.last_mut() {
                Some(parent) => parent.add(done).map_err(|why| at(&why))?,
                None => return Ok(done),
            }
        }
        Ok(Node::Null)
    }

    fn of_scalar(text: &str, style: ScalarStyle) -> Node {
        match (style, text) {
            (ScalarStyle::Plain, "" | "~" | "null" | "Null" | "NULL") => Node::Null,
            _ => Node::Text(text.to_owned()),
        }
    }

    /// The value of a key; null if this is no map or has no such key.
    pub fn get(&self, key: &str) -> &Node {
        const NULL: &Node = &Node::Null;
        let Node::Map(entries) = self else { return NULL };
        entries.iter().find(|(name, _)| name == key).map_or(NULL, |(_, value)| value)
    }

    /// Sets the value at a path of keys, whose maps are made where there are none.
    pub fn set(&mut self, path: &[&str], value: Node) {
        let Some((key, rest)) = path.split_first() else {
            *self = value;
            return;
        };
        if !matches!(self, Node::Map(_)) {
            *self = Node::Map(Vec::new());
        }
        let Node::Map(entries) = self else { return };
        match entries.iter_mut().find(|(name, _)| name == key) {
            Some((_, inner)) => inner.set(rest, value),
            None => {
                let mut inner = Node::Null;
                inner.set(rest, value);
                entries.push(((*key).to_owned(), inner));
            }
        }
    }

    pub fn is_null(&self) -> bool {
        *self == Node::Null
    }

    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match self {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The entries of a map; none of another value.
    pub fn entries(&self) -> &[(String, Node)] {
        match self {
            Node::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list. Another value but null stands for a list of one, as in Redpanda's files.
    pub fn items(&self) -> &[Node] {
        match self {
            Node::Null => &[],
            Node::List(items) => items,
            single => std::slice::from_ref(single),
        }
    }

    /// Whether it is `true`.
    pub fn is_true(&self) -> bool {
        self.text().is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }
}

/// A list or map whose end was not yet read; a map with the key whose value follows.
enum Open {
    List(Vec<Node>),
    Map(Vec<(String, Node)>, Option<String>),
}

impl Open {
    fn add(&mut self, node: Node) -> Result<(), String> {
        match self {
            Open::List(items) => items.push(node),
            Open::Map(entries, key) => match (key.take(), node) {
                (Some(name), value) => entries.push((name, value)),
                (None, Node::Text(name)) if entries.iter().any(|(known, _)| *known == name) => {
                    return Err(format!("the key {name} occurs twice"));
                }
                (None, Node::Text(name)) => *key = Some(name),
                (None, _) => return Err("a key is not text".to_owned()),
            },
        }
        Ok(())
    }

    fn close(self) -> Node {
        match self {
            Open::List(items) => Node::List(items),
            Open::Map(entries, _) => Node::Map(entries),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Node {
        Node::Text(text.to_owned())
    }

    #[test]
    fn scalars_are_text_and_plain_nulls_are_null() {
        let document = "a: 0.0.0.0\nb: \"9092\"\nc: true\nd:\ne: ~\nf: 'null'\n# comment\n";
        let node = Node::parse(document).unwrap();
        let expect = [
            ("a", text("0.0.0.0")),
            ("b", text("9092")),
            ("c", text("true")),
            ("d", Node::Null),
            ("e", Node::Null),
            ("f", text("null")),
        ];
        assert_eq!(node, Node::Map(expect.map(|(name, value)| (name.to_owned(), value)).into()));
        assert_eq!(Node::parse("# nothing"), Ok(Node::Null));
        assert_eq!(Node::parse(""), Ok(Node::Null));
    }

    #[test]
    fn list_may_have_the_indentation_of_its_key_or_be_in_brackets_or_be_one_value() {
        for document in ["a:\n- x\n- y\n", "a:\n  - x\n  - y\n", "a: [x, y]", "a:\n  [x,\n   y]\n", "{a: [x, y]}"] {
            assert_eq!(Node::parse(document).unwrap().get("a").items(), [text("x"), text("y")], "{document}");
        }
        assert_eq!(Node::parse("a: x").unwrap().get("a").items(), [text("x")]);
        assert_eq!(Node::parse("a:\n  []\n").unwrap().get("a").items(), []);
        assert_eq!(Node::parse("a:").unwrap().get("a").items(), []);
    }

    #[test]
    fn value_is_set_at_a_path_and_other_values_stay() {
        let mut node = Node::parse("a: {b: 1, c: 2}").unwrap();
        node.set(&["a", "b"], text("3"));
        node.set(&["d", "e"], text("4"));
        assert_eq!(node, Node::parse("a: {b: 3, c: 2}\nd: {e: 4}").unwrap());
    }

    #[test]
    fn faulty_document_is_refused_with_the_line() {
        let deep = "[".repeat(MAX_DEPTH + 1);
        for (document, expect) in [
            ("a: 1\n b: 2", "line 2"),
            ("a: [1", "line 2"),
            ("a: 1\na: 2", "line 2: the key a occurs twice"),
            ("a: &x 1\nb: *x", "line 2: aliases are not supported"),
            ("[a]: 1", "line 1: a key is not text"),
            (deep.as_str(), "line 1: values are nested too deeply"),
        ] {
            let refused = Node::parse(document).unwrap_err();
            assert!(refused.starts_with(expect), "{document}: {refused}");
        }
    }
}
