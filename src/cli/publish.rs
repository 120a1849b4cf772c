//! `rungate publish`.

use crate::app::check_run::Wanted;
use crate::app::check_run::stored::{self, Options, PublishError, Published};
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
    let options = Options { wanted, again: args.again, changed: args.changed };
    let Published { delivery, trouble } = match stored::publish(&args.folder, environ, options) {
        Ok(published) => published,
        Err(PublishError::Lack(failure)) => return talk.failure(&failure),
        Err(PublishError::Output(error)) => return talk.lost(&error),
        Err(error) => {
            talk.error(&crate::http::error::chain(&error), error.remedy());
            return match error {
                PublishError::Journal(_) | PublishError::Busy | PublishError::Final => Exit::Undelivered,
                _ => Exit::Usage,
            };
        }
    };
    if let Some(trouble) = trouble {
        talk.note(&trouble);
    }
    if wanted == Wanted::Preview {
        return Exit::Passed;
    }
    let reason = delivery.reason.as_deref().unwrap_or("nobody knows why");
    match delivery.check_run {
        Delivered::Delivered => {
            let page = delivery.html_url.as_deref().unwrap_or("it has no page");
            match talk.out(&format!("check run: {page}\n")) {
                Ok(()) => Exit::Passed,
                Err(error) => talk.lost(&error),
            }
        }
        Delivered::None | Delivered::Pending | Delivered::Failed => {
            talk.error(&format!("the check run was not delivered: {reason}"), None);
            Exit::Undelivered
        }
    }
}
