//! Which wall of its sandbox a failed step has run against, as far as its last words tell. Nothing decides by it: it
//! helps an author who does not know yet what a step may do.

use crate::manifest::model::Network;
use crate::sandbox::confinement::{Confinement, Tier};

/// Last lines that are looked at: what a script has said long before is not why it ended.
const LINES: usize = 10;

/// How programs say that there is no network.
const OFFLINE: [&str; 5] = [
    "Could not resolve host",
    "Temporary failure in name resolution",
    "Name or service not known",
    "Network is unreachable",
    "EAI_AGAIN",
];

/// How programs say that a file system takes nothing.
const READ_ONLY: [&str; 2] = ["Read-only file system", "EROFS"];

/// What the author of a step that failed with `tail` as its last lines should know of its confinement; nothing where it
/// failed of something else.
pub(super) fn met(confinement: &Confinement, tail: &[String]) -> Option<&'static str> {
    let last = &tail[tail.len().saturating_sub(LINES)..];
    let said = |words: &[&str]| last.iter().any(|line| words.iter().any(|words| line.contains(words)));
    if confinement.network == Network::None && said(&OFFLINE) {
        return Some("a step has no network unless it asks for it with `sandbox.network`");
    }
    // The other tier lets nothing be written either, but there it is a permission that is missing, as elsewhere.
    if confinement.tier == Tier::Namespaces && said(&READ_ONLY) {
        return Some("a step writes its HOME, its TMPDIR and what `sandbox.write` names, and nothing else");
    }
    said(&["not a git repository"]).then_some("a step does not see .git")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sandbox::confinement::{KernelLimits, View};

    fn confinement(tier: Tier, network: Network) -> Confinement {
        Confinement {
            tier,
            view: View { workspace: None, hidden: Vec::new(), read: Vec::new(), write: Vec::new() },
            network,
            ports: Vec::new(),
            unix_sockets: false,
            limits: KernelLimits { memory: 0, processes: 0, cpu: Duration::ZERO, scratch: 0, inodes: 0 },
        }
    }

    #[test]
    fn the_wall_is_named_where_there_is_one() {
        let hint = |line: &str, tier, network| {
            let tail: Vec<String> = ["before", line, "after"].map(str::to_owned).into();
            met(&confinement(tier, network), &tail).unwrap_or("-")
        };
        let (none, host) = (Network::None, Network::Host);
        let curl = "curl: (6) Could not resolve host: example.com";
        assert!(hint(curl, Tier::Namespaces, none).contains("sandbox.network"));
        assert_eq!(hint(curl, Tier::Namespaces, host), "-", "it has the network, and failed all the same");
        let mkdir = "mkdir: cannot create directory ‘build’: Read-only file system";
        assert!(hint(mkdir, Tier::Namespaces, none).contains("sandbox.write"));
        assert_eq!(hint(mkdir, Tier::Landlock, none), "-", "nothing of ours is mounted read-only there");
        let git = "fatal: not a git repository (or any of the parent directories): .git";
        assert!(hint(git, Tier::Landlock, none).contains(".git"));
        assert_eq!(hint("assertion failed", Tier::Namespaces, none), "-");
    }

    #[test]
    fn what_was_said_long_before_is_not_why_it_ended() {
        let mut tail = vec!["cache: Read-only file system".to_owned()];
        tail.extend((0..LINES).map(|line| format!("line {line}")));
        assert_eq!(met(&confinement(Tier::Namespaces, Network::None), &tail), None);
    }
}
