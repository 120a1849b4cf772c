//! What can be typed.

pub(super) mod app;
pub(super) mod findings;
pub(super) mod install;
pub(super) mod lazy;
pub(super) mod reconcile;
pub(super) mod sandbox;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::app::admit::{Allow, SandboxMode};
use crate::app::artifacts::Destination;
use crate::app::check_run::Wanted;
use crate::cli::args::app::App;
use crate::cli::args::findings::Findings;
use crate::cli::args::install::{Completions, Man};
use crate::cli::args::lazy::Lazy;
use crate::cli::args::reconcile::Reconcile;
use crate::cli::args::sandbox::Sandbox;
use crate::cli::version::VERSION;

/// Run a repository's own validation commands without trusting them, and say exactly what they found.
#[derive(Debug, Parser)]
#[command(
    name = "rungate",
    version = VERSION.as_str(),
    propagate_version = true,
    term_width = 80,
    arg_required_else_help = true,
    after_help = "Examples:\n  \
        rungate init                          begin: write a manifest and a workflow\n  \
        rungate list                          what can be run here\n  \
        rungate run check                     run the command `check`\n  \
        rungate plan check                    show what that would do, and do nothing\n  \
        rungate validate                      check .github/rungate.yml\n\n\
        Exit codes:\n  \
        0 gates passed, 1 a gate failed, 2 usage, manifest or input, 3 refused by host\n  \
        policy, 4 the host or the sandbox cannot do it, 5 judged and passed but not\n  \
        recorded or delivered, 70 a bug, 130 cancelled\n"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Run a command of the manifest and judge what it found
    Run(Lazy<RunArgs>),
    /// Show everything that a run would do, and do nothing
    Plan(Lazy<Plan>),
    /// Post the record of an earlier run as a check run
    Publish(Lazy<Publish>),
    /// Close what runs have left open whose process is gone
    Reconcile(Lazy<Reconcile>),
    /// Check the manifest
    Validate(Lazy<Validate>),
    /// List the commands of the manifest
    List(Lazy<List>),
    /// Write a first manifest and workflow for this repository
    Init(Lazy<Init>),
    /// Read reports of other tools
    Findings(Lazy<Findings>),
    /// Run one program in a sandbox
    Sandbox(Lazy<Sandbox>),
    /// Write down what is known, so that only what is new counts
    Baseline(Lazy<Baseline>),
    /// Try what this host can do, and say what would mend it
    Doctor(Lazy<Doctor>),
    /// Prove the GitHub App's key, or make a token with it
    App(Lazy<App>),
    /// Print a JSON Schema, for editors and other programs
    Schema(Lazy<Schema>),
    /// Print completions for a shell
    Completions(Lazy<Completions>),
    /// Write manual pages, for packages
    #[command(hide = true)]
    Man(Lazy<Man>),
}

/// Where the manifest and the workspace are.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// Manifest to read [default: .github/rungate.yml in the workspace]
    #[arg(long, value_name = "PATH")]
    pub(super) manifest: Option<PathBuf>,
    /// Repository to work in [default: the current folder, the job's workspace under Actions]
    #[arg(long, value_name = "DIR")]
    pub(super) workspace: Option<PathBuf>,
}

