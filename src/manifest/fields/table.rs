//! The table: the manifest itself, its commands and their inputs. Steps, sandboxes and verdicts follow in their files.

pub mod sandbox;
pub mod step;
pub mod verdict;

use crate::manifest::expression::Place;
use crate::manifest::fields::name::Name;
use crate::manifest::fields::words::{CONFIRM, INPUT_TYPES, PERMISSIONS, SHELLS, names};
use crate::manifest::fields::{Kind, Object, Rule, field};

/// The newest version of the format.
pub const VERSION: u32 = 1;

/// Most inputs of a command: what the form of a `workflow_dispatch` can show.
pub const MAX_INPUTS: usize = 25;

/// Most items of a list that has no limit of its own. No person writes more; a hostile file shall not cost more.
pub(crate) const MANY: usize = 1_000;

/// Five days, which is as long as a job may run on a self-hosted runner.
pub(crate) const MINUTES: Kind = Kind::Number { min: 0.001, max: 7_200.0 };

pub(super) const TEXTS: Kind = Kind::List { of: &Kind::Text, min: 0, max: MANY };
/// Ids of steps as others name them. Whether there is such a step says more than whether there could be.
pub(super) const STEP_IDS: Kind = TEXTS;
pub(super) const SHELL: Kind = Kind::Word(&names(&SHELLS));
pub(super) const PARALLEL: Kind = Kind::Integer { min: 1, max: 1_024 };
const OUTER_ENV: Kind =
    Kind::Map { key: Name::Variable, of: &Kind::Template(Place::OuterEnv), min: 0, max: MANY };
const SECRETS: Kind = Kind::List { of: &Kind::Name(Name::CallersVariable), min: 0, max: 100 };
pub(crate) const SCOPES: Kind =
    Kind::Map { key: Name::Scope, of: &Kind::Word(&names(&PERMISSIONS)), min: 0, max: MANY };

/// The manifest.
pub static MANIFEST: Object = Object {
    name: "manifest",
    article: Some("a"),
    doc: "What can be run in this repository.",
    fields: &[
        field("version", Kind::Version, "Version of the manifest's format.").required(),
        field("name", Kind::Text, "Heading of `rungate list`."),
        field("env", OUTER_ENV, "Environment of every step."),
        field("defaults", Kind::Object(&DEFAULTS), "What steps take when they say nothing."),
        field("sandbox", Kind::Object(&sandbox::SANDBOX), "Sandbox settings of every command."),
        field(
            "suppressions",
            Kind::List { of: &Kind::Object(&verdict::SUPPRESSION), min: 0, max: MANY },
            "Findings that are known and accepted.",
        ),
        field(
            "commands",
            Kind::Map { key: Name::Command, of: &Kind::Object(&COMMAND), min: 1, max: 256 },
            "What can be run, by id.",
        )
        .required(),
    ],
    open: None,
    rules: &[],
};

static DEFAULTS: Object = Object {
    name: "defaults",
    article: None,
    doc: "What steps take when they say nothing.",
    fields: &[
        field("run", Kind::Object(&DEFAULTS_RUN), "What runs steps, and where."),
        field("timeout-minutes", MINUTES, "Limit of every step.").default("10"),
    ],
    open: None,
    rules: &[],
};

static DEFAULTS_RUN: Object = Object {
    name: "defaults.run",
    article: None,
    doc: "What runs steps, and where.",
    fields: &[
        field("shell", SHELL, "What runs a step whose script's extension does not tell.").default("bash"),
        field("working-directory", Kind::Path, "Where steps run.").default("."),
    ],
    open: None,
    rules: &[],
};

