//! Kinds of differences between JSON schemas, with Confluent's names and messages.

/// Declares the kinds with their names.
macro_rules! kinds {
    ($($kind:ident $name:literal,)*) => {
        /// What is different. "Added" and so on say what happened from the writer's schema to the reader's.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum DifferenceKind {
            $($kind,)*
        }

        impl DifferenceKind {
            pub fn name(self) -> &'static str {
                match self {
                    $(DifferenceKind::$kind => $name,)*
                }
            }
        }
    };
}

kinds! {
    IdChanged "ID_CHANGED",
    DescriptionChanged "DESCRIPTION_CHANGED",
    TitleChanged "TITLE_CHANGED",
    DefaultChanged "DEFAULT_CHANGED",
    SchemaAdded "SCHEMA_ADDED",
    SchemaRemoved "SCHEMA_REMOVED",
    TypeExtended "TYPE_EXTENDED",
    TypeNarrowed "TYPE_NARROWED",
    TypeChanged "TYPE_CHANGED",
    MaxLengthAdded "MAX_LENGTH_ADDED",
    MaxLengthRemoved "MAX_LENGTH_REMOVED",
    MaxLengthIncreased "MAX_LENGTH_INCREASED",
    MaxLengthDecreased "MAX_LENGTH_DECREASED",
    MinLengthAdded "MIN_LENGTH_ADDED",
    MinLengthRemoved "MIN_LENGTH_REMOVED",
    MinLengthIncreased "MIN_LENGTH_INCREASED",
    MinLengthDecreased "MIN_LENGTH_DECREASED",
    PatternAdded "PATTERN_ADDED",
    PatternRemoved "PATTERN_REMOVED",
    PatternChanged "PATTERN_CHANGED",
    MaximumAdded "MAXIMUM_ADDED",
    MaximumRemoved "MAXIMUM_REMOVED",
    MaximumIncreased "MAXIMUM_INCREASED",
    MaximumDecreased "MAXIMUM_DECREASED",
    MinimumAdded "MINIMUM_ADDED",
    MinimumRemoved "MINIMUM_REMOVED",
    MinimumIncreased "MINIMUM_INCREASED",
    MinimumDecreased "MINIMUM_DECREASED",
    ExclusiveMaximumAdded "EXCLUSIVE_MAXIMUM_ADDED",
    ExclusiveMaximumRemoved "EXCLUSIVE_MAXIMUM_REMOVED",
    ExclusiveMaximumIncreased "EXCLUSIVE_MAXIMUM_INCREASED",
    ExclusiveMaximumDecreased "EXCLUSIVE_MAXIMUM_DECREASED",
    ExclusiveMinimumAdded "EXCLUSIVE_MINIMUM_ADDED",
    ExclusiveMinimumRemoved "EXCLUSIVE_MINIMUM_REMOVED",
    ExclusiveMinimumIncreased "EXCLUSIVE_MINIMUM_INCREASED",
    ExclusiveMinimumDecreased "EXCLUSIVE_MINIMUM_DECREASED",
    MultipleOfAdded "MULTIPLE_OF_ADDED",
    MultipleOfRemoved "MULTIPLE_OF_REMOVED",
    MultipleOfExpanded "MULTIPLE_OF_EXPANDED",
    MultipleOfReduced "MULTIPLE_OF_REDUCED",
    MultipleOfChanged "MULTIPLE_OF_CHANGED",
    RequiredAttributeAdded "REQUIRED_ATTRIBUTE_ADDED",
    RequiredAttributeWithDefaultAdded "REQUIRED_ATTRIBUTE_WITH_DEFAULT_ADDED",
    RequiredAttributeRemoved "REQUIRED_ATTRIBUTE_REMOVED",
    MaxPropertiesAdded "MAX_PROPERTIES_ADDED",
    MaxPropertiesRemoved "MAX_PROPERTIES_REMOVED",
    MaxPropertiesIncreased "MAX_PROPERTIES_INCREASED",
    MaxPropertiesDecreased "MAX_PROPERTIES_DECREASED",
    MinPropertiesAdded "MIN_PROPERTIES_ADDED",
    MinPropertiesRemoved "MIN_PROPERTIES_REMOVED",
    MinPropertiesIncreased "MIN_PROPERTIES_INCREASED",
    MinPropertiesDecreased "MIN_PROPERTIES_DECREASED",
    AdditionalPropertiesAdded "ADDITIONAL_PROPERTIES_ADDED",
    AdditionalPropertiesRemoved "ADDITIONAL_PROPERTIES_REMOVED",
    AdditionalPropertiesExtended "ADDITIONAL_PROPERTIES_EXTENDED",
    AdditionalPropertiesNarrowed "ADDITIONAL_PROPERTIES_NARROWED",
    DependencyArrayAdded "DEPENDENCY_ARRAY_ADDED",
    DependencyArrayRemoved "DEPENDENCY_ARRAY_REMOVED",
    DependencyArrayExtended "DEPENDENCY_ARRAY_EXTENDED",
    DependencyArrayNarrowed "DEPENDENCY_ARRAY_NARROWED",
    DependencyArrayChanged "DEPENDENCY_ARRAY_CHANGED",
    DependencySchemaAdded "DEPENDENCY_SCHEMA_ADDED",
    DependencySchemaRemoved "DEPENDENCY_SCHEMA_REMOVED",
    RequiredPropertyAddedToOpenContentModel "REQUIRED_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL",
    RequiredPropertyWithDefaultAddedToOpenContentModel "REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_OPEN_CONTENT_MODEL",
    OptionalPropertyAddedToOpenContentModel "OPTIONAL_PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL",
    PropertyWithEmptySchemaAddedToOpenContentModel "PROPERTY_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL",
    RequiredPropertyAddedToUnopenContentModel "REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL",
    RequiredPropertyWithDefaultAddedToUnopenContentModel "REQUIRED_PROPERTY_WITH_DEFAULT_ADDED_TO_UNOPEN_CONTENT_MODEL",
    OptionalPropertyAddedToUnopenContentModel "OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL",
    PropertyRemovedFromOpenContentModel "PROPERTY_REMOVED_FROM_OPEN_CONTENT_MODEL",
    PropertyWithFalseRemovedFromClosedContentModel "PROPERTY_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL",
    PropertyRemovedFromClosedContentModel "PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL",
    PropertyRemovedIsCoveredByPartiallyOpenContentModel "PROPERTY_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
    PropertyRemovedNotCoveredByPartiallyOpenContentModel "PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
    PropertyAddedIsCoveredByPartiallyOpenContentModel "PROPERTY_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
    PropertyAddedNotCoveredByPartiallyOpenContentModel "PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
    UnevaluatedPropertiesAdded "UNEVALUATED_PROPERTIES_ADDED",
    UnevaluatedPropertiesRemoved "UNEVALUATED_PROPERTIES_REMOVED",
    UnevaluatedPropertiesExtended "UNEVALUATED_PROPERTIES_EXTENDED",
    UnevaluatedPropertiesNarrowed "UNEVALUATED_PROPERTIES_NARROWED",
    MaxItemsAdded "MAX_ITEMS_ADDED",
    MaxItemsRemoved "MAX_ITEMS_REMOVED",
    MaxItemsIncreased "MAX_ITEMS_INCREASED",
    MaxItemsDecreased "MAX_ITEMS_DECREASED",
    MinItemsAdded "MIN_ITEMS_ADDED",
    MinItemsRemoved "MIN_ITEMS_REMOVED",
    MinItemsIncreased "MIN_ITEMS_INCREASED",
    MinItemsDecreased "MIN_ITEMS_DECREASED",
    MaxContainsAdded "MAX_CONTAINS_ADDED",
    MaxContainsRemoved "MAX_CONTAINS_REMOVED",
    MaxContainsIncreased "MAX_CONTAINS_INCREASED",
    MaxContainsDecreased "MAX_CONTAINS_DECREASED",
    MinContainsAdded "MIN_CONTAINS_ADDED",
    MinContainsRemoved "MIN_CONTAINS_REMOVED",
    MinContainsIncreased "MIN_CONTAINS_INCREASED",
    MinContainsDecreased "MIN_CONTAINS_DECREASED",
    UniqueItemsAdded "UNIQUE_ITEMS_ADDED",
    UniqueItemsRemoved "UNIQUE_ITEMS_REMOVED",
    AdditionalItemsAdded "ADDITIONAL_ITEMS_ADDED",
    AdditionalItemsRemoved "ADDITIONAL_ITEMS_REMOVED",
    AdditionalItemsExtended "ADDITIONAL_ITEMS_EXTENDED",
    AdditionalItemsNarrowed "ADDITIONAL_ITEMS_NARROWED",
    UnevaluatedItemsAdded "UNEVALUATED_ITEMS_ADDED",
    UnevaluatedItemsRemoved "UNEVALUATED_ITEMS_REMOVED",
    UnevaluatedItemsExtended "UNEVALUATED_ITEMS_EXTENDED",
    UnevaluatedItemsNarrowed "UNEVALUATED_ITEMS_NARROWED",
    ItemAddedToOpenContentModel "ITEM_ADDED_TO_OPEN_CONTENT_MODEL",
    ItemWithEmptySchemaAddedToOpenContentModel "ITEM_WITH_EMPTY_SCHEMA_ADDED_TO_OPEN_CONTENT_MODEL",
    ItemAddedToClosedContentModel "ITEM_ADDED_TO_CLOSED_CONTENT_MODEL",
    ItemRemovedFromOpenContentModel "ITEM_REMOVED_FROM_OPEN_CONTENT_MODEL",
    ItemWithFalseRemovedFromClosedContentModel "ITEM_WITH_FALSE_REMOVED_FROM_CLOSED_CONTENT_MODEL",
    ItemRemovedFromClosedContentModel "ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL",
    ItemRemovedIsCoveredByPartiallyOpenContentModel "ITEM_REMOVED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
    ItemRemovedNotCoveredByPartiallyOpenContentModel "ITEM_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
    ItemAddedIsCoveredByPartiallyOpenContentModel "ITEM_ADDED_IS_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
    ItemAddedNotCoveredByPartiallyOpenContentModel "ITEM_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
    EnumArrayExtended "ENUM_ARRAY_EXTENDED",
    EnumArrayNarrowed "ENUM_ARRAY_NARROWED",
    EnumArrayChanged "ENUM_ARRAY_CHANGED",
    CombinedTypeExtended "COMBINED_TYPE_EXTENDED",
    CombinedTypeChanged "COMBINED_TYPE_CHANGED",
    ProductTypeExtended "PRODUCT_TYPE_EXTENDED",
    ProductTypeNarrowed "PRODUCT_TYPE_NARROWED",
    SumTypeExtended "SUM_TYPE_EXTENDED",
    SumTypeNarrowed "SUM_TYPE_NARROWED",
    CombinedTypeSubschemasChanged "COMBINED_TYPE_SUBSCHEMAS_CHANGED",
    NotTypeExtended "NOT_TYPE_EXTENDED",
    NotTypeNarrowed "NOT_TYPE_NARROWED",
}

