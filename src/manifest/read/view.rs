//! A map of the manifest seen through the table: values by key, defaults included.
//!
//! Nothing here complains. What cannot be read has been complained about by the first pass, and stands here as absent.

use std::time::Duration;

use crate::id::{EnvName, RepoPath, StepId};
use crate::manifest::diagnostic::Span;
use crate::manifest::fields::{Absence, Field, Kind, Object, words};
use crate::manifest::model::Spanned;
use crate::manifest::read::scalar;
use crate::manifest::read::shape::{authored, first_key};
use crate::manifest::tree::{Entry, Node, NodeKind, Scalar, Style};

/// A map whose keys the table knows.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    object: &'static Object,
    entries: &'a [Entry],
    /// Where complaints about the map as a whole are shown.
    pub(crate) anchor: Span,
}

impl<'a> View<'a> {
    /// The map `node` as an `object`; empty when it is none.
    pub(crate) fn of(node: &'a Node, object: &'static Object, anchor: Span) -> Self {
        Self { object, entries: entries(node), anchor }
    }

    /// A list item as an `object`.
    pub(crate) fn item(node: &'a Node, object: &'static Object) -> Self {
        Self::of(node, object, first_key(node))
    }

    fn field(&self, key: &str) -> Option<&'static Field> {
        let field = self.object.field(key);
        debug_assert!(field.is_some(), "the table has no `{key}` in a {}", self.object.name);
        field
    }

    fn entry(&self, key: &str) -> Option<&'a Entry> {
        let field = self.field(key)?;
        self.entries.iter().find(|entry| entry.key.text == field.key)
    }

    /// The value of `key` as written.
    pub(crate) fn node(&self, key: &str) -> Option<&'a Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// Where `key` is written.
    pub(crate) fn key_span(&self, key: &str) -> Option<Span> {
        self.entry(key).map(|entry| entry.key_span)
    }

    /// The object that `key` holds; an empty one when it is absent.
    pub(crate) fn object(&self, key: &str) -> Self {
        let object = self.field(key).and_then(|field| nested(&field.kind)).unwrap_or(self.object);
        match self.entry(key) {
            Some(entry) => Self::of(&entry.value, object, entry.key_span),
            None => Self { object, entries: &[], anchor: self.anchor },
        }
    }

    /// The entries of the map that `key` holds.
    pub(crate) fn map(&self, key: &str) -> impl Iterator<Item = &'a Entry> + use<'a> {
        authored(self.node(key).map_or(&[], entries))
    }

    /// The entries whose keys are not in the table.
    pub(crate) fn open_entries(&self) -> impl Iterator<Item = &'a Entry> + use<'a> {
        let object = self.object;
        authored(self.entries).filter(move |entry| object.field(&entry.key.text).is_none())
    }

    /// The items of the list that `key` holds, or the one value that stands for a list.
    pub(crate) fn list(&self, key: &str) -> &'a [Node] {
        match self.node(key) {
            Some(Node { kind: NodeKind::Sequence(items), .. }) => items,
            Some(node @ Node { kind: NodeKind::Scalar(_), .. }) if self.may_be_one(key) => {
                std::slice::from_ref(node)
            }
            _ => &[],
        }
    }

    fn may_be_one(&self, key: &str) -> bool {
        self.field(key).is_some_and(|field| field.kind.is_scalar())
    }

    /// The scalar that `key` holds, with its place; absent: the one that the table gives.
    fn value<T>(&self, key: &str, read: impl Fn(&Scalar) -> Option<T>) -> Option<Spanned<T>> {
        match (self.node(key), self.field(key)?.absence) {
            (Some(node), _) => {
                let value = node.scalar().filter(|scalar| !scalar::is_null(scalar)).and_then(read)?;
                Some(Spanned { value, span: node.span })
            }
            (None, Absence::Value(text)) => {
                let value = read(&Scalar { text: text.to_owned(), style: Style::Plain })?;
                Some(Spanned { value, span: self.anchor })
            }
            (None, _) => None,
        }
    }

    pub(crate) fn spanned_text(&self, key: &str) -> Option<Spanned<String>> {
        // An empty default is plain and would read as null; a text is a text.
        self.value(key, |scalar| Some(scalar.text.clone()))
    }

    pub(crate) fn text(&self, key: &str) -> Option<String> {
        self.spanned_text(key).map(|text| text.value)
    }

    pub(crate) fn spanned_flag(&self, key: &str) -> Spanned<bool> {
        self.value(key, |scalar| scalar::bool(scalar).ok())
            .unwrap_or(Spanned { value: false, span: self.anchor })
    }

    pub(crate) fn flag(&self, key: &str) -> bool {
        self.spanned_flag(key).value
    }

    /// A whole number; the table's range is the proof that it fits `T`.
    pub(crate) fn integer<T: TryFrom<u64>>(&self, key: &str) -> Option<T> {
        let field = self.field(key)?;
        let Kind::Integer { min, max } = field.kind else { return None };
        let read = |scalar: &Scalar| scalar::integer(scalar, &field.kind, min, max).ok()?.try_into().ok();
        self.value(key, read).map(|number| number.value)
    }

    pub(crate) fn number(&self, key: &str) -> Option<f64> {
        let field = self.field(key)?;
        let (min, max) = match field.kind {
            Kind::Number { min, max } => (min, max),
            Kind::AnyNumber => (f64::MIN, f64::MAX),
            _ => return None,
        };
        self.value(key, |scalar| scalar::number(scalar, &field.kind, min, max).ok())
            .map(|number| number.value)
    }

    /// A number of minutes as a time.
    pub(crate) fn minutes(&self, key: &str) -> Option<Duration> {
        self.number(key).and_then(|minutes| Duration::try_from_secs_f64(minutes * 60.0).ok())
    }

    pub(crate) fn size(&self, key: &str) -> Option<u64> {
        let field = self.field(key)?;
        let Kind::Size { min, max } = field.kind else { return None };
        self.value(key, |scalar| scalar::size(scalar, &field.kind, min, max).ok()).map(|size| size.value)
    }

    pub(crate) fn duration(&self, key: &str) -> Option<Duration> {
        let field = self.field(key)?;
        let Kind::Duration { min, max } = field.kind else { return None };
        self.value(key, |scalar| scalar::duration(scalar, &field.kind, min, max).ok()).map(|time| time.value)
    }

    pub(crate) fn spanned_word<T: Copy>(&self, key: &str, words: &[(&'static str, T)]) -> Option<Spanned<T>> {
        self.value(key, |scalar| words::value(words, &scalar.text))
    }

    pub(crate) fn word<T: Copy>(&self, key: &str, words: &[(&'static str, T)]) -> Option<T> {
        self.spanned_word(key, words).map(|word| word.value)
    }

    /// The words of a list, in order.
    pub(crate) fn words<T: Copy>(&self, key: &str, words: &[(&'static str, T)]) -> Vec<T> {
        self.list(key).iter().filter_map(|node| words::value(words, &node.scalar()?.text)).collect()
    }

    /// The texts of a list, in order.
    pub(crate) fn texts(&self, key: &str) -> Vec<Spanned<String>> {
        self.list(key).iter().filter_map(spanned).collect()
    }

    pub(crate) fn date(&self, key: &str) -> Option<String> {
        self.value(key, |scalar| scalar::date(scalar).ok()).map(|date| date.value)
    }

    /// The names of a list, in order, those that are valid.
    pub(crate) fn variables(&self, key: &str) -> Vec<Spanned<EnvName>> {
        parsed(&self.texts(key))
    }

    /// The step ids of a list, in order, those that are valid.
    pub(crate) fn step_ids(&self, key: &str) -> Vec<Spanned<StepId>> {
        parsed(&self.texts(key))
    }

    /// A path inside the repository, if it is one.
    pub(crate) fn path(&self, key: &str) -> Option<Spanned<RepoPath>> {
        self.value(key, |scalar| RepoPath::from_written(&scalar.text).ok())
    }
}

fn nested(kind: &Kind) -> Option<&'static Object> {
    match kind {
        Kind::Object(object) => Some(object),
        Kind::Either(kinds) => kinds.iter().find_map(nested),
        _ => None,
    }
}

fn parsed<T: std::str::FromStr>(texts: &[Spanned<String>]) -> Vec<Spanned<T>> {
    texts
        .iter()
        .filter_map(|text| Some(Spanned { value: text.value.parse().ok()?, span: text.span }))
        .collect()
}

pub(crate) fn entries(node: &Node) -> &[Entry] {
    match &node.kind {
        NodeKind::Mapping(entries) => entries,
        _ => &[],
    }
}

/// A scalar's text with its place; absent for anything else, null included.
pub(crate) fn spanned(node: &Node) -> Option<Spanned<String>> {
    let scalar = node.scalar().filter(|scalar| !scalar::is_null(scalar))?;
    Some(Spanned { value: scalar.text.clone(), span: node.span })
}
