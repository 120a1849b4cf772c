//! `rungate publish`.

use crate::app::artifacts;
use crate::app::check_run::stored::{self, Options, PublishError};
use crate::app::check_run::{Published, Wanted, upload_trouble};
use crate::cli::args::{Deliver, Publish};
use crate::cli::exit::Exit;
use crate::cli::say::Talk;
use crate::environ::Environ;
use crate::record::delivery::Delivered;

pub(super) fn publish(args: &Publish, environ: &Environ, talk: Talk) -> Exit {
    let wanted = match args.check_run {
        Deliver::On => Wanted::On,
        Deliver::Preview => Wanted::Preview,
    };
    // A job's token ends with it, so that artifacts come first.
    let owed = match wanted {
        Wanted::Preview => Ok(Vec::new()),
        Wanted::Auto | Wanted::On | Wanted::Off => artifacts::publish(&args.folder, environ),
    };
    let owed = match owed {
        Ok(owed) => owed,
        Err(error) => return failed(error, talk),
    };
    for trouble in &owed {
        talk.error(trouble, None);
    }
    let options = Options { wanted, again: args.again, changed: args.changed };
    let Published { delivery, trouble } = match stored::publish(&args.folder, environ, options) {
        Ok(published) => published,
        Err(error) => return failed(error, talk),
    };
    if let Some(trouble) = trouble {
        talk.note(&trouble);
    }
    if wanted == Wanted::Preview {
        return Exit::Passed;
    }
    let reason = delivery.reason.as_deref().unwrap_or("nobody knows why");
    let uploaded = delivery.sarif.as_ref().and_then(upload_trouble);
    match delivery.check_run {
        Delivered::Delivered if delivery.instead.is_some() => {
            talk.note(&format!("the verdict is told another way, and not by a check run: {reason}"));
            Exit::Passed
        }
        Delivered::Delivered => {
            let page = delivery.html_url.as_deref().unwrap_or("it has no page");
            match talk.out(&format!("check run: {page}\n")) {
                Ok(()) if owed.is_empty() && uploaded.is_none() => Exit::Passed,
                Ok(()) => {
                    if let Some(trouble) = uploaded {
                        talk.error(&trouble, None);
                    }
                    Exit::Undelivered
                }
                Err(error) => talk.lost(&error),
            }
        }
        Delivered::None | Delivered::Pending | Delivered::Failed => {
            let help = "mend that, and publish it again: what has arrived is not sent twice";
            talk.error(&format!("the check run was not delivered: {reason}"), Some(help));
            Exit::Undelivered
        }
    }
}

fn failed(error: PublishError, talk: Talk) -> Exit {
    match error {
        PublishError::Lack(failure) => talk.failure(&failure),
        PublishError::Output(error) => talk.lost(&error),
        error => {
            talk.error(&crate::http::error::chain(&error), error.remedy());
            match error {
                PublishError::Journal(_) | PublishError::Busy | PublishError::Final => Exit::Undelivered,
                _ => Exit::Usage,
            }
        }
    }
}