/// A difference and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub kind: DifferenceKind,
    /// The place, such as `#/properties/a`.
    pub path: String,
}

impl DifferenceKind {
    /// Whether the reader's schema still accepts all that the writer's schema accepts.
    pub fn is_compatible(self, lenient: bool) -> bool {
        use DifferenceKind::*;
        matches!(
            self,
            IdChanged
                | DescriptionChanged
                | TitleChanged
                | DefaultChanged
                | SchemaRemoved
                | TypeExtended
                | MaxLengthIncreased
                | MaxLengthRemoved
                | MinLengthDecreased
                | MinLengthRemoved
                | PatternRemoved
                | MaximumIncreased
                | MaximumRemoved
                | MinimumDecreased
                | MinimumRemoved
                | ExclusiveMaximumIncreased
                | ExclusiveMaximumRemoved
                | ExclusiveMinimumDecreased
                | ExclusiveMinimumRemoved
                | MultipleOfReduced
                | MultipleOfRemoved
                | RequiredAttributeWithDefaultAdded
                | RequiredAttributeRemoved
                | DependencyArrayNarrowed
                | DependencyArrayRemoved
                | DependencySchemaRemoved
                | MaxPropertiesIncreased
                | MaxPropertiesRemoved
                | MinPropertiesDecreased
                | MinPropertiesRemoved
                | AdditionalPropertiesAdded
                | AdditionalPropertiesExtended
                | UnevaluatedPropertiesAdded
                | UnevaluatedPropertiesExtended
                | PropertyWithEmptySchemaAddedToOpenContentModel
                | RequiredPropertyWithDefaultAddedToUnopenContentModel
                | OptionalPropertyAddedToUnopenContentModel
                | PropertyWithFalseRemovedFromClosedContentModel
                | PropertyRemovedFromOpenContentModel
                | PropertyAddedIsCoveredByPartiallyOpenContentModel
                | PropertyRemovedIsCoveredByPartiallyOpenContentModel
                | MaxItemsIncreased
                | MaxItemsRemoved
                | MinItemsDecreased
                | MinItemsRemoved
                | MaxContainsIncreased
                | MaxContainsRemoved
                | MinContainsDecreased
                | MinContainsRemoved
                | UniqueItemsRemoved
                | AdditionalItemsAdded
                | AdditionalItemsExtended
                | UnevaluatedItemsAdded
                | UnevaluatedItemsExtended
                | ItemWithEmptySchemaAddedToOpenContentModel
                | ItemAddedToClosedContentModel
                | ItemWithFalseRemovedFromClosedContentModel
                | ItemRemovedFromOpenContentModel
                | ItemAddedIsCoveredByPartiallyOpenContentModel
                | ItemRemovedIsCoveredByPartiallyOpenContentModel
                | EnumArrayExtended
                | CombinedTypeExtended
                | ProductTypeNarrowed
                | SumTypeExtended
                | NotTypeNarrowed
        ) || (lenient
            && matches!(
                self,
                AdditionalPropertiesNarrowed
                    | AdditionalPropertiesRemoved
                    | UnevaluatedPropertiesNarrowed
                    | UnevaluatedPropertiesRemoved
                    | RequiredPropertyWithDefaultAddedToOpenContentModel
                    | OptionalPropertyAddedToOpenContentModel
                    | PropertyRemovedFromClosedContentModel
                    | PropertyAddedNotCoveredByPartiallyOpenContentModel
                    | PropertyRemovedNotCoveredByPartiallyOpenContentModel
            ))
    }
}

