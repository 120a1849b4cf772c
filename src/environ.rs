//! The environment of this process, read once and handed on as a value.
//!
//! Nothing else reads variables, so a test can run the whole program under an environment of its own, and a variable
//! that rungate obeys cannot hide in a corner. What a script gets to see is not decided here.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// A snapshot of environment variables.
#[derive(Clone, Debug, Default)]
pub struct Environ(BTreeMap<OsString, OsString>);

impl Environ {
    /// The variables of this process.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
    pub fn of_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// An environment made of `pairs`.
    pub fn of<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// The value of `name`, byte for byte.
    #[must_use]
    pub fn os(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// The value of `name` when it is set, not empty and UTF-8. GitHub sets variables that do not apply to `""`.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.os(name).and_then(OsStr::to_str).filter(|value| !value.is_empty())
    }

    /// The value of `name` as a path, when it is set and not empty.
    #[must_use]
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    /// Whether this process runs inside a GitHub Actions job.
    #[must_use]
    pub fn in_actions(&self) -> bool {
        self.text("GITHUB_ACTIONS") == Some("true")
    }

    /// The same environment without these variables.
    #[must_use]
    pub fn without(&self, names: &[&str]) -> Self {
        let kept = |name: &OsStr| !names.iter().any(|gone| name == *gone);
        Self(
            self.0
                .iter()
                .filter(|(name, _)| kept(name))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        )
    }

    /// The folder for temporary files.
    #[must_use]
    pub fn temporary(&self) -> PathBuf {
        self.path("TMPDIR").unwrap_or_else(|| PathBuf::from("/tmp"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_is_as_good_as_none() {
        let environ = Environ::of([("A", ""), ("B", "x"), ("GITHUB_ACTIONS", "true")]);
        assert_eq!(environ.text("A"), None);
        assert_eq!(environ.path("A"), None);
        assert_eq!(environ.text("B"), Some("x"));
        assert!(environ.in_actions());
    }
}
