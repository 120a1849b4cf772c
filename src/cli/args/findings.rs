//! What can be typed of reports.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Args)]
pub(in crate::cli) struct Findings {
    #[command(subcommand)]
    pub(in crate::cli) verb: FindingsVerb,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum FindingsVerb {
    /// Turn one report into findings
    Parse(Parse),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    rungate findings parse --parser workflow-commands build.log\n  \
    gcc -c a.c 2>&1 | rungate findings parse --parser problem-matcher \\\n      \
      --matcher gcc.json --format sarif\n\n\
    Exits with 2 when the report is not of its format or breaks off; what was read \
    before is still printed.\n")]
pub(in crate::cli) struct Parse {
    /// Format of the report
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) parser: String,
    /// Matcher file of a problem-matcher; may be given several times
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) matcher: Vec<PathBuf>,
    /// Pattern of an errorformat; may be given several times, and they are tried in order
    #[arg(long, value_name = "PATTERN", allow_hyphen_values = true)]
    pub(in crate::cli) errorformat: Vec<String>,
    /// Name of the tool that wrote the report
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) tool: Option<String>,
    /// One JSON document, or one finding a line
    #[arg(long, value_name = "FORMAT", default_value = "jsonl")]
    pub(in crate::cli) format: ParseFormat,
    /// Report to read; standard input when absent or `-`
    #[arg(value_name = "FILE")]
    pub(in crate::cli) file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ParseFormat {
    Json,
    Jsonl,
    Sarif,
}
