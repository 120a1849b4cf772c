//! What a manifest says about a source of findings, whatever its format.

use std::collections::BTreeMap;

use crate::finding::Level;
use crate::parse::path::PathRules;

/// Longest message that is kept, in bytes: as long as the Checks API takes.
pub const MAX_MESSAGE: usize = 64 << 10;

/// How what a tool says becomes findings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The tool's name; absent: the format's own.
    pub tool: Option<String>,
    /// Level where the tool gives none; absent: the format's own.
    pub level: Option<Level>,
    /// The tool's word for a level → our level, whatever the word's case.
    pub map: BTreeMap<String, Level>,
    /// What is known about the tool's paths.
    pub paths: PathRules,
}

impl Options {
    /// The level that the tool's `word` means: what `map` says, else the words that everybody knows. Without a word it is
    /// the level for such cases, `failure` unless another is set. Nothing for a word that nobody knows.
    #[must_use]
    pub fn level(&self, word: &str) -> Option<Level> {
        if word.is_empty() {
            return Some(self.level.unwrap_or(Level::Failure));
        }
        let known = [("error", Level::Failure), ("warning", Level::Warning), ("notice", Level::Notice)];
        self.known_level(word, &known)
    }

    /// The level of a format with words of its own, `known`. Without a word, or with one that nobody knows, it is the
    /// level that the manifest sets for such cases, else `default`.
    #[must_use]
    pub fn level_of(&self, word: Option<&str>, known: &[(&str, Level)], default: Level) -> Level {
        word.and_then(|word| self.known_level(word, known)).or(self.level).unwrap_or(default)
    }

    fn known_level(&self, word: &str, known: &[(&str, Level)]) -> Option<Level> {
        let mapped = self.map.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
        mapped.map(|(_, level)| *level).or_else(|| {
            known.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, level)| *level)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_comes_before_the_words_that_everybody_knows() {
        let options = Options {
            level: Some(Level::Notice),
            map: BTreeMap::from([("hint".to_owned(), Level::Notice), ("error".to_owned(), Level::Warning)]),
            ..Options::default()
        };
        let levels = ["", "HINT", "Error", "warning", "info"].map(|word| options.level(word));
        let notice = Some(Level::Notice);
        assert_eq!(levels, [notice, notice, Some(Level::Warning), Some(Level::Warning), None]);
        assert_eq!(Options::default().level(""), Some(Level::Failure));
    }
}
