//! Redaction: what may not leave the process is taken out of every byte that does.
//!
//! Owns which byte strings are secret and how output is freed of them. A [`Registry`] is filled as secrets become
//! known; every sink writes through a [`writer::Writer`], which redacts and then breaks what the runner or a terminal
//! would obey. It must not know where a secret came from or where the bytes go.

pub mod guard;
pub mod secret;
pub mod writer;

mod matcher;
mod shapes;
mod stream;
pub(crate) mod terminal;
mod variants;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use matcher::Matcher;
pub use stream::Stream;

/// What stands where a secret stood.
pub const MARK: &str = "***";

/// Longest value that can be registered, in bytes. GitHub's own limit for a secret is 48 KB.
pub const MAX_VALUE: usize = 64 * 1024;

/// Most bytes of all searched forms together. It bounds what a script that masks ever more values can cost.
const MAX_FORMS: usize = 16 * 1024 * 1024;

/// What became of a value that was to be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a value that was not registered is not redacted, and somebody should be told"]
pub enum Added {
    /// From now on it is redacted.
    Registered,
    /// It was registered before.
    Known,
    /// It has fewer than six bytes: redacting it would blacken ordinary words. It is not redacted.
    TooShort,
    /// It is longer than [`MAX_VALUE`]. It is not redacted.
    TooLong,
    /// Too much is registered already. It is not redacted.
    Full,
}

/// The secrets of this process. Clones share one set; a value that is added reaches every stream with its next bytes.
#[derive(Clone, Default)]
pub struct Registry(Arc<Shared>);

#[derive(Default)]
struct Shared {
    version: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    forms: BTreeSet<Vec<u8>>,
    size: usize,
    matcher: Option<Arc<Matcher>>,
}

impl Registry {
    /// A registry without values. Tokens, private keys and JSON web tokens are recognised by their shape nevertheless.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers `value` in all its encoded forms.
    pub fn add(&self, value: &str) -> Added {
        if value.trim().len() < variants::MIN_LENGTH {
            return Added::TooShort;
        }
        if value.len() > MAX_VALUE {
            return Added::TooLong;
        }
        let mut state = self.lock();
        let new: Vec<Vec<u8>> =
            variants::of(value).into_iter().filter(|form| !state.forms.contains(form)).collect();
        if new.is_empty() {
            return Added::Known;
        }
        let size: usize = new.iter().map(Vec::len).sum();
        if state.size + size > MAX_FORMS {
            return Added::Full;
        }
        state.size += size;
        state.forms.extend(new);
        state.matcher = None;
        self.0.version.fetch_add(1, Ordering::Release);
        Added::Registered
    }

    /// `text` without secrets. For output that comes in pieces use a [`Stream`], which sees what two pieces hold together.
    #[must_use]
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut stream = Stream::new(self);
        let mut out = Vec::new();
        stream.push(text.as_bytes(), &mut out);
        stream.finish(&mut out);
        if out == text.as_bytes() {
            return Cow::Borrowed(text);
        }
        Cow::Owned(String::from_utf8(out).unwrap_or_else(|bytes| {
            // A secret may be half a character; what is left of that character is no text.
            String::from_utf8_lossy(bytes.as_bytes()).into_owned()
        }))
    }

    /// Takes secrets out of every text in `value`. Names of fields are ours, and stay.
    pub fn json(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Cow::Owned(clean) = self.text(text) {
                    *text = clean;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.json(item)),
            Value::Object(fields) => fields.values_mut().for_each(|item| self.json(item)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// A number that changes whenever a value is added.
    fn version(&self) -> u64 {
        self.0.version.load(Ordering::Acquire)
    }

    fn matcher(&self) -> Arc<Matcher> {
        let mut state = self.lock();
        if let Some(matcher) = &state.matcher {
            return Arc::clone(matcher);
        }
        let matcher = Arc::new(Matcher::new(&state.forms));
        state.matcher = Some(Arc::clone(&matcher));
        matcher
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("forms", &self.lock().forms.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_registered_once_and_short_ones_are_refused() {
        let registry = Registry::new();
        assert_eq!(registry.add("hunter2-hunter2"), Added::Registered);
        assert_eq!(registry.clone().add("hunter2-hunter2"), Added::Known);
        assert_eq!(registry.add("12345"), Added::TooShort);
        assert_eq!(registry.add("  12345\n "), Added::TooShort);
        assert_eq!(registry.add(&"x".repeat(MAX_VALUE + 1)), Added::TooLong);
    }

    #[test]
    fn nothing_that_prints_a_registry_prints_a_secret() {
        let registry = Registry::new();
        let _ = registry.add("hunter2-hunter2");
        let mut stream = Stream::new(&registry);
        stream.push(b"hunter2-hunt", &mut Vec::new());
        let shown = format!("{registry:?} {stream:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn what_masks_without_end_is_stopped() {
        let registry = Registry::new();
        let full = (0..200_u32)
            .map(|n| registry.add(&format!("{n}{}", "é\"<".repeat(10_000))))
            .any(|a| a == Added::Full);
        assert!(full);
    }

    #[test]
    fn text_without_secrets_is_not_copied() {
        let registry = Registry::new();
        let _ = registry.add("hunter2-hunter2");
        assert!(matches!(registry.text("nothing to see"), Cow::Borrowed(_)));
        assert_eq!(registry.text("a hunter2-hunter2 b"), "a *** b");
    }
}
