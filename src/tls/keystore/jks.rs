//! JKS, Java's own format of key stores: entries with the private keys, protected by a password each, and certificates.
//!
//! The store ends with a SHA-1 digest over the password and everything before. A private key is masked with a stream of
//! SHA-1 digests that begins with a salt. Both are weak, and the format is only read.

use ring::digest::{Context, Digest, SHA1_FOR_LEGACY_USE_ONLY, SHA1_OUTPUT_LEN};

use ottla_core::security::der;

const MAGIC: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];
/// JCEKS, a later format with stronger protection, which Kafka's documentation does not mention.
const JCEKS_MAGIC: [u8; 4] = [0xce, 0xce, 0xce, 0xce];
const PRIVATE_KEY: u32 = 1;
const CERTIFICATE: u32 = 2;
/// The text in the digest at the end of a store.
const DIGEST_TEXT: &[u8] = b"Mighty Aphrodite";
/// 1.3.6.1.4.1.42.2.17.1.1, the algorithm that protects private keys.
const PROTECTION: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x2a, 0x02, 0x11, 0x01, 0x01];

/// An entry of a store.
#[derive(Debug)]
pub enum Entry {
    /// A private key as it is stored, and its certificates.
    Key {
        protected: Vec<u8>,
        chain: Vec<Vec<u8>>,
    },
    Certificate(Vec<u8>),
}

/// Why a store cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JksError {
    WrongPassword,
    Damaged,
}

pub fn is_jks(file: &[u8]) -> bool {
    file.starts_with(&MAGIC)
}

pub fn is_jceks(file: &[u8]) -> bool {
    file.starts_with(&JCEKS_MAGIC)
}

/// Reads all entries. Without a password, the digest is not checked, as in Java.
pub fn read(file: &[u8], password: Option<&str>) -> Result<Vec<Entry>, JksError> {
    let (content, stored) = file.split_last_chunk::<SHA1_OUTPUT_LEN>().ok_or(JksError::Damaged)?;
    if let Some(password) = password
        && digest(&[&utf16(password), DIGEST_TEXT, content]).as_ref() != stored
    {
        return Err(JksError::WrongPassword);
    }
    entries(content).ok_or(JksError::Damaged)
}

fn entries(content: &[u8]) -> Option<Vec<Entry>> {
    let mut input = Input(content);
    input.take(MAGIC.len())?;
    let version = input.number()?;
    let count = input.number()?;
    let mut entries = Vec::new();
    for _ in 0..count {
        let tag = input.number()?;
        input.short_bytes()?; // the alias
        input.take(8)?; // the date
        entries.push(match tag {
            PRIVATE_KEY => {
                let protected = input.bytes()?.to_vec();
                let length = input.number()?;
                let chain = (0..length).map(|_| input.certificate(version)).collect::<Option<_>>()?;
                Entry::Key { protected, chain }
            }
            CERTIFICATE => Entry::Certificate(input.certificate(version)?),
            _ => return None,
        });
    }
    Some(entries)
}

/// Removes the protection of a private key. Returns it in PKCS #8.
pub fn unprotect(protected: &[u8], password: &str) -> Result<Vec<u8>, JksError> {
    let data = protected_data(protected).ok_or(JksError::Damaged)?;
    let (salt, rest) = data.split_first_chunk::<SHA1_OUTPUT_LEN>().ok_or(JksError::Damaged)?;
    let (masked, check) = rest.split_last_chunk::<SHA1_OUTPUT_LEN>().ok_or(JksError::Damaged)?;
    let password = utf16(password);
    let mut mask = digest(&[&password, salt]);
    let mut key = Vec::with_capacity(masked.len());
    for block in masked.chunks(SHA1_OUTPUT_LEN) {
        key.extend(block.iter().zip(mask.as_ref()).map(|(byte, mask)| byte ^ mask));
        mask = digest(&[&password, mask.as_ref()]);
    }
    match digest(&[&password, &key]).as_ref() == check {
        true => Ok(key),
        false => Err(JksError::WrongPassword),
    }
}

/// The data of an `EncryptedPrivateKeyInfo` with Java's algorithm.
fn protected_data(protected: &[u8]) -> Option<&[u8]> {
    let (info, _) = der::read(protected, der::SEQUENCE)?;
    let (algorithm, data) = der::read(info, der::SEQUENCE)?;
    let (oid, _) = der::read(algorithm, der::OBJECT_IDENTIFIER)?;
    (oid == PROTECTION).then(|| der::read(data, der::OCTET_STRING))?.map(|(data, _)| data)
}

fn digest(parts: &[&[u8]]) -> Digest {
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    parts.iter().for_each(|part| context.update(part));
    context.finish()
}

/// A password in UTF-16, the high byte first.
fn utf16(password: &str) -> Vec<u8> {
    password.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

/// The rest of the input, read from the front.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u32> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*taken))
    }

    /// Bytes behind their number in four bytes.
    fn bytes(&mut self) -> Option<&'a [u8]> {
        let count = self.number()?;
        self.take(usize::try_from(count).ok()?)
    }

    /// Bytes behind their number in two bytes.
    fn short_bytes(&mut self) -> Option<&'a [u8]> {
        let (count, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        self.take(u16::from_be_bytes(*count).into())
    }

    /// A certificate; from version 2 of the format on, its type is before it.
    fn certificate(&mut self, version: u32) -> Option<Vec<u8>> {
        if version >= 2 {
            self.short_bytes()?;
        }
        self.bytes().map(<[u8]>::to_vec)
    }
}
