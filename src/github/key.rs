//! Private keys of an App: read from text in the forms in which people pass them on, and refused in plain words.
//!
//! It must not know where a text comes from beyond a name to show, nor what is signed.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};

use crate::redact::Registry;
use crate::redact::secret::Secret;
use crate::signer::{SignError, Signer};

/// Least size of a key that is accepted, in bits. GitHub makes keys of this size.
const MIN_BITS: usize = 2048;

/// Characters in a line of PEM.
const LINE: usize = 64;

/// Why a text is not a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is no PEM block in it.
    #[error("{origin} holds no private key: there is no line -----BEGIN … PRIVATE KEY-----")]
    None {
        /// Variable or file.
        origin: String,
    },
    /// The block does not end, or holds something else than base64.
    #[error("the private key in {origin} is damaged: {what}")]
    Damaged {
        /// Variable or file.
        origin: String,
        /// What is wrong.
        what: &'static str,
    },
    /// The key is protected by a passphrase.
    #[error("the private key in {origin} is encrypted")]
    Encrypted {
        /// Variable or file.
        origin: String,
    },
    /// The block holds something else.
    #[error("{origin} holds {what} instead of the private key of a GitHub App")]
    Other {
        /// Variable or file.
        origin: String,
        /// What it holds.
        what: &'static str,
    },
    /// The key is too small.
    #[error("the private key in {origin} has {bits} bits")]
    Small {
        /// Variable or file.
        origin: String,
        /// Its size.
        bits: usize,
    },
}

impl KeyError {
    /// What to do about it.
    #[must_use]
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::None { .. } | Self::Damaged { .. } => {
                "set it to the whole text of the .pem file that GitHub gave; in one line, with \\n for each line break"
            }
            Self::Encrypted { .. } => {
                "decrypt it with `openssl rsa -in KEY.pem`, and keep the result where only the runner reads"
            }
            Self::Other { .. } => {
                "generate a private key on the App's settings page, and use the .pem file that it gives"
            }
            Self::Small { .. } => {
                "generate a new one on the App's settings page: GitHub wants RSA with 2048 bits or more"
            }
        }
    }
}

/// An RSA key in the memory of this process. It is wiped when it is dropped.
pub struct PemKey {
    key: EncodingKey,
    origin: String,
}

impl std::fmt::Debug for PemKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PemKey").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl PemKey {
    /// The keys in `text`, in their order; `origin` is where it is from. Every key is hidden from now on, usable or not.
    ///
    /// # Errors
    /// Fails when there is none, and when one of them is not usable.
    pub fn all(text: &str, origin: &str, registry: &Registry) -> Result<Vec<Self>, KeyError> {
        let text = Secret::new(text, registry);
        let whole = text.expose().replace("\\r", "").replace("\\n", "\n");
        let _the_same_with_its_line_breaks = Secret::new(whole.as_str(), registry);
        let blocks = blocks(&whole, origin)?;
        let several = blocks.len() > 1;
        blocks
            .into_iter()
            .enumerate()
            .map(|(at, block)| {
                let origin = if several { format!("{origin} (key {})", at + 1) } else { origin.to_owned() };
                Self::of_block(block, origin)
            })
            .collect()
    }

    fn of_block(block: Block<'_>, origin: String) -> Result<Self, KeyError> {
        let other = |what| Err(KeyError::Other { origin: origin.clone(), what });
        match block.label {
            "RSA PRIVATE KEY" | "PRIVATE KEY" => {}
            "ENCRYPTED PRIVATE KEY" => return Err(KeyError::Encrypted { origin }),
            "EC PRIVATE KEY" => return other("an elliptic curve key"),
            "OPENSSH PRIVATE KEY" => return other("an SSH key"),
            "PUBLIC KEY" | "RSA PUBLIC KEY" => return other("a public key"),
            "CERTIFICATE" => return other("a certificate"),
            _ => return other("something else"),
        }
        if block.body.contains("ENCRYPTED") {
            return Err(KeyError::Encrypted { origin });
        }
        let damaged = |what| KeyError::Damaged { origin: origin.clone(), what };
        let packed: String = block.body.split_whitespace().collect();
        let der = STANDARD.decode(&packed).map_err(|_| damaged("it is not base64"))?;
        let pem = canonical(block.label, &STANDARD.encode(der));
        let Ok(key) = EncodingKey::from_rsa_pem(pem.as_bytes()) else {
            // The library tells neither elliptic curves nor damage apart, but those keys are much shorter.
            return if EncodingKey::from_ec_pem(pem.as_bytes()).is_ok() {
                other("an elliptic curve key")
            } else if EncodingKey::from_ed_pem(pem.as_bytes()).is_ok() {
                other("an Ed25519 key")
            } else {
                Err(damaged("a part of it is missing or was changed"))
            };
        };
        let bits =
            modulus_bits(key.as_bytes()).ok_or_else(|| damaged("a part of it is missing or was changed"))?;
        if bits < MIN_BITS {
            return Err(KeyError::Small { origin, bits });
        }
        Ok(Self { key, origin })
    }
}

impl Signer for PemKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let failed = |source| SignError { origin: self.origin.clone(), source };
        let text =
            crypto::sign(message, &self.key, Algorithm::RS256).map_err(|error| failed(error.into()))?;
        URL_SAFE_NO_PAD.decode(text).map_err(|error| failed(error.into()))
    }

    fn origin(&self) -> &str {
        &self.origin
    }
}

/// One block of PEM.
#[derive(Clone, Copy)]
struct Block<'a> {
    label: &'a str,
    body: &'a str,
}

/// The blocks in `text`. What stands between them is passed over, as every reader of PEM does.
fn blocks<'a>(text: &'a str, origin: &str) -> Result<Vec<Block<'a>>, KeyError> {
    let damaged = |what| KeyError::Damaged { origin: origin.to_owned(), what };
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("-----BEGIN ") {
        let (label, after) =
            after.split_once("-----").ok_or_else(|| damaged("its first line does not end"))?;
        let end = format!("-----END {label}-----");
        let (body, after) =
            after.split_once(end.as_str()).ok_or_else(|| damaged("its last line is missing"))?;
        found.push(Block { label, body });
        rest = after;
    }
    if found.is_empty() { Err(KeyError::None { origin: origin.to_owned() }) } else { Ok(found) }
}

/// A block as it is meant to look: the library wants its lines broken.
fn canonical(label: &str, base64: &str) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = base64;
    while !rest.is_empty() {
        let (line, further) = rest.split_at(rest.len().min(LINE));
        text.push_str(line);
        text.push('\n');
        rest = further;
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}

/// The size of an RSA key in PKCS#1: a sequence of a version, the modulus and the rest.
fn modulus_bits(der: &[u8]) -> Option<usize> {
    let (sequence, _) = element(der, 0x30)?;
    let (_version, rest) = element(sequence, 0x02)?;
    let (modulus, _) = element(rest, 0x02)?;
    let zeros = modulus.iter().take_while(|&&byte| byte == 0).count();
    let first = modulus.get(zeros)?;
    Some((modulus.len() - zeros) * 8 - usize::try_from(first.leading_zeros()).ok()?)
}

/// The content of the element with `tag` that `der` begins with, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = der.split_first()?;
    let (&length, rest) = rest.split_first()?;
    if first != tag {
        return None;
    }
    let (length, rest) = if length < 0x80 {
        (usize::from(length), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
        let known = (1..=4).contains(&bytes.len());
        (known.then(|| bytes.iter().fold(0_usize, |sum, &byte| sum << 8 | usize::from(byte)))?, rest)
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests;
