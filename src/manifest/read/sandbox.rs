//! Sandbox settings.

use crate::id::RepoPath;
use crate::manifest::diagnostic::Diagnostic;
use crate::manifest::fields::words::NETWORKS;
use crate::manifest::model::{Command, LimitSettings, Manifest, Network, SandboxSettings, Spanned};
use crate::manifest::read::complaints::{Complaints, quoted};
use crate::manifest::read::reader::Reader;
use crate::manifest::read::scalar;
use crate::manifest::read::view::View;

/// Folders that no script ever sees: the repository's own state, and ours.
const HIDDEN: [&str; 2] = [".git", ".rungate"];

impl Reader<'_> {
    pub(super) fn sandbox(&mut self, view: View<'_>) -> SandboxSettings {
        let require = view.key_span("require").map(|span| Spanned {
            value: view
                .list("require")
                .iter()
                .filter_map(|node| scalar::requirement(node.scalar()?).ok())
                .collect(),
            span,
        });
        for key in ["require", "ports", "read", "write", "env"] {
            self.distinct(&view.texts(key));
        }
        SandboxSettings {
            require,
            network: view.spanned_word("network", &NETWORKS),
            ports: view.key_span("ports").map(|span| Spanned { value: ports(view), span }),
            read: view.node("read").map(|_| self.readable(view)),
            write: view.node("write").map(|_| self.writable(view)),
            env: view.node("env").map(|_| view.variables("env")),
            unix_sockets: view.node("unix-sockets").map(|_| view.spanned_flag("unix-sockets")),
            limits: limits(view.object("limits")),
        }
    }

    fn writable(&mut self, view: View<'_>) -> Vec<Spanned<RepoPath>> {
        let paths = self.paths(view, "write");
        for path in &paths {
            if let Some(hidden) = hidden(&path.value) {
                let message = format!("{} would let scripts write `{hidden}`", quoted(path.value.as_str()));
                let help = "name the folders that the script writes, such as `build`".to_owned();
                self.complain("hidden-path", path.span, message, Some(help));
            }
        }
        paths
    }

    fn readable(&mut self, view: View<'_>) -> Vec<Spanned<String>> {
        let paths = view.texts("read");
        for path in &paths {
            let text = path.value.as_str();
            let inside = RepoPath::from_written(text);
            let broken = text.split('/').any(|part| part == "..") || text.contains(['\0', '\n', '\r']);
            if text.starts_with('~') {
                let message = format!("{} is not expanded", quoted(text));
                self.complain("invalid-path", path.span, message, Some("write the whole path".to_owned()));
            } else if broken || (!text.starts_with('/') && inside.is_err() && !text.contains("${{")) {
                let message = format!(
                    "`read` takes absolute paths and paths inside the repository, not {}",
                    quoted(text)
                );
                self.complain("invalid-path", path.span, message, None);
            } else if let Some(name) =
                HIDDEN.iter().find(|name| inside.as_ref().is_ok_and(|path| below(path, name)))
            {
                let message = format!("`{name}` is hidden from every script");
                self.complain("hidden-path", path.span, message, None);
            }
        }
        paths
    }
}

fn below(path: &RepoPath, name: &str) -> bool {
    path.as_str().split('/').next() == Some(name)
}

/// The hidden folder that `path` lies in or contains.
fn hidden(path: &RepoPath) -> Option<&'static str> {
    HIDDEN.into_iter().find(|name| path.as_str() == "." || below(path, name))
}

fn ports(view: View<'_>) -> Vec<u16> {
    view.list("ports").iter().filter_map(|node| node.scalar()?.text.parse().ok()).collect()
}

fn limits(view: View<'_>) -> LimitSettings {
    LimitSettings {
        memory: view.size("memory"),
        processes: view.integer("processes"),
        cpu: view.duration("cpu"),
        scratch: view.size("scratch"),
        output: view.size("output"),
        report: view.size("report"),
        artifacts: view.size("artifacts"),
        artifact_files: view.integer("artifact-files"),
        grace: view.duration("grace"),
    }
}

/// Complains about ports where there is no network that has any. Settings are inherited, so that only the whole
/// manifest can tell.
pub(super) fn check_ports(manifest: &Manifest, out: &mut Complaints) {
    let hosts = |settings: &SandboxSettings| {
        settings.network.as_ref().is_some_and(|network| network.value == Network::Host)
    };
    let command_hosts =
        |command: &Command| hosts(&command.sandbox) || command.steps.iter().any(|step| hosts(&step.sandbox));
    let mut check = |settings: &SandboxSettings, network: bool| {
        if let Some(ports) = settings.ports.as_ref().filter(|_| !network) {
            out.push(
                Diagnostic::error(
                    "conflicting-keys",
                    ports.span,
                    "`ports` says nothing without `network: host`",
                )
                .help("write `network: host`, too"),
            );
        }
    };
    let outer = &manifest.sandbox;
    check(outer, hosts(outer) || outer.network.is_none() && manifest.commands.iter().any(command_hosts));
    for command in &manifest.commands {
        let own = command.sandbox.network.as_ref().or(outer.network.as_ref());
        let own = own.is_some_and(|network| network.value == Network::Host);
        let open = command.sandbox.network.is_none();
        check(&command.sandbox, own || open && command_hosts(command));
        for step in &command.steps {
            check(
                &step.sandbox,
                step.sandbox.network.as_ref().map_or(own, |network| network.value == Network::Host),
            );
        }
    }
}
