//! Names that have rules: identifiers, digests and paths inside a repository.
//!
//! Owns what makes each of them valid, so that every other room can take a value of the type as proof.
//! It must not know where a name came from or what it is used for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use sha2::Digest as _;

/// Longest identifier of a command, step or gate, in bytes.
pub const MAX_ID: usize = 64;

/// Why a text is not a valid name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}")]
pub struct InvalidName {
    /// The text that was refused, cut to a readable length.
    pub text: String,
    /// What would have been accepted, as a phrase with an article.
    pub expected: &'static str,
}

impl InvalidName {
    fn new(text: &str, expected: &'static str) -> Self {
        let mut text: String = text.chars().take(80).collect();
        if text.len() == 80 {
            text.push('…');
        }
        Self { text, expected }
    }
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $valid:expr, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// What a valid value looks like, as a phrase for error messages.
            pub const EXPECTED: &'static str = $expected;

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) { Ok(Self(text.to_owned())) } else { Err(InvalidName::new(text, $expected)) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

fn is_id(text: &str) -> bool {
    text.len() <= MAX_ID
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_actions_id(text: &str) -> bool {
    text.len() <= MAX_ID
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn is_variable(text: &str) -> bool {
    text.len() <= 255
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

name_type!(
    /// The id of a command in a manifest.
    CommandId,
    is_id,
    "an id of at most 64 characters: a lower-case letter, then lower-case letters, digits and `-`"
);
name_type!(
    /// The id of a step. Letters of both cases and `_` are allowed, as GitHub Actions allows them.
    StepId,
    is_actions_id,
    "an id of at most 64 characters: a letter or `_`, then letters, digits, `-` and `_`"
);
name_type!(
    /// The id of a gate.
    GateId,
    is_actions_id,
    "an id of at most 64 characters: a letter or `_`, then letters, digits, `-` and `_`"
);
name_type!(
    /// The name of an input of a command.
    InputName,
    is_actions_id,
    "an input name of at most 64 characters: a letter or `_`, then letters, digits, `-` and `_`"
);
name_type!(
    /// The name of an environment variable.
    EnvName,
    is_variable,
    "an environment variable name: a letter or `_`, then letters, digits and `_`"
);
name_type!(
    /// A file or folder inside the repository: relative, `/`-separated, without `.` and `..` components.
    ///
    /// The root itself is written `.`. Whether the file exists, or is reached through a symlink, is not known here.
    RepoPath,
    is_repo_path,
    "a relative path inside the repository, with `/` and without `..`"
);

impl StepId {
    /// The id of a step that has neither an id nor a name to make one of: `step-1` for the first of its command.
    #[must_use]
    pub fn numbered(number: usize) -> Self {
        Self(format!("step-{number}"))
    }
}

fn is_repo_path(text: &str) -> bool {
    text == "."
        || (!text.is_empty()
            && text.len() <= 4096
            && !text.contains(['\0', '\\', '\n', '\r'])
            && text.split('/').all(|part| !part.is_empty() && part != "." && part != ".."))
}

impl RepoPath {
    /// Reads a path as a person writes it: `./a`, `a/` and `a//b` are accepted and made canonical.
    ///
    /// # Errors
    /// Refuses absolute paths, `..`, backslashes and control characters that no path here may have.
    pub fn from_written(text: &str) -> Result<Self, InvalidName> {
        if text.starts_with('/') {
            return Err(InvalidName::new(text, Self::EXPECTED));
        }
        let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        if text.is_empty() {
            return Err(InvalidName::new(text, Self::EXPECTED));
        }
        if parts.is_empty() { ".".parse() } else { parts.join("/").parse() }
    }

    /// The root of the repository.
    #[must_use]
    pub fn root() -> Self {
        Self(".".to_owned())
    }
}

/// The key of one execution of a step: its id, with the matrix leg when there is one, as in `rows (orders)`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepKey(String);

impl StepKey {
    /// The key of a step that has no matrix.
    #[must_use]
    pub fn plain(id: &StepId) -> Self {
        Self(id.0.clone())
    }

    /// The key of one leg of a matrix. `leg` is made of the leg's values, already unique in its step.
    #[must_use]
    pub fn leg(id: &StepId, leg: &str) -> Self {
        Self(format!("{id} ({leg})"))
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The folder that holds this step's files in a record: readable, unique, and one path component.
    #[must_use]
    pub fn folder(&self) -> String {
        let plain: String = self
            .0
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' })
            .collect();
        let plain = plain.trim_matches(['-', '.']);
        if plain == self.0 {
            return self.0.clone();
        }
        // Two legs may differ only in characters that a folder name cannot have.
        let digest = Sha256::of(self.0.as_bytes()).to_string();
        let short: String = plain.chars().take(80).collect();
        format!("{short}-{}", &digest[..8])
    }
}

impl fmt::Display for StepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of a run: a UUID of version 7, so that ids sort by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RunId(uuid::Uuid);

impl RunId {
    /// A new id.
    #[must_use]
    pub fn fresh() -> Self {
        Self(uuid::Uuid::now_v7())
    }

    /// The id that `text` is, where it is written as this program writes one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let id = uuid::Uuid::parse_str(text).ok().filter(|id| id.get_version_num() == 7)?;
        (id.hyphenated().to_string() == text).then_some(Self(id))
    }
}

impl Serialize for RunId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RunId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        uuid::Uuid::parse_str(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// A random token that nobody outside this process can guess: 122 random bits, as hexadecimal digits.
#[must_use]
pub fn random_token() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// A SHA-256 digest, shown as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256([u8; 32]);

impl Sha256 {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// Its first half, which is more than enough to tell digests apart.
    #[must_use]
    pub fn half(&self) -> u128 {
        let [half, _] = self.0.as_chunks::<16>().0 else { return 0 };
        u128::from_be_bytes(*half)
    }

    /// Its first eight bytes, which are enough to tell apart what nobody gains from confusing.
    #[must_use]
    pub fn beginning(&self) -> u64 {
        let [beginning, ..] = self.0.as_chunks::<8>().0 else { return 0 };
        u64::from_be_bytes(*beginning)
    }

    /// The digest of all pieces as one, the same as if they stood in one slice.
    #[must_use]
    pub fn of_all(pieces: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Self {
        let mut hasher = sha2::Sha256::new();
        for piece in pieces {
            hasher.update(piece);
        }
        Self(hasher.finalize().into())
    }

    /// The digest of everything that `reader` yields, in constant memory.
    ///
    /// # Errors
    /// Returns the reader's own error.
    pub fn of_reader(mut reader: impl std::io::Read) -> std::io::Result<Self> {
        let mut hasher = sha2::Sha256::new();
        std::io::copy(&mut reader, &mut HashWriter(&mut hasher))?;
        Ok(Self(hasher.finalize().into()))
    }
}

impl From<sha2::Sha256> for Sha256 {
    /// The digest of everything that `hasher` was shown.
    fn from(hasher: sha2::Sha256) -> Self {
        Self(hasher.finalize().into())
    }
}

impl AsRef<[u8]> for Sha256 {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

struct HashWriter<'a>(&'a mut sha2::Sha256);

impl std::io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        // Reports of a hundred thousand findings show as many digests, and formatting each byte by itself takes longer
        // than making the digest.
        let mut text = [0; 64];
        for (pair, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(self.0) {
            *pair = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0xF)]];
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Sha256 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha256 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || serde::de::Error::custom("a digest has 64 hexadecimal digits");
        let mut digest = [0; 32];
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        for (at, byte) in digest.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Self(digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_and_lower_case() {
        assert!("rehydrate-2".parse::<CommandId>().is_ok());
        for bad in ["", "2x", "A", "a_b", "-a", &"a".repeat(65), "a\nb", "é"] {
            assert!(bad.parse::<CommandId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn written_paths_become_canonical_or_are_refused() {
        assert_eq!(RepoPath::from_written("./a//b/").unwrap().as_str(), "a/b");
        assert_eq!(RepoPath::from_written("./").unwrap(), RepoPath::root());
        for bad in ["", "/etc/passwd", "../x", "a/../../x", "a\\b", "a\0"] {
            assert!(RepoPath::from_written(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_folder_is_one_component_and_differs_for_legs_that_look_alike() {
        let id: StepId = "rows".parse().unwrap();
        assert_eq!(StepKey::plain(&id).folder(), "rows");
        let (a, b) = (StepKey::leg(&id, "a/b"), StepKey::leg(&id, "a b"));
        assert_ne!(a.folder(), b.folder());
        assert!(!a.folder().contains('/'));
    }

    #[test]
    fn a_reader_and_a_slice_have_one_digest() {
        let bytes = vec![7_u8; 100_000];
        assert_eq!(Sha256::of_reader(bytes.as_slice()).unwrap(), Sha256::of(&bytes));
        assert_eq!(Sha256::of_all(bytes.chunks(999)), Sha256::of(&bytes));
        assert_eq!(
            Sha256::of(b"").to_string(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
