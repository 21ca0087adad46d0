//! Walks through the fields of a message by its schema, without its struct: so a message of which only a part is known can be
//! shown, too.

use super::cursor::{Cursor, Stop};
use ottla_wire::codec::{FieldRow, Shape};
use ottla_wire::types::Uuid;

/// A value without fields of its own.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Uuid(Uuid),
    /// The bytes may be invalid UTF-8.
    Str(&'a [u8]),
    /// A field of bytes: its length, and those of its first bytes that are known.
    Bytes(usize, &'a [u8]),
}

/// What is done with the fields. Each call belongs to the field named last, or to an element of it.
pub(super) trait Visitor {
    /// A field begins. `of` is the name of its struct.
    fn field(&mut self, of: &'static str, name: &'static str) -> Result<(), Stop>;
    /// A value, which ends at the cursor's position `end`.
    fn value(&mut self, value: Value<'_>, end: usize) -> Result<(), Stop>;
    fn begin_struct(&mut self) {}
    fn end_struct(&mut self) {}
    fn begin_array(&mut self) {}
    fn end_array(&mut self) {}
}

/// A walk through a message of one version.
pub(super) struct Walk<'c, 'a, V> {
    pub cursor: &'c mut Cursor<'a>,
    pub version: i16,
    pub flexible: bool,
    pub visitor: &'c mut V,
}

impl<'a, V: Visitor> Walk<'_, 'a, V> {
    /// Visits a value. The visitor's structs and arrays are ended even if the walk stops within them.
    pub fn visit(&mut self, shape: &'static Shape) -> Result<(), Stop> {
        match shape {
            Shape::Nullable(inner) => match inner {
                Shape::Struct { .. } => match i8::from_be_bytes(self.cursor.array()?) {
                    ..0 => self.value(Value::Null),
                    _ => self.visit(inner),
                },
                // Their lengths can be null.
                inner => self.visit(inner),
            },
            Shape::Struct { name, fields } => {
                self.visitor.begin_struct();
                let done = self.fields(name, fields);
                self.visitor.end_struct();
                done
            }
            Shape::Array(element) => {
                let Some(count) = self.cursor.length(self.flexible)? else { return self.value(Value::Null) };
                self.visitor.begin_array();
                let done = self.elements(count, element);
                self.visitor.end_array();
                done
            }
            shape => {
                let value = self.primitive(shape)?;
                self.value(value)
            }
        }
    }

    fn elements(&mut self, count: usize, element: &'static Shape) -> Result<(), Stop> {
        for _ in 0..count {
            let before = self.cursor.position();
            self.visit(element)?;
            // No element of any schema is empty, so that the bytes limit the count.
            if self.cursor.position() == before {
                return Err(Stop::Invalid);
            }
        }
        Ok(())
    }

    fn fields(&mut self, of: &'static str, fields: &'static [FieldRow]) -> Result<(), Stop> {
        let version = self.version;
        for row in fields.iter().filter(|row| row.tag.is_none() && row.versions.contains(version)) {
            self.visitor.field(of, row.name)?;
            self.visit(row.shape)?;
        }
        if self.flexible { self.tagged(of, fields) } else { Ok(()) }
    }

    fn tagged(&mut self, of: &'static str, fields: &'static [FieldRow]) -> Result<(), Stop> {
        for _ in 0..self.cursor.uvarint()? {
            let (tag, size) = (self.cursor.uvarint()?, self.cursor.uvarint()? as usize);
            match fields.iter().find(|row| row.tag == Some(tag) && row.versions.contains(self.version)) {
                Some(row) => {
                    self.visitor.field(of, row.name)?;
                    self.visit(row.shape)?;
                }
                None => drop(self.cursor.field(size)?),
            }
        }
        Ok(())
    }

    fn value(&mut self, value: Value<'_>) -> Result<(), Stop> {
        self.visitor.value(value, self.cursor.position())
    }

    fn primitive(&mut self, shape: &'static Shape) -> Result<Value<'a>, Stop> {
        let (cursor, flexible) = (&mut *self.cursor, self.flexible);
        Ok(match shape {
            Shape::Bool => Value::Bool(cursor.array::<1>()? != [0]),
            Shape::I8 => Value::Int(i8::from_be_bytes(cursor.array()?).into()),
            Shape::I16 => Value::Int(cursor.i16()?.into()),
            Shape::U16 => Value::Int(u16::from_be_bytes(cursor.array()?).into()),
            Shape::I32 => Value::Int(cursor.i32()?.into()),
            Shape::U32 => Value::Int(u32::from_be_bytes(cursor.array()?).into()),
            Shape::I64 => Value::Int(i64::from_be_bytes(cursor.array()?)),
            Shape::F64 => Value::Float(f64::from_be_bytes(cursor.array()?)),
            Shape::Uuid => Value::Uuid(Uuid(cursor.array()?)),
            Shape::Str => match cursor.string_length(flexible)? {
                Some(length) => Value::Str(cursor.take(length)?),
                None => Value::Null,
            },
            Shape::Bytes => match cursor.length(flexible)? {
                Some(length) => Value::Bytes(length, cursor.field(length)?),
                None => Value::Null,
            },
            // Handled by the caller.
            Shape::Array(_) | Shape::Nullable(_) | Shape::Struct { .. } => return Err(Stop::Invalid),
        })
    }
}
