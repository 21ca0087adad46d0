//! Files that every schema can import without a reference: those of Google's and of Confluent's common types.

use std::sync::LazyLock;

use super::element::File;
use super::names::Types;
use super::parse::parse;

macro_rules! known {
    ($($path:literal,)*) => {
        const TEXTS: &[(&str, &str)] = &[$(($path, include_str!(concat!("known/", $path))),)*];
    };
}

known! {
    "confluent/meta.proto",
    "confluent/type/decimal.proto",
    "confluent/type/variant.proto",
    "google/protobuf/any.proto",
    "google/protobuf/api.proto",
    "google/protobuf/descriptor.proto",
    "google/protobuf/duration.proto",
    "google/protobuf/empty.proto",
    "google/protobuf/field_mask.proto",
    "google/protobuf/source_context.proto",
    "google/protobuf/struct.proto",
    "google/protobuf/timestamp.proto",
    "google/protobuf/type.proto",
    "google/protobuf/wrappers.proto",
    "google/type/calendar_period.proto",
    "google/type/color.proto",
    "google/type/date.proto",
    "google/type/datetime.proto",
    "google/type/dayofweek.proto",
    "google/type/decimal.proto",
    "google/type/expr.proto",
    "google/type/fraction.proto",
    "google/type/interval.proto",
    "google/type/latlng.proto",
    "google/type/money.proto",
    "google/type/month.proto",
    "google/type/phone_number.proto",
    "google/type/postal_address.proto",
    "google/type/quaternion.proto",
    "google/type/timeofday.proto",
}

// The texts are constants; a test ensures that each of them is parsed.
static FILES: LazyLock<Vec<(&'static str, File)>> =
    LazyLock::new(|| TEXTS.iter().filter_map(|(path, text)| Some((*path, parse(text).ok()?))).collect());

static TYPES: LazyLock<Types<'static>> = LazyLock::new(|| Types::known(FILES.iter().map(|(_, file)| file)));

pub(super) fn types() -> &'static Types<'static> {
    &TYPES
}

pub(super) fn file(path: &str) -> Option<&'static File> {
    FILES.iter().find(|(known, _)| *known == path).map(|(_, file)| file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_file_is_parsed_and_printed_as_it_is() {
        assert_eq!(FILES.len(), TEXTS.len());
        for (path, text) in TEXTS {
            let printed = super::super::print::canonical(file(path).unwrap()).unwrap();
            assert_eq!(printed, *text, "{path}");
        }
    }
}
