//! The table's fields of what decides, what is kept and what is shown.

use crate::manifest::expression::Place;
use crate::manifest::fields::name::Name;
use crate::manifest::fields::table::{MANY, STEP_IDS};
use crate::manifest::fields::words::{
    ANNOTATE, ARCHIVES, ARTIFACT_WHEN, CHECK_RUNS, FAIL_ON, FALLBACKS, FILTER_MODES, ON_MISSING, SECTIONS,
    names,
};
use crate::manifest::fields::{Kind, Object, field};

const COUNT: Kind = Kind::Integer { min: 0, max: 1_000_000_000 };
const FILTER_MODE: Kind = Kind::Word(&names(&FILTER_MODES));
const ARTIFACT_PATH: Kind = Kind::Either(&[
    Kind::Template(Place::Artifact),
    Kind::List { of: &Kind::Template(Place::Artifact), min: 1, max: MANY },
]);

/// A gate.
pub static GATE: Object = Object {
    name: "gate",
    article: Some("a"),
    doc: "Something that must hold for success.",
    fields: &[
        field("id", Kind::Name(Name::Gate), "Its id, unique in the command.").required(),
        field("name", Kind::Text, "Shown to people.").otherwise("the id"),
        field("needs", STEP_IDS, "Steps whose findings and tests it judges.").otherwise("all steps"),
        field("fail-on", Kind::Word(&names(&FAIL_ON)), "The least level of a finding that fails it.")
            .default("error"),
        field("max", Kind::Object(&MAX), "Most findings of a level that it lets pass."),
        field("filter-mode", FILTER_MODE, "Which findings count, by what changed.").default("nofilter"),
        field("baseline", Kind::Path, "File of findings that are known."),
        field("tests", Kind::Object(&TESTS), "What is asked of tests."),
        field("require", STEP_IDS, "Steps that must have succeeded."),
        field("message", Kind::Text, "Said when it fails."),
    ],
    open: None,
    rules: &[],
};

static MAX: Object = Object {
    name: "max",
    article: None,
    doc: "Most findings of a level that a gate lets pass.",
    fields: &[
        field("error", COUNT, "Most errors."),
        field("warning", COUNT, "Most warnings."),
        field("notice", COUNT, "Most notices."),
    ],
    open: None,
    rules: &[],
};

static TESTS: Object = Object {
    name: "tests",
    article: None,
    doc: "What a gate asks of tests.",
    fields: &[
        field("min", COUNT, "Fewest tests that must have run.").default("1"),
        field("max-failed", COUNT, "Most tests that may fail.").default("0"),
        field("max-skipped", COUNT, "Most tests that may be skipped.").otherwise("any number"),
    ],
    open: None,
    rules: &[],
};

/// An artifact.
pub static ARTIFACT: Object = Object {
    name: "artifact",
    article: Some("an"),
    doc: "Files that are kept.",
    fields: &[
        field("name", Kind::Template(Place::Artifact), "Its name.").required(),
        field("path", ARTIFACT_PATH, "Globs of its files; `!` excludes.").required(),
        field("retention-days", Kind::Integer { min: 1, max: 400 }, "Days that it is kept.")
            .otherwise("the repository's setting"),
        field("if-no-files-found", Kind::Word(&names(&ON_MISSING)), "What it means that nothing matches.")
            .default("warn"),
        field("compression-level", Kind::Integer { min: 0, max: 9 }, "From 0, none, to 9, slow and small.")
            .default("6"),
        field("include-hidden-files", Kind::Bool, "Whether files that begin with a dot are taken.")
            .default("false"),
        field("overwrite", Kind::Bool, "Whether an artifact of the same name is replaced.").default("false"),
        field("when", Kind::Word(&names(&ARTIFACT_WHEN)), "After which result it is kept.").default("always"),
        field(
            "archive",
            Kind::Word(&names(&ARCHIVES)),
            "How it is packed; `tar.zst` keeps modes and symlinks.",
        )
        .default("zip"),
        field("mask", Kind::Bool, "Whether text files are searched for known secrets; a hit fails.")
            .default("true"),
    ],
    open: None,
    rules: &[],
};

/// A report.
pub static REPORT: Object = Object {
    name: "report",
    article: Some("a"),
    doc: "How the result is shown. Nothing here changes the verdict.",
    fields: &[
        field("check-name", Kind::Template(Place::CheckName), "Name of the check run.")
            .otherwise("the command's name"),
        field("check-runs", Kind::Word(&names(&CHECK_RUNS)), "One check run for the command, or one a gate.")
            .default("command"),
        field("filter-mode", FILTER_MODE, "Which findings are shown, by what changed.").default("nofilter"),
        field("max-annotations", Kind::Integer { min: 0, max: 10_000 }, "Most annotations.").default("500"),
        field("annotate", Kind::Word(&names(&ANNOTATE)), "Where annotations go.")
            .otherwise("by what the token may do"),
        field(
            "fallback",
            Kind::List { of: &Kind::Word(&names(&FALLBACKS)), min: 1, max: 3 },
            "What is tried in turn.",
        )
        .otherwise("`[check-run, status, step-summary]`"),
        field("sarif-upload", Kind::Bool, "Whether findings go to code scanning too.").default("false"),
        field(
            "summary",
            Kind::List { of: &Kind::Word(&names(&SECTIONS)), min: 1, max: 6 },
            "Sections of the summary, in order.",
        )
        .otherwise("`[steps, gates, findings, tests, artifacts, timings]`"),
        field("progress-seconds", Kind::Integer { min: 5, max: 3_600 }, "Seconds between live updates.")
            .default("15"),
    ],
    open: None,
    rules: &[],
};

/// A suppression.
pub static SUPPRESSION: Object = Object {
    name: "suppression",
    article: Some("a"),
    doc: "Findings that are known and accepted.",
    fields: &[
        field("rule", Kind::Text, "The tool's rule.").required(),
        field("path", Kind::Glob, "Files that it holds for.").required(),
        field("message", Kind::Text, "Part of the message.").otherwise("any message"),
        field("reason", Kind::Text, "Why they are accepted.").required(),
        field("owner", Kind::Text, "Who answers for it."),
        field("expires", Kind::Date, "Last day on which it holds.").otherwise("never"),
    ],
    open: None,
    rules: &[],
};
