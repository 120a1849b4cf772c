//! The command line: words in, words and an exit code out. Knows no rule of the domain.

mod app;
mod args;
mod baseline;
mod doctor;
mod exit;
mod findings;
mod init;
mod install;
mod list;
mod plan;
mod publish;
mod reconcile;
mod run;
mod sandbox;
mod say;
mod validate;
mod version;

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::args::app::{App, AppVerb};
use crate::cli::args::findings::{Findings, FindingsVerb};
use crate::cli::args::lazy::Lazy;
use crate::cli::args::{Arguments, Baseline, BaselineVerb, Verb};
use crate::cli::exit::Exit;
use crate::cli::say::Talk;
use crate::environ::Environ;
use crate::sandbox::spawn::Sandbox;

/// Runs the program on this process's arguments and environment.
#[must_use]
pub fn main() -> ExitCode {
    let sandbox = sandbox::made_ready(std::env::args_os());
    let environ = Environ::of_process();
    let talk = Talk::new(&environ);
    // A panic has printed what it has to say. Whoever called us must be able to tell it from a failed gate.
    let exit = std::panic::catch_unwind(AssertUnwindSafe(|| dispatch(environ, talk, sandbox)));
    exit.unwrap_or_else(|_| {
        talk.error(
            "this is a fault of rungate, not of what it ran",
            Some("please report it with the lines above"),
        );
        Exit::Bug
    })
    .into()
}

fn dispatch(environ: Environ, talk: Talk, ready: Option<Sandbox>) -> Exit {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return say::usage(&error, talk),
    };
    let exit = match arguments.verb {
        Verb::Run(Lazy(args)) => Ok(run::run(args, environ, talk)),
        Verb::Publish(Lazy(args)) => Ok(publish::publish(&args, &environ, talk)),
        Verb::Reconcile(Lazy(args)) => reconcile::reconcile(args, &environ, talk),
        Verb::Plan(Lazy(args)) => plan::plan(args, environ, talk),
        Verb::Validate(Lazy(args)) => validate::validate(args, environ, talk),
        Verb::List(Lazy(args)) => list::list(args, environ, talk),
        Verb::Init(Lazy(args)) => init::init(args, environ, talk),
        Verb::Findings(Lazy(Findings { verb: FindingsVerb::Parse(args) })) => findings::parse(&args, talk),
        Verb::Sandbox(Lazy(args)) => sandbox::sandbox(args, &environ, talk, ready),
        Verb::Doctor(Lazy(args)) => doctor::doctor(&args, &environ, talk),
        Verb::Baseline(Lazy(Baseline { verb: BaselineVerb::Update(args) })) => {
            baseline::update(args, environ, talk)
        }
        Verb::App(Lazy(App { verb: AppVerb::Whoami(args) })) => app::whoami(args, &environ, talk),
        Verb::App(Lazy(App { verb: AppVerb::Token(args) })) => app::token(args, &environ, talk),
        Verb::Completions(Lazy(args)) => install::completions(&args, talk),
        Verb::Man(Lazy(args)) => Ok(install::man(&args, talk)),
        Verb::Schema(Lazy(args)) => list::schema(&args, talk),
    };
    exit.unwrap_or_else(|error| talk.lost(&error))
}