/// What is asked for.
#[derive(Debug, Args)]
pub(super) struct Request {
    /// Command to run, by its id in the manifest
    #[arg(value_name = "COMMAND")]
    pub(super) command: String,
    /// Input of the command; may be given several times
    #[arg(short = 'i', long = "input", value_name = "NAME=VALUE")]
    pub(super) inputs: Vec<String>,
    /// Environment variable that holds inputs as one JSON object
    #[arg(long, value_name = "VAR")]
    pub(super) inputs_json_env: Option<String>,
    /// Head commit [default: the event's pull-request head, else HEAD]
    #[arg(long, value_name = "SHA")]
    pub(super) sha: Option<String>,
    /// Commit that changes are counted from [default: from the event, else the merge base with the default branch]
    #[arg(long, value_name = "REV")]
    pub(super) base: Option<String>,
    /// Count files as changed since this revision instead of the base
    #[arg(long, value_name = "REV")]
    pub(super) changed_since: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    rungate run check\n  \
    rungate run rehydrate -i environment=staging -i dry-run=true\n  \
    INPUTS='{\"dry-run\": true}' rungate run rehydrate --inputs-json-env INPUTS\n  \
    rungate run check --format jsonl | jq -c 'select(.event == \"finding\")'\n")]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) request: Request,
    #[command(flatten)]
    pub(super) place: Place,
    /// Folder for the record, new or empty [default: .rungate/runs/RUN-ID in the workspace, the state folder under Actions]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// What goes to standard output: a report for people, the record, or events line by line
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(super) format: RunFormat,
    /// How strictly scripts are confined
    #[arg(long, value_name = "MODE", default_value = "required")]
    pub(super) sandbox: Confine,
    /// What the manifest may loosen: network, degraded or write; may be given several times
    #[arg(long, value_name = "WHAT")]
    pub(super) allow: Vec<Loosen>,
    /// Whether the run is posted as a check run; `preview` prints the requests and sends nothing
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(super) check_run: When,
    /// Where artifacts go: uploaded under Actions, left for a later step of the job, or kept in the record
    #[arg(long, value_name = "WHERE", default_value = "auto")]
    pub(super) artifacts: Artifacts,
    /// Show the output of steps that succeed as well, on a terminal
    #[arg(short, long)]
    pub(super) verbose: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum RunFormat {
    Human,
    Json,
    Jsonl,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Confine {
    Required,
    BestEffort,
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Loosen {
    /// The host's network
    Network,
    /// Fewer layers than it requires
    Degraded,
    /// Places outside of the workspace that are written
    Write,
}

impl From<Loosen> for Allow {
    fn from(loosen: Loosen) -> Self {
        match loosen {
            Loosen::Network => Self::Network,
            Loosen::Degraded => Self::Degraded,
            Loosen::Write => Self::Write,
        }
    }
}

impl From<Confine> for SandboxMode {
    fn from(confine: Confine) -> Self {
        match confine {
            Confine::Required => Self::Required,
            Confine::BestEffort => Self::BestEffort,
            Confine::Off => Self::Off,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Artifacts {
    Auto,
    Stage,
    Keep,
}

impl From<Artifacts> for Destination {
    fn from(artifacts: Artifacts) -> Self {
        match artifacts {
            Artifacts::Auto => Self::Auto,
            Artifacts::Stage => Self::Stage,
            Artifacts::Keep => Self::Keep,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum When {
    Auto,
    On,
    Off,
    Preview,
}

impl From<When> for Wanted {
    fn from(when: When) -> Self {
        match when {
            When::Auto => Self::Auto,
            When::On => Self::On,
            When::Off => Self::Off,
            When::Preview => Self::Preview,
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    rungate publish .rungate/runs/0199f1a0-7b1e-7c3d-8a55-0d6f5f4e3c21\n  \
    rungate publish RUN_DIR --check-run preview | jq '.[].body.output.title'\n")]
pub(super) struct Publish {
    /// Folder of the record
    #[arg(value_name = "RUN_DIR")]
    pub(super) folder: PathBuf,
    /// Whether it is posted, or only shown
    #[arg(long, value_name = "WHEN", default_value = "on")]
    pub(super) check_run: Deliver,
    /// Post a new check run even if the record was delivered, or was concluded by `rungate reconcile`
    #[arg(long)]
    pub(super) again: bool,
    /// Deliver the record although it is not what the run has written
    #[arg(long)]
    pub(super) changed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Deliver {
    On,
    Preview,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  rungate plan check\n  rungate plan check --format json | jq .fingerprint\n  \
        rungate plan check --explain          which rule of the host's policy decided\n"
)]
pub(super) struct Plan {
    #[command(flatten)]
    pub(super) request: Request,
    #[command(flatten)]
    pub(super) place: Place,
    /// A plan for people, or as JSON
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(super) format: Format,
    /// Show what the host's policies say to it, rule by rule, also when they refuse it
    #[arg(long)]
    pub(super) explain: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Human,
    Json,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  rungate validate\n  rungate validate --manifest ci/rungate.yml --format json\n  \
        rungate validate --policy /etc/rungate/policy.yml\n\n\
        Looks at the manifest alone. Whether what it names is there, `rungate plan COMMAND` tells.\n"
)]
pub(super) struct Validate {
    #[command(flatten)]
    pub(super) place: Place,
    /// Check this host policy instead of a manifest
    #[arg(long, value_name = "FILE", conflicts_with_all = ["manifest", "workspace"])]
    pub(super) policy: Option<PathBuf>,
    /// Diagnostics for people, or as JSON
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(super) format: Format,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  rungate list\n  rungate list --format json | jq '.commands[].id'\n")]
pub(super) struct List {
    #[command(flatten)]
    pub(super) place: Place,
    /// A list for people, or as JSON
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(super) format: Format,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    rungate init\n  \
    rungate init --print\n\n\
    Looks for Python, shell and PowerShell, their linters and tests. A step whose tool \
    this host lacks is commented out. Nothing that exists is overwritten: exit 2.\n")]
pub(super) struct Init {
    /// Show the files, and write nothing
    #[arg(long)]
    pub(super) print: bool,
    /// Repository to look at [default: the current folder, the job's workspace under Actions]
    #[arg(long, value_name = "DIR")]
    pub(super) workspace: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Baseline {
    #[command(subcommand)]
    pub(super) verb: BaselineVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum BaselineVerb {
    /// Write the baselines that the gates of a command name
    Update(BaselineUpdate),
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    rungate run check --out /tmp/known\n  \
    rungate baseline update check --from /tmp/known\n\n\
    The file is rewritten from the run: findings that no longer occur are taken out.\n")]
pub(super) struct BaselineUpdate {
    /// Command whose gates name the baselines
    #[arg(value_name = "COMMAND")]
    pub(super) command: String,
    /// Record of a run of that command
    #[arg(long, value_name = "RUN_DIR")]
    pub(super) from: PathBuf,
    #[command(flatten)]
    pub(super) place: Place,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    rungate doctor\n  \
    rungate doctor --format json | jq '.checks[] | select(.state != \"good\")'\n\n\
    Asks GitHub's hosts as well, each for five seconds at most, and GitHub itself where \
    there is an App to ask with. Exits with 4 when something failed without which runs \
    are refused or not delivered.\n")]
pub(super) struct Doctor {
    /// Ask nothing of other machines
    #[arg(long)]
    pub(super) offline: bool,
    /// Checks for people, or as JSON
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(super) format: Format,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  rungate schema manifest > rungate.schema.json\n  \
    rungate schema policy > policy.schema.json\n")]
pub(super) struct Schema {
    /// Which schema
    #[arg(value_name = "NAME")]
    pub(super) name: SchemaName,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum SchemaName {
    Manifest,
    Policy,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    /// Lines of what stands behind the options of `command` and of those below it that would be broken twice, once here
    /// and once where the terminal ends.
    fn broken_twice(command: &clap::Command, found: &mut Vec<String>) {
        let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        for (line, next) in text.lines().zip(text.lines().skip(1).chain([""])) {
            let (indented, follows) = (line.starts_with(' '), !next.is_empty() && !next.starts_with(' '));
            if (indented && line.len() > 80) || (!indented && !line.is_empty() && follows) {
                found.push(format!("{}: {line}", command.get_name()));
            }
        }
        for below in command.get_subcommands() {
            broken_twice(below, found);
        }
    }

    #[test]
    fn what_stands_behind_the_options_is_broken_into_lines_once() {
        let mut found = Vec::new();
        broken_twice(&Arguments::command(), &mut found);
        assert_eq!(found, Vec::<String>::new());
    }
}
