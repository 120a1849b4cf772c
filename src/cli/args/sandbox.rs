//! What can be typed after `rungate sandbox`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use crate::cli::args::Format;
use crate::manifest::amount;

#[derive(Debug, Args)]
pub(in crate::cli) struct Sandbox {
    #[command(subcommand)]
    pub(in crate::cli) verb: SandboxVerb,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum SandboxVerb {
    /// Run one program in a sandbox, in the current folder, and end as it ends
    Exec(Exec),
    /// Show which layers of the sandbox this host has
    Probe(Probe),
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  rungate sandbox probe --format json | jq -r .tier\n\n\
    Exits with 4 when no tier can be had. `rungate doctor` says why, and what helps.\n")]
pub(in crate::cli) struct Probe {
    /// Layers for people, or as JSON
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(in crate::cli) format: Format,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    rungate sandbox exec -- python3 -m unittest\n  \
    rungate sandbox exec --write build --memory 4GiB --timeout 10m -- make\n\n\
    The program sees the system's folders and the current one, read-only and \
    without .git, and writes to a private HOME and TMPDIR.\n\n\
    Exits with the program's own code, with 128 and the number of the signal that \
    ended it, with 124 when its time was up, and with 125 when the sandbox could \
    not be set up or the program not be started.\n")]
pub(in crate::cli) struct Exec {
    /// Further path that may be read; may be given several times
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli) read: Vec<PathBuf>,
    /// Path that may be written, created as a folder when missing; may be given several times
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli) write: Vec<PathBuf>,
    /// No network but the sandbox's own loopback, or the host's
    #[arg(long, value_name = "NETWORK", default_value = "none")]
    pub(in crate::cli) network: NetworkWord,
    /// Memory of all its processes
    #[arg(long, value_name = "SIZE", default_value = "2GiB", value_parser = amount::size)]
    pub(in crate::cli) memory: u64,
    /// Processes and threads
    #[arg(long, value_name = "N", default_value = "256", value_parser = clap::value_parser!(u32).range(1..))]
    pub(in crate::cli) processes: u32,
    /// Private writable space
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = amount::size)]
    pub(in crate::cli) scratch: u64,
    /// Time after which it is stopped, such as 90s [default: none]
    #[arg(long, value_name = "TIME", value_parser = amount::duration)]
    pub(in crate::cli) timeout: Option<Duration>,
    /// How it is confined [default: namespaces where the host has them, else landlock]
    #[arg(long, value_name = "TIER")]
    pub(in crate::cli) tier: Option<TierWord>,
    /// Variable to pass, or to set; may be given several times
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = clap::builder::OsStringValueParser::new())]
    pub(in crate::cli) env: Vec<OsString>,
    /// Folder that it sees as its workspace [default: the current folder]
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) workspace: Option<PathBuf>,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGV")]
    pub(in crate::cli) argv: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum NetworkWord {
    None,
    Host,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum TierWord {
    Namespaces,
    Landlock,
}
