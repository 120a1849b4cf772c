//! The first pass over a manifest: keys and shapes, as the table of fields has them.
//!
//! It complains about everything that one value, or the keys of one map, can tell. The second pass then takes values
//! without another word where this one has already complained, so that one mistake is reported once.

use std::collections::BTreeSet;

use crate::manifest::diagnostic::{Diagnostic, Span};
use crate::manifest::fields::name::Name;
use crate::manifest::fields::{Absence, Kind, OWN_PREFIX, Object, Rule, words};
use crate::manifest::read::complaints::{Complaints, quoted};
use crate::manifest::read::scalar;
use crate::manifest::tree::{Entry, Node, NodeKind, Scalar};

/// A key that people would write who know GitHub Actions.
struct Elsewhere {
    object: &'static str,
    key: &'static str,
    /// What to do instead.
    help: &'static str,
    /// The key that stands for it here, whose absence is then no further mistake.
    meant: Option<&'static str>,
}

const fn elsewhere(
    object: &'static str,
    key: &'static str,
    help: &'static str,
    meant: Option<&'static str>,
) -> Elsewhere {
    Elsewhere { object, key, help, meant }
}

/// The format that is not asked for.
const ALWAYS_READ: &str = "workflow-commands";

/// Most keys that are listed to somebody who wrote another.
const FEW: usize = 12;

const ELSEWHERE: [Elsewhere; 8] = [
    elsewhere(
        "manifest",
        "on",
        "a workflow decides when a command runs; the manifest says what can run",
        None,
    ),
    elsewhere("manifest", "jobs", "write `commands`", Some("commands")),
    elsewhere("manifest", "permissions", "write `permissions` in a command", None),
    elsewhere("command", "runs-on", "a workflow decides where a command runs", None),
    elsewhere(
        "command",
        "container",
        "rungate starts no containers; the workflow's job can run in one",
        None,
    ),
    elsewhere("command", "services", "rungate starts no containers; the workflow's job can", None),
    elsewhere(
        "step",
        "uses",
        "rungate runs scripts, not actions: use the action in the workflow, or write `run` or `script`",
        Some("run"),
    ),
    elsewhere("step", "with", "values reach a script by `args` and `env`", None),
];

/// Complains about every part of `node` that is not what `kind` says. `label` names the value in messages, and `anchor`
/// is where a complaint about the whole of a map is shown.
pub(crate) fn check(node: &Node, kind: &Kind, label: &str, anchor: Span, out: &mut Complaints) {
    match (kind, &node.kind) {
        (Kind::Either(kinds), _) => either(node, kinds, label, anchor, out),
        (Kind::List { of, min, max }, NodeKind::Sequence(items)) => {
            count(items.len(), *min, *max, "items", label, node.span, out);
            let label = format!("an item of {label}");
            for item in items {
                check(item, of, &label, first_key(item), out);
            }
        }
        (Kind::Map { key, of, min, max }, NodeKind::Mapping(entries)) => {
            count(authored(entries).count(), *min, *max, "entries", label, anchor, out);
            for entry in authored(entries) {
                check_name(*key, entry, out);
                check(&entry.value, of, &quoted(&entry.key.text), entry.key_span, out);
            }
        }
        (Kind::Object(object), NodeKind::Mapping(entries)) => check_object(object, entries, anchor, out),
        (_, NodeKind::Scalar(written)) if kind.is_scalar() => {
            check_scalar(written, kind, label, place(node, anchor), out);
        }
        _ => {
            let message = format!("{label} must be {}, not {}", kind.expected(), described(node));
            let help = match (kind, &node.kind) {
                (Kind::List { .. }, NodeKind::Scalar(written)) if !scalar::is_null(written) => {
                    Some(format!("write `[{}]`", quoted(&written.text).trim_matches('`')))
                }
                (Kind::Object(object), NodeKind::Scalar(written))
                    if object.name == "matrix" && written.text.contains("${{") =>
                {
                    Some(
                        "give a dimension the expression, as in `table: ${{ fromJSON(inputs.tables) }}`"
                            .to_owned(),
                    )
                }
                _ => None,
            };
            complain("wrong-type", place(node, anchor), message, help, out);
        }
    }
}

fn complain(rule: &'static str, span: Span, message: String, help: Option<String>, out: &mut Complaints) {
    let mut diagnostic = Diagnostic::error(rule, span, message);
    diagnostic.help = help;
    out.push(diagnostic);
}

