//! Rules for names, as Avro's `NameValidator` has them.

use super::AvroError;

/// How strictly a schema is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validation {
    /// A new schema: names have ASCII letters, digits and `_`; namespaces are checked; defaults fit their types.
    New,
    /// A schema that was registered before: names may have letters of any script; nothing else is checked.
    Registered,
}

/// Checks a name without a namespace.
pub(super) fn check_simple(name: &str, validation: Validation) -> Result<(), AvroError> {
    let strict = validation == Validation::New;
    let letter = |char: char| if strict { char.is_ascii_alphabetic() } else { char.is_alphabetic() };
    let digit = |char: char| if strict { char.is_ascii_digit() } else { char.is_numeric() };
    let mut chars = name.chars();
    let problem = match chars.next() {
        None => Some("Empty name".to_owned()),
        Some(first) if !letter(first) && first != '_' => Some(format!("Illegal initial character: {name}")),
        Some(_) if !chars.all(|char| letter(char) || digit(char) || char == '_') => {
            Some(format!("Illegal character in: {name}"))
        }
        Some(_) => None,
    };
    problem.map_or(Ok(()), |problem| Err(AvroError::new(problem)))
}

/// Checks the namespace of a new named type.
pub(super) fn check_namespace(full: &str) -> Result<(), AvroError> {
    let Some((space, _)) = full.rsplit_once('.') else { return Ok(()) };
    for part in space.split('.') {
        check_simple(part, Validation::New)
            .map_err(|error| AvroError::new(format!("Namespace part \"{part}\" is invalid: {error}")))?;
    }
    Ok(())
}
