//! From a policy's bytes to a [`Policy`], or to everything that is wrong with it.
//!
//! As with a manifest, the first pass asks the table about every key and scalar, and the second builds values and looks
//! at what only several of them together can tell.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use crate::id::EnvName;
use crate::manifest::diagnostic::{Diagnostic, Source};
use crate::manifest::fields::Kind;
use crate::manifest::fields::name::Name;
use crate::manifest::fields::words::{NETWORKS, PERMISSIONS, value};
use crate::manifest::model::{Permission, Spanned};
use crate::manifest::read::complaints::{Complaints, quoted};
use crate::manifest::read::scalar;
use crate::manifest::read::shape;
use crate::manifest::read::view::View;
use crate::manifest::tree::{self, Node};
use crate::policy::fields::{DEFAULTS, FACTS, MODES, POLICY, RULE, VERBS};
use crate::policy::model::{
    Basis, Confine, HostApp, Mode, Oidc, Otherwise, Permissions, Policy, Reference, Rule, Verb,
};
use crate::policy::pattern::{Actor, RefGlob, RepositoryGlob};

/// Where a policy stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is the host's own.
    Host,
    /// It is a further one, which a job's environment names.
    Further,
}

/// A policy without errors.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// What it says.
    pub policy: Policy,
    /// What its author should know although it is valid.
    pub warnings: Vec<Diagnostic>,
}

/// A policy with errors.
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
        write!(f, "{} is not a valid policy", self.source.path)
    }
}

impl std::error::Error for Invalid {}

/// Reads a policy. `path` is the name by which diagnostics call it.
///
/// # Errors
/// Everything that is wrong with the file, in one go; only bytes that are no YAML stop it early.
pub fn policy(path: &str, bytes: &[u8], standing: Standing) -> Result<Parsed, Invalid> {
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
    let mut out = Complaints::default();
    shape::check(&root, &Kind::Object(&POLICY), "a policy", shape::first_key(&root), &mut out);
    if standing == Standing::Further {
        check_further(View::item(&root, &POLICY), &mut out);
    }
    let policy = whole(&root, source(text.clone()), &mut out);
    match out.finish() {
        Ok(warnings) => Ok(Parsed { policy, warnings }),
        Err(diagnostics) => Err(Invalid { source: source(text), diagnostics }),
    }
}

fn whole(root: &Node, source: Source, out: &mut Complaints) -> Policy {
    let view = View::item(root, &POLICY);
    let oidc = view.object("oidc");
    let policy = Policy {
        source,
        default: spanned(view.spanned_word("default", &DEFAULTS), Otherwise::Deny, view),
        max_timeout: limit(view),
        sandbox: confine(view.object("sandbox"), out),
        facts: spanned(view.spanned_word("facts", &FACTS), Basis::Environment, view),
        server: view.spanned_text("server"),
        oidc: Oidc {
            issuer: oidc.text("issuer").unwrap_or_default(),
            audience: oidc.text("audience").unwrap_or_default(),
        },
        permissions: permissions(view),
        app: app(view),
        secret_sources: sources(view),
        rules: view.list("allow").iter().map(|node| rule(node, out)).collect(),
    };
    check_issuer(&policy, oidc, out);
    check_references(&policy, out);
    if policy.rules.is_empty() && policy.default.value == Otherwise::Deny {
        let message = "this policy refuses everything: its default is `deny`, and it has no rule";
        let help = "write a rule below `allow`, or `default: allow`";
        out.push(Diagnostic::error("empty", view.anchor, message).help(help).as_warning());
    }
    policy
}

fn spanned<T>(found: Option<Spanned<T>>, otherwise: T, view: View<'_>) -> Spanned<T> {
    found.unwrap_or(Spanned { value: otherwise, span: view.anchor })
}

fn limit(view: View<'_>) -> Option<Spanned<std::time::Duration>> {
    let span = view.key_span("max-timeout-minutes")?;
    view.minutes("max-timeout-minutes").map(|value| Spanned { value, span })
}

fn confine(view: View<'_>, out: &mut Complaints) -> Confine {
    let paths = |key| {
        let span = view.key_span(key)?;
        let value = view.texts(key).into_iter().map(|path| PathBuf::from(path.value)).collect();
        Some(Spanned { value, span })
    };
    let require = view.key_span("require").map(|span| Spanned {
        value: view
            .list("require")
            .iter()
            .filter_map(|node| scalar::requirement(node.scalar()?).ok())
            .collect::<Vec<_>>(),
        span,
    });
    let confine = Confine {
        require,
        network: view.spanned_word("network", &NETWORKS),
        mode: view.spanned_word("mode", &MODES),
        read: paths("read"),
        write: paths("write"),
    };
    if let (Some(mode), Some(require)) = (&confine.mode, &confine.require)
        && mode.value == Mode::Off
    {
        let message =
            "`mode: off` lets scripts run without any layer, and `require` names layers that must hold";
        let diagnostic = Diagnostic::error("conflicting-keys", mode.span, message);
        out.push(
            diagnostic.help("write `best-effort`, or take `require` away").related(require.span, "here"),
        );
    }
    confine
}

