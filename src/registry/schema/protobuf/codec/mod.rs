//! Values in Protobuf's wire format and in its JSON form.
//!
//! The JSON is what Confluent's `kafka-protobuf-console-consumer` prints and its `kafka-protobuf-console-producer` reads: the
//! JSON form of proto3 (64-bit integers as text, bytes in Base64, names of fields in camel case), with the defaults of fields
//! that have no presence. Unknown fields are skipped. Google's own types have their JSON forms; the type of an `Any` must be in
//! the schema or in one that it refers to, where the Java tool knows none. Groups are read and written like messages.
//! Extensions count as unknown fields. Characters are not escaped as Java's printer does for HTML.
//!
//! | module | content |
//! |---|---|
//! | `types` | the types with resolved names |
//! | `read`, `write` | the wire format |
//! | `print`, `parse` | JSON |
//! | `well_known` | texts of times and durations |

mod parse;
mod print;
mod read;
pub(super) mod types;
mod well_known;
mod write;

use super::ProtobufSchema;
use super::element::{Message, Type};
use super::names::Types;
use crate::json::Json;
use crate::schema::value::{Budget, ValueError};
use print::Printer;
use types::Descriptors;

impl ProtobufSchema {
    /// Decodes a message to JSON. `indexes` say which message of the schema it is.
    pub fn decode(&self, indexes: &[i32], bytes: &[u8]) -> Result<Json, ValueError> {
        let (types, id) = self.message_at(indexes)?;
        let mut budget = Budget::new(bytes.len());
        let value = read::read::<true>(types, id, bytes, &mut budget)?;
        Printer { types, budget, any_depth: 0 }.message(id, &value)
    }

    /// Checks that bytes are a message of the schema, without building it.
    pub fn decodes(&self, indexes: &[i32], bytes: &[u8]) -> Result<(), ValueError> {
        let (types, id) = self.message_at(indexes)?;
        match read::read::<false>(types, id, bytes, &mut Budget::new(bytes.len())) {
            Ok(_) => Ok(()),
            // A required field may be in another part of a message that comes in several parts.
            Err(_) => read::read::<true>(types, id, bytes, &mut Budget::new(bytes.len())).map(|_| ()),
        }
    }

    /// Encodes a message in JSON to the wire format.
    pub fn encode(&self, indexes: &[i32], json: &Json) -> Result<Vec<u8>, ValueError> {
        let (types, id) = self.message_at(indexes)?;
        let value = parse::message(types, id, json)?;
        read::check_required(types, id, &value)?;
        Ok(write::write(types, id, &value))
    }

    /// The full name of the message with these indexes: positions among the messages of the file, and of each message
    /// around it. `None` if there is none.
    pub fn message_name(&self, indexes: &[i32]) -> Option<String> {
        let file = self.effective_file();
        let mut types = file.types.as_slice();
        let mut name = file.package.clone().filter(|package| !package.is_empty());
        for index in indexes {
            let messages = types.iter().filter_map(|found| match found {
                Type::Message(message) => Some(message),
                Type::Enum(_) => None,
            });
            let message: &Message = messages.into_iter().nth(usize::try_from(*index).ok()?)?;
            name = Some(name.map_or_else(|| message.name.clone(), |name| format!("{name}.{}", message.name)));
            types = &message.types;
        }
        name.filter(|_| !indexes.is_empty())
    }

    /// The indexes of the message with this full name.
    pub fn message_indexes(&self, full_name: &str) -> Option<Vec<i32>> {
        let file = self.effective_file();
        let local = match file.package.as_deref() {
            Some(package) if !package.is_empty() => full_name.strip_prefix(package)?.strip_prefix('.')?,
            _ => full_name,
        };
        let mut types = file.types.as_slice();
        let mut indexes = Vec::new();
        for name in local.split('.') {
            let mut messages = types.iter().filter_map(|found| match found {
                Type::Message(message) => Some(message),
                Type::Enum(_) => None,
            });
            let at = messages.clone().position(|message| message.name == name)?;
            indexes.push(i32::try_from(at).ok()?);
            types = &messages.nth(at)?.types;
        }
        Some(indexes)
    }

    fn message_at(&self, indexes: &[i32]) -> Result<(&Descriptors, usize), ValueError> {
        let name = self.message_name(indexes);
        let name = name.ok_or_else(|| ValueError::new(format!("Invalid message indexes: {indexes:?}")))?;
        let types = self.descriptors()?;
        let id = types.message_named(&name);
        let id = id.ok_or_else(|| ValueError::new(format!("the schema does not define the type {name}")))?;
        Ok((types, id))
    }

    fn descriptors(&self) -> Result<&Descriptors, ValueError> {
        let found = self.descriptors.get_or_init(|| {
            // A file that is only there to import one publicly stands for that one.
            let effective = Types::of(self.effective_file(), std::iter::empty());
            Descriptors::of(&self.types(), effective.own_names())
        });
        found.as_ref().map_err(Clone::clone)
    }
}
