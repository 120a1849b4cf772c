//! `rungate sandbox`.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use serde_json::{Value, json};

use crate::app::exec::{self as app, Exec};
use crate::cli::args::Format;
use crate::cli::args::sandbox::{
    Exec as ExecArgs, NetworkWord, Probe, Sandbox as SandboxArgs, SandboxVerb, TierWord,
};
use crate::cli::exit::Exit;
use crate::cli::say::Talk;
use crate::environ::Environ;
use crate::manifest::model::Network;
use crate::run::passthrough::Ended;
use crate::sandbox::cgroup::{Cgroups, Controller};
use crate::sandbox::confinement::Tier;
use crate::sandbox::layers::LayerProblem;
use crate::sandbox::spawn::Sandbox;

/// A helper for the program that `sandbox exec` will start, when that is what is asked for: it gets going while the rest of
/// the words are still to be read. One that was not needed, or for something else, ends by itself.
pub(super) fn made_ready(words: impl Iterator<Item = OsString>) -> Option<Sandbox> {
    if !words.skip(1).take(2).eq(["sandbox", "exec"].map(OsString::from)) {
        return None;
    }
    let sandbox = Sandbox::of_this_program();
    app::make_ready(&sandbox, true);
    Some(sandbox)
}

pub(super) fn sandbox(
    args: SandboxArgs,
    environ: &Environ,
    talk: Talk,
    ready: Option<Sandbox>,
) -> io::Result<Exit> {
    match args.verb {
        SandboxVerb::Exec(args) => {
            Ok(exec(args, environ, talk, &ready.unwrap_or_else(Sandbox::of_this_program)))
        }
        SandboxVerb::Probe(args) => probe(&args, talk),
    }
}

/// Shows the layers of this host.
fn probe(args: &Probe, talk: Talk) -> io::Result<Exit> {
    let sandbox = Sandbox::of_this_program();
    let layers = sandbox.layers();
    let cgroups = Cgroups::of_this_host();
    let tier = layers.tier();
    let proc = layers.namespaces.is_ok().then_some(if layers.proc_fresh { "fresh" } else { "bound" });
    let cgroup_problem = cgroups.problem().map(|problem| (problem.to_string(), problem.remedy()));
    let controllers: Vec<&str> = cgroups.controllers().iter().copied().map(Controller::name).collect();
    let rows = [
        ("namespaces", shown(&layers.namespaces, |()| String::new())),
        ("proc", (proc.is_some(), proc.unwrap_or_default().to_owned())),
        ("landlock", shown(&layers.landlock, |version| format!("ABI {version}"))),
        ("seccomp", shown(&layers.seccomp, |()| String::new())),
        ("scoped kill", (layers.scoped_kill, String::new())),
        ("cgroup kill", (cgroups.can_kill(), String::new())),
        ("cgroup", (!controllers.is_empty(), controllers.join(", "))),
    ];
    match args.format {
        Format::Human => {
            let mut text = format!("{:<12} {}\n", "tier", tier.as_str());
            for (name, (there, more)) in rows {
                let word = if there { "yes" } else { "no" };
                let _ = writeln!(text, "{name:<12} {}", format!("{word:<4}{more}").trim_end());
            }
            if let Some((problem, _)) = cgroup_problem {
                let _ = writeln!(text, "{:<12} {problem}", "");
            }
            talk.out(&text)?;
        }
        Format::Json => talk.json(&json!({
            "schema": "rungate.sandbox-probe/1",
            "tier": tier.as_str(),
            "namespaces": layer(&layers.namespaces, |()| Value::Null, "version"),
            "proc": proc,
            "landlock": layer(&layers.landlock, |abi| json!(abi), "abi"),
            "seccomp": layer(&layers.seccomp, |()| Value::Null, "version"),
            "scoped_kill": layers.scoped_kill,
            "cgroup": {
                "kill": cgroups.can_kill(),
                "controllers": controllers,
                "problem": cgroup_problem.as_ref().map(|(problem, _)| problem),
                "remedy": cgroup_problem.as_ref().map(|(_, remedy)| remedy),
            },
        }))?,
    }
    Ok(if tier == Tier::None { Exit::Host } else { Exit::Passed })
}

/// Whether a layer is there, and what there is to say about it.
fn shown<T>(layer: &Result<T, LayerProblem>, more: impl Fn(&T) -> String) -> (bool, String) {
    match layer {
        Ok(found) => (true, more(found)),
        Err(problem) => (false, problem.to_string()),
    }
}

/// The same for programs; `name` is what `value` is called, where it is something.
fn layer<T>(layer: &Result<T, LayerProblem>, value: impl Fn(&T) -> Value, name: &str) -> Value {
    match layer {
        Ok(found) => {
            let mut object = json!({ "available": true });
            let value = value(found);
            if !value.is_null() {
                object[name] = value;
            }
            object
        }
        Err(problem) => json!({
            "available": false,
            "problem": problem.to_string(),
            "errno": format!("{:?}", problem.errno),
            "remedy": problem.remedy,
        }),
    }
}

fn exec(args: ExecArgs, environ: &Environ, talk: Talk, sandbox: &Sandbox) -> Exit {
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
    match app::exec(&exec, environ, sandbox) {
        Ok(passed) => {
            if let Some(limit) = &passed.limit {
                talk.error(limit, None);
            }
            of(&passed.ended, talk)
        }
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
