//! `rungate run`.

use crate::app::admit::Consent;
use crate::app::check_run::Wanted;
use crate::app::load::Site;
use crate::app::run::{self as app, Options, Undone};
use crate::cli::args::RunArgs;
use crate::cli::exit::Exit;
use crate::cli::plan::request;
use crate::cli::reconcile;
use crate::cli::say::Talk;
use crate::environ::Environ;
use crate::record::Conclusion;
use crate::report::{View, actions};
use crate::sandbox::spawn::Sandbox;

/// What was typed about the sandbox.
fn consent(args: &RunArgs) -> Consent {
    Consent { mode: args.sandbox.into(), allow: args.allow.iter().map(|&allow| allow.into()).collect() }
}

pub(super) fn run(args: RunArgs, environ: Environ, talk: Talk) -> Exit {
    let files = environ.clone();
    let exit = made(args, environ, talk);
    match actions::exit_code(&files, exit.code()) {
        Ok(()) => exit,
        Err(error) => {
            talk.error(&format!("the job's outputs could not be written: {error}"), None);
            // Somebody who reads the output would take the run for one that never was.
            if exit == Exit::Passed { Exit::Undelivered } else { exit }
        }
    }
}

fn made(args: RunArgs, environ: Environ, talk: Talk) -> Exit {
    let consent = consent(&args);
    let request = match request(args.request, &environ) {
        Ok(request) => request,
        Err(failure) => return talk.failure(&failure),
    };
    let check_run = Wanted::from(args.check_run);
    let view = View {
        // Standard output then holds one document: the requests.
        result_aside: check_run == Wanted::Preview,
        ..talk.view(args.format, args.verbose)
    };
    let options = Options { out: args.out, consent, check_run, artifacts: args.artifacts.into(), view };
    let site = Site::new(args.place.workspace, args.place.manifest, environ, Sandbox::of_this_program());
    let site = match site {
        Ok(site) => site,
        Err(failure) => return talk.failure(&failure),
    };
    let outcome = match app::run(&site, &request, &options) {
        Ok(outcome) => outcome,
        Err(Undone { failure, trouble }) => {
            let exit = talk.failure(&failure);
            if let Some(why) = trouble {
                talk.error(&format!("no check run says so: {why}"), None);
            }
            return exit;
        }
    };
    if outcome.watched {
        for line in outcome.reconciled.iter().filter_map(reconcile::line) {
            talk.note(&line);
        }
        for trouble in &outcome.trouble {
            talk.error(&trouble.what, trouble.remedy.as_deref());
        }
    }
    match outcome.record.conclusion {
        // Whoever stopped it midway through the delivery has not waited for what it says.
        _ if outcome.cancelled => Exit::Cancelled,
        // Not by the conclusion alone: where the host could not start a step, nothing was judged.
        Conclusion::Failure if outcome.record.exit_code == Exit::Host.code() => Exit::Host,
        Conclusion::Failure | Conclusion::TimedOut => Exit::GateFailed,
        Conclusion::Cancelled => Exit::Cancelled,
        // Judged and passed, but somebody who looks for the record will not find all of it.
        Conclusion::Success | Conclusion::Neutral if !outcome.trouble.is_empty() => Exit::Undelivered,
        Conclusion::Success | Conclusion::Neutral => Exit::Passed,
    }
}