fn permissions(view: View<'_>) -> Option<Permissions> {
    let span = view.key_span("permissions")?;
    let scopes: BTreeMap<String, Permission> = view
        .map("permissions")
        .filter_map(|entry| Some((entry.key.text.clone(), value(&PERMISSIONS, &entry.value.scalar()?.text)?)))
        .collect();
    Some(Permissions { scopes, span })
}

fn app(view: View<'_>) -> Option<HostApp> {
    view.key_span("app")?;
    let view = view.object("app");
    Some(HostApp {
        id: view.text("id")?,
        keys: view
            .texts("keys")
            .into_iter()
            .map(|key| Spanned { value: Reference::of(&key.value), span: key.span })
            .collect(),
        installation: view.integer("installation"),
    })
}

fn sources(view: View<'_>) -> BTreeMap<EnvName, Spanned<Reference>> {
    view.map("secret-sources")
        .filter_map(|entry| {
            let reference = Reference::of(&entry.value.scalar()?.text);
            Some((entry.key.text.parse().ok()?, Spanned { value: reference, span: entry.value.span }))
        })
        .collect()
}

fn rule(node: &Node, out: &mut Complaints) -> Rule {
    let view = View::item(node, &RULE);
    let secrets = view.key_span("secrets").map(|span| Spanned {
        value: view.variables("secrets").into_iter().map(|name| name.value).collect(),
        span,
    });
    let rule = Rule {
        span: view.anchor,
        repositories: parsed(view, "repository", RepositoryGlob::of).unwrap_or_default(),
        refs: parsed(view, "refs", RefGlob::of),
        events: parsed(view, "events", |text| Some(text.to_owned())),
        actors: parsed(view, "actors", |text| Some(Actor::of(text))),
        commands: parsed(view, "commands", |text| text.parse().ok()),
        manifests: parsed(view, "manifest-sha256", |text| Some(text.to_owned())),
        verbs: match view.key_span("verbs") {
            Some(_) => view.words("verbs", &VERBS),
            None => Verb::USUAL.to_vec(),
        },
        forks: view.flag("forks"),
        secrets,
        max_timeout: limit(view),
        sandbox: confine(view.object("sandbox"), out),
        permissions: permissions(view),
    };
    if let (true, Some(secrets)) = (rule.forks, &rule.secrets)
        && !secrets.value.is_empty()
    {
        let message = "a rule that admits code from forks gives no secrets: whoever opens a pull request would have them";
        let diagnostic = Diagnostic::error("conflicting-keys", secrets.span, message);
        let help = "write a rule of its own for the repository's own branches";
        let forks = view.key_span("forks").unwrap_or(view.anchor);
        out.push(diagnostic.help(help).related(forks, "here"));
    }
    rule
}

/// The values of a list that is written. One that cannot be read has been complained about, and matches nothing.
fn parsed<T>(view: View<'_>, key: &str, read: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    view.key_span(key)?;
    Some(view.texts(key).iter().filter_map(|text| read(&text.value)).collect())
}

/// What is issued over clear text proves nothing, but on the host itself, where tests are.
fn check_issuer(policy: &Policy, view: View<'_>, out: &mut Complaints) {
    let issuer = &policy.oidc.issuer;
    let Some(rest) = issuer.strip_prefix("http://") else { return };
    let host = rest.split('/').next().unwrap_or_default();
    if host.split(':').next() == Some("127.0.0.1") || host.starts_with("[::1]") {
        return;
    }
    let span = view.node("issuer").map_or(view.anchor, |node| node.span);
    let message = format!("the issuer {} is reached in clear text, where anybody could sign", quoted(issuer));
    out.push(Diagnostic::error("clear-text", span, message).help("write its https address"));
}

/// What this version cannot follow is said when the file is checked, not only when a job needs it.
fn check_references(policy: &Policy, out: &mut Complaints) {
    let keys = policy.app.iter().flat_map(|app| &app.keys);
    for reference in keys.chain(policy.secret_sources.values()) {
        if let Reference::Other(text) = &reference.value
            && Name::SecretReference.check(text).is_ok()
        {
            let message = format!("{} cannot be followed yet in this version of rungate", quoted(text));
            let warning = Diagnostic::error("not-available", reference.span, message);
            out.push(warning.help("write `file:/PATH` or `systemd:NAME`").as_warning());
        }
    }
}

/// Whoever names a further policy would choose the App, the secrets and whose word counts.
fn check_further(view: View<'_>, out: &mut Complaints) {
    for key in ["app", "oidc", "secret-sources"] {
        if let Some(span) = view.key_span(key) {
            let message = format!("`{key}` can only be written in the host's own policy");
            let help = "move it to /etc/rungate/policy.yml; a further policy can only tighten";
            out.push(Diagnostic::error("only-in-host-policy", span, message).help(help));
        }
    }
}

#[cfg(test)]
mod tests;
