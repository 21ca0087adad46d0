//! Schemas of all formats.

pub mod avro;
pub mod nesting;

/// A record or a field that can have tags.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TaggedEntity {
    /// The full name of the record, with the name of the field.
    pub path: String,
    pub entity_type: EntityType,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntityType {
    Record,
    Field,
}

impl EntityType {
    pub fn name(self) -> &'static str {
        match self {
            EntityType::Record => "sr_record",
            EntityType::Field => "sr_field",
        }
    }

    pub fn from_name(name: &str) -> Option<EntityType> {
        match name {
            "sr_record" => Some(EntityType::Record),
            "sr_field" => Some(EntityType::Field),
            _ => None,
        }
    }
}
