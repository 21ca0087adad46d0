//! Schemas in Rust: rows in the style of Kafka's schema files, and their data for reflection.

/// A range of versions in which a field exists or may be null, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    pub from: i16,
    /// `i16::MAX` if the range is open.
    pub to: i16,
}

impl Versions {
    /// Whether the range contains `version`.
    #[inline]
    pub const fn contains(self, version: i16) -> bool {
        self.from <= version && version <= self.to
    }
}

/// The type of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    Bool,
    I8,
    I16,
    U16,
    I32,
    U32,
    I64,
    F64,
    Uuid,
    Str,
    Bytes,
    Array(&'static Shape),
    Nullable(&'static Shape),
    Struct { name: &'static str, fields: &'static [FieldRow] },
}

/// One row of a `structs!` table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FieldRow {
    pub name: &'static str,
    pub shape: &'static Shape,
    pub versions: Versions,
    /// The versions in which null is allowed. `None`: all if the shape is nullable, else none.
    pub nullable: Option<Versions>,
    /// The default in the row; empty if that is zero, empty or null.
    pub default: &'static str,
    pub tag: Option<u32>,
}

impl Shape {
    /// The minimum size of such a field at `version`, in bytes.
    pub fn min_size(&self, version: i16, flexible: bool) -> usize {
        match self {
            Shape::Bool | Shape::I8 => 1,
            Shape::I16 | Shape::U16 => 2,
            Shape::I32 | Shape::U32 => 4,
            Shape::I64 | Shape::F64 => 8,
            Shape::Uuid => 16,
            Shape::Str | Shape::Nullable(Shape::Str) if !flexible => 2,
            Shape::Bytes | Shape::Array(_) | Shape::Nullable(Shape::Bytes | Shape::Array(_)) if !flexible => 4,
            // A compact length of 0 or 1, or the byte that marks a struct as present.
            Shape::Str | Shape::Bytes | Shape::Array(_) | Shape::Nullable(_) => 1,
            Shape::Struct { fields, .. } => {
                let plain = fields.iter().filter(|row| row.tag.is_none() && row.versions.contains(version));
                plain.map(|row| row.shape.min_size(version, flexible)).sum::<usize>() + usize::from(flexible)
            }
        }
    }
}

