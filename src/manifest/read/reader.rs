//! What the second pass carries along, and the values that can still be wrong: expressions, globs and patterns.

use std::collections::BTreeMap;
use std::ops::Range;

use globset::GlobBuilder;
use regex::{Regex, RegexBuilder};
use regex_syntax::ast::parse::ParserBuilder;

use crate::id::RepoPath;
use crate::manifest::diagnostic::{Diagnostic, Span};
use crate::manifest::expression::{Part, Place, Template, parse};
use crate::manifest::model::{Condition, EnvEntry, Pattern, Spanned};
use crate::manifest::read::complaints::{Complaints, quoted};
use crate::manifest::read::scalar;
use crate::manifest::read::view::{View, spanned};
use crate::manifest::tree::{self, Locator, Node};

/// Longest pattern, in bytes.
const PATTERN_LENGTH: usize = 1_000;

/// Memory that a compiled pattern usually takes at most, and what one may take that needs more, such as `\w{1,200}`.
const USUAL_PATTERN: usize = 1 << 16;
const LARGE_PATTERN: usize = 1 << 22;

/// What compiling the patterns of one file may cost, where a usual one costs 1. It is the one part of reading a
/// manifest whose cost does not follow from the length of the file.
const ALL_PATTERNS: usize = 600;
const COST_OF_LARGE: usize = 15;

