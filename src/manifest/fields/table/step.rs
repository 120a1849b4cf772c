//! The table's fields of steps and of what is read from their output.

use crate::manifest::expression::Place;
use crate::manifest::fields::name::Name;
use crate::manifest::fields::table::sandbox::SANDBOX;
use crate::manifest::fields::table::{MANY, MINUTES, PARALLEL, SHELL, STEP_IDS};
use crate::manifest::fields::words::{DOCUMENT_PARSERS, LEVELS, ON_MISSING, ON_PARSE_ERROR, PARSERS, names};
use crate::manifest::fields::{Kind, Object, Rule, field};

const STEP_ENV: Kind =
    Kind::Map { key: Name::Variable, of: &Kind::Template(Place::StepEnv), min: 0, max: MANY };
const LEVEL: Kind = Kind::Word(&names(&LEVELS));
const FILES: Kind = Kind::Either(&[
    Kind::Template(Place::Files),
    Kind::List { of: &Kind::Template(Place::Files), min: 1, max: MANY },
]);
const RETRY_ON: Kind = Kind::Either(&[Kind::Word(&["timeout"]), Kind::Integer { min: 1, max: 255 }]);
const LEG: Kind = Kind::Map { key: Name::Dimension, of: &Kind::MatrixValue, min: 1, max: MANY };

/// A step.
pub static STEP: Object = Object {
    name: "step",
    article: Some("a"),
    doc: "One script, run in a sandbox.",
    fields: &[
        field("id", Kind::Name(Name::Step), "Its id, unique in the command.").otherwise("made from the name"),
        field("name", Kind::Template(Place::Name), "Shown to people.").otherwise("the id"),
        field("if", Kind::Condition, "When it runs.").otherwise("`success()`"),
        field("needs", STEP_IDS, "Steps that must end before; `[]` starts at once.")
            .otherwise("the step before"),
        field("run", Kind::Script, "The script's text. Values reach it by `env`, `args` and files only."),
        field("script", Kind::Path, "The script's file, which git must track."),
        field(
            "args",
            Kind::List { of: &Kind::Template(Place::Args), min: 0, max: MANY },
            "Arguments of the script, each passed as it is.",
        ),
        field("shell", SHELL, "What runs it.").otherwise("by the script's extension, else the default"),
        field("env", STEP_ENV, "Its environment. The only place that can name secrets."),
        field("working-directory", Kind::Path, "Where it runs.").otherwise("the default"),
        field("timeout-minutes", MINUTES, "Limit of one attempt.").otherwise("the default"),
        field("slow-after-minutes", MINUTES, "When it is called slow.").otherwise("half its timeout"),
        field("continue-on-error", Kind::Bool, "Whether the command may succeed although it fails.")
            .default("false"),
        field("retry", Kind::Object(&RETRY), "How often it is tried."),
        field("strategy", Kind::Object(&STRATEGY), "Runs it once for each combination of values."),
        field(
            "files",
            FILES,
            "Globs of the files that it works on, listed in the file `$RUNGATE_FILES`; `!` excludes.",
        ),
        field(
            "changed-only",
            Kind::Bool,
            "Whether only changed files count; without any, the step is skipped.",
        )
        .default("false"),
        field(
            "findings",
            Kind::List { of: &Kind::Object(&FINDINGS), min: 0, max: 64 },
            "What is read from its output, beside workflow commands.",
        ),
        field("cache", Kind::Object(&CACHE), "Replays a recorded result when nothing changed."),
        field("sandbox", Kind::Object(&SANDBOX), "Sandbox settings, over the command's."),
    ],
    open: None,
    rules: &[Rule::ExactlyOne(&["run", "script"]), Rule::Beside { key: "changed-only", with: "files" }],
};

static RETRY: Object = Object {
    name: "retry",
    article: None,
    doc: "How often a step is tried.",
    fields: &[
        field("attempts", Kind::Integer { min: 1, max: 10 }, "Attempts in all.").default("1"),
        field(
            "on",
            Kind::List { of: &RETRY_ON, min: 1, max: 256 },
            "`timeout` and exit codes that are tried again.",
        )
        .otherwise("any failure"),
        field(
            "backoff-seconds",
            Kind::Number { min: 0.0, max: 3_600.0 },
            "Pause before each further attempt.",
        )
        .default("0"),
    ],
    open: None,
    rules: &[],
};