/// Defines structs from rows. A row is
///
/// ```text
/// name: type = versions, nullable versions, default value, tag number;
/// ```
///
/// where everything after the versions is optional. Versions are written `2..` or `0..=7`. A row becomes the field, its
/// default, its decoding and encoding, and a [`FieldRow`].
///
/// - A field that a version doesn't have is not encoded, and is decoded as its default. Without a default in the row that
///   is `Default::default()`, so null for an `Option`.
/// - `Option` always means null on the wire; `nullable` limits the versions in which null is allowed. In other versions
///   null is an error, when decoding and when encoding.
/// - A tagged field is in the struct's tag section, unless it has the default value.
///
/// The structs are public and derive `Debug`, `Clone` and `PartialEq`; other traits can be implemented by hand.
#[macro_export]
macro_rules! structs {
    // Reading a row: tagged fields start with their default, the others are read in order.
    (@get $r:ident, $field:ident, $versions:expr, $nullable:tt, $default:tt, []) => {
        if $r.within($versions) {
            let value = $r.field(stringify!($field))?;
            $crate::codec::structs!(@get_null $r, $field, value, $nullable);
            value
        } else {
            $crate::codec::structs!(@default $default)
        }
    };
    (@get $r:ident, $field:ident, $versions:expr, $nullable:tt, $default:tt, [$tag:literal]) => {
        $crate::codec::structs!(@default $default)
    };
    (@get_null $r:ident, $field:ident, $value:ident, []) => {};
    (@get_null $r:ident, $field:ident, $value:ident, [$nullable:expr]) => {
        if Option::is_none(&$value) && !$r.within($nullable) {
            return Err($r.error($crate::codec::DecodeErrorKind::UnexpectedNull).in_field(stringify!($field)));
        }
    };
    (@get_tagged $r:ident, $actual:ident, $self:ident, $field:ident, $versions:expr, []) => {};
    (@get_tagged $r:ident, $actual:ident, $self:ident, $field:ident, $versions:expr, [$tag:literal]) => {
        if $actual == $tag && $r.within($versions) {
            $self.$field = $r.field(stringify!($field))?;
            return Ok(true);
        }
    };

    // Writing a row.
    (@put $w:ident, $self:ident, $field:ident, $versions:expr, $nullable:tt, []) => {
        if $w.within($versions) {
            $crate::codec::structs!(@put_null $w, $self, $field, $nullable);
            $w.field(stringify!($field), &$self.$field)?;
        }
    };
    (@put $w:ident, $self:ident, $field:ident, $versions:expr, $nullable:tt, [$tag:literal]) => {};
    (@put_null $w:ident, $self:ident, $field:ident, []) => {};
    (@put_null $w:ident, $self:ident, $field:ident, [$nullable:expr]) => {
        if Option::is_none(&$self.$field) && !$w.within($nullable) {
            return Err($w.error($crate::codec::EncodeErrorKind::UnexpectedNull).in_field(stringify!($field)));
        }
    };
    (@count_tagged $w:ident, $self:ident, $field:ident, $versions:expr, $default:tt, []) => { 0 };
    (@count_tagged $w:ident, $self:ident, $field:ident, $versions:expr, $default:tt, [$tag:literal]) => {
        u32::from($w.wants_tagged($versions, &$self.$field, $crate::codec::structs!(@default $default)))
    };
    (@put_tagged $w:ident, $self:ident, $field:ident, $versions:expr, $default:tt, []) => {};
    (@put_tagged $w:ident, $self:ident, $field:ident, $versions:expr, $default:tt, [$tag:literal]) => {
        if $w.wants_tagged($versions, &$self.$field, $crate::codec::structs!(@default $default)) {
            $w.tagged($tag, stringify!($field), &$self.$field)?;
        }
    };

    (@default []) => { Default::default() };
    (@default [$default:expr]) => { $default };
    (@versions $from:literal $to:literal) => { $crate::codec::Versions { from: $from, to: $to } };
    (@versions $from:literal) => { $crate::codec::Versions { from: $from, to: i16::MAX } };

    ($(
        $(#[$struct_meta:meta])*
        struct $name:ident {
            $(
                $(#[$field_meta:meta])*
                $field:ident: $type:ty = $from:literal $dots:tt $($to:literal)?
                    $(, nullable $null_from:literal $null_dots:tt $($null_to:literal)?)?
                    $(, default $default:expr)?
                    $(, tag $tag:literal)?;
            )*
        }
    )*) => {$(
        $(#[$struct_meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                $name { $($field: $crate::codec::structs!(@default [$($default)?]),)* }
            }
        }

        impl $name {
            /// Reads the field with tag `tag`, if this version has one.
            fn get_tagged(
                &mut self,
                r: &mut $crate::codec::Reader,
                tag: u32,
            ) -> Result<bool, $crate::codec::DecodeError> {
                $($crate::codec::structs!(
                    @get_tagged r, tag, self, $field, $crate::codec::structs!(@versions $from $($to)?), [$($tag)?]
                );)*
                let _ = (r, tag);
                Ok(false)
            }
        }

        impl $crate::codec::Field for $name {
            const SHAPE: &'static $crate::codec::Shape = &$crate::codec::Shape::Struct {
                name: stringify!($name),
                fields: &[$($crate::codec::FieldRow {
                    name: stringify!($field),
                    shape: <$type as $crate::codec::Field>::SHAPE,
                    versions: $crate::codec::structs!(@versions $from $($to)?),
                    nullable: [$(Some($crate::codec::structs!(@versions $null_from $($null_to)?)),)? None][0],
                    default: [$(stringify!($default),)? ""][0],
                    tag: [$(Some($tag),)? None][0],
                },)*],
            };

            fn get(r: &mut $crate::codec::Reader) -> Result<Self, $crate::codec::DecodeError> {
                let mut this = $name {
                    $($field: $crate::codec::structs!(
                        @get r, $field, $crate::codec::structs!(@versions $from $($to)?),
                        [$($crate::codec::structs!(@versions $null_from $($null_to)?))?], [$($default)?], [$($tag)?]
                    ),)*
                };
                r.tagged_fields(|r, tag| this.get_tagged(r, tag))?;
                Ok(this)
            }

            fn put(&self, w: &mut $crate::codec::Writer) -> Result<(), $crate::codec::EncodeError> {
                $($crate::codec::structs!(
                    @put w, self, $field, $crate::codec::structs!(@versions $from $($to)?),
                    [$($crate::codec::structs!(@versions $null_from $($null_to)?))?], [$($tag)?]
                );)*
                if w.is_flexible() {
                    w.uvarint(0 $(+ $crate::codec::structs!(
                        @count_tagged w, self, $field, $crate::codec::structs!(@versions $from $($to)?),
                        [$($default)?], [$($tag)?]
                    ))*);
                    $($crate::codec::structs!(
                        @put_tagged w, self, $field, $crate::codec::structs!(@versions $from $($to)?),
                        [$($default)?], [$($tag)?]
                    );)*
                }
                Ok(())
            }

            fn visit_i16(&mut self, _: &'static str, visit: &mut dyn FnMut(&'static str, &mut i16)) {
                $($crate::codec::Field::visit_i16(&mut self.$field, stringify!($field), visit);)*
                let _ = visit;
            }

            fn i32_field(&mut self, name: &'static str) -> Option<&mut i32> {
                $(if name == stringify!($field) {
                    return (&mut self.$field as &mut dyn std::any::Any).downcast_mut();
                })*
                let _ = name;
                None
            }
        }

        impl $crate::codec::Nullable for $name {
            fn get_nullable(r: &mut $crate::codec::Reader) -> Result<Option<Self>, $crate::codec::DecodeError> {
                if r.i8()? < 0 { Ok(None) } else { $crate::codec::Field::get(r).map(Some) }
            }

            fn put_nullable(
                value: Option<&Self>,
                w: &mut $crate::codec::Writer,
            ) -> Result<(), $crate::codec::EncodeError> {
                w.i8(if value.is_some() { 1 } else { -1 });
                value.map_or(Ok(()), |value| $crate::codec::Field::put(value, w))
            }
        }
    )*};
}
pub use structs;
