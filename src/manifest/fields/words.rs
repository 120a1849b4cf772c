//! The words of fields that take one of a few, each beside the value that it means.
//!
//! The table shows the words to people and to editors, the reader looks the value up: both from the same list.

use crate::finding::Level;
use crate::manifest::model::{
    Annotate, Archive, ArtifactWhen, CheckRuns, Confirm, Fallback, FilterMode, Layer, Network, OnMissing,
    Parser, Permission, Shell, SummarySection,
};

/// The words of a list, without their values.
#[must_use]
pub const fn names<T: Copy, const N: usize>(pairs: &[(&'static str, T); N]) -> [&'static str; N] {
    let mut names = [""; N];
    let mut index = 0;
    while index < N {
        names[index] = pairs[index].0;
        index += 1;
    }
    names
}

/// The words as a phrase for people.
#[must_use]
pub fn one_of(words: &[&str]) -> String {
    match words {
        [one] => format!("`{one}`"),
        _ => format!("one of `{}`", words.join("`, `")),
    }
}

/// The value that `word` means in `pairs`. Words are taken to the letter, as GitHub Actions takes them.
#[must_use]
pub fn value<T: Copy>(pairs: &[(&'static str, T)], word: &str) -> Option<T> {
    pairs.iter().find(|(name, _)| *name == word).map(|(_, value)| *value)
}

/// `shell`
pub const SHELLS: [(&str, Shell); 6] = [
    ("bash", Shell::Bash),
    ("sh", Shell::Sh),
    ("pwsh", Shell::Pwsh),
    ("powershell", Shell::Powershell),
    ("python", Shell::Python),
    ("cmd", Shell::Cmd),
];

/// `confirm`
pub const CONFIRM: [(&str, Confirm); 3] =
    [("none", Confirm::None), ("plan", Confirm::Plan), ("human", Confirm::Human)];

/// The values of `permissions`
pub const PERMISSIONS: [(&str, Permission); 3] =
    [("read", Permission::Read), ("write", Permission::Write), ("none", Permission::None)];

/// Levels of findings, in a manifest's words
pub const LEVELS: [(&str, Level); 3] =
    [("error", Level::Failure), ("warning", Level::Warning), ("notice", Level::Notice)];

/// `fail-on`
pub const FAIL_ON: [(&str, Option<Level>); 4] = [
    ("error", Some(Level::Failure)),
    ("warning", Some(Level::Warning)),
    ("notice", Some(Level::Notice)),
    ("none", None),
];

/// The types of inputs. What a choice chooses from is read apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputType {
    /// `string`
    String,
    /// `boolean`
    Boolean,
    /// `number`
    Number,
    /// `choice`
    Choice,
    /// `environment`
    Environment,
}

/// `type` of an input
pub const INPUT_TYPES: [(&str, InputType); 5] = [
    ("string", InputType::String),
    ("boolean", InputType::Boolean),
    ("number", InputType::Number),
    ("choice", InputType::Choice),
    ("environment", InputType::Environment),
];

/// `parser`. `workflow-commands` is not among them: they are always read.
pub const PARSERS: [(&str, Parser); 13] = [
    ("problem-matcher", Parser::ProblemMatcher),
    ("sarif", Parser::Sarif),
    ("junit", Parser::Junit),
    ("nunit", Parser::Nunit),
    ("trx", Parser::Trx),
    ("rdjson", Parser::Rdjson),
    ("rdjsonl", Parser::Rdjsonl),
    ("checkstyle", Parser::Checkstyle),
    ("tap", Parser::Tap),
    ("psscriptanalyzer", Parser::Psscriptanalyzer),
    ("pester", Parser::Pester),
    ("ruff", Parser::Ruff),
    ("errorformat", Parser::Errorformat),
];

/// Parsers of whole documents: they cannot guess where theirs is, and two streams run together are not one.
pub const DOCUMENT_PARSERS: [&str; 9] =
    ["sarif", "junit", "nunit", "trx", "rdjson", "checkstyle", "psscriptanalyzer", "pester", "ruff"];

/// `if-no-files-found`
pub const ON_MISSING: [(&str, OnMissing); 3] =
    [("error", OnMissing::Error), ("warn", OnMissing::Warn), ("ignore", OnMissing::Ignore)];

/// `on-parse-error`
pub const ON_PARSE_ERROR: [(&str, OnMissing); 2] = [("error", OnMissing::Error), ("warn", OnMissing::Warn)];

/// `filter-mode`
pub const FILTER_MODES: [(&str, FilterMode); 4] = [
    ("added", FilterMode::Added),
    ("diff_context", FilterMode::DiffContext),
    ("file", FilterMode::File),
    ("nofilter", FilterMode::Nofilter),
];

/// `when` of an artifact
pub const ARTIFACT_WHEN: [(&str, ArtifactWhen); 3] = [
    ("always", ArtifactWhen::Always),
    ("success", ArtifactWhen::Success),
    ("failure", ArtifactWhen::Failure),
];

/// `archive`
pub const ARCHIVES: [(&str, Archive); 3] =
    [("zip", Archive::Zip), ("tar.zst", Archive::TarZst), ("none", Archive::None)];

/// `check-runs`
pub const CHECK_RUNS: [(&str, CheckRuns); 2] = [("command", CheckRuns::Command), ("gates", CheckRuns::Gates)];

/// `annotate`
pub const ANNOTATE: [(&str, Annotate); 3] = [
    ("check-run", Annotate::CheckRun),
    ("workflow-commands", Annotate::WorkflowCommands),
    ("none", Annotate::None),
];

/// `fallback`
pub const FALLBACKS: [(&str, Fallback); 3] = [
    ("check-run", Fallback::CheckRun),
    ("status", Fallback::Status),
    ("step-summary", Fallback::StepSummary),
];

/// `summary`
pub const SECTIONS: [(&str, SummarySection); 6] = [
    ("steps", SummarySection::Steps),
    ("gates", SummarySection::Gates),
    ("findings", SummarySection::Findings),
    ("tests", SummarySection::Tests),
    ("artifacts", SummarySection::Artifacts),
    ("timings", SummarySection::Timings),
];

/// `network`
pub const NETWORKS: [(&str, Network); 2] = [("none", Network::None), ("host", Network::Host)];

/// Layers of the sandbox
pub const LAYERS: [(&str, Layer); 6] = [
    ("namespaces", Layer::Namespaces),
    ("landlock", Layer::Landlock),
    ("seccomp", Layer::Seccomp),
    ("cgroup-memory", Layer::CgroupMemory),
    ("cgroup-pids", Layer::CgroupPids),
    ("cgroup-cpu", Layer::CgroupCpu),
];

/// Scopes of a GitHub token, as Actions names them.
pub const SCOPES: [&str; 15] = [
    "actions",
    "attestations",
    "checks",
    "contents",
    "deployments",
    "discussions",
    "id-token",
    "issues",
    "models",
    "packages",
    "pages",
    "pull-requests",
    "repository-projects",
    "security-events",
    "statuses",
];

/// Scopes that no step's token ever has: with them a script could rewrite its own verdict.
pub const WITHHELD_SCOPES: [&str; 3] = ["actions", "checks", "statuses"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_but_workflow_commands_can_be_asked_for_by_its_word() {
        for parser in Parser::ALL {
            let asked = (parser != Parser::WorkflowCommands).then_some(parser);
            assert_eq!(value(&PARSERS, parser.as_str()), asked);
        }
    }

    #[test]
    fn every_shell_can_be_asked_for_by_its_word() {
        for shell in Shell::ALL {
            assert_eq!(value(&SHELLS, shell.as_str()), Some(shell));
        }
    }
}
