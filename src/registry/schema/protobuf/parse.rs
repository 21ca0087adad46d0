//! From a `.proto` text to its parts. What is accepted is what Wire's parser accepts.

use std::collections::HashSet;

use super::element::{
    Constant, Enum, Extend, Extensions, Field, File, Group, Label, MAX_TAG, Message, OneOf, OptionElement, Reserved,
    Rpc, Service, Syntax, Type,
};
use super::options::{read_option, read_options};
use super::reader::Reader;
use super::{MAX_DEPTH, ProtobufError};
use crate::schema::nesting::MAX_NODES;

type Parsed<T> = Result<T, ProtobufError>;

/// Where a declaration is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Context {
    File,
    Message,
    Enum,
    Rpc,
    Extend,
    Service,
}

enum Declaration {
    Nothing,
    Type(Type),
    Service(Service),
    Option(OptionElement),
    Extend(Extend),
    Rpc(Rpc),
    OneOf(OneOf),
    Extensions(Extensions),
    Reserved(Vec<Reserved>),
    Field(Field),
    Group(Group),
    Constant(Constant),
}

struct Parser {
    reader: Reader,
    file: File,
    declarations: usize,
    types: usize,
    depth: usize,
}

pub(super) fn parse(text: &str) -> Parsed<File> {
    let mut parser = Parser { reader: Reader::of(text), file: File::default(), declarations: 0, types: 0, depth: 0 };
    let (mut types, mut services) = (HashSet::new(), HashSet::new());
    while !parser.reader.is_at_end()? {
        let location = parser.reader.location();
        let defined = |name: &str| {
            let (line, column) = location;
            ProtobufError::new(format!("{name} (:{line}:{column}) is already defined"))
        };
        match parser.declaration(Context::File)? {
            Declaration::Type(found) => {
                if !types.insert(found.name().to_owned()) {
                    return Err(defined(found.name()));
                }
                parser.file.types.push(found);
            }
            Declaration::Service(found) => {
                if !services.insert(found.name.clone()) {
                    return Err(defined(&found.name));
                }
                parser.file.services.push(found);
            }
            Declaration::Option(found) => parser.file.options.push(found),
            Declaration::Extend(found) => parser.file.extends.push(found),
            _ => {}
        }
    }
    Ok(parser.file)
}

impl Parser {
    fn declaration(&mut self, context: Context) -> Parsed<Declaration> {
        let index = self.declarations;
        self.declarations += 1;
        if self.reader.take(';')? {
            return Ok(Declaration::Nothing);
        }
        let location = self.reader.location();
        let label = match context {
            Context::Enum => self.reader.read_word_without_leading_digit()?,
            _ => self.reader.read_word()?,
        };
        let in_file = context == Context::File;
        let in_type = in_file || context == Context::Message;
        match label.as_str() {
            "package" if in_file => self.package(),
            "import" if in_file => self.import(location),
            "syntax" if in_file => self.syntax(location, index),
            "option" => {
                let option = read_option(&mut self.reader, '=', 0)?;
                self.reader.require(';')?;
                Ok(Declaration::Option(option))
            }
            "reserved" => self.reserved(location).map(Declaration::Reserved),
            "message" if in_type => self.message().map(|found| Declaration::Type(Type::Message(found))),
            "enum" if in_type => self.enumeration().map(|found| Declaration::Type(Type::Enum(found))),
            "service" if in_file => self.service().map(Declaration::Service),
            "extend" if in_type => self.extend().map(Declaration::Extend),
            "rpc" if context == Context::Service => self.rpc(location).map(Declaration::Rpc),
            "oneof" if context == Context::Message => self.one_of().map(Declaration::OneOf),
            "extensions" if context == Context::Message => self.extensions(location).map(Declaration::Extensions),
            _ if matches!(context, Context::Message | Context::Extend) => self.field_or_group(location, label),
            _ if context == Context::Enum => self.constant(label).map(Declaration::Constant),
            "edition" if in_file => Err(self.reader.error("edition is not currently supported")),
            _ => Err(self.reader.error_at(location, format_args!("unexpected label: {label}"))),
        }
    }

