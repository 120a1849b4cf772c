//! What the helper is told, as bytes in a sealed memfd.
//!
//! A list of fields with lengths, not JSON: arguments, variables and paths are bytes that need not be UTF-8.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt as _;

/// First bytes of every spec. The number changes with the form, although both ends are always the same binary.
const MAGIC: &[u8; 4] = b"RGS1";

/// Longest spec that is read back: the kernel refuses arguments and environments well below it.
const MAX_BYTES: usize = 64 << 20;

/// What the helper is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The program, as an absolute path.
    pub program: CString,
    /// Its arguments, the first one being its name.
    pub argv: Vec<CString>,
    /// Its whole environment, as `NAME=value`.
    pub env: Vec<CString>,
    /// Where it starts.
    pub cwd: CString,
}

/// Why bytes are not a spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// They do not begin as a spec does.
    #[error("not a launch spec")]
    Magic,
    /// They end in the middle, or go on after the end.
    #[error("launch spec of the wrong length")]
    Length,
    /// A text holds a NUL byte.
    #[error("launch spec with a NUL byte in a text")]
    Nul,
}

/// A text that cannot be handed to a program, because it holds a NUL byte.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} holds a NUL byte")]
pub struct NulByte {
    /// Which text, for people.
    pub what: String,
}

/// A C string of `text`, or an error that names it as `what`.
pub(crate) fn c_string(text: OsString, what: impl FnOnce() -> String) -> Result<CString, NulByte> {
    CString::new(text.into_vec()).map_err(|_| NulByte { what: what() })
}

impl Spec {
    /// The spec as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        put(&mut bytes, self.program.as_bytes());
        put(&mut bytes, self.cwd.as_bytes());
        for list in [&self.argv, &self.env] {
            put_length(&mut bytes, list.len());
            for text in list {
                put(&mut bytes, text.as_bytes());
            }
        }
        bytes
    }

    /// Reads a spec back.
    ///
    /// # Errors
    /// Refuses everything that [`Spec::encode`] does not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > MAX_BYTES {
            return Err(DecodeError::Length);
        }
        let mut rest = bytes.strip_prefix(MAGIC.as_slice()).ok_or(DecodeError::Magic)?;
        let program = take(&mut rest)?;
        let cwd = take(&mut rest)?;
        let argv = take_list(&mut rest)?;
        let env = take_list(&mut rest)?;
        if rest.is_empty() { Ok(Self { program, argv, env, cwd }) } else { Err(DecodeError::Length) }
    }
}

fn put_length(bytes: &mut Vec<u8>, length: usize) {
    bytes.extend_from_slice(&(length as u64).to_le_bytes());
}

fn put(bytes: &mut Vec<u8>, text: &[u8]) {
    put_length(bytes, text.len());
    bytes.extend_from_slice(text);
}

fn take_length(rest: &mut &[u8]) -> Result<usize, DecodeError> {
    let (head, tail) = rest.split_first_chunk::<8>().ok_or(DecodeError::Length)?;
    *rest = tail;
    usize::try_from(u64::from_le_bytes(*head)).map_err(|_| DecodeError::Length)
}

fn take(rest: &mut &[u8]) -> Result<CString, DecodeError> {
    let length = take_length(rest)?;
    let (text, tail) = rest.split_at_checked(length).ok_or(DecodeError::Length)?;
    *rest = tail;
    CString::new(text).map_err(|_| DecodeError::Nul)
}

fn take_list(rest: &mut &[u8]) -> Result<Vec<CString>, DecodeError> {
    // Every element needs at least the eight bytes of its length, so a huge count cannot ask for memory.
    let count = take_length(rest)?;
    if count > rest.len() / 8 {
        return Err(DecodeError::Length);
    }
    (0..count).map(|_| take(rest)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text() -> impl Strategy<Value = CString> {
        prop::collection::vec(1_u8..=255, 0..20).prop_map(|bytes| CString::new(bytes).unwrap())
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            program in text(), cwd in text(),
            argv in prop::collection::vec(text(), 0..5), env in prop::collection::vec(text(), 0..5),
        ) {
            let spec = Spec { program, argv, env, cwd };
            prop_assert_eq!(Spec::decode(&spec.encode()).unwrap(), spec);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut framed = MAGIC.to_vec();
            framed.extend_from_slice(&bytes);
            let _ = Spec::decode(&framed);
            let _ = Spec::decode(&bytes);
        }

        #[test]
        fn a_spec_that_is_cut_is_refused(env in prop::collection::vec(text(), 1..4), cut in 1_usize..8) {
            let spec = Spec { program: c"/bin/true".into(), argv: vec![], env, cwd: c"/".into() };
            let bytes = spec.encode();
            prop_assert!(Spec::decode(&bytes[..bytes.len() - cut]).is_err());
        }
    }
}
