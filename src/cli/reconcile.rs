//! `rungate reconcile`.

use std::fmt::Write as _;
use std::io;

use serde_json::{Value, json};

use crate::app::reconcile::remote::{self, Found, Question, RemoteError};
use crate::app::reconcile::{self as app, Done, Looked};
use crate::cli::args::Format;
use crate::cli::args::reconcile::Reconcile;
use crate::cli::exit::Exit;
use crate::cli::say::Talk;
use crate::deliver::closing::Closing;
use crate::environ::Environ;

pub(super) fn reconcile(args: Reconcile, environ: &Environ, talk: Talk) -> io::Result<Exit> {
    if let (Some(repository), Some(older_than)) = (args.repository, args.older_than) {
        let question = Question { repository, older_than, refs: args.refs };
        return by_github(&question, environ, args.format, talk);
    }
    let looked = match app::reconcile(args.state.as_deref(), environ) {
        Ok(looked) => looked,
        Err(failure) => return Ok(talk.failure(&failure)),
    };
    match args.format {
        Format::Human => talk.out(&for_people(&looked))?,
        Format::Json => {
            let runs: Vec<Value> = looked.iter().map(document).collect();
            talk.json(&json!({"schema": "rungate.reconcile/1", "runs": runs}))?;
        }
    }
    let is_open = |looked: &Looked| matches!(looked.done, Done::Later(_) | Done::Failed(_));
    Ok(if looked.iter().any(is_open) { Exit::Undelivered } else { Exit::Passed })
}

/// One line about a journal that was not complete; nothing about one that was.
pub(super) fn line(looked: &Looked) -> Option<String> {
    let file = looked.path.file_stem().unwrap_or_default().to_string_lossy();
    let mut text = match &looked.planned {
        Some(planned) => format!("run {file} ({}, {})", planned.name, planned.repository),
        None => format!("run {file}"),
    };
    let _ = match &looked.done {
        Done::Complete => return None,
        Done::Alive => write!(text, " is alive"),
        Done::Closed => write!(text, " was dead and is closed"),
        Done::Later(why) => write!(text, " is to be looked at again later: {why}"),
        Done::Failed(why) => write!(text, " could not be closed: {why}"),
    };
    for (_, conclusion) in &looked.concluded {
        let _ = write!(text, "; its check run is concluded as {}", conclusion.as_str());
    }
    if looked.ended > 0 {
        let _ = write!(text, "; {} of its steps were still running and were ended", looked.ended);
    }
    Some(text)
}

fn for_people(looked: &[Looked]) -> String {
    let mut text: String = looked.iter().filter_map(line).map(|line| line + "\n").collect();
    let count = looked.len();
    let _ = writeln!(text, "{count} journal{} looked at", if count == 1 { "" } else { "s" });
    text
}

fn document(looked: &Looked) -> Value {
    let why = match &looked.done {
        Done::Later(why) | Done::Failed(why) => Some(why),
        Done::Alive | Done::Complete | Done::Closed => None,
    };
    let concluded = looked.concluded.iter().map(
        |(external_id, conclusion)| json!({"external_id": external_id, "conclusion": conclusion.as_str()}),
    );
    json!({
        "journal": looked.path.display().to_string(),
        "run_id": looked.planned.as_ref().map(|planned| planned.run_id),
        "name": looked.planned.as_ref().map(|planned| &planned.name),
        "repository": looked.planned.as_ref().map(|planned| &planned.repository),
        "sha": looked.planned.as_ref().map(|planned| &planned.sha),
        "done": looked.done.word(),
        "reason": why,
        "steps_ended": looked.ended,
        "concluded": concluded.collect::<Vec<_>>(),
    })
}

fn by_github(question: &Question, environ: &Environ, format: Format, talk: Talk) -> io::Result<Exit> {
    let found = match remote::reconcile(question, environ) {
        Ok(found) => found,
        Err(RemoteError::Lack(failure)) => return Ok(talk.failure(&failure)),
        Err(RemoteError::GitHub(error)) => {
            talk.error(&error.full_text(), Some(&error.remedy()));
            return Ok(Exit::Undelivered);
        }
    };
    for missing in &found.not_looked_at {
        talk.note(&format!("not looked at: {missing}"));
    }
    match format {
        Format::Human => talk.out(&found_for_people(question, &found))?,
        Format::Json => talk.json(&found_document(&found))?,
    }
    let is_open =
        found.runs.iter().any(|(_, closing)| matches!(closing, Closing::Failed(_) | Closing::Later(_)));
    Ok(if is_open { Exit::Undelivered } else { Exit::Passed })
}

/// What came of a check run, and why where it is still open.
fn words(closing: &Closing) -> (&'static str, Option<&str>) {
    match closing {
        Closing::Concluded => ("concluded as failure", None),
        Closing::WasConcluded => ("was concluded already", None),
        Closing::Absent => ("is not there", None),
        Closing::Later(why) => ("is to be looked at again later", Some(why)),
        Closing::Failed(why) => ("could not be concluded", Some(why)),
    }
}

fn found_for_people(question: &Question, found: &Found) -> String {
    let mut text = String::new();
    for (run, closing) in &found.runs {
        let (what, why) = words(closing);
        let name = run.name.as_deref().unwrap_or("without a name");
        let _ = write!(text, "check run {} ({name}) {what}", run.id);
        let _ = writeln!(text, "{}", why.map(|why| format!(": {why}")).unwrap_or_default());
    }
    let looked_at = found.looked_at.join(", ");
    let _ = writeln!(
        text,
        "{}: {} commits looked at ({looked_at}); {} open check runs are younger or alive",
        question.repository, found.commits, found.young
    );
    text
}

fn found_document(found: &Found) -> Value {
    let runs = found.runs.iter().map(|(run, closing)| {
        let (done, why) = words(closing);
        json!({
            "id": run.id, "name": run.name, "external_id": run.external_id, "html_url": run.html_url,
            "started_at": run.started_at, "done": done, "reason": why,
        })
    });
    json!({
        "schema": "rungate.reconcile/1",
        "check_runs": runs.collect::<Vec<_>>(),
        "commits": found.commits,
        "looked_at": found.looked_at,
        "not_looked_at": found.not_looked_at,
        "young": found.young,
    })
}
