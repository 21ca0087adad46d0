//! Arbitrary rules of `ssl.principal.mapping.rules` for arbitrary names, and arbitrary bytes as a certificate and as its
//! subject: parsed or refused, without a panic. The text of a name has as many parts as the name, whatever its values are,
//! so that no value can pass for another part.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ottla_core::security::PrincipalRules;
use ottla_core::security::certificate::{Certificate, name_text};
use ottla_core::security::der;

/// The elements of a name in DER.
const SET: u8 = 0x31;
/// The values of CN, O, DC, an e-mail address, and an attribute without a name.
const ATTRIBUTES: [&[u8]; 5] = [
    &[0x55, 4, 3],
    &[0x55, 4, 10],
    &[9, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 100, 1, 25],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 9, 1],
    &[0x2a, 3],
];
/// The tags of values: strings, and other types.
const TAGS: [u8; 10] = [12, 19, 20, 22, 27, 30, 28, 4, 0x2c, 0x8c];

/// A name with one part for each text: its first byte chooses the attribute, the type and whether it is a part of its own.
fn name(texts: &[u8]) -> (Vec<u8>, usize, usize) {
    let (mut parts, mut attributes): (Vec<Vec<u8>>, usize) = (Vec::new(), 0);
    for text in texts.split(|byte| *byte == 0xff).take(8) {
        let Some((choice, value)) = text.split_first() else { continue };
        let choice = usize::from(*choice);
        let oid = der::write(der::OBJECT_IDENTIFIER, ATTRIBUTES[choice % ATTRIBUTES.len()]);
        let value = der::write(TAGS[choice / 5 % TAGS.len()], value);
        let attribute = der::write(der::SEQUENCE, &[oid, value].concat());
        match parts.last_mut() {
            Some(part) if choice >= 200 => part.extend(attribute),
            _ => parts.push(attribute),
        }
        attributes += 1;
    }
    let sets: Vec<u8> = parts.iter().flat_map(|part| der::write(SET, part)).collect();
    (der::write(der::SEQUENCE, &sets), parts.len(), attributes)
}

/// The number of a character without a backslash before it.
fn unescaped(text: &str, wanted: char) -> usize {
    let (mut count, mut escaped) = (0, false);
    for c in text.chars() {
        count += usize::from(c == wanted && !escaped);
        escaped = c == '\\' && !escaped;
    }
    count
}

fuzz_target!(|input: &[u8]| {
    let _ = Certificate::parse(input);
    let _ = name_text(input);
    let Some(end) = input.iter().position(|byte| *byte == 0xff) else { return };
    let (rules, texts) = input.split_at(end);
    let (name, parts, attributes) = name(&texts[1..]);
    // Values that their type does not allow are refused.
    let Ok(text) = name_text(&name) else { return };
    assert_eq!(unescaped(&text, ','), parts.saturating_sub(1), "{text:?}");
    assert_eq!(unescaped(&text, '+'), attributes - parts, "{text:?}");
    assert_eq!(unescaped(&text, '='), attributes, "{text:?}");
    let Ok(rules) = std::str::from_utf8(rules) else { return };
    match PrincipalRules::parse(rules) {
        Ok(parsed) => {
            let applied = parsed.apply(&text);
            // Empty rules have no effect.
            assert_eq!(PrincipalRules::parse(&format!(" ,{rules} , ")).unwrap().apply(&text), applied);
            if let Err(error) = applied {
                assert_eq!(error.to_string(), format!("No rules apply to {text}"));
            }
        }
        Err(error) => assert!(error.starts_with("Invalid rule: ") && !error.contains('\n'), "{error:?}"),
    }
});
