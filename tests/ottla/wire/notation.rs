//! The text form of a message: `name=value` fields, lists in brackets, structs in braces.

/// A parsed value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Text(String),
    List(Vec<Value>),
    Fields(Fields),
}

pub type Fields = Vec<(String, Value)>;

/// Parses the fields of a message. Two slashes begin a comment.
pub fn fields(text: &str) -> Fields {
    let text = text.split(" //").next().unwrap_or_default();
    let mut parser = Parser { rest: text };
    let fields = parser.fields();
    assert!(parser.rest.is_empty(), "{:?} is left of {text}", parser.rest);
    fields
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn fields(&mut self) -> Fields {
        let mut fields = Vec::new();
        loop {
            self.rest = self.rest.trim_start();
            let Some((name, rest)) = self.rest.split_once('=') else { return fields };
            if name.contains([' ', ']', '}']) {
                return fields;
            }
            self.rest = rest;
            fields.push((name.to_owned(), self.value()));
        }
    }

    fn value(&mut self) -> Value {
        if self.take('[') {
            let mut list = Vec::new();
            while !self.take(']') {
                list.push(self.value());
                self.rest = self.rest.trim_start();
            }
            return Value::List(list);
        }
        if self.take('{') {
            let fields = self.fields();
            assert!(self.take('}'), "a closing brace before {:?}", self.rest);
            return Value::Fields(fields);
        }
        if self.take('"') {
            let (text, rest) = self.rest.split_once('"').expect("a closing quote");
            self.rest = rest;
            return Value::Text(text.to_owned());
        }
        let end = self.rest.find([' ', ']', '}']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        match word {
            "null" => Value::Null,
            word => Value::Text(word.to_owned()),
        }
    }

    fn take(&mut self, letter: char) -> bool {
        self.rest = self.rest.trim_start();
        let rest = self.rest.strip_prefix(letter);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}

#[test]
fn message_notation_is_parsed() {
    let text = |text: &str| Value::Text(text.to_owned());
    let read = fields(r#"topics=[{name=a count=-1} {}] names=[a "b c" null] empty="" none=null // why"#);
    let names = Value::List(vec![text("a"), text("b c"), Value::Null]);
    let topic = Value::Fields(vec![("name".to_owned(), text("a")), ("count".to_owned(), text("-1"))]);
    let expected = [
        ("topics", Value::List(vec![topic, Value::Fields(Vec::new())])),
        ("names", names),
        ("empty", text("")),
        ("none", Value::Null),
    ];
    assert_eq!(read, expected.map(|(name, value)| (name.to_owned(), value)));
}
