//! A repository's name as GitHub writes it. Pure.

use std::fmt;

/// Longest owner or name, in bytes.
const MAX: usize = 100;

/// `owner/name`, safe to stand in a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    owner: String,
    name: String,
}

/// A text that names no repository.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no repository: it has to be OWNER/NAME")]
pub struct NoRepository(pub String);

impl Repository {
    /// Reads `owner/name`.
    ///
    /// # Errors
    /// Fails on everything else, such as an address.
    pub fn parse(text: &str) -> Result<Self, NoRepository> {
        match text.trim().split_once('/') {
            Some((owner, name)) if is_part(owner) && is_part(name) => {
                Ok(Self { owner: owner.to_owned(), name: name.to_owned() })
            }
            _ => Err(NoRepository(text.to_owned())),
        }
    }

    /// Its name, without the owner.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its path in the API: `/repos/owner/name`, and `rest`, which begins with a slash, below it.
    #[must_use]
    pub fn path(&self, rest: &str) -> String {
        format!("/repos/{self}{rest}")
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

fn is_part(text: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=MAX).contains(&text.len()) && text.bytes().all(fine) && !matches!(text, "." | "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_owner_and_name_are_accepted() {
        let repository = Repository::parse(" octo-org/hello.world\n").unwrap();
        assert_eq!(repository.path("/check-runs"), "/repos/octo-org/hello.world/check-runs");
        for text in ["", "x", "/x", "x/", "a/b/c", "https://github.com/a/b", "a/..", "./b", "a/b?x", "a b/c"]
        {
            assert!(Repository::parse(text).is_err(), "{text}");
        }
    }
}
