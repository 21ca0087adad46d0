//! Complete messages: their versions, and the first flexible version.

use std::ops::RangeInclusive;

use super::{DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind, Field, Reader, Shape, Writer};

/// A struct that is a complete request, response or record.
pub trait Message: Field {
    /// Kafka's name, such as `FetchRequest`.
    const NAME: &'static str = match Self::SHAPE {
        Shape::Struct { name, .. } => name,
        _ => "",
    };
    /// The supported versions.
    const VERSIONS: RangeInclusive<i16>;
    /// The first version with compact lengths and tagged fields (KIP-482), if there is one.
    const FLEXIBLE_FROM: Option<i16>;

    /// Whether `version` has compact lengths and tagged fields.
    fn is_flexible(version: i16) -> bool {
        Self::FLEXIBLE_FROM.is_some_and(|first| version >= first)
    }

    /// Decodes the message at `version`. Bytes after it stay unread.
    fn read(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        if !Self::VERSIONS.contains(&version) {
            let (min, max) = Self::VERSIONS.into_inner();
            return Err(r.error(DecodeErrorKind::UnsupportedVersion { version, min, max }));
        }
        r.set_version(version, Self::is_flexible(version));
        Self::get(r)
    }

    /// Encodes the message at `version`, without fields that the version doesn't have.
    fn write(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
        if !Self::VERSIONS.contains(&version) {
            let (min, max) = Self::VERSIONS.into_inner();
            return Err(w.error(EncodeErrorKind::UnsupportedVersion { version, min, max }));
        }
        w.set_version(version, Self::is_flexible(version));
        self.put(w)
    }
}

/// A message's schema as data, to inspect messages without their structs.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    /// Kafka's name, such as `OffsetCommitValue`.
    pub name: &'static str,
    pub shape: &'static Shape,
    /// The supported versions.
    pub versions: RangeInclusive<i16>,
    flexible_from: Option<i16>,
}

impl Schema {
    /// The schema of `M`.
    pub const fn of<M: Message>() -> Schema {
        Schema { name: M::NAME, shape: M::SHAPE, versions: M::VERSIONS, flexible_from: M::FLEXIBLE_FROM }
    }

    /// Whether `version` has compact lengths and tagged fields.
    pub fn is_flexible(&self, version: i16) -> bool {
        self.flexible_from.is_some_and(|first| version >= first)
    }
}

/// Declares structs as messages:
///
/// ```text
/// messages! {
///     OffsetCommitValue, versions 0..=4, flexible 4;
///     OffsetCommitKey, versions 0..=0;
/// }
/// ```
#[macro_export]
macro_rules! messages {
    ($($name:path, versions $from:literal..=$to:literal $(, flexible $flexible:literal)?;)*) => {$(
        impl $crate::codec::Message for $name {
            const VERSIONS: std::ops::RangeInclusive<i16> = $from..=$to;
            const FLEXIBLE_FROM: Option<i16> = [$(Some($flexible),)? None][0];
        }
    )*};
}
pub use messages;
