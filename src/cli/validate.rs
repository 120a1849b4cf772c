//! `rungate validate`: what is wrong with the manifest, or with a host policy.

use std::path::Path;

use serde_json::json;

use crate::app::failure::Failure;
use crate::app::load::Site;
use crate::app::policy as host;
use crate::cli::args::{Format, Validate};
use crate::cli::exit::Exit;
use crate::cli::say::Talk;
use crate::environ::Environ;
use crate::manifest::availability;
use crate::manifest::diagnostic::{self, Diagnostic};
use crate::sandbox::spawn::Sandbox;

pub(super) fn validate(args: Validate, environ: Environ, talk: Talk) -> Result<Exit, std::io::Error> {
    if let Some(path) = &args.policy {
        return policy(path, args.format, talk);
    }
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

/// Checks the policy in `path`, and says what would keep it from being accepted where it stands.
fn policy(path: &Path, format: Format, talk: Talk) -> Result<Exit, std::io::Error> {
    let read = match host::look_at(path) {
        Ok(read) => read,
        Err(error) => {
            let message = format!("failed to read the policy {}: {error}", path.display());
            talk.error(&message, Some("check that it is a regular file that this user can read"));
            return Ok(Exit::Usage);
        }
    };
    let distrust = host::distrust(path);
    let (source, found, is_valid) = match &read {
        Ok(parsed) => (&parsed.policy.source, &parsed.warnings, true),
        Err(invalid) => (&invalid.source, &invalid.diagnostics, false),
    };
    if format == Format::Json {
        talk.json(&json!({
            "valid": is_valid,
            "trusted": distrust.is_none(),
            "distrust": distrust.as_ref().map(ToString::to_string),
            "diagnostics": diagnostic::json(source, found),
        }))?;
    } else if !found.is_empty() {
        talk.diagnostics(source, found);
    }
    if let (Some(distrust), Format::Human) = (&distrust, format) {
        talk.note(&format!(
            "{} would be refused where it stands: {distrust}; {}",
            path.display(),
            distrust.remedy()
        ));
    }
    if let (Ok(parsed), Format::Human) = (&read, format) {
        let count = parsed.policy.rules.len();
        let plural = if count == 1 { "" } else { "s" };
        talk.out(&format!("{} is valid: {count} rule{plural}\n", path.display()))?;
    }
    Ok(if is_valid { Exit::Passed } else { Exit::Usage })
}
