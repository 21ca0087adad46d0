//! Reading of options and of values in the text format.

use super::element::{Entries, OptionElement, Value};
use super::reader::Reader;
use super::{MAX_DEPTH, ProtobufError};

/// Reads options in brackets if there are some.
pub(super) fn read_options(reader: &mut Reader) -> Result<Vec<OptionElement>, ProtobufError> {
    let mut options = Vec::new();
    if !reader.take('[')? {
        return Ok(options);
    }
    loop {
        options.push(read_option(reader, '=', 0)?);
        if reader.take(']')? {
            return Ok(options);
        }
        if !reader.take(',')? {
            return Err(reader.error("Expected ',' or ']"));
        }
    }
}

/// Reads a name, a separator and a value.
pub(super) fn read_option(reader: &mut Reader, separator: char, depth: usize) -> Result<OptionElement, ProtobufError> {
    if depth > MAX_DEPTH {
        return Err(reader.error("the value of the option is nested too deeply"));
    }
    let open = reader.peek()?;
    let mut name = reader.read_name()?;
    if open == '[' {
        name = format!("[{name}]");
    }
    let mut parts = Vec::new();
    let found = loop {
        match reader.read_char()? {
            '.' if parts.len() < MAX_DEPTH => parts.push(reader.read_part()?),
            '.' => return Err(reader.error("the name of the option has too many parts")),
            other => break other,
        }
    };
    if separator == ':' && found == '{' {
        // A map needs no separator.
        reader.push_back();
    } else if found != separator {
        return Err(reader.error(format_args!("expected '{separator}' in option")));
    }
    let mut value = read_value(reader, depth)?;
    for part in parts.into_iter().rev() {
        let is_extension = part.starts_with('(');
        let name = if is_extension { part[1..part.len() - 1].to_owned() } else { part };
        value = Value::Option(Box::new(OptionElement { name, value, is_extension }));
    }
    Ok(OptionElement { name, value, is_extension: open == '(' })
}

fn read_value(reader: &mut Reader, depth: usize) -> Result<Value, ProtobufError> {
    match reader.peek()? {
        '{' => read_map(reader, depth + 1),
        '[' => read_list(reader, depth + 1),
        '"' | '\'' => Ok(Value::String(reader.read_string()?)),
        first if first.is_ascii_digit() || first == '-' => Ok(Value::Number(reader.read_word()?)),
        _ => Ok(match reader.read_word()? {
            word if word == "true" || word == "false" => Value::Boolean(word),
            word => Value::Enum(word),
        }),
    }
}

fn read_map(reader: &mut Reader, depth: usize) -> Result<Value, ProtobufError> {
    reader.require('{')?;
    let mut entries = Entries::new();
    while !reader.take('}')? {
        let option = read_option(reader, ':', depth)?;
        match option.value {
            Value::Option(nested) => add_nested(&mut entries, option.name, *nested),
            value => add(&mut entries, option.name, value),
        }
        if !reader.take(',')? {
            reader.take(';')?;
        }
    }
    Ok(Value::Map(entries))
}

/// Adds `name.part: value`. The kind of a value without parts is lost, as in Wire's parser.
fn add_nested(entries: &mut Entries, name: String, nested: OptionElement) {
    let value = match nested.value {
        Value::Boolean(text) | Value::Number(text) | Value::Enum(text) => Value::String(text),
        value => value,
    };
    if let Some(Value::Map(existing)) = entries.get_mut(&name) {
        existing.insert(nested.name, value);
        return;
    }
    entries.insert(name, Value::Map(Entries::from_iter([(nested.name, value)])));
}

/// Adds a value. Values of the same name become a list.
fn add(entries: &mut Entries, name: String, value: Value) {
    let Some(previous) = entries.get_mut(&name) else {
        entries.insert(name, value);
        return;
    };
    if !matches!(previous, Value::List(_)) {
        let first = std::mem::replace(previous, Value::List(Vec::new()));
        *previous = Value::List(vec![first]);
    }
    if let Value::List(list) = previous {
        match value {
            Value::List(more) => list.extend(more),
            value => list.push(value),
        }
    }
}

fn read_list(reader: &mut Reader, depth: usize) -> Result<Value, ProtobufError> {
    if depth > MAX_DEPTH {
        return Err(reader.error("the value of the option is nested too deeply"));
    }
    reader.require('[')?;
    let mut values = Vec::new();
    while !reader.take(']')? {
        values.push(read_value(reader, depth)?);
        if !reader.take(',')? && reader.peek()? != ']' {
            return Err(reader.error("expected ',' or ']'"));
        }
    }
    Ok(Value::List(values))
}
