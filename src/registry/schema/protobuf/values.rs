//! Options and their values in the texts of a file.

use super::element::{OptionElement, Value};
use super::numbers::normal_number;
use super::print::Printer;

impl Printer<'_> {
    /// Prints options in brackets after a space, if there are some.
    pub(super) fn bracketed(&mut self, options: Vec<OptionElement>) {
        let options = self.filtered(options);
        match options.as_slice() {
            [] => {}
            [option] => {
                self.out.add(&[" ["]);
                self.option(option);
                self.out.add(&["]"]);
            }
            options => {
                self.out.open(&[" [\n"]);
                for (index, option) in options.iter().enumerate() {
                    self.option(option);
                    self.out.add(&[if index + 1 < options.len() { ",\n" } else { "\n" }]);
                }
                self.out.close("]");
            }
        }
    }

    pub(super) fn option(&mut self, option: &OptionElement) {
        match option.is_extension {
            true => self.out.add(&["(", &option.name, ")"]),
            false => self.out.add(&[&option.name]),
        }
        match &option.value {
            Value::Option(nested) => {
                self.out.add(&["."]);
                self.option(nested);
            }
            Value::List(values) => {
                self.out.add(&[" = "]);
                self.list_of_option(values);
            }
            value => {
                self.out.add(&[" = "]);
                self.value(value);
            }
        }
    }

    /// Prints a list that is the value of an option. Unlike one inside a value, it keeps one value on its line.
    fn list_of_option(&mut self, values: &[Value]) {
        if let [value] = values {
            self.out.add(&["["]);
            self.value(value);
            self.out.add(&["]"]);
            return;
        }
        self.lines("[\n", values, "]");
    }

    fn lines(&mut self, open: &str, values: &[Value], close: &str) {
        self.out.open(&[open]);
        for (index, value) in values.iter().enumerate() {
            self.value(value);
            self.out.add(&[if index + 1 < values.len() { ",\n" } else { "\n" }]);
        }
        self.out.close(close);
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.out.add(&["\"", &escaped(text), "\""]),
            Value::Boolean(text) | Value::Enum(text) => self.out.add(&[text]),
            Value::Number(text) if self.is_normalized() => self.out.add(&[&normal_number(text)]),
            Value::Number(text) => self.out.add(&[text]),
            Value::Map(entries) => {
                let entries = if self.is_normalized() {
                    self.normal_entries(entries)
                } else {
                    entries.iter().map(owned).collect()
                };
                self.out.open(&["{\n"]);
                for (index, (key, value)) in entries.iter().enumerate() {
                    self.out.add(&[key, ": "]);
                    self.value(value);
                    self.out.add(&[if index + 1 < entries.len() { ",\n" } else { "\n" }]);
                }
                self.out.close("}");
            }
            Value::List(values) => match values.as_slice() {
                [value] if self.is_normalized() => self.value(value),
                values => self.lines("[\n", values, "]"),
            },
            Value::Option(option) => self.option(option),
        }
    }
}

fn owned<'v>((key, value): (&String, &'v Value)) -> (String, &'v Value) {
    (key.clone(), value)
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for found in text.chars() {
        let escape = match found {
            '\u{7}' => 'a',
            '\u{8}' => 'b',
            '\u{c}' => 'f',
            '\n' => 'n',
            '\r' => 'r',
            '\t' => 't',
            '\u{b}' => 'v',
            '\\' | '\'' | '"' => found,
            other => {
                escaped.push(other);
                continue;
            }
        };
        escaped.push('\\');
        escaped.push(escape);
    }
    escaped
}