/// The second pass.
pub(super) struct Reader<'a> {
    /// The manifest's text.
    pub(super) source: &'a str,
    /// The complaints so far.
    pub(super) out: Complaints,
    patterns: usize,
    /// Patterns that are compiled already: people write the same one for many inputs.
    compiled: BTreeMap<String, Regex>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        Self { source, out: Complaints::default(), patterns: 0, compiled: BTreeMap::new() }
    }

    pub(super) fn complain(&mut self, rule: &'static str, span: Span, message: String, help: Option<String>) {
        let mut diagnostic = Diagnostic::error(rule, span, message);
        diagnostic.help = help;
        self.out.push(diagnostic);
    }

    /// A scalar that may hold expressions; absent when it is no text.
    pub(super) fn template(&mut self, node: &Node, place: Place) -> Option<Template> {
        let text = spanned(node)?;
        let locator = Locator::new(node, self.source);
        let locate = |range: Range<usize>| locator.span(range);
        match parse::template(&text.value, place, &locate) {
            Ok(template) => Some(Template { span: node.span, ..template }),
            Err(diagnostics) => {
                self.out.extend(diagnostics);
                Some(Template { parts: vec![Part::Text(String::new())], text: text.value, span: node.span })
            }
        }
    }

    pub(super) fn templates(&mut self, nodes: &[Node], place: Place) -> Vec<Template> {
        nodes.iter().filter_map(|node| self.template(node, place)).collect()
    }

    pub(super) fn condition(&mut self, node: &Node) -> Option<Condition> {
        let text = spanned(node)?;
        let locator = Locator::new(node, self.source);
        let locate = |range: Range<usize>| locator.span(range);
        match parse::condition(&text.value, &locate) {
            Ok((expr, text)) => Some(Condition { expr, text, span: node.span }),
            Err(diagnostics) => {
                self.out.extend(diagnostics);
                None
            }
        }
    }

    pub(super) fn env(&mut self, view: View<'_>, place: Place) -> Vec<EnvEntry> {
        let mut env = Vec::new();
        for entry in view.map("env") {
            let value = self.template(&entry.value, place);
            if let (Ok(name), Some(value)) = (entry.key.text.parse(), value) {
                env.push(EnvEntry { name: Spanned { value: name, span: entry.key_span }, value });
            }
        }
        env
    }

    /// A path inside the repository.
    pub(super) fn path(&mut self, view: View<'_>, key: &str) -> Option<Spanned<RepoPath>> {
        let path = view.path(key);
        if let (None, Some(written)) = (&path, view.spanned_text(key)) {
            self.outside(key, &written);
        }
        path
    }

    pub(super) fn paths(&mut self, view: View<'_>, key: &str) -> Vec<Spanned<RepoPath>> {
        let mut paths = Vec::new();
        for written in view.texts(key) {
            match RepoPath::from_written(&written.value) {
                Ok(value) => paths.push(Spanned { value, span: written.span }),
                Err(_) => self.outside(key, &written),
            }
        }
        paths
    }

    fn outside(&mut self, key: &str, written: &Spanned<String>) {
        if written.value.contains("${{") {
            return;
        }
        let expected = crate::manifest::fields::Kind::Path.expected();
        let message = format!("`{key}` must be {expected}, not {}", quoted(&written.value));
        self.complain("invalid-path", written.span, message, None);
    }

    /// Complains about a glob that is none, or that leads out of the repository. A glob with expressions is judged when
    /// they have values.
    pub(super) fn glob(&mut self, template: &Template, negatable: bool) {
        if let Some(text) = template.literal() {
            self.glob_text(text, template.span, negatable);
        }
    }

    pub(super) fn glob_text(&mut self, text: &str, span: Span, negatable: bool) {
        let bare = if negatable { text.strip_prefix('!').unwrap_or(text) } else { text };
        if text.is_empty() || bare.contains("${{") {
            return;
        }
        if bare.is_empty() {
            self.complain("invalid-glob", span, "nothing follows the `!`".to_owned(), None);
            return;
        }
        if bare.starts_with('/') || bare.split('/').any(|part| part == "..") {
            let message = format!("{} leads out of the repository", quoted(text));
            let help = "write globs from the repository's root, without `..`".to_owned();
            self.complain("invalid-glob", span, message, Some(help));
        } else if let Err(error) = GlobBuilder::new(bare).literal_separator(true).build() {
            self.complain(
                "invalid-glob",
                span,
                format!("{} is not a glob: {}", quoted(text), error.kind()),
                None,
            );
        }
    }

    /// Compiles a pattern so that it matches only whole values.
    pub(super) fn pattern(&mut self, node: &Node) -> Option<Pattern> {
        let text = spanned(node)?.value;
        if text.len() > PATTERN_LENGTH {
            let message = format!("a pattern has at most {PATTERN_LENGTH} bytes");
            self.complain("invalid-regex", node.span, message, None);
            return None;
        }
        // By itself first: `a)|(b` is refused, although it would be a pattern between the brackets that make it whole.
        if let Err(error) = ParserBuilder::new().nest_limit(50).build().parse(&text) {
            let place = error.span();
            let span = tree::locate(node, self.source, place.start.offset..place.end.offset);
            let message = format!("this is not a regular expression: {}", error.kind());
            self.complain("invalid-regex", span, message, None);
            return None;
        }
        match self.compile(&text) {
            Ok(whole) => Some(Pattern { text, whole }),
            Err(why) => {
                self.complain("invalid-regex", node.span, why, None);
                None
            }
        }
    }

    fn compile(&mut self, text: &str) -> Result<Regex, String> {
        if let Some(whole) = self.compiled.get(text) {
            return Ok(whole.clone());
        }
        for (size, cost) in [(USUAL_PATTERN, 1), (LARGE_PATTERN, COST_OF_LARGE)] {
            self.patterns += cost;
            if self.patterns > ALL_PATTERNS {
                return Err("the patterns of this manifest are too many, or too large, together".to_owned());
            }
            match RegexBuilder::new(&format!("^(?:{text})$")).size_limit(size).dfa_size_limit(size).build() {
                Ok(whole) => {
                    self.compiled.insert(text.to_owned(), whole.clone());
                    return Ok(whole);
                }
                Err(regex::Error::CompiledTooBig(_)) => {}
                Err(error) => {
                    // The library draws a picture of several lines, with the reason on the last.
                    let drawn = error.to_string();
                    let reason = drawn.lines().last().unwrap_or_default();
                    let reason = reason.strip_prefix("error: ").unwrap_or(reason);
                    return Err(format!("this is not a regular expression: {reason}"));
                }
            }
        }
        Err("this regular expression is too large".to_owned())
    }

    /// Whether a scalar is a plain boolean or number, as far as a matrix distinguishes them.
    pub(super) fn is_plain_number(node: &Node) -> bool {
        node.scalar()
            .is_some_and(|scalar| scalar.style == tree::Style::Plain && scalar::is_number(&scalar.text))
    }
}
