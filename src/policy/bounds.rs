//! What holds for something that is admitted: the strictest of what every policy says, and where it says so.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::id::EnvName;
use crate::manifest::diagnostic::Span;
use crate::manifest::model::{Network, Permission, Requirement, Spanned};
use crate::policy::model::{Confine, Mode, Policy, Rule};

/// A line of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as people know it.
    pub path: String,
    /// The line, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path, self.line)
    }
}

/// A bound, and the line that sets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound<T> {
    /// The bound.
    pub value: T,
    /// The line.
    pub at: Place,
}

/// What one policy says.
#[derive(Clone, Debug)]
struct Own {
    timeout: Vec<Bound<Duration>>,
    require: Vec<Bound<Requirement>>,
    network: Bound<Network>,
    mode: Bound<Mode>,
    read: Option<Bound<Vec<PathBuf>>>,
    write: Bound<Vec<PathBuf>>,
    permissions: Bound<BTreeMap<String, Permission>>,
    secrets: Bound<Option<Vec<EnvName>>>,
}

/// What every policy says.
#[derive(Clone, Debug, Default)]
pub struct Bounds {
    each: Vec<Own>,
}

impl Bounds {
    /// Adds what `policy` says where `rule` decides; its own words alone where none does.
    pub(super) fn add(&mut self, policy: &Policy, rule: Option<&Rule>) {
        let at = |span: Span| Place {
            path: policy.source.path.clone(),
            line: policy.source.position(span.start).line,
        };
        let decided = at(rule.map_or(policy.default.span, |rule| rule.span));
        let none = Confine::default();
        let (inner, outer) = (rule.map_or(&none, |rule| &rule.sandbox), &policy.sandbox);
        let limits = [policy.max_timeout.as_ref(), rule.and_then(|rule| rule.max_timeout.as_ref())];
        let required = [&outer.require, &inner.require].into_iter().flatten();
        let permissions = rule.and_then(|rule| rule.permissions.as_ref()).or(policy.permissions.as_ref());
        let secrets = rule.and_then(|rule| rule.secrets.as_ref());
        self.each.push(Own {
            timeout: limits.into_iter().flatten().map(|limit| bound(limit, at)).collect(),
            require: required
                .flat_map(|list| list.value.iter().map(|one| Bound { value: *one, at: at(list.span) }))
                .collect(),
            network: pick(inner.network.as_ref(), outer.network.as_ref(), at)
                .unwrap_or(Bound { value: Network::None, at: decided.clone() }),
            mode: pick(inner.mode.as_ref(), outer.mode.as_ref(), at)
                .unwrap_or(Bound { value: Mode::Required, at: decided.clone() }),
            read: pick(inner.read.as_ref(), outer.read.as_ref(), at),
            write: pick(inner.write.as_ref(), outer.write.as_ref(), at)
                .unwrap_or(Bound { value: Vec::new(), at: decided.clone() }),
            permissions: Bound {
                value: permissions.map(|permissions| permissions.scopes.clone()).unwrap_or_default(),
                at: permissions.map_or_else(|| decided.clone(), |permissions| at(permissions.span)),
            },
            secrets: Bound {
                value: secrets.map(|secrets| secrets.value.clone()),
                at: secrets.map_or(decided, |secrets| at(secrets.span)),
            },
        });
    }

    /// The longest time that there is.
    #[must_use]
    pub fn timeout(&self) -> Option<&Bound<Duration>> {
        self.each.iter().flat_map(|own| &own.timeout).min_by_key(|bound| bound.value)
    }

    /// The layers that must hold whatever is chosen, each once.
    #[must_use]
    pub fn require(&self) -> Vec<&Bound<Requirement>> {
        let mut all: Vec<&Bound<Requirement>> = Vec::new();
        for bound in self.each.iter().flat_map(|own| &own.require) {
            if !all.iter().any(|known| known.value == bound.value) {
                all.push(bound);
            }
        }
        all
    }

