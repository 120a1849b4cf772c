//! `rungate run`.

use crate::app::load::Site;
use crate::app::run::{self as app, Options};
use crate::cli::args::{RunArgs, When};
use crate::cli::exit::Exit;
use crate::cli::plan::request;
use crate::cli::say::Talk;
use crate::environ::Environ;
use crate::record::Conclusion;
use crate::sandbox::child::Sandbox;

pub(super) fn run(args: RunArgs, environ: Environ, talk: Talk) -> Exit {
    if let When::On | When::Preview = args.check_run {
        let help = "this version cannot post check runs yet: leave --check-run out, or say off";
        talk.error("--check-run on and preview are not available", Some(help));
        return Exit::Usage;
    }
    let request = match request(args.request, &environ) {
        Ok(request) => request,
        Err(problem) => {
            talk.error(&problem, None);
            return Exit::Usage;
        }
    };
    let view = talk.view(args.format, args.verbose);
    let options = Options { out: args.out, sandbox: args.sandbox.map(Into::into), view };
    let made = Site::new(args.place.workspace, args.place.manifest, environ, Sandbox::of_this_program())
        .and_then(|site| app::run(&site, &request, &options));
    let outcome = match made {
        Ok(outcome) => outcome,
        Err(failure) => return talk.failure(&failure),
    };
    if outcome.watched {
        for trouble in &outcome.trouble {
            talk.error(trouble, None);
        }
    }
    match outcome.record.conclusion {
        // Not by the conclusion alone: where the host could not start a step, nothing was judged.
        Conclusion::Failure if outcome.record.exit_code == Exit::Host.code() => Exit::Host,
        Conclusion::Failure | Conclusion::TimedOut => Exit::GateFailed,
        Conclusion::Cancelled => Exit::Cancelled,
        // Judged and passed, but somebody who looks for the record will not find all of it.
        Conclusion::Success | Conclusion::Neutral if !outcome.trouble.is_empty() => Exit::Undelivered,
        Conclusion::Success | Conclusion::Neutral => Exit::Passed,
    }
}