static STRATEGY: Object = Object {
    name: "strategy",
    article: Some("a"),
    doc: "Runs a step once for each combination of values.",
    fields: &[
        field("matrix", Kind::Object(&MATRIX), "The values, by dimension.").required(),
        field("fail-fast", Kind::Bool, "Whether a failing combination cancels the others.").default("true"),
        field("max-parallel", PARALLEL, "Combinations that run at once.").otherwise("one a CPU"),
    ],
    open: None,
    rules: &[],
};

/// A matrix. Its further keys are its dimensions.
pub static MATRIX: Object = Object {
    name: "matrix",
    article: Some("a"),
    doc: "Values by dimension; `${{ fromJSON(inputs.x) }}` gives a dimension its whole list.",
    fields: &[
        field("include", Kind::List { of: &LEG, min: 1, max: 256 }, "Combinations to add or to extend."),
        field("exclude", Kind::List { of: &LEG, min: 1, max: 256 }, "Combinations to leave out."),
    ],
    open: Some((
        Name::Dimension,
        &Kind::Either(&[
            Kind::Template(Place::Matrix),
            Kind::List { of: &Kind::MatrixValue, min: 1, max: 256 },
        ]),
    )),
    rules: &[],
};

static CACHE: Object = Object {
    name: "cache",
    article: None,
    doc: "Replays a recorded result when nothing changed.",
    fields: &[
        field(
            "inputs",
            Kind::List { of: &Kind::Glob, min: 1, max: MANY },
            "Files that the result depends on.",
        )
        .required(),
        field(
            "env",
            Kind::List { of: &Kind::Name(Name::Free), min: 0, max: MANY },
            "Variables that the result depends on.",
        ),
    ],
    open: None,
    rules: &[],
};

/// One entry of `findings`.
pub static FINDINGS: Object = Object {
    name: "findings",
    article: None,
    doc: "A report or an output that findings are read from.",
    fields: &[
        field("parser", Kind::Word(&names(&PARSERS)), "The format.").required(),
        field(
            "from",
            Kind::Template(Place::FindingsFrom),
            "`stdout`, `stderr`, `both`, or a glob of files that the step writes.",
        )
        .otherwise("`both` for formats of lines"),
        field("matcher", Kind::Path, "The file that holds the problem matcher."),
        field(
            "errorformat",
            Kind::List { of: &Kind::Text, min: 1, max: 64 },
            "The patterns, as Vim writes them.",
        ),
        field("tool", Kind::Text, "The tool's name.").otherwise("the format's own"),
        field("level", LEVEL, "Level where the tool gives none.").otherwise("the format's own, else `error`"),
        field(
            "map",
            Kind::Map { key: Name::Free, of: &LEVEL, min: 0, max: MANY },
            "The tool's words for levels, and what they mean here.",
        ),
        field("base", Kind::AnyPath, "Path put before the path of each finding."),
        field("strip", Kind::Text, "Path taken off the front of the path of each finding."),
        field("if-no-files-found", Kind::Word(&names(&ON_MISSING)), "What it means that no file matches.")
            .default("error"),
        field(
            "on-parse-error",
            Kind::Word(&names(&ON_PARSE_ERROR)),
            "What it means that the input breaks off or is not of the format.",
        )
        .default("error"),
    ],
    open: None,
    rules: &[
        Rule::Asks { key: "parser", words: &["problem-matcher"], requires: "matcher" },
        Rule::Asks { key: "parser", words: &["errorformat"], requires: "errorformat" },
        Rule::Asks { key: "parser", words: &DOCUMENT_PARSERS, requires: "from" },
        Rule::Only { key: "matcher", with: "parser", words: &["problem-matcher"] },
        Rule::Only { key: "errorformat", with: "parser", words: &["errorformat"] },
    ],
};