impl Difference {
    /// Formats the difference as Confluent's registry reports it.
    pub fn describe(&self, reader: &str, writer: &str) -> String {
        format!("{{errorType:\"{}\", description:\"{}'}}", self.kind.name(), self.description(reader, writer))
    }

    fn description(&self, reader: &str, writer: &str) -> String {
        use DifferenceKind::*;
        let path = &self.path;
        match self.kind {
            MaximumAdded
            | MinimumAdded
            | ExclusiveMaximumAdded
            | ExclusiveMinimumAdded
            | MultipleOfAdded
            | MaxLengthAdded
            | MinLengthAdded
            | PatternAdded
            | RequiredAttributeAdded
            | MaxPropertiesAdded
            | MinPropertiesAdded
            | DependencyArrayAdded
            | DependencySchemaAdded
            | MaxItemsAdded
            | MinItemsAdded
            | MaxContainsAdded
            | MinContainsAdded
            | UniqueItemsAdded
            | AdditionalItemsRemoved
            | AdditionalPropertiesRemoved
            | UnevaluatedPropertiesRemoved
            | UnevaluatedItemsRemoved => {
                format!("The keyword at path '{path}' in the {reader} schema is not present in the {writer} schema")
            }
            MinLengthIncreased
            | MinimumIncreased
            | ExclusiveMinimumIncreased
            | MinPropertiesIncreased
            | MultipleOfExpanded
            | MinItemsIncreased
            | MinContainsIncreased => {
                format!(
                    "The value at path '{path}' in the {reader} schema is more than its value in the {writer} schema"
                )
            }
            MaxLengthDecreased
            | MaximumDecreased
            | MaxItemsDecreased
            | MaxContainsDecreased
            | ExclusiveMaximumDecreased
            | MaxPropertiesDecreased => {
                format!(
                    "The value at path '{path}' in the {reader} schema is less than its value in the {writer} schema"
                )
            }
            PatternChanged | MultipleOfChanged | DependencyArrayChanged => {
                format!("The value at path '{path}' is different between the {reader} and {writer} schema")
            }
            AdditionalItemsNarrowed
            | EnumArrayNarrowed
            | SumTypeNarrowed
            | AdditionalPropertiesNarrowed
            | UnevaluatedPropertiesNarrowed
            | UnevaluatedItemsNarrowed => format!(
                "An array or combined type at path '{path}' has fewer elements in the {reader} schema than the {writer} \
                 schema"
            ),
            DependencyArrayExtended | ProductTypeExtended | SumTypeExtended | NotTypeExtended => format!(
                "An array or combined type at path '{path}' has more elements in the {reader} schema than the {writer} \
                 schema"
            ),
            TypeChanged | TypeNarrowed | CombinedTypeChanged | CombinedTypeSubschemasChanged | EnumArrayChanged => {
                format!("A type at path '{path}' is different between the {reader} schema and the {writer} schema")
            }
            RequiredPropertyAddedToOpenContentModel
            | RequiredPropertyWithDefaultAddedToOpenContentModel
            | OptionalPropertyAddedToOpenContentModel
            | ItemAddedToOpenContentModel => format!(
                "The {reader} schema has an open content model and has a property or item at path '{path}' which is \
                 missing in the {writer} schema"
            ),
            RequiredPropertyAddedToUnopenContentModel => format!(
                "The {reader} schema has an unopen content model and has a required property at path '{path}' which is \
                 missing in the {writer} schema"
            ),
            PropertyRemovedFromClosedContentModel | ItemRemovedFromClosedContentModel => format!(
                "The {reader} has a closed content model and is missing a property or item present at path '{path}' in \
                 the {writer} schema"
            ),
            PropertyRemovedNotCoveredByPartiallyOpenContentModel | ItemRemovedNotCoveredByPartiallyOpenContentModel => {
                format!(
                    "A property or item is missing in the {reader} schema but present at path '{path}' in the {writer} \
                     schema and is not covered by its partially open content model"
                )
            }
            PropertyAddedNotCoveredByPartiallyOpenContentModel | ItemAddedNotCoveredByPartiallyOpenContentModel => {
                format!(
                    "The {reader} schema has a property or item at path '{path}' which is missing in the {writer} schema \
                     and is not covered by its partially open content model"
                )
            }
            _ => String::new(),
        }
    }
}
