//! `rungate baseline`.

use std::io;

use crate::app::baseline;
use crate::app::load::Site;
use crate::cli::args::BaselineUpdate;
use crate::cli::exit::Exit;
use crate::cli::say::Talk;
use crate::environ::Environ;
use crate::sandbox::spawn::Sandbox;

pub(super) fn update(args: BaselineUpdate, environ: Environ, talk: Talk) -> io::Result<Exit> {
    let updated = Site::new(args.place.workspace, args.place.manifest, environ, Sandbox::of_this_program())
        .and_then(|site| baseline::update(&site, &args.command, &args.from));
    match updated {
        Ok(files) => {
            for file in files {
                let plural = if file.entries == 1 { "" } else { "s" };
                talk.out(&format!(
                    "{}: {} finding{plural}, {} new, {} gone\n",
                    file.path, file.entries, file.added, file.gone
                ))?;
            }
            Ok(Exit::Passed)
        }
        Err(failure) => Ok(talk.failure(&failure)),
    }
}
