//! Building the tree from the YAML library's events.
//!
//! Two passes. The first collects the events and stops at everything that is too much, so that a hostile file costs no
//! more than its limits; the second builds the tree. An alias is built by reading its anchor's events again, so nodes
//! that nobody refers to are never copied.

use std::collections::HashMap;
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, StructureStyle};

use crate::manifest::diagnostic::{Diagnostic, Span, brief};
use crate::manifest::tree::{
    Entry, MAX_ALIASES, MAX_DEPTH, MAX_NODES, Node, NodeKind, Scalar, Style, syntax,
};

/// What the second pass needs of one event.
#[derive(Debug)]
enum Step {
    Scalar(Scalar),
    Sequence,
    Mapping,
    /// The end of the innermost list or map.
    End,
    /// Read the event at this index again.
    Alias(usize),
}

/// The one document of `text`.
pub(super) fn document(text: &str) -> Result<Node, Vec<Diagnostic>> {
    let mut collector = Collector::new(text);
    collector.collect()?;
    if !collector.diagnostics.is_empty() {
        return Err(collector.diagnostics);
    }
    let mut builder =
        Builder { text, steps: &collector.steps, nodes: 0, inside_alias: 0, diagnostics: Vec::new() };
    let root = match builder.node(0, 0) {
        Ok((root, _)) => root,
        Err(fatal) => {
            builder.diagnostics.push(fatal);
            return Err(builder.diagnostics);
        }
    };
    if builder.diagnostics.is_empty() { Ok(root) } else { Err(builder.diagnostics) }
}

