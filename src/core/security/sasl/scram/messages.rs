//! The client's messages. The grammar is Kafka's (`ScramMessages`): ASCII only, without channel binding.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The extension with which a client authenticates by a delegation token.
const TOKEN_AUTH: &str = "tokenauth";

/// The client's first message: `n,[a=authorization id],[m=…,]n=user,r=nonce[,extension=value…]`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientFirst<'a> {
    pub authorization_id: Option<String>,
    /// The user, or the id of a delegation token.
    pub name: String,
    pub nonce: &'a str,
    /// Whether the client authenticates by a delegation token.
    pub token_auth: bool,
    /// The message without the header that ends with the second comma.
    pub bare: &'a str,
}

/// The client's final message: `c=channel binding,r=nonce[,extension=value…],p=proof`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientFinal<'a> {
    pub nonce: &'a str,
    pub proof: Vec<u8>,
    /// The message before `,p=`.
    pub without_proof: &'a str,
}

impl<'a> ClientFirst<'a> {
    pub fn parse(message: &'a [u8]) -> Option<ClientFirst<'a>> {
        let (authorization_id, bare) = ascii(message)?.strip_prefix("n,")?.split_once(',')?;
        let authorization_id = match authorization_id {
            "" => None,
            given => Some(name(given.strip_prefix("a=")?)?),
        };
        let mut fields = bare.split(',');
        let mut field = fields.next()?;
        if field.strip_prefix("m=").is_some_and(|value| !value.is_empty()) {
            field = fields.next()?;
        }
        let name = name(field.strip_prefix("n=")?)?;
        let nonce = nonce(fields.next()?.strip_prefix("r=")?)?;
        let mut token_auth = false;
        for field in fields {
            let (key, value) = extension(field)?;
            if key == TOKEN_AUTH {
                token_auth = value.eq_ignore_ascii_case("true");
            }
        }
        Some(ClientFirst { authorization_id, name, nonce, token_auth, bare })
    }
}

impl<'a> ClientFinal<'a> {
    pub fn parse(message: &'a [u8]) -> Option<ClientFinal<'a>> {
        let (without_proof, proof) = ascii(message)?.rsplit_once(",p=")?;
        let mut fields = without_proof.split(',');
        STANDARD.decode(fields.next()?.strip_prefix("c=")?).ok()?;
        let nonce = nonce(fields.next()?.strip_prefix("r=")?)?;
        fields.all(|field| extension(field).is_some()).then_some(())?;
        Some(ClientFinal { nonce, proof: STANDARD.decode(proof).ok()?, without_proof })
    }
}

/// The text of a message: ASCII without NUL.
fn ascii(message: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(message).ok()?;
    (text.is_ascii() && !text.contains('\0')).then_some(text)
}

/// Decodes a name, in which `=2C` is a comma and `=3D` an equals sign.
fn name(escaped: &str) -> Option<String> {
    let mut parts = escaped.split('=');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (character, rest) = match part.strip_prefix("2C") {
            Some(rest) => (',', rest),
            None => ('=', part.strip_prefix("3D")?),
        };
        name.push(character);
        name.push_str(rest);
    }
    (!name.is_empty()).then_some(name)
}

fn nonce(text: &str) -> Option<&str> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())).then_some(text)
}

fn extension(field: &str) -> Option<(&str, &str)> {
    let (key, value) = field.split_once('=')?;
    let valid = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphabetic()) && !value.is_empty();
    valid.then_some((key, value))
}
