//! `rungate init`: a first manifest and a first workflow.

use std::fmt::Write as _;
use std::io;

use crate::app::init::{self as app, Draft};
use crate::app::load::Site;
use crate::cli::args::Init;
use crate::cli::exit::Exit;
use crate::cli::say::Talk;
use crate::environ::Environ;
use crate::sandbox::spawn::Sandbox;

pub(super) fn init(args: Init, environ: Environ, talk: Talk) -> io::Result<Exit> {
    let drafted = Site::new(args.workspace, None, environ, Sandbox::of_this_program()).and_then(|site| {
        let beginning = app::draft(&site)?;
        if !args.print {
            app::write(&site, &beginning.drafts)?;
        }
        Ok(beginning)
    });
    let beginning = match drafted {
        Ok(beginning) => beginning,
        Err(failure) => return Ok(talk.failure(&failure)),
    };
    let text = if args.print { printed(&beginning.drafts) } else { written(&beginning.drafts) };
    talk.out(&text)?;
    for note in &beginning.notes {
        talk.note(note);
    }
    if !args.print {
        talk.note("next: `rungate run check`");
    }
    Ok(Exit::Passed)
}

/// The files one after the other, as a stream of YAML documents.
fn printed(drafts: &[Draft]) -> String {
    let parts: Vec<String> = drafts.iter().map(|draft| format!("# {}\n{}", draft.path, draft.text)).collect();
    parts.join("---\n")
}

fn written(drafts: &[Draft]) -> String {
    drafts.iter().fold(String::new(), |mut text, draft| {
        let _ = writeln!(text, "created {}", draft.path);
        text
    })
}