fn check_scalar(written: &Scalar, kind: &Kind, label: &str, span: Span, out: &mut Complaints) {
    let Err(mut refused) = scalar::check(written, kind) else { return };
    if refused.rule == "unknown-word" && refused.help.is_none() {
        refused.help = suggestion(&written.text, kind, out);
    }
    // A name speaks for itself; anything else is known by its key.
    let message = match kind {
        Kind::Name(_) if !scalar::is_null(written) => refused.why,
        _ => format!("{label} {}", refused.why),
    };
    complain(refused.rule, span, message, refused.help, out);
}

/// Complains about a key that the author chose and that is no name of its sort.
fn check_name(name: Name, entry: &Entry, out: &mut Complaints) {
    let written = entry.key.text.as_str();
    if let Err(refused) = name.check(written) {
        let help = refused.help.or_else(|| suggestion(written, &Kind::Name(name), out));
        complain(refused.rule, entry.key_span, format!("{} {}", quoted(written), refused.why), help, out);
    }
}

fn suggestion(written: &str, kind: &Kind, out: &mut Complaints) -> Option<String> {
    let words: &[&str] = match kind {
        Kind::Word(words) if written == ALWAYS_READ && words.contains(&"problem-matcher") => {
            return Some("remove this entry: workflow commands are always read".to_owned());
        }
        Kind::Word(words) => words,
        Kind::Requirement => &words::names(&words::LAYERS),
        Kind::Name(Name::Scope) => &words::SCOPES,
        _ => &[],
    };
    out.nearest(written, words.iter().copied()).map(|word| format!("write `{word}`"))
}

fn either(node: &Node, kinds: &[Kind], label: &str, anchor: Span, out: &mut Complaints) {
    let fitting: Vec<&Kind> = kinds
        .iter()
        .filter(|kind| match &node.kind {
            NodeKind::Scalar(_) => kind.is_scalar(),
            NodeKind::Sequence(_) => matches!(kind, Kind::List { .. }),
            NodeKind::Mapping(_) => matches!(kind, Kind::Map { .. } | Kind::Object(_)),
        })
        .collect();
    match (fitting.as_slice(), &node.kind) {
        ([only], _) => check(node, only, label, anchor, out),
        ([_, ..], NodeKind::Scalar(written))
            if fitting.iter().any(|kind| scalar::check(written, kind).is_ok()) => {}
        _ => {
            let expected = kinds.iter().map(Kind::expected).collect::<Vec<_>>().join(", or ");
            let message = format!("{label} must be {expected}, not {}", described(node));
            complain("wrong-type", place(node, anchor), message, None, out);
        }
    }
}

fn check_object(object: &'static Object, entries: &[Entry], anchor: Span, out: &mut Complaints) {
    let mut meant = BTreeSet::new();
    for entry in authored(entries) {
        let key = entry.key.text.as_str();
        if let Some(field) = object.field(key) {
            check(&entry.value, &field.kind, &quoted(key), entry.key_span, out);
        } else if let Some((name, kind)) = object.open {
            check_name(name, entry, out);
            check(&entry.value, kind, &quoted(key), entry.key_span, out);
        } else {
            meant.extend(unknown_key(object, entry, out));
        }
    }
    for field in object.fields {
        let written = has(entries, field.key) || meant.contains(field.key);
        if matches!(field.absence, Absence::Refused) && !written {
            let message = format!("{} has no `{}`", object.this(), field.key);
            let help = format!("write `{}:` with {}", field.key, field.kind.expected());
            complain("missing-key", anchor, message, Some(help), out);
        }
    }
    for rule in object.rules {
        check_rule(*rule, object, entries, &meant, anchor, out);
    }
}

