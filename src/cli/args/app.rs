//! What can be typed after `rungate app`.

use clap::{Args, Subcommand};

use crate::cli::args::Format;
use crate::github::app::Access;

#[derive(Debug, Args)]
pub(in crate::cli) struct App {
    #[command(subcommand)]
    pub(in crate::cli) verb: AppVerb,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum AppVerb {
    /// Say which App the key belongs to, and where it is installed
    Whoami(Whoami),
    /// Print a token for one repository with few permissions
    Token(Token),
}

/// Which server and which repository.
#[derive(Debug, Args)]
pub(in crate::cli) struct Where {
    /// Repository [default: that of the job]
    #[arg(long = "repo", value_name = "OWNER/NAME")]
    pub(in crate::cli) repository: Option<String>,
    /// Bare name of the GitHub server [default: that of the job, else github.com]
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) host: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    rungate app whoami\n  \
    rungate app whoami --repo octo-org/hello --format json\n\n\
    Reads RUNGATE_APP_ID with RUNGATE_APP_PRIVATE_KEY_FILE or RUNGATE_APP_PRIVATE_KEY. \
    Exits with 2 when they are missing or not usable, with 5 when the server does not \
    accept them or cannot be reached.\n")]
pub(in crate::cli) struct Whoami {
    #[command(flatten)]
    pub(in crate::cli) at: Where,
    /// Words for people, or JSON
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub(in crate::cli) format: Format,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    rungate app token --repo octo-org/hello\n  \
    GH_TOKEN=$(rungate app token --permission contents=read) gh repo view\n\n\
    The token ends within the hour. Exits with 2 when credentials are missing or not \
    usable, with 3 when a host policy stands against it, with 5 when the server gives \
    none.\n")]
pub(in crate::cli) struct Token {
    #[command(flatten)]
    pub(in crate::cli) at: Where,
    /// Permission that it is to have; may be given several times [default: checks=write]
    #[arg(long = "permission", value_name = "NAME=read|write", value_parser = permission)]
    pub(in crate::cli) permissions: Vec<(String, Access)>,
}

/// Reads `checks=write`.
fn permission(text: &str) -> Result<(String, Access), String> {
    let (name, access) = text.split_once('=').ok_or("it has to be NAME=read or NAME=write")?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let access = match access {
        "read" => Access::Read,
        "write" => Access::Write,
        "admin" => Access::Admin,
        _ => return Err("it has to end with =read or =write".to_owned()),
    };
    if is_name {
        Ok((name.to_owned(), access))
    } else {
        Err("GitHub's names are like pull_requests".to_owned())
    }
}
