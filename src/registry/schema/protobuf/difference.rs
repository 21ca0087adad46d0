//! Kinds of incompatible differences between Protobuf schemas, with Confluent's names and messages.
//!
//! All other changes are compatible: added messages and fields, removed optional fields, every change of an enum, new names.

/// What is different. "Added" and so on say what happened from the writer's schema to the reader's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DifferenceKind {
    PackageChanged,
    MessageRemoved,
    FieldKindChanged,
    FieldScalarKindChanged,
    FieldNamedTypeChanged,
    FieldNumericLabelChanged,
    RequiredFieldAdded,
    RequiredFieldRemoved,
    OneOfFieldRemoved,
    MultipleFieldsMovedToOneOf,
    FieldMovedToExistingOneOf,
}

impl DifferenceKind {
    pub fn name(self) -> &'static str {
        match self {
            DifferenceKind::PackageChanged => "PACKAGE_CHANGED",
            DifferenceKind::MessageRemoved => "MESSAGE_REMOVED",
            DifferenceKind::FieldKindChanged => "FIELD_KIND_CHANGED",
            DifferenceKind::FieldScalarKindChanged => "FIELD_SCALAR_KIND_CHANGED",
            DifferenceKind::FieldNamedTypeChanged => "FIELD_NAMED_TYPE_CHANGED",
            DifferenceKind::FieldNumericLabelChanged => "FIELD_NUMERIC_LABEL_CHANGED",
            DifferenceKind::RequiredFieldAdded => "REQUIRED_FIELD_ADDED",
            DifferenceKind::RequiredFieldRemoved => "REQUIRED_FIELD_REMOVED",
            DifferenceKind::OneOfFieldRemoved => "ONEOF_FIELD_REMOVED",
            DifferenceKind::MultipleFieldsMovedToOneOf => "MULTIPLE_FIELDS_MOVED_TO_ONEOF",
            DifferenceKind::FieldMovedToExistingOneOf => "FIELD_MOVED_TO_EXISTING_ONEOF",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub kind: DifferenceKind,
    pub path: String,
}

impl Difference {
    /// Describes the difference; `reader` and `writer` name the two schemas.
    pub fn describe(&self, reader: &str, writer: &str) -> String {
        let path = &self.path;
        let description = match self.kind {
            DifferenceKind::PackageChanged => format!(
                "The package at '{path}' in the {reader} schema does not match the package in the {writer} schema"
            ),
            DifferenceKind::MessageRemoved => {
                format!("The {reader} schema is missing a MESSAGE type at path '{path}' in the {writer} schema")
            }
            DifferenceKind::FieldKindChanged => format!(
                "The type of a field at path '{path}' in the {reader} schema does not match the {writer} schema"
            ),
            DifferenceKind::FieldScalarKindChanged => format!(
                "The kind of a SCALAR field at path '{path}' in the {reader} schema does not match its kind in the \
                 {writer} schema"
            ),
            DifferenceKind::FieldNamedTypeChanged => format!(
                "The type of a MESSAGE field at path '{path}' in the {reader} schema does not match its type in the \
                 {writer} schema"
            ),
            DifferenceKind::FieldNumericLabelChanged => format!(
                "The label for a NUMERIC field at path '{path}' in the {reader} schema does not match its label in the \
                 {writer} schema"
            ),
            // The two spaces are Confluent's.
            DifferenceKind::RequiredFieldAdded => {
                format!("A required field  at path '{path}' in the {reader} schema is missing in the {writer} schema")
            }
            DifferenceKind::RequiredFieldRemoved => {
                format!("The {reader} schema is missing a required field at path: '{path}' in the {writer} schema")
            }
            DifferenceKind::OneOfFieldRemoved => {
                format!("The {reader} schema is missing a oneof field at path '{path}' in the {writer} schema")
            }
            DifferenceKind::MultipleFieldsMovedToOneOf => format!(
                "Multiple fields in the oneof at path '{path}' in the {reader} schema are outside a oneof in the \
                 {writer} schema"
            ),
            DifferenceKind::FieldMovedToExistingOneOf => format!(
                "A field in the oneof at path '{path}' in the {reader} schema is outside an existing oneof in the \
                 {writer} schema"
            ),
        };
        format!("{{errorType:\"{}\", description:\"{description}\"}}", self.kind.name())
    }
}
