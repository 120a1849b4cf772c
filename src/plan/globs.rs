//! Globs over paths of the repository.

use globset::GlobBuilder;
use regex::bytes::{Regex, RegexBuilder};

/// Most memory of one compiled glob, in bytes.
const MAX_COMPILED: usize = 1 << 20;

/// Globs as a list: a file is selected when the last glob that names it does not begin with `!`. `*` stays within a
/// folder, `**` crosses folders.
#[derive(Debug)]
pub struct Selection(Vec<(bool, Regex)>);

impl Selection {
    /// Compiles `patterns`.
    ///
    /// # Errors
    /// Names the pattern that is not one.
    pub fn new(patterns: &[String]) -> Result<Self, String> {
        let compile = |pattern: &String| {
            let (take, rest) = match pattern.strip_prefix('!') {
                Some(rest) => (false, rest),
                None => (true, pattern.as_str()),
            };
            let rest = rest.strip_prefix("./").unwrap_or(rest);
            let shown: String = pattern.chars().take(80).collect();
            let glob = GlobBuilder::new(rest).literal_separator(true).backslash_escape(true).build();
            let glob = glob.map_err(|error| format!("{shown:?} is not a glob: {}", error.kind()))?;
            // The glob's own matcher panics where the expression that it becomes is too large.
            let matcher =
                RegexBuilder::new(glob.regex()).dot_matches_new_line(true).size_limit(MAX_COMPILED).build();
            matcher.map(|matcher| (take, matcher)).map_err(|_| format!("the glob {shown:?} is too large"))
        };
        patterns.iter().map(compile).collect::<Result<_, _>>().map(Self)
    }

    /// Whether `path` is selected.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        self.0.iter().rev().find(|(_, glob)| glob.is_match(path.as_bytes())).is_some_and(|(take, _)| *take)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_glob_that_names_a_file_decides() {
        let patterns = ["**/*.py", "!vendor/**", "vendor/ours/*.py"].map(str::to_owned);
        let selection = Selection::new(&patterns).unwrap();
        let taken = ["a.py", "x/y/a.py", "vendor/a.py", "vendor/ours/a.py", "vendor/ours/x/a.py", "a.rs"]
            .map(|path| selection.matches(path));
        assert_eq!(taken, [true, true, false, true, false, false]);
        assert!(
            !Selection::new(&["*.py".to_owned()]).unwrap().matches("x/a.py"),
            "a star stays within its folder"
        );
    }

    #[test]
    fn a_broken_glob_is_named() {
        assert!(Selection::new(&["?".repeat(300_000)]).unwrap_err().contains("too large"));
        assert!(Selection::new(&["a[".to_owned()]).unwrap_err().contains("a["));
    }
}
