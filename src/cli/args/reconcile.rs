//! What can be typed after `rungate reconcile`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::cli::args::Format;
use crate::manifest::amount;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    rungate reconcile\n  \
    rungate reconcile --state /var/lib/rungate --format json\n  \
    rungate reconcile --repo octo-org/hello --older-than 6h\n\n\
    A run whose process is gone is concluded as cancelled, timed_out or failure, never \
    as passed. Runs that are alive are left alone.\n\n\
    Exits with 0 when nothing dead is left open, with 5 when something could not be \
    closed and is to be tried again, with 4 when the folder cannot be read.\n")]
pub(in crate::cli) struct Reconcile {
    /// Folder for state, whose journals are looked at [default: that of `RUNGATE_STATE_DIR`]
    #[arg(long, value_name = "DIR", conflicts_with = "repository")]
    pub(in crate::cli) state: Option<PathBuf>,
    /// Look at open check runs of the App in this repository instead
    #[arg(long = "repo", value_name = "OWNER/NAME", requires = "older_than")]
    pub(in crate::cli) repository: Option<String>,
    /// Age from which such a check run is taken for dead, as 90m or 6h: longer than any run lasts
    #[arg(long, value_name = "TIME", requires = "repository", value_parser = amount::duration)]
    pub(in crate::cli) older_than: Option<Duration>,
    /// Branch, tag or commit to look at too; may be given several times
    #[arg(long = "ref", value_name = "REF", requires = "repository")]
    pub(in crate::cli) refs: Vec<String>,
    /// Words for people, or JSON
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(in crate::cli) format: Format,
}
