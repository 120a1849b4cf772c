//! `rungate validate`: what is wrong with the manifest.

use serde_json::json;

use crate::app::failure::Failure;
use crate::app::load::Site;
use crate::cli::args::{Format, Validate};
use crate::cli::exit::Exit;
use crate::cli::say::Talk;
use crate::environ::Environ;
use crate::manifest::availability;
use crate::manifest::diagnostic::{self, Diagnostic};
use crate::sandbox::child::Sandbox;

pub(super) fn validate(args: Validate, environ: Environ, talk: Talk) -> Result<Exit, std::io::Error> {
    let read = Site::new(args.place.workspace, args.place.manifest, environ, Sandbox::of_this_program())
        .and_then(|site| site.read_manifest());
    match read {
        Ok(parsed) => {
            let mut warnings = parsed.warnings.clone();
            for command in &parsed.manifest.commands {
                warnings.extend(availability::unavailable(command).into_iter().map(Diagnostic::as_warning));
            }
            warnings.sort_by_key(|found| (found.span, found.rule));
            // What stands at the top is told once, not once a command.
            warnings.dedup();
            if args.format == Format::Json {
                talk.json(
                    &json!({"valid": true, "diagnostics": diagnostic::json(&parsed.source, &warnings)}),
                )?;
                return Ok(Exit::Passed);
            }
            if !warnings.is_empty() {
                talk.diagnostics(&parsed.source, &warnings);
            }
            let count = parsed.manifest.commands.len();
            let plural = if count == 1 { "" } else { "s" };
            talk.out(&format!("{} is valid: {count} command{plural}\n", parsed.source.path))?;
            Ok(Exit::Passed)
        }
        Err(Failure::Manifest { source_text, diagnostics }) if args.format == Format::Json => {
            let diagnostics: &[Diagnostic] = &diagnostics;
            talk.json(&json!({"valid": false, "diagnostics": diagnostic::json(&source_text, diagnostics)}))?;
            Ok(Exit::Usage)
        }
        Err(failure) => Ok(talk.failure(&failure)),
    }
}
