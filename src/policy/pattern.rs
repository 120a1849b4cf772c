//! What a rule compares facts with. GitHub takes no notice of case in names of repositories, users and teams; git does
//! in references.

use globset::{GlobBuilder, GlobMatcher};

/// A repository, or several by a glob of the name.
#[derive(Clone, Debug)]
pub struct RepositoryGlob {
    matcher: GlobMatcher,
}

/// A reference, or several.
#[derive(Clone, Debug)]
pub struct RefGlob {
    matcher: GlobMatcher,
}

/// A user or a team.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A user's name.
    User(String),
    /// A team, `@organization/team`, in lower case.
    Team(String),
}

impl RepositoryGlob {
    /// Compiles what the table has let pass; absent when it is no glob.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let glob = GlobBuilder::new(text).literal_separator(true).case_insensitive(true).build().ok()?;
        Some(Self { matcher: glob.compile_matcher() })
    }

    /// Whether `repository` is one of them.
    #[must_use]
    pub fn matches(&self, repository: &str) -> bool {
        self.matcher.is_match(repository)
    }
}

impl RefGlob {
    /// Compiles what the table has let pass; absent when it is no glob. As in workflows, `*` stays within a part and `**`
    /// does not.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let glob = GlobBuilder::new(text).literal_separator(true).build().ok()?;
        Some(Self { matcher: glob.compile_matcher() })
    }

    /// Whether `reference` is one of them.
    #[must_use]
    pub fn matches(&self, reference: &str) -> bool {
        self.matcher.is_match(reference)
    }
}

impl Actor {
    /// Reads what the table has let pass.
    #[must_use]
    pub fn of(text: &str) -> Self {
        if text.starts_with('@') {
            Self::Team(text.to_ascii_lowercase())
        } else {
            Self::User(text.to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_matched_by_its_name_in_any_case_and_within_its_owner() {
        let glob = |text: &str| RepositoryGlob::of(text).unwrap();
        assert!(glob("acme/warehouse").matches("Acme/Warehouse"));
        assert!(glob("acme/data-*").matches("acme/data-lake"));
        for other in
            ["acme/warehouse2", "acme/ware", "acme2/warehouse", "x/acme/warehouse", "acme/warehouse/x", ""]
        {
            assert!(!glob("acme/warehouse").matches(other), "{other}");
        }
        assert!(!glob("acme/*").matches("acme/a/b"));
        assert!(!glob("acme/*").matches("evil/acme"));
    }

    #[test]
    fn a_reference_is_matched_to_the_letter_and_a_star_ends_at_a_slash() {
        let glob = |text: &str| RefGlob::of(text).unwrap();
        assert!(glob("refs/heads/main").matches("refs/heads/main"));
        assert!(glob("refs/heads/release/*").matches("refs/heads/release/1.0"));
        assert!(glob("refs/heads/**").matches("refs/heads/a/b"));
        for other in ["refs/heads/Main", "refs/heads/main2", "refs/heads/x/main", "refs/tags/main", "main"] {
            assert!(!glob("refs/heads/main").matches(other), "{other}");
        }
        assert!(!glob("refs/heads/release/*").matches("refs/heads/release/1/x"));
    }
}