    fn package(&mut self) -> Parsed<Declaration> {
        let name = self.reader.read_name()?;
        if name.split('.').count() > MAX_DEPTH {
            return Err(self.reader.error("the package has too many parts"));
        }
        self.file.package = Some(name);
        self.reader.require(';')?;
        Ok(Declaration::Nothing)
    }

    fn import(&mut self, location: (usize, usize)) -> Parsed<Declaration> {
        if matches!(self.reader.peek()?, '"' | '\'') {
            let path = self.reader.read_quoted()?;
            self.file.imports.push(normal_path(&path));
        } else {
            match self.reader.read_string()?.as_str() {
                // Not part of any text.
                "weak" => drop(self.reader.read_quoted()?),
                "public" => {
                    let path = self.reader.read_quoted()?;
                    self.file.public_imports.push(normal_path(&path));
                }
                _ => return Err(self.reader.error_at(location, "expected quoted string")),
            }
        }
        self.reader.require(';')?;
        Ok(Declaration::Nothing)
    }

    fn syntax(&mut self, location: (usize, usize), index: usize) -> Parsed<Declaration> {
        if self.file.syntax.is_some() {
            return Err(self.reader.error_at(location, "too many syntax definitions"));
        }
        self.reader.require('=')?;
        if index != 0 {
            let message = "'syntax' element must be the first declaration in a file";
            return Err(self.reader.error_at(location, message));
        }
        self.file.syntax = match self.reader.read_quoted()?.as_str() {
            "proto2" => Some(Syntax::Proto2),
            "proto3" => Some(Syntax::Proto3),
            other => return Err(self.reader.error_at(location, format_args!("unexpected syntax: {other}"))),
        };
        self.reader.require(';')?;
        Ok(Declaration::Nothing)
    }

    fn enter_type(&mut self) -> Parsed<()> {
        self.types += 1;
        if self.types > MAX_NODES {
            return Err(self.reader.error("the file has too many types"));
        }
        if self.depth == MAX_DEPTH {
            return Err(self.reader.error("messages are nested too deeply"));
        }
        self.depth += 1;
        Ok(())
    }

    fn message(&mut self) -> Parsed<Message> {
        self.enter_type()?;
        let mut message = Message { name: self.reader.read_name()?, ..Message::default() };
        self.reader.require('{')?;
        while !self.reader.take('}')? {
            match self.declaration(Context::Message)? {
                Declaration::Field(found) => message.fields.push(found),
                Declaration::OneOf(found) => message.one_ofs.push(found),
                Declaration::Group(found) => message.groups.push(found),
                Declaration::Type(found) => message.types.push(found),
                Declaration::Extensions(found) => message.extensions.push(found),
                Declaration::Option(found) => message.options.push(found),
                Declaration::Extend(found) => message.extends.push(found),
                Declaration::Reserved(found) => message.reserved.push(found),
                _ => {}
            }
        }
        self.depth -= 1;
        Ok(message)
    }

    fn extend(&mut self) -> Parsed<Extend> {
        let mut extend = Extend { name: self.reader.read_name()?, fields: Vec::new() };
        self.reader.require('{')?;
        while !self.reader.take('}')? {
            if let Declaration::Field(found) = self.declaration(Context::Extend)? {
                extend.fields.push(found);
            }
        }
        Ok(extend)
    }

    fn service(&mut self) -> Parsed<Service> {
        let mut service = Service { name: self.reader.read_name()?, rpcs: Vec::new(), options: Vec::new() };
        self.reader.require('{')?;
        while !self.reader.take('}')? {
            match self.declaration(Context::Service)? {
                Declaration::Rpc(found) => service.rpcs.push(found),
                Declaration::Option(found) => service.options.push(found),
                _ => {}
            }
        }
        Ok(service)
    }

