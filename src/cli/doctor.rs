//! `rungate doctor`.

use std::fmt::Write as _;
use std::io;

use serde_json::json;

use crate::app::doctor::{self, Check, Patient, State};
use crate::cli::args::{Doctor, Format};
use crate::cli::exit::Exit;
use crate::cli::say::Talk;
use crate::environ::Environ;
use crate::sandbox::spawn::Sandbox;

pub(super) fn doctor(args: &Doctor, environ: &Environ, talk: Talk) -> io::Result<Exit> {
    let sandbox = Sandbox::of_this_program();
    let checks = doctor::examine(Patient { sandbox: &sandbox, environ, offline: args.offline });
    match args.format {
        Format::Human => talk.out(&for_people(&checks))?,
        Format::Json => {
            let checks: Vec<_> = checks
                .iter()
                .map(|check| {
                    json!({
                        "id": check.id,
                        "state": check.state.as_str(),
                        "found": check.found,
                        "cause": check.cause,
                        "remedies": check.remedies,
                    })
                })
                .collect();
            talk.json(&json!({ "schema": "rungate.doctor/1", "checks": checks }))?;
        }
    }
    Ok(match doctor::worst(&checks) {
        State::Good | State::Lacking => Exit::Passed,
        State::Failed => Exit::Host,
    })
}

fn for_people(checks: &[Check]) -> String {
    let width = checks.iter().map(|check| check.id.len()).max().unwrap_or(0);
    let mut text = String::new();
    for check in checks {
        let _ = writeln!(text, "{:<8} {:<width$}  {}", check.state.as_str(), check.id, check.found);
        if let Some(cause) = &check.cause {
            let _ = writeln!(text, "{:9}{:width$}  because: {cause}", "", "");
        }
        for remedy in &check.remedies {
            let mut lines = remedy.lines();
            let _ = writeln!(text, "{:9}{:width$}  remedy: {}", "", "", lines.next().unwrap_or_default());
            for line in lines {
                let _ = writeln!(text, "{:9}{:width$}    {line}", "", "");
            }
        }
    }
    text
}