    /// The line that keeps scripts from the host's network, where one does.
    #[must_use]
    pub fn against_network(&self) -> Option<&Place> {
        self.each.iter().find(|own| own.network.value == Network::None).map(|own| &own.network.at)
    }

    /// The line that keeps a caller from a sandbox as weak as `mode`, where one does.
    #[must_use]
    pub fn against_mode(&self, mode: Mode) -> Option<&Place> {
        self.each.iter().find(|own| own.mode.value < mode).map(|own| &own.mode.at)
    }

    /// The line that keeps `path`, which is absolute and without links, from being read, where one does.
    #[must_use]
    pub fn against_read(&self, path: &Path) -> Option<&Place> {
        let bounds = self.each.iter().filter_map(|own| own.read.as_ref());
        bounds.filter(|bound| !covers(&bound.value, path)).map(|bound| &bound.at).next()
    }

    /// The same for writing.
    #[must_use]
    pub fn against_write(&self, path: &Path) -> Option<&Place> {
        self.each.iter().find(|own| !covers(&own.write.value, path)).map(|own| &own.write.at)
    }

    /// The line that keeps a token from doing `wanted` in `scope`, where one does. `scope` is in the words of a manifest or
    /// of the API; everybody may read metadata.
    #[must_use]
    pub fn against_permission(&self, scope: &str, wanted: Permission) -> Option<&Place> {
        let scope = scope.replace('_', "-");
        let granted = |own: &Own| match (own.permissions.value.get(&scope), wanted) {
            (_, Permission::None)
            | (Some(Permission::Write), _)
            | (Some(Permission::Read), Permission::Read) => true,
            (_, Permission::Read) => scope == "metadata",
            (_, Permission::Write) => false,
        };
        self.each.iter().find(|own| !granted(own)).map(|own| &own.permissions.at)
    }

    /// The line that keeps the secret `name` from scripts, where one does. One of the host has to be given by name.
    #[must_use]
    pub fn against_secret(&self, name: &EnvName, is_of_host: bool) -> Option<&Place> {
        let given = |own: &Own| match &own.secrets.value {
            Some(names) => names.contains(name),
            None => !is_of_host,
        };
        self.each.iter().find(|own| !given(own)).map(|own| &own.secrets.at)
    }

    /// The bounds as lines for people.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(limit) = self.timeout() {
            lines.push(format!("at most {} ({})", crate::clock::readable(limit.value), limit.at));
        }
        for required in self.require() {
            lines.push(format!("requires {} ({})", required.value, required.at));
        }
        lines.push(match self.against_network() {
            Some(place) => format!("no network of the host ({place})"),
            None => "the host's network may be asked for".to_owned(),
        });
        if let Some(weakest) = self.each.iter().map(|own| &own.mode).min_by_key(|mode| mode.value) {
            lines.push(format!("--sandbox {} is the weakest ({})", weakest.value.as_str(), weakest.at));
        }
        for read in self.each.iter().filter_map(|own| own.read.as_ref()) {
            lines.push(format!(
                "reads outside of the workspace only below {} ({})",
                listed(&read.value),
                read.at
            ));
        }
        lines
    }
}

fn listed(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    if paths.is_empty() { "nothing".to_owned() } else { paths.join(", ") }
}

fn covers(paths: &[PathBuf], path: &Path) -> bool {
    paths.iter().any(|allowed| path.starts_with(allowed))
}

fn bound<T: Clone>(value: &Spanned<T>, at: impl Fn(Span) -> Place) -> Bound<T> {
    Bound { value: value.value.clone(), at: at(value.span) }
}

/// What the rule says, else what the policy says.
fn pick<T: Clone>(
    inner: Option<&Spanned<T>>,
    outer: Option<&Spanned<T>>,
    at: impl Fn(Span) -> Place,
) -> Option<Bound<T>> {
    inner.or(outer).map(|value| bound(value, at))
}