/// A command.
pub static COMMAND: Object = Object {
    name: "command",
    article: Some("a"),
    doc: "Something that can be run by name.",
    fields: &[
        field("name", Kind::Text, "Shown to people.").otherwise("the id"),
        field("description", Kind::AnyText, "One paragraph for people.").default(""),
        field(
            "phrases",
            TEXTS,
            "Sentences that mean this command: `[optional]`, `(this|that)` and `{input}` have their meaning.",
        )
        .otherwise("the id"),
        field("examples", TEXTS, "Sentences that must mean this command."),
        field("not-examples", TEXTS, "Sentences that must not mean this command."),
        field(
            "confirm",
            Kind::Word(&names(&CONFIRM)),
            "How a request from outside is confirmed before it is sent on.",
        )
        .otherwise("`plan`"),
        field(
            "inputs",
            Kind::Map { key: Name::Input, of: &Kind::Object(&INPUT), min: 0, max: MAX_INPUTS },
            "What a request may give, by name. Scripts find each as `INPUT_<NAME>`.",
        ),
        field("env", OUTER_ENV, "Environment of every step of the command."),
        field(
            "secrets",
            SECRETS,
            "Secrets that steps may name in their `env`. They must be there when it runs.",
        ),
        field(
            "permissions",
            SCOPES,
            "What the token may do that a step gets by naming `github.token` in its `env`.",
        ),
        field("timeout-minutes", MINUTES, "Limit of the whole command.").default("60"),
        field(
            "concurrency",
            Kind::Either(&[Kind::Template(Place::ConcurrencyGroup), Kind::Object(&CONCURRENCY)]),
            "Only one run of a group at a time on a host.",
        ),
        field("max-parallel", PARALLEL, "Steps that run at once.").otherwise("one a CPU"),
        field("fail-fast", Kind::Bool, "Whether a failure cancels the steps that are running.")
            .default("false"),
        field("sandbox", Kind::Object(&sandbox::SANDBOX), "Sandbox settings, over the manifest's."),
        field("steps", Kind::List { of: &Kind::Object(&step::STEP), min: 1, max: MANY }, "What it does.")
            .required(),
        field(
            "gates",
            Kind::List { of: &Kind::Object(&verdict::GATE), min: 0, max: 256 },
            "What must hold for success.",
        )
        .otherwise("one gate with `fail-on: error`"),
        field(
            "artifacts",
            Kind::List { of: &Kind::Object(&verdict::ARTIFACT), min: 0, max: 256 },
            "Files that are kept.",
        ),
        field("report", Kind::Object(&verdict::REPORT), "How the result is shown."),
    ],
    open: None,
    rules: &[],
};

static CONCURRENCY: Object = Object {
    name: "concurrency",
    article: None,
    doc: "Only one run of a group at a time on a host.",
    fields: &[
        field("group", Kind::Template(Place::ConcurrencyGroup), "The group's name.").required(),
        field("cancel-in-progress", Kind::Bool, "Whether a newer run cancels the one that holds the group.")
            .default("false"),
    ],
    open: None,
    rules: &[],
};

/// An input.
pub static INPUT: Object = Object {
    name: "input",
    article: Some("an"),
    doc: "One value that a request may give.",
    fields: &[
        field("description", Kind::AnyText, "For people.").default(""),
        field("required", Kind::Bool, "Whether a request must give it.").default("false"),
        field("default", Kind::AnyText, "Value when a request gives none."),
        field("type", Kind::Word(&names(&INPUT_TYPES)), "Its type.").default("string"),
        field("options", Kind::List { of: &Kind::Text, min: 1, max: MANY }, "What a choice chooses from."),
        field("deprecationMessage", Kind::Text, "Said when the input is used."),
        field("pattern", Kind::Regex, "What the whole value must match."),
        field("max-length", Kind::Integer { min: 1, max: 65_536 }, "Most characters.").default("1024"),
        field("min", Kind::AnyNumber, "Least number."),
        field("max", Kind::AnyNumber, "Greatest number."),
        field("multiline", Kind::Bool, "Whether the value may have several lines.").default("false"),
    ],
    open: None,
    rules: &[
        Rule::Asks { key: "type", words: &["choice"], requires: "options" },
        Rule::Only { key: "options", with: "type", words: &["choice"] },
        Rule::Only { key: "min", with: "type", words: &["number"] },
        Rule::Only { key: "max", with: "type", words: &["number"] },
    ],
};
