//! Where findings come from.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::finding::Level;
use crate::id::RepoPath;
use crate::manifest::diagnostic::Span;
use crate::manifest::expression::Template;
use crate::manifest::model::Spanned;

/// One entry of `findings`.
#[derive(Clone, Debug)]
pub struct FindingSource {
    /// The format.
    pub parser: Spanned<Parser>,
    /// Where it is read.
    pub from: From,
    /// The matcher file of a `problem-matcher`.
    pub matcher: Option<Spanned<RepoPath>>,
    /// The patterns of `errorformat`.
    pub errorformat: Vec<Spanned<String>>,
    /// The tool's name; absent: the parser's own.
    pub tool: Option<String>,
    /// Level where the tool gives none.
    pub level: Option<Level>,
    /// The tool's word for a level → our level.
    pub map: BTreeMap<String, Level>,
    /// Path put before each finding's path.
    pub base: Option<String>,
    /// Path taken off the front of each finding's path.
    pub strip: Option<String>,
    /// What it means when no file matches `from`.
    pub if_no_files_found: OnMissing,
    /// What it means when the input breaks off or is not of the format.
    pub on_parse_error: OnMissing,
    /// Its place.
    pub span: Span,
}

/// What an absent or broken input means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnMissing {
    /// A finding of level failure.
    Error,
    /// A finding of level warning.
    Warn,
    /// Nothing.
    Ignore,
}

/// Where a parser reads.
#[derive(Clone, Debug)]
pub enum From {
    /// The step's standard output.
    Stdout,
    /// The step's standard error.
    Stderr,
    /// Both, line by line as they come.
    Both,
    /// Files that match a glob after the step has ended.
    Files(Template),
}

/// A report format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Parser {
    /// Workflow commands: `::error file=…::…`.
    #[serde(rename = "workflow-commands")]
    WorkflowCommands,
    /// GitHub's problem matchers.
    #[serde(rename = "problem-matcher")]
    ProblemMatcher,
    /// SARIF 2.1.0.
    Sarif,
    /// `JUnit` XML.
    Junit,
    /// `NUnit` 2 and 3.
    Nunit,
    /// Visual Studio test results.
    Trx,
    /// Reviewdog's JSON.
    Rdjson,
    /// Reviewdog's JSON, one diagnostic a line.
    Rdjsonl,
    /// Checkstyle XML.
    Checkstyle,
    /// Test Anything Protocol.
    Tap,
    /// `PSScriptAnalyzer` records.
    Psscriptanalyzer,
    /// Pester's reports.
    Pester,
    /// Ruff's JSON.
    Ruff,
    /// Vim's `errorformat`.
    Errorformat,
}

impl Parser {
    /// Every format, in the order in which they are listed to people.
    pub const ALL: [Self; 14] = [
        Self::WorkflowCommands,
        Self::ProblemMatcher,
        Self::Sarif,
        Self::Junit,
        Self::Nunit,
        Self::Trx,
        Self::Rdjson,
        Self::Rdjsonl,
        Self::Checkstyle,
        Self::Tap,
        Self::Psscriptanalyzer,
        Self::Pester,
        Self::Ruff,
        Self::Errorformat,
    ];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WorkflowCommands => "workflow-commands",
            Self::ProblemMatcher => "problem-matcher",
            Self::Sarif => "sarif",
            Self::Junit => "junit",
            Self::Nunit => "nunit",
            Self::Trx => "trx",
            Self::Rdjson => "rdjson",
            Self::Rdjsonl => "rdjsonl",
            Self::Checkstyle => "checkstyle",
            Self::Tap => "tap",
            Self::Psscriptanalyzer => "psscriptanalyzer",
            Self::Pester => "pester",
            Self::Ruff => "ruff",
            Self::Errorformat => "errorformat",
        }
    }

    /// The format that `word` names.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|parser| parser.as_str() == word)
    }
}
