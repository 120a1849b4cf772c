//! What is installed beside the program: completions for shells, and manual pages. Made from what can be typed, so that
//! neither can be out of date.

use std::fs;
use std::io;
use std::path::Path;

use clap::{Command, CommandFactory as _};

use crate::app::failure::host;
use crate::cli::args::Arguments;
use crate::cli::args::install::{Completions, Man, Shell};
use crate::cli::exit::Exit;
use crate::cli::say::Talk;

impl From<Shell> for clap_complete::Shell {
    fn from(shell: Shell) -> Self {
        match shell {
            Shell::Bash => Self::Bash,
            Shell::Fish => Self::Fish,
            Shell::Powershell => Self::PowerShell,
            Shell::Zsh => Self::Zsh,
        }
    }
}

pub(super) fn completions(args: &Completions, talk: Talk) -> io::Result<Exit> {
    let mut text = Vec::new();
    clap_complete::generate(
        clap_complete::Shell::from(args.shell),
        &mut Arguments::command(),
        "rungate",
        &mut text,
    );
    talk.out(&String::from_utf8_lossy(&text))?;
    Ok(Exit::Passed)
}

pub(super) fn man(args: &Man, talk: Talk) -> Exit {
    let mut command = Arguments::command().disable_help_subcommand(true);
    // Gives every command its whole name, which its page is called after.
    command.build();
    match fs::create_dir_all(&args.folder).and_then(|()| pages(command, &args.folder)) {
        Ok(()) => Exit::Passed,
        Err(error) => talk.failure(&host(
            format!("manual pages cannot be written to {}: {error}", args.folder.display()),
            "name a folder that this user can write",
        )),
    }
}

/// Writes the page of `command`, and those of the commands below it that are shown.
fn pages(command: Command, folder: &Path) -> io::Result<()> {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        pages(below.clone(), folder)?;
    }
    clap_mangen::Man::new(command)
        .source(format!("rungate {}", env!("CARGO_PKG_VERSION")))
        .manual("rungate")
        .generate_to(folder)
        .map(drop)
}
