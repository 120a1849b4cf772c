//! `rungate sandbox`.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use crate::app::exec::{self as app, Exec};
use crate::cli::args::sandbox::{Exec as ExecArgs, NetworkWord, TierWord};
use crate::cli::exit::Exit;
use crate::cli::say::Talk;
use crate::environ::Environ;
use crate::manifest::model::Network;
use crate::run::passthrough::Ended;
use crate::sandbox::child::Sandbox;
use crate::sandbox::confinement::Tier;

pub(super) fn exec(args: ExecArgs, environ: &Environ, talk: Talk) -> Exit {
    let mut env = Vec::with_capacity(args.env.len());
    for pair in &args.env {
        match variable(pair) {
            Ok(pair) => env.push(pair),
            Err(problem) => {
                talk.error(
                    &problem,
                    Some("write --env NAME to pass the caller's value, or --env NAME=VALUE"),
                );
                return Exit::Usage;
            }
        }
    }
    let exec = Exec {
        argv: args.argv,
        workspace: args.workspace,
        read: args.read,
        write: args.write,
        network: match args.network {
            NetworkWord::None => Network::None,
            NetworkWord::Host => Network::Host,
        },
        tier: args.tier.map(|tier| match tier {
            TierWord::Namespaces => Tier::Namespaces,
            TierWord::Landlock => Tier::Landlock,
        }),
        memory: args.memory,
        processes: args.processes,
        scratch: args.scratch,
        timeout: args.timeout,
        env,
    };
    match app::exec(&exec, environ, &Sandbox::of_this_program()) {
        Ok(ended) => of(&ended, talk),
        Err(failure) => match talk.failure(&failure) {
            Exit::Host => Exit::NotSetUp,
            other => other,
        },
    }
}

/// The exit code that says how the program ended.
fn of(ended: &Ended, talk: Talk) -> Exit {
    match ended {
        Ended::Exited(code) => Exit::OfProgram(low_byte(*code)),
        Ended::Signaled(number) => Exit::OfProgram(128 | low_byte(*number)),
        Ended::TimedOut => {
            talk.error("the program's time was up, and everything of it was killed", None);
            Exit::ProgramTimedOut
        }
        Ended::Lost => {
            let help = "something outside of the sandbox did that, such as a host that was out of memory";
            talk.error("the process that supervised the program was killed", Some(help));
            Exit::NotSetUp
        }
    }
}

/// The part of an exit code or signal that reaches a parent.
fn low_byte(number: i32) -> u8 {
    number.to_le_bytes()[0]
}

/// `NAME` or `NAME=VALUE`.
fn variable(pair: &OsString) -> Result<(String, Option<OsString>), String> {
    let bytes = pair.as_bytes();
    let (name, value) = match bytes.iter().position(|&byte| byte == b'=') {
        Some(at) => (&bytes[..at], Some(OsString::from_vec(bytes[at + 1..].to_vec()))),
        None => (bytes, None),
    };
    match std::str::from_utf8(name) {
        Ok(name) if !name.is_empty() => Ok((name.to_owned(), value)),
        _ => Err(format!("--env {} does not name a variable", pair.display())),
    }
}
