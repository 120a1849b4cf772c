//! From a manifest's bytes to a [`Manifest`], or to everything that is wrong with it.
//!
//! Two passes over the tree. The first, `shape`, asks the table of fields about every key and scalar. The second builds
//! the manifest and looks at what single values cannot tell: expressions, patterns, and what names what. A value that
//! the first pass refused counts as absent in the second, so that one mistake gives one complaint.

mod command;
pub(crate) mod complaints;
mod finding;
mod graph;
mod phrase;
mod reader;
mod references;
mod sandbox;
pub(crate) mod scalar;
pub(crate) mod shape;
mod step;
mod strategy;
#[cfg(test)]
mod tests;
mod verdict;
pub(crate) mod view;

use std::fmt;

use crate::id::{RepoPath, Sha256};
use crate::manifest::diagnostic::{Diagnostic, Source};
use crate::manifest::expression::Place;
use crate::manifest::fields::Kind;
use crate::manifest::fields::table::MANIFEST;
use crate::manifest::fields::words::SHELLS;
use crate::manifest::model::{Defaults, Manifest, Shell, Spanned};
use crate::manifest::read::reader::Reader;
use crate::manifest::read::view::View;
use crate::manifest::tree::{self, Node};

/// A manifest without errors.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// What it says.
    pub manifest: Manifest,
    /// Its text, for diagnostics that later rooms have.
    pub source: Source,
    /// Digest of its bytes.
    pub sha256: Sha256,
    /// What its author should know although it is valid.
    pub warnings: Vec<Diagnostic>,
}

/// A manifest with errors.
#[derive(Clone, Debug)]
pub struct Invalid {
    /// Its text, as far as it can be shown.
    pub source: Source,
    /// All complaints in the file's order; at least one is an error.
    pub diagnostics: Vec<Diagnostic>,
}

// By hand, because the field `source` is a text here and not a cause, which is what a derive would take it for.
impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not a valid manifest", self.source.path)
    }
}

impl std::error::Error for Invalid {}

/// Reads a manifest. `path` is the name by which diagnostics call it.
///
/// # Errors
/// Everything that is wrong with the file, in one go; only bytes that are no YAML stop it early.
pub fn manifest(path: &str, bytes: &[u8]) -> Result<Parsed, Invalid> {
    let source = |text: String| Source { path: path.to_owned(), text };
    let text = match tree::decode(bytes) {
        Ok(text) => text,
        Err((text, diagnostic)) => {
            return Err(Invalid { source: source(text), diagnostics: vec![diagnostic] });
        }
    };
    let root = match tree::parse(&text) {
        Ok(root) => root,
        Err(diagnostics) => return Err(Invalid { source: source(text), diagnostics }),
    };
    let mut reader = Reader::new(&text);
    let start = shape::first_key(&root);
    shape::check(&root, &Kind::Object(&MANIFEST), "a manifest", start, &mut reader.out);
    let manifest = reader.manifest(&root);
    match reader.out.finish() {
        Ok(warnings) => Ok(Parsed { manifest, source: source(text), sha256: Sha256::of(bytes), warnings }),
        Err(diagnostics) => Err(Invalid { source: source(text), diagnostics }),
    }
}

impl Reader<'_> {
    fn manifest(&mut self, root: &Node) -> Manifest {
        let view = View::item(root, &MANIFEST);
        let manifest = Manifest {
            name: view.text("name"),
            env: self.env(view, Place::OuterEnv),
            defaults: self.defaults(view.object("defaults")),
            sandbox: self.sandbox(view.object("sandbox")),
            suppressions: self.suppressions(view),
            commands: view.map("commands").filter_map(|entry| self.command(entry)).collect(),
        };
        references::check_outside(&manifest, &mut self.out);
        sandbox::check_ports(&manifest, &mut self.out);
        manifest
    }

    fn defaults(&mut self, view: View<'_>) -> Defaults {
        let run = view.object("run");
        Defaults {
            shell: run.word("shell", &SHELLS).unwrap_or(Shell::Bash),
            working_directory: self
                .path(run, "working-directory")
                .unwrap_or(Spanned { value: RepoPath::root(), span: run.anchor }),
            timeout: view.minutes("timeout-minutes").unwrap_or_default(),
        }
    }
}
