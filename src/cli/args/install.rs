//! What can be typed for an installation's sake.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    rungate completions bash > /etc/bash_completion.d/rungate\n  \
    rungate completions zsh > ~/.zfunc/_rungate\n  \
    rungate completions fish > ~/.config/fish/completions/rungate.fish\n")]
pub(in crate::cli) struct Completions {
    /// Which shell
    #[arg(value_name = "SHELL")]
    pub(in crate::cli) shell: Shell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Shell {
    Bash,
    Zsh,
    Fish,
    Powershell,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  rungate man /usr/local/share/man/man1\n")]
pub(in crate::cli) struct Man {
    /// Folder for one page a command; made when it is missing
    #[arg(value_name = "DIR")]
    pub(in crate::cli) folder: PathBuf,
}