struct Collector<'a> {
    text: &'a str,
    steps: Vec<(Step, Span)>,
    /// Indices of the lists and maps that are open.
    open: Vec<usize>,
    /// Index of the event that each anchor stands at, by the library's number.
    anchors: HashMap<usize, usize>,
    /// How many of the open ones are inside brackets, the outermost bracket included.
    flow: usize,
    aliases: usize,
    documents: usize,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> Collector<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            steps: Vec::new(),
            open: Vec::new(),
            anchors: HashMap::new(),
            flow: 0,
            aliases: 0,
            documents: 0,
            diagnostics: Vec::new(),
        }
    }

    fn collect(&mut self) -> Result<(), Vec<Diagnostic>> {
        let options = granit_parser::options! {
            strict_indentation: true,
            emit_comments: false,
            // One above our own limit, which names the place better; the library's own is reached while it looks ahead.
            flow_nesting_limit: MAX_DEPTH + 1,
            block_nesting_limit: MAX_DEPTH + 1,
        };
        for next in Parser::new_from_str_with_options(self.text, options) {
            let taken = match next {
                Ok((event, place)) => {
                    let span = self.span(&place);
                    self.take(event, span, place.tag_span().map(|tag| self.span(&tag)))
                }
                Err(error) => Err(syntax::diagnostic(self.text, &error)),
            };
            if let Err(fatal) = taken {
                self.diagnostics.push(fatal);
                return Err(std::mem::take(&mut self.diagnostics));
            }
        }
        let empty = match self.steps.as_slice() {
            [] => true,
            [(Step::Scalar(scalar), _)] => scalar.style == Style::Plain && scalar.text.is_empty(),
            _ => false,
        };
        if empty && self.diagnostics.is_empty() {
            let message = "the manifest is empty";
            self.diagnostics.push(Diagnostic::error("empty-document", Span::default(), message));
        }
        Ok(())
    }

    fn take(&mut self, event: Event<'_>, span: Span, tag: Option<Span>) -> Result<(), Diagnostic> {
        if event.tag().is_some() {
            self.diagnostics.push(
                Diagnostic::error("tag", tag.unwrap_or(span), "YAML tags are not allowed in a manifest")
                    .help("remove the tag; write text that looks like a number in quotes"),
            );
        }
        match event {
            Event::DocumentStart(..) => return self.document_start(span),
            Event::Scalar(text, style, anchor, _) => {
                let style = match style {
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
                    ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
                };
                self.check_indentation(span);
                // The library writes `~` where the file has nothing.
                let nothing = span.start == span.end && style == Style::Plain;
                let text = if nothing { String::new() } else { text.into_owned() };
                let span = if style == Style::Block { self.without_breaks(span) } else { span };
                self.push(Step::Scalar(Scalar { text, style }), span, anchor)?;
            }
            Event::SequenceStart(style, anchor, _) => self.open(Step::Sequence, style, span, anchor)?,
            Event::MappingStart(style, anchor, _) => self.open(Step::Mapping, style, span, anchor)?,
            Event::SequenceEnd | Event::MappingEnd => {
                self.open.pop();
                self.flow = self.flow.saturating_sub(1);
                self.steps.push((Step::End, span));
            }
            Event::Alias(anchor) => self.alias(anchor, span)?,
            _ => {}
        }
        Ok(())
    }

    fn document_start(&mut self, span: Span) -> Result<(), Diagnostic> {
        self.documents += 1;
        if self.documents == 1 {
            return Ok(());
        }
        let span = syntax::visible(self.text, span);
        Err(Diagnostic::error("several-documents", span, "a second YAML document begins here")
            .help("a manifest is one document; remove the `---` and what follows, or merge it"))
    }

    fn open(
        &mut self,
        step: Step,
        style: StructureStyle,
        span: Span,
        anchor: usize,
    ) -> Result<(), Diagnostic> {
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(syntax::visible(self.text, span)));
        }
        self.check_indentation(span);
        if self.flow > 0 || style == StructureStyle::Flow {
            self.flow += 1;
        }
        self.push(step, span, anchor)?;
        self.open.push(self.steps.len() - 1);
        Ok(())
    }

    fn push(&mut self, step: Step, span: Span, anchor: usize) -> Result<(), Diagnostic> {
        // Ends are steps as well, so this is a bound and not the count; the builder counts nodes exactly.
        if self.steps.len() > 2 * MAX_NODES {
            return Err(too_many_nodes(span));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, self.steps.len());
        }
        self.steps.push((step, span));
        Ok(())
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Diagnostic> {
        self.aliases += 1;
        if self.aliases > MAX_ALIASES {
            let message = format!("a manifest may use at most {MAX_ALIASES} aliases");
            return Err(Diagnostic::error("alias-limit", span, message));
        }
        let Some(&target) = self.anchors.get(&anchor) else {
            return Err(Diagnostic::error("yaml-syntax", span, "this alias has no anchor before it"));
        };
        if self.open.contains(&target) {
            return Err(Diagnostic::error("alias-cycle", span, "this alias stands inside what it refers to"));
        }
        self.push(Step::Alias(target), span, 0)
    }

    /// The library lets some tabs pass where they indent; outside brackets, none may.
    fn check_indentation(&mut self, span: Span) {
        if self.flow > 0 {
            return;
        }
        let line = self.text[..span.start].rfind('\n').map_or(0, |newline| newline + 1);
        let before = &self.text[line..span.start];
        if before.bytes().all(|byte| matches!(byte, b' ' | b'\t'))
            && let Some(tab) = before.find('\t')
        {
            let tab = Span { start: line + tab, end: line + tab + 1 };
            if self.diagnostics.last().is_none_or(|last| last.span != tab) {
                self.diagnostics.push(syntax::tab(tab, true));
            }
        }
    }

    /// The span of a block scalar without the line breaks at its end, which may reach to the next key.
    fn without_breaks(&self, span: Span) -> Span {
        let written = self.text[span.start..span.end].trim_end_matches([' ', '\n', '\r']);
        Span { start: span.start, end: span.start + written.len() }
    }

    fn span(&self, place: &granit_parser::Span) -> Span {
        let start = syntax::offset(self.text, place.start);
        Span { start, end: syntax::offset(self.text, place.end).max(start) }
    }
}

struct Builder<'a> {
    text: &'a str,
    steps: &'a [(Step, Span)],
    nodes: usize,
    /// How many aliases are being expanded: what is wrong inside one has been said where its anchor stands.
    inside_alias: usize,
    diagnostics: Vec<Diagnostic>,
}

