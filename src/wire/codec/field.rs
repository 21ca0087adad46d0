//! The encoding of each type of field.

use bytes::Bytes;

use super::{DecodeError, DecodeErrorKind, EncodeError, Reader, Shape, Str, Writer};
use crate::types::Uuid;

/// A value that can be a field of a message: a primitive, a string, an array or a struct.
pub trait Field: Sized {
    /// Its type as data, to inspect schemas.
    const SHAPE: &'static Shape;

    /// Decodes the value at the reader's version.
    fn get(r: &mut Reader) -> Result<Self, DecodeError>;

    /// Encodes the value at the writer's version.
    fn put(&self, w: &mut Writer) -> Result<(), EncodeError>;

    /// Calls `visit` with every `i16` in the value and the name of its field; `name` is the name of this field.
    fn visit_i16(&mut self, _name: &'static str, _visit: &mut dyn FnMut(&'static str, &mut i16)) {}

    /// The struct's own field of this name, if it has one of type `i32`.
    fn i32_field(&mut self, _name: &'static str) -> Option<&mut i32> {
        None
    }
}

/// A field that can be null; `Option` of it is a field too.
pub trait Nullable: Field {
    fn get_nullable(r: &mut Reader) -> Result<Option<Self>, DecodeError>;
    fn put_nullable(value: Option<&Self>, w: &mut Writer) -> Result<(), EncodeError>;
}

impl<T: Nullable> Field for Option<T> {
    const SHAPE: &'static Shape = &Shape::Nullable(T::SHAPE);

    fn get(r: &mut Reader) -> Result<Self, DecodeError> {
        T::get_nullable(r)
    }

    fn put(&self, w: &mut Writer) -> Result<(), EncodeError> {
        T::put_nullable(self.as_ref(), w)
    }

    fn visit_i16(&mut self, name: &'static str, visit: &mut dyn FnMut(&'static str, &mut i16)) {
        self.iter_mut().for_each(|value| value.visit_i16(name, visit));
    }
}

macro_rules! primitives {
    ($($type:ty, $method:ident, $shape:ident;)*) => {$(
        impl Field for $type {
            const SHAPE: &'static Shape = &Shape::$shape;

            #[inline]
            fn get(r: &mut Reader) -> Result<Self, DecodeError> {
                r.$method()
            }

            #[inline]
            fn put(&self, w: &mut Writer) -> Result<(), EncodeError> {
                w.$method(*self);
                Ok(())
            }
        }
    )*};
}

primitives! {
    bool, bool, Bool;
    i8, i8, I8;
    u16, u16, U16;
    i32, i32, I32;
    u32, u32, U32;
    i64, i64, I64;
    f64, f64, F64;
    Uuid, uuid, Uuid;
}

impl Field for i16 {
    const SHAPE: &'static Shape = &Shape::I16;

    #[inline]
    fn get(r: &mut Reader) -> Result<Self, DecodeError> {
        r.i16()
    }

    #[inline]
    fn put(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.i16(*self);
        Ok(())
    }

    fn visit_i16(&mut self, name: &'static str, visit: &mut dyn FnMut(&'static str, &mut i16)) {
        visit(name, self);
    }
}

/// Decodes a nullable field where null isn't allowed.
fn get_present<T: Nullable>(r: &mut Reader) -> Result<T, DecodeError> {
    T::get_nullable(r)?.ok_or_else(|| r.error(DecodeErrorKind::UnexpectedNull))
}

impl Field for Str {
    const SHAPE: &'static Shape = &Shape::Str;

    fn get(r: &mut Reader) -> Result<Self, DecodeError> {
        get_present(r)
    }

    fn put(&self, w: &mut Writer) -> Result<(), EncodeError> {
        Str::put_nullable(Some(self), w)
    }
}

impl Nullable for Str {
    fn get_nullable(r: &mut Reader) -> Result<Option<Self>, DecodeError> {
        r.string_length()?.map(|length| r.text(length)).transpose()
    }

    fn put_nullable(value: Option<&Self>, w: &mut Writer) -> Result<(), EncodeError> {
        w.string_length(value.map(|text| text.len()))?;
        w.slice(value.map_or(&[], |text| text.as_bytes()));
        Ok(())
    }
}

/// Blobs and records, which have the same encoding.
impl Field for Bytes {
    const SHAPE: &'static Shape = &Shape::Bytes;

    fn get(r: &mut Reader) -> Result<Self, DecodeError> {
        get_present(r)
    }

    fn put(&self, w: &mut Writer) -> Result<(), EncodeError> {
        Bytes::put_nullable(Some(self), w)
    }
}

impl Nullable for Bytes {
    fn get_nullable(r: &mut Reader) -> Result<Option<Self>, DecodeError> {
        r.length()?.map(|length| r.bytes(length)).transpose()
    }

    fn put_nullable(value: Option<&Self>, w: &mut Writer) -> Result<(), EncodeError> {
        w.length(value.map(Bytes::len))?;
        if let Some(bytes) = value {
            w.blob(bytes);
        }
        Ok(())
    }
}

impl<T: Field> Field for Vec<T> {
    const SHAPE: &'static Shape = &Shape::Array(T::SHAPE);

    fn get(r: &mut Reader) -> Result<Self, DecodeError> {
        get_present(r)
    }

    fn put(&self, w: &mut Writer) -> Result<(), EncodeError> {
        Vec::put_nullable(Some(self), w)
    }

    fn visit_i16(&mut self, name: &'static str, visit: &mut dyn FnMut(&'static str, &mut i16)) {
        self.iter_mut().for_each(|element| element.visit_i16(name, visit));
    }
}

impl<T: Field> Nullable for Vec<T> {
    fn get_nullable(r: &mut Reader) -> Result<Option<Self>, DecodeError> {
        let Some(count) = r.length()? else { return Ok(None) };
        r.check_count(count, T::SHAPE.min_size(r.version(), r.is_flexible()), size_of::<T>())?;
        let mut elements = Vec::with_capacity(count);
        for index in 0..count {
            elements.push(T::get(r).map_err(|error| error.in_element(index))?);
        }
        Ok(Some(elements))
    }

    fn put_nullable(value: Option<&Self>, w: &mut Writer) -> Result<(), EncodeError> {
        w.length(value.map(Vec::len))?;
        for (index, element) in value.into_iter().flatten().enumerate() {
            element.put(w).map_err(|error| error.in_element(index))?;
        }
        Ok(())
    }
}
