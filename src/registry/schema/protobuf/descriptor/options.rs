//! The options that descriptors have, in the order in which Confluent's registry prints them.

pub(super) enum OptionKind {
    Text,
    Bool,
    /// The names of the values with their numbers.
    Enum(&'static [(&'static str, u64)]),
    /// Several values, each printed as an option.
    Enums(&'static [(&'static str, u64)]),
    Features,
}

pub(super) struct KnownOption {
    pub name: &'static str,
    pub number: u32,
    pub kind: OptionKind,
}

const fn of(name: &'static str, number: u32, kind: OptionKind) -> KnownOption {
    KnownOption { name, number, kind }
}

use OptionKind::{Bool, Enum, Enums, Features, Text};

/// The extension that holds Confluent's metadata in all options.
pub(super) const META: u32 = 1088;

pub(super) const FILE: &[KnownOption] = &[
    of("java_package", 1, Text),
    of("java_outer_classname", 8, Text),
    of("java_multiple_files", 10, Bool),
    of("java_generate_equals_and_hash", 20, Bool),
    of("java_string_check_utf8", 27, Bool),
    of("optimize_for", 9, Enum(&[("SPEED", 1), ("CODE_SIZE", 2), ("LITE_RUNTIME", 3)])),
    of("go_package", 11, Text),
    of("cc_generic_services", 16, Bool),
    of("java_generic_services", 17, Bool),
    of("py_generic_services", 18, Bool),
    of("deprecated", 23, Bool),
    of("cc_enable_arenas", 31, Bool),
    of("objc_class_prefix", 36, Text),
    of("csharp_namespace", 37, Text),
    of("swift_prefix", 39, Text),
    of("php_class_prefix", 40, Text),
    of("php_namespace", 41, Text),
    of("php_metadata_namespace", 44, Text),
    of("ruby_package", 45, Text),
    of("features", 50, Features),
];

pub(super) const MESSAGE: &[KnownOption] = &[
    of("no_standard_descriptor_accessor", 2, Bool),
    of("deprecated", 3, Bool),
    of("map_entry", 7, Bool),
    of("features", 12, Features),
];

pub(super) const FIELD: &[KnownOption] = &[
    of("ctype", 1, Enum(&[("STRING", 0), ("CORD", 1), ("STRING_PIECE", 2)])),
    of("packed", 2, Bool),
    of("jstype", 6, Enum(&[("JS_NORMAL", 0), ("JS_STRING", 1), ("JS_NUMBER", 2)])),
    of("deprecated", 3, Bool),
    of("debug_redact", 16, Bool),
    of("retention", 17, Enum(&[("RETENTION_UNKNOWN", 0), ("RETENTION_RUNTIME", 1), ("RETENTION_SOURCE", 2)])),
    of(
        "targets",
        19,
        Enums(&[
            ("TARGET_TYPE_UNKNOWN", 0),
            ("TARGET_TYPE_FILE", 1),
            ("TARGET_TYPE_EXTENSION_RANGE", 2),
            ("TARGET_TYPE_MESSAGE", 3),
            ("TARGET_TYPE_FIELD", 4),
            ("TARGET_TYPE_ONEOF", 5),
            ("TARGET_TYPE_ENUM", 6),
            ("TARGET_TYPE_ENUM_ENTRY", 7),
            ("TARGET_TYPE_SERVICE", 8),
            ("TARGET_TYPE_METHOD", 9),
        ]),
    ),
    of("features", 21, Features),
];

pub(super) const ONE_OF: &[KnownOption] = &[of("features", 1, Features)];

pub(super) const ENUM: &[KnownOption] =
    &[of("allow_alias", 2, Bool), of("deprecated", 3, Bool), of("features", 7, Features)];

pub(super) const CONSTANT: &[KnownOption] =
    &[of("deprecated", 1, Bool), of("debug_redact", 3, Bool), of("features", 2, Features)];

pub(super) const SERVICE: &[KnownOption] = &[of("deprecated", 33, Bool), of("features", 34, Features)];

pub(super) const METHOD: &[KnownOption] = &[
    of("deprecated", 33, Bool),
    of("idempotency_level", 34, Enum(&[("IDEMPOTENCY_UNKNOWN", 0), ("NO_SIDE_EFFECTS", 1), ("IDEMPOTENT", 2)])),
    of("features", 35, Features),
];

pub(super) const EXTENSIONS: &[KnownOption] =
    &[of("features", 50, Features), of("verification", 3, Enum(&[("DECLARATION", 0), ("UNVERIFIED", 1)]))];

pub(super) const FEATURES: &[KnownOption] = &[
    of(
        "field_presence",
        1,
        Enum(&[("FIELD_PRESENCE_UNKNOWN", 0), ("EXPLICIT", 1), ("IMPLICIT", 2), ("LEGACY_REQUIRED", 3)]),
    ),
    of("enum_type", 2, Enum(&[("ENUM_TYPE_UNKNOWN", 0), ("OPEN", 1), ("CLOSED", 2)])),
    of("repeated_field_encoding", 3, Enum(&[("REPEATED_FIELD_ENCODING_UNKNOWN", 0), ("PACKED", 1), ("EXPANDED", 2)])),
    of("utf8_validation", 4, Enum(&[("UTF8_VALIDATION_UNKNOWN", 0), ("VERIFY", 2), ("NONE", 3)])),
    of("message_encoding", 5, Enum(&[("MESSAGE_ENCODING_UNKNOWN", 0), ("LENGTH_PREFIXED", 1), ("DELIMITED", 2)])),
    of("json_format", 6, Enum(&[("JSON_FORMAT_UNKNOWN", 0), ("ALLOW", 1), ("LEGACY_BEST_EFFORT", 2)])),
];