    fn enumeration(&mut self) -> Parsed<Enum> {
        self.enter_type()?;
        let mut element = Enum { name: self.reader.read_name()?, ..Enum::default() };
        self.reader.require('{')?;
        while !self.reader.take('}')? {
            match self.declaration(Context::Enum)? {
                Declaration::Constant(found) => element.constants.push(found),
                Declaration::Option(found) => element.options.push(found),
                Declaration::Reserved(found) => element.reserved.push(found),
                _ => {}
            }
        }
        self.depth -= 1;
        Ok(element)
    }

    fn field_or_group(&mut self, location: (usize, usize), word: String) -> Parsed<Declaration> {
        let label = match word.as_str() {
            "required" if self.file.syntax == Some(Syntax::Proto3) => {
                let message = "'required' label forbidden in proto3 field declarations";
                return Err(self.reader.error_at(location, message));
            }
            "required" => Some(Label::Required),
            "optional" => Some(Label::Optional),
            "repeated" => Some(Label::Repeated),
            _ => None,
        };
        let type_name = if label.is_some() {
            self.reader.read_type()?
        } else {
            let is_allowed = self.file.syntax == Some(Syntax::Proto3) || (word == "map" && self.reader.peek()? == '<');
            if !is_allowed {
                return Err(self.reader.error_at(location, format_args!("unexpected label: {word}")));
            }
            self.reader.read_type_from(word)?
        };
        if type_name.starts_with("map<") && label.is_some() {
            return Err(self.reader.error_at(location, "'map' type cannot have label"));
        }
        if type_name == "group" {
            return self.group(label).map(Declaration::Group);
        }
        self.field(label, type_name).map(Declaration::Field)
    }

    fn field(&mut self, label: Option<Label>, type_name: String) -> Parsed<Field> {
        let name = match self.reader.peek()? {
            '(' | '[' => self.reader.read_name()?,
            _ => self.reader.read_word_without_leading_digit()?,
        };
        self.reader.require('=')?;
        let tag = self.reader.read_int()?;
        let mut options = read_options(&mut self.reader)?;
        let default = self.strip(&mut options, "default")?;
        let json_name = self.strip(&mut options, "json_name")?;
        self.reader.require(';')?;
        self.reader.skip_trailing_comment()?;
        Ok(Field { label, type_name, name, default, json_name, tag, options })
    }

    /// Takes an option that is not one of a field's options out of them.
    fn strip(&self, options: &mut Vec<OptionElement>, name: &str) -> Parsed<Option<String>> {
        let mut found = None;
        for option in options.iter().filter(|option| option.name == name) {
            let Some(text) = option.value.word() else {
                return Err(self.reader.error(format_args!("expected a value without parts for '{name}'")));
            };
            found = Some(text.to_owned());
        }
        options.retain(|option| option.name != name);
        Ok(found)
    }

    fn one_of(&mut self) -> Parsed<OneOf> {
        let mut one_of = OneOf { name: self.reader.read_name()?, ..OneOf::default() };
        self.reader.require('{')?;
        while !self.reader.take('}')? {
            match self.reader.read_type()? {
                word if word == "group" => one_of.groups.push(self.group(None)?),
                word if word == "option" => {
                    one_of.options.push(read_option(&mut self.reader, '=', 0)?);
                    self.reader.require(';')?;
                }
                type_name => one_of.fields.push(self.field(None, type_name)?),
            }
        }
        Ok(one_of)
    }

    fn group(&mut self, label: Option<Label>) -> Parsed<Group> {
        if self.depth == MAX_DEPTH {
            return Err(self.reader.error("groups are nested too deeply"));
        }
        self.depth += 1;
        let name = self.reader.read_word()?;
        self.reader.require('=')?;
        let tag = self.reader.read_int()?;
        let mut fields = Vec::new();
        self.reader.require('{')?;
        while !self.reader.take('}')? {
            let location = self.reader.location();
            let word = self.reader.read_word()?;
            match self.field_or_group(location, word)? {
                Declaration::Field(found) => fields.push(found),
                _ => return Err(self.reader.error("expected field declaration, was a group")),
            }
        }
        self.depth -= 1;
        Ok(Group { label, name, tag, fields })
    }