impl Builder<'_> {
    /// The node that begins at step `at`, and the index of the step after it. Recursion is bounded by [`MAX_DEPTH`].
    fn node(&mut self, at: usize, depth: usize) -> Result<(Node, usize), Diagnostic> {
        let Some((step, span)) = self.steps.get(at) else {
            return Err(Diagnostic::error("yaml-syntax", Span::default(), "the document breaks off"));
        };
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(too_many_nodes(*span));
        }
        match step {
            Step::Scalar(scalar) => {
                Ok((Node { kind: NodeKind::Scalar(scalar.clone()), span: *span }, at + 1))
            }
            Step::Sequence | Step::Mapping if depth >= MAX_DEPTH => Err(too_deep(*span)),
            Step::Sequence => self.sequence(at, depth),
            Step::Mapping => self.mapping(at, depth),
            Step::Alias(target) => {
                self.inside_alias += 1;
                let (node, _) =
                    self.node(*target, depth).map_err(|error| error.related(*span, "expanded here"))?;
                self.inside_alias -= 1;
                Ok((node, at + 1))
            }
            Step::End => Err(Diagnostic::error("yaml-syntax", *span, "a value is missing")),
        }
    }

    fn sequence(&mut self, at: usize, depth: usize) -> Result<(Node, usize), Diagnostic> {
        let mut start = self.steps[at].1;
        let mut items = Vec::new();
        let mut next = at + 1;
        let mut end = start.end;
        while !self.is_end(next) {
            let (mut item, after) = self.node(next, depth + 1)?;
            end = end.max(self.written_end(next, &item));
            if is_empty(&item) {
                // Where the first item is empty, the library begins the list behind its dash.
                item.span = self.dash_before(item.span);
                start.start = start.start.min(item.span.start);
                end = end.max(item.span.end);
            }
            items.push(item);
            next = after;
        }
        let span = self.collection_span(start, end, next);
        Ok((Node { kind: NodeKind::Sequence(items), span }, next + 1))
    }

    fn mapping(&mut self, at: usize, depth: usize) -> Result<(Node, usize), Diagnostic> {
        let start = self.steps[at].1;
        let mut entries = Vec::<Entry>::new();
        let mut seen = HashMap::<&str, Span>::new();
        let steps = self.steps;
        let mut next = at + 1;
        let mut end = start.end;
        while !self.is_end(next) {
            let Some((Step::Scalar(key), key_span)) = steps.get(next) else {
                return Err(self.complex_key(next));
            };
            self.check_key(key, *key_span, seen.get(key.text.as_str()).copied());
            seen.entry(&key.text).or_insert(*key_span);
            let (mut value, after) = self.node(next + 1, depth + 1)?;
            end = end.max(self.written_end(next + 1, &value)).max(key_span.end);
            if is_empty(&value) {
                // Nothing was written, so the key is the only place to point at.
                value.span = *key_span;
            }
            entries.push(Entry { key: key.clone(), key_span: *key_span, value });
            next = after;
        }
        let span = self.collection_span(start, end, next);
        Ok((Node { kind: NodeKind::Mapping(entries), span }, next + 1))
    }

    fn check_key(&mut self, key: &Scalar, span: Span, first: Option<Span>) {
        if self.inside_alias > 0 {
            return;
        }
        if key.style == Style::Plain && key.text == "<<" {
            self.diagnostics.push(
                Diagnostic::error("merge-key", span, "merge keys are not allowed in a manifest")
                    .help("YAML 1.2 has no `<<`; write the keys out, or refer to a whole value by an alias"),
            );
        } else if key.style == Style::Block {
            self.diagnostics.push(Diagnostic::error(
                "complex-key",
                span,
                "a key must be a plain or quoted text",
            ));
        } else if let Some(first) = first {
            let message = format!("the key `{}` is written twice", brief(&key.text));
            self.diagnostics
                .push(Diagnostic::error("duplicate-key", span, message).related(first, "first written here"));
        }
    }

    fn complex_key(&self, at: usize) -> Diagnostic {
        let span = self.steps.get(at).map(|(_, span)| *span).unwrap_or_default();
        Diagnostic::error("complex-key", span, "a key must be a plain or quoted text")
    }

    fn is_end(&self, at: usize) -> bool {
        self.steps.get(at).is_none_or(|(step, _)| matches!(step, Step::End))
    }

    /// Where the node of step `at` ends as written: an alias ends where it stands, not where its anchor does.
    fn written_end(&self, at: usize, node: &Node) -> usize {
        match self.steps.get(at) {
            Some((Step::Alias(_), span)) => span.end,
            _ if is_empty(node) => 0,
            _ => node.span.end,
        }
    }

    /// The `-` of an item that holds nothing else, as the only place to point at.
    fn dash_before(&self, span: Span) -> Span {
        let before = self.text[..span.start].trim_end();
        if before.ends_with('-') { Span { start: before.len() - 1, end: before.len() } } else { span }
    }

    /// A block collection ends with its last node; a flow collection with its bracket, which has a width.
    fn collection_span(&self, start: Span, end: usize, at_end: usize) -> Span {
        let close: Range<usize> = self.steps.get(at_end).map_or(0..0, |(_, span)| span.start..span.end);
        let end = if close.is_empty() { end } else { close.end.max(end) };
        Span { start: start.start, end: end.max(start.start) }
    }
}

fn is_empty(node: &Node) -> bool {
    node.scalar().is_some_and(|scalar| scalar.style == Style::Plain && scalar.text.is_empty())
}

fn too_deep(span: Span) -> Diagnostic {
    let message = format!("lists and maps are nested more than {MAX_DEPTH} levels deep");
    Diagnostic::error("too-deep", span, message)
}

fn too_many_nodes(span: Span) -> Diagnostic {
    let message = format!("a manifest may have at most {MAX_NODES} values, aliases expanded");
    Diagnostic::error("too-large", span, message)
}
