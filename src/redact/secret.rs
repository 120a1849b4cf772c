//! A secret text: nobody can hold one that the registry does not know, and printing it shows nothing.
//!
//! It must not know what the text is good for.

use std::fmt;

use crate::redact::Registry;

/// A secret text. It is redacted from the moment at which it exists, because there is no other way to make one.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes `text` and has `registry` hide it. A text of fewer than six bytes cannot be hidden and is no credential.
    #[must_use]
    pub fn new(text: impl Into<String>, registry: &Registry) -> Self {
        let text = text.into();
        let _too_short_for_a_credential = registry.add(&text);
        Self(text)
    }

    /// The text, for the one place that has to send or use it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(crate::redact::MARK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_from_its_first_moment_and_prints_nothing() {
        let registry = Registry::new();
        let secret = Secret::new("correct horse", &registry);
        assert_eq!(registry.text("the correct horse runs"), "the *** runs");
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "*** Some(***)");
        assert_eq!(secret.expose(), "correct horse");
    }
}
