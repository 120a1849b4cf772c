//! What of a folder is wanted, by its names alone.

use crate::plan::globs::Selection;
use crate::workspace::files::is_hidden_name;

/// What of a folder is wanted.
#[derive(Debug)]
pub struct Wanted {
    selection: Selection,
    /// Folders outside which no pattern can match, as the beginning of the patterns names them.
    prefixes: Vec<String>,
    hidden: Hidden,
    links: bool,
}

/// What becomes of files and folders that begin with a dot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hidden {
    /// They are not looked at.
    Skip,
    /// They are like others, except `.git` and `.rungate`.
    Take,
}

impl Wanted {
    /// What `patterns` name: globs, the last of which that names a file decides. One that names a folder names all that
    /// is in it.
    ///
    /// # Errors
    /// Names the pattern that is not one.
    pub fn new(patterns: &[String], hidden: Hidden) -> Result<Self, String> {
        let mut all = Vec::with_capacity(patterns.len() * 2);
        let mut prefixes = Vec::new();
        for pattern in patterns {
            let pattern = pattern.trim_end_matches('/');
            let (sign, glob) = pattern.strip_prefix('!').map_or(("", pattern), |glob| ("!", glob));
            let glob = glob.trim_start_matches("./");
            all.push(format!("{sign}{glob}"));
            all.push(format!("{sign}{glob}/**"));
            if glob == "." {
                all.push(format!("{sign}**"));
            }
            if sign.is_empty() {
                prefixes.push(prefix(glob));
            }
        }
        Ok(Self { selection: Selection::new(&all)?, prefixes, hidden, links: false })
    }

    /// The same, with symbolic links.
    #[must_use]
    pub fn with_links(self) -> Self {
        Self { links: true, ..self }
    }

    /// Whether symbolic links are wanted.
    pub(super) const fn links(&self) -> bool {
        self.links
    }

    /// The folder from which paths are counted: the deepest one that holds everything that the patterns begin with, up to
    /// their first wildcards. What is taken away has no say in it.
    #[must_use]
    pub fn root(&self) -> String {
        let parts = |prefix: &str| -> Vec<String> {
            prefix.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
        };
        let common = |mut one: Vec<String>, other: Vec<String>| {
            let shared = one.iter().zip(&other).take_while(|(one, other)| one == other).count();
            one.truncate(shared);
            one
        };
        self.prefixes.iter().map(|prefix| parts(prefix)).reduce(common).unwrap_or_default().join("/")
    }

    /// Whether anything below the folder `path` can match.
    pub(super) fn enters(&self, path: &str) -> bool {
        let leads_to = |short: &str, long: &str| {
            long.strip_prefix(short)
                .is_some_and(|rest| short.is_empty() || rest.is_empty() || rest.starts_with('/'))
        };
        self.prefixes.iter().any(|prefix| leads_to(prefix, path) || leads_to(path, prefix))
    }

    /// Whether the file `path` matches.
    pub(super) fn takes(&self, path: &str) -> bool {
        self.selection.matches(path)
    }

    /// Whether an entry of this name can be wanted at all.
    pub(super) fn looks_at(&self, name: &[u8]) -> bool {
        let is_ours = std::str::from_utf8(name).is_ok_and(is_hidden_name);
        !is_ours && (self.hidden == Hidden::Take || !name.starts_with(b"."))
    }
}

/// The folders at the beginning of `glob` that have no wildcard.
fn prefix(glob: &str) -> String {
    let plain = |part: &&str| !part.contains(['*', '?', '[', '{', '\\']) && *part != ".";
    glob.split('/').take_while(plain).collect::<Vec<_>>().join("/")
}