/// Complains about a key that no field has; answers with the field that was probably meant.
fn unknown_key(object: &'static Object, entry: &Entry, out: &mut Complaints) -> Option<&'static str> {
    let key = entry.key.text.as_str();
    let elsewhere = ELSEWHERE.iter().find(|other| other.object == object.name && other.key == key);
    let near = match elsewhere {
        Some(other) => other.meant,
        None => out.nearest(key, object.fields.iter().map(|field| field.key)),
    };
    let help = match (elsewhere, near) {
        (Some(other), _) => Some(other.help.to_owned()),
        (None, Some(near)) => Some(format!("write `{near}`")),
        (None, None) if object.fields.len() <= FEW => {
            let keys: Vec<_> = object.fields.iter().map(|field| field.key).collect();
            Some(format!("known here: `{}`", keys.join("`, `")))
        }
        (None, None) => None,
    };
    let message = format!("{} is not a key of {}", quoted(key), object.any());
    complain("unknown-key", entry.key_span, message, help, out);
    near
}

fn check_rule(
    rule: Rule,
    object: &'static Object,
    entries: &[Entry],
    meant: &BTreeSet<&str>,
    anchor: Span,
    out: &mut Complaints,
) {
    let written = |key: &str| has(entries, key) || meant.contains(key);
    let word = |key: &str| match entries.iter().find(|entry| entry.key.text == key) {
        Some(entry) => match &entry.value.kind {
            NodeKind::Scalar(word) => Some(word.text.as_str()),
            _ => None,
        },
        None => match object.field(key)?.absence {
            Absence::Value(word) => Some(word),
            _ => None,
        },
    };
    match rule {
        Rule::ExactlyOne(keys) => {
            let choices = |word: &str| format!("`{}`", keys.join(&format!("` {word} `")));
            let present: Vec<&Entry> =
                entries.iter().filter(|entry| keys.contains(&entry.key.text.as_str())).collect();
            match present.as_slice() {
                [] if !keys.iter().any(|key| meant.contains(key)) => {
                    complain(
                        "missing-key",
                        anchor,
                        format!("{} has neither {}", object.this(), choices("nor")),
                        None,
                        out,
                    );
                }
                [first, second, ..] => out.push(
                    Diagnostic::error(
                        "conflicting-keys",
                        second.key_span,
                        format!("only one of {} can be written", choices("and")),
                    )
                    .related(first.key_span, "the other"),
                ),
                _ => {}
            }
        }
        Rule::Beside { key, with } => {
            if let Some(span) = key_span(entries, key).filter(|_| !written(with)) {
                let message = format!("`{key}` says nothing without `{with}`");
                complain("missing-key", span, message, Some(format!("write `{with}`, too")), out);
            }
        }
        Rule::Asks { key, words, requires } => {
            if let Some(word) = word(key).filter(|word| words.contains(word) && !written(requires)) {
                let span = value_span(entries, key).unwrap_or(anchor);
                let expected = object.field(requires).map(|field| field.kind.expected()).unwrap_or_default();
                let message = format!("`{key}: {word}` asks for `{requires}`");
                complain(
                    "missing-key",
                    span,
                    message,
                    Some(format!("write `{requires}:` with {expected}")),
                    out,
                );
            }
        }
        Rule::Only { key, with, words } => {
            let known = word(with).filter(|word| match object.field(with).map(|field| field.kind) {
                Some(Kind::Word(all)) => all.contains(word),
                _ => true,
            });
            if let (Some(span), Some(word)) = (key_span(entries, key), known)
                && !words.contains(&word)
            {
                let message =
                    format!("`{key}` is only for `{with}: {}`, not for `{word}`", words.join("`, `"));
                complain("conflicting-keys", span, message, None, out);
            }
        }
    }
}

/// The entries of a map without those that the author keeps for themselves.
pub(crate) fn authored(entries: &[Entry]) -> impl Iterator<Item = &Entry> {
    entries.iter().filter(|entry| !entry.key.text.starts_with(OWN_PREFIX))
}

fn has(entries: &[Entry], key: &str) -> bool {
    key_span(entries, key).is_some()
}

fn key_span(entries: &[Entry], key: &str) -> Option<Span> {
    entries.iter().find(|entry| entry.key.text == key).map(|entry| entry.key_span)
}

fn value_span(entries: &[Entry], key: &str) -> Option<Span> {
    entries.iter().find(|entry| entry.key.text == key).map(|entry| entry.value.span)
}

/// The first key of a map, which stands for the whole in complaints: a caret under twenty lines points at nothing.
pub(crate) fn first_key(node: &Node) -> Span {
    match &node.kind {
        NodeKind::Mapping(entries) => entries.first().map_or(node.span, |entry| entry.key_span),
        _ => node.span,
    }
}

fn place(node: &Node, anchor: Span) -> Span {
    match &node.kind {
        NodeKind::Scalar(written) if !written.text.is_empty() => node.span,
        _ => anchor,
    }
}

fn count(
    found: usize,
    min: usize,
    max: usize,
    what: &'static str,
    label: &str,
    span: Span,
    out: &mut Complaints,
) {
    if found < min {
        let message = format!("{label} must not be empty");
        complain("empty", span, message, None, out);
    } else if found > max {
        let message = format!("{label} has {found} {what}, more than the {max} that are allowed");
        complain("too-many", span, message, None, out);
    }
}

fn described(node: &Node) -> String {
    match &node.kind {
        NodeKind::Scalar(written) if scalar::is_null(written) => "nothing".to_owned(),
        NodeKind::Scalar(written) => quoted(&written.text),
        NodeKind::Sequence(_) => "a list".to_owned(),
        NodeKind::Mapping(_) => "a map".to_owned(),
    }
}