    fn reserved(&mut self, location: (usize, usize)) -> Parsed<Vec<Reserved>> {
        let mut values = Vec::new();
        loop {
            match self.reader.peek()? {
                '"' | '\'' => values.push(Reserved::Name(self.reader.read_quoted()?)),
                _ => {
                    let value = self.range(location, &[',', ';'], "expected ',', ';', or 'to'")?;
                    values.push(value);
                }
            }
            match self.reader.read_char()? {
                ';' => break,
                ',' => {}
                _ => return Err(self.reader.error("expected ',' or ';'")),
            }
        }
        self.reader.skip_trailing_comment()?;
        Ok(values)
    }

    /// Reads a number or a range of numbers; one of `ends` follows a single number.
    fn range(&mut self, location: (usize, usize), ends: &[char], expected: &str) -> Parsed<Reserved> {
        let start = self.reader.read_int()?;
        if ends.contains(&self.reader.peek()?) {
            return Ok(Reserved::Tag(start));
        }
        if self.reader.read_word()? != "to" {
            return Err(self.reader.error_at(location, expected));
        }
        let word = self.reader.read_word()?;
        let end = match word.as_str() {
            "max" => MAX_TAG,
            _ => word.parse().map_err(|_| ProtobufError::new(format!("For input string: \"{word}\"")))?,
        };
        Ok(Reserved::Range(start, end))
    }

    fn extensions(&mut self, location: (usize, usize)) -> Parsed<Extensions> {
        let mut values = Vec::new();
        loop {
            values.push(self.range(location, &[',', ';', '['], "expected ',', ';', '[' or 'to'")?);
            if self.reader.peek()? == '[' {
                let options = read_options(&mut self.reader)?;
                self.reader.require(';')?;
                return Ok(Extensions { values, options });
            }
            match self.reader.read_char()? {
                ';' => return Ok(Extensions { values, options: Vec::new() }),
                ',' => {}
                _ => return Err(self.reader.error("expected ',' or ';'")),
            }
        }
    }

    fn constant(&mut self, name: String) -> Parsed<Constant> {
        self.reader.require('=')?;
        let tag = self.reader.read_int()?;
        let options = read_options(&mut self.reader)?;
        self.reader.require(';')?;
        self.reader.skip_trailing_comment()?;
        Ok(Constant { name, tag, options })
    }

    fn rpc(&mut self, location: (usize, usize)) -> Parsed<Rpc> {
        let name = self.reader.read_name()?;
        let (request, is_request_stream) = self.rpc_type()?;
        if self.reader.read_word()? != "returns" {
            return Err(self.reader.error_at(location, "expected 'returns'"));
        }
        let (response, is_response_stream) = self.rpc_type()?;
        let mut options = Vec::new();
        if self.reader.take('{')? {
            while !self.reader.take('}')? {
                if let Declaration::Option(found) = self.declaration(Context::Rpc)? {
                    options.push(found);
                }
            }
        } else {
            self.reader.require(';')?;
        }
        Ok(Rpc { name, request, response, is_request_stream, is_response_stream, options })
    }

    fn rpc_type(&mut self) -> Parsed<(String, bool)> {
        self.reader.require('(')?;
        let word = self.reader.read_word()?;
        let is_stream = word == "stream";
        let found = if is_stream { self.reader.read_type()? } else { self.reader.read_type_from(word)? };
        self.reader.require(')')?;
        Ok((found, is_stream))
    }
}

/// The path of an import with slashes, without empty parts and parts that are a dot.
fn normal_path(path: &str) -> String {
    let path = path.replace('\\', "/");
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let joined = parts.join("/");
    match (path.starts_with('/'), joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}
