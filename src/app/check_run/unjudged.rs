//! Check runs about requests of which nothing was judged, so that nobody waits for a verdict.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::app::check_run::{CLOSE, Wanted, Way, details};
use crate::app::failure::Failure;
use crate::app::folders;
use crate::app::journals::{self, Begun};
use crate::app::load::Site;
use crate::app::secrets;
use crate::app::signals;
use crate::app::tell::event_loop;
use crate::clock::Timestamp;
use crate::deliver::compose::{Job, Subject};
use crate::deliver::gates::named;
use crate::deliver::outbox::Outbox;
use crate::deliver::publish;
use crate::finding::{Finding, Level, Location};
use crate::gate::STEPS;
use crate::id::{CommandId, RunId};
use crate::manifest::diagnostic::{Diagnostic, Source};
use crate::manifest::model::CheckRuns;
use crate::page::escaped;
use crate::plan::facts::Questions;
use crate::record::Conclusion;
use crate::record::delivery::Delivered;
use crate::redact::Registry;
use crate::request::RunRequest;
use crate::workspace;

/// How long telling it may take.
const TIME: Duration = Duration::from_mins(3);

/// Posts a failed check run about a request of which nothing was judged, so that nobody waits for its verdict. Says why
/// it could not, where it should have.
pub(in crate::app) fn post_failure(
    site: &Site,
    request: &RunRequest,
    wanted: Wanted,
    failure: &Failure,
) -> Option<String> {
    if !site.environ.in_actions() || matches!(wanted, Wanted::Off | Wanted::Preview) {
        return None;
    }
    if let Failure::Undeliverable { .. } = failure {
        return None;
    }
    let registry = secrets::registry(&site.environ);
    let facts =
        workspace::facts(&Questions::default(), &site.workspace, &site.environ, request, &site.sandbox);
    let head = facts.head.and_then(Result::ok);
    let about = (facts.repository.as_deref(), head.as_deref());
    let (Ok(Way::Remote(remote)), Some(head_sha)) =
        (Way::of(Wanted::Auto, about, &site.environ, &registry), head.clone())
    else {
        return None;
    };
    let run = RunId::fresh();
    let subject = Subject {
        name: name(site, request),
        head_sha,
        external_id: run.to_string(),
        details_url: details(facts.repository.as_deref(), &site.environ),
        started_at: Timestamp::now(),
    };
    let job = without_verdict(failure, &registry).ok()?;
    let begun = Begun {
        run,
        name: &subject.name,
        sha: &subject.head_sha,
        folder: Path::new(""),
        at: subject.started_at,
        timeout: TIME,
    };
    let journal = journals::begin(&folders::state(&site.environ), &begun, &remote, &registry);
    let journal = match journal {
        Ok(journal) => journal,
        Err(why) => return Some(why),
    };
    let delivery = event_loop().ok()?.block_on(async {
        let cancelled = signals::cancelled().ok();
        let outbox = Outbox::new(remote.as_ref(), Arc::clone(&journal), subject.external_id.clone());
        let delivery = publish::deliver(&outbox, &subject, job, false, cancelled).await;
        let _delivered_all_the_same = journals::end(outbox, &journal);
        remote.client.close(Instant::now() + CLOSE).await;
        delivery
    });
    (delivery.check_run != Delivered::Delivered).then(|| delivery.reason.unwrap_or_default())
}

/// The name under which people wait for the command; with a check run a gate that of the first.
fn name(site: &Site, request: &RunRequest) -> String {
    let asked =
        || request.command.parse::<CommandId>().map_or_else(|_| "rungate".to_owned(), |id| id.to_string());
    let Ok(parsed) = site.read_manifest() else { return asked() };
    let Ok(command) = crate::plan::make::command(&parsed.manifest, &request.command) else { return asked() };
    let whole = match &command.report.check_name {
        Some(template) if template.exprs().next().is_none() => template.text.clone(),
        Some(_) | None => command.name.clone().unwrap_or_else(asked),
    };
    match command.report.check_runs.value {
        CheckRuns::Command => whole,
        CheckRuns::Gates => named(&whole, STEPS),
    }
}

/// What there is to say of `failure`.
pub(in crate::app) fn without_verdict(failure: &Failure, registry: &Registry) -> io::Result<Job> {
    let mut text = format!("## ❌ Nothing was judged\n\n{}\n", escaped(&registry.text(&failure.to_string())));
    let mut findings = Vec::new();
    match failure {
        Failure::Manifest { source_text, diagnostics } => {
            for diagnostic in diagnostics {
                let finding = of_diagnostic(source_text, diagnostic);
                item(&mut text, &place(&finding), registry);
                findings.push(finding);
            }
        }
        Failure::UnknownCommand { known, .. } => {
            item(&mut text, &format!("the manifest has: {}", known.join(", ")), registry);
        }
        Failure::Inputs(errors) => {
            for error in errors {
                item(&mut text, &error.to_string(), registry);
            }
        }
        Failure::Usage { help, .. } => {
            if let Some(help) = help {
                item(&mut text, help, registry);
            }
        }
        Failure::Policy(_) => item(&mut text, "ask the administrator of this host", registry),
        Failure::Consent { .. } => {
            item(&mut text, "ask the administrator of this host to allow it", registry);
        }
        Failure::NoManifest { help, .. } | Failure::Undeliverable { help, .. } => {
            item(&mut text, help, registry);
        }
        Failure::Host(problems) => {
            if let [only] = problems.as_slice() {
                item(&mut text, &only.remedy, registry);
            } else {
                for problem in problems {
                    item(&mut text, &format!("{}; {}", problem.what, problem.remedy), registry);
                }
            }
        }
    }
    let title = failure.to_string();
    Job::without_verdict(Conclusion::Failure, &title, text, &findings, registry)
}

fn item(text: &mut String, words: &str, registry: &Registry) {
    text.push_str("\n- ");
    text.push_str(&escaped(&registry.text(words)));
    text.push('\n');
}

fn place(finding: &Finding) -> String {
    format!("{}: {}", crate::page::words::place(finding), finding.message)
}

fn of_diagnostic(source: &Source, diagnostic: &Diagnostic) -> Finding {
    use crate::manifest::diagnostic::Severity;
    let position = source.position(diagnostic.span.start);
    let place = Location {
        path: Some(source.path.clone()),
        start_line: u32::try_from(position.line).ok(),
        ..Location::default()
    };
    let level = match diagnostic.severity {
        Severity::Error => Level::Failure,
        Severity::Warning => Level::Warning,
    };
    let help = diagnostic.help.as_ref().map(|help| format!("\nhelp: {help}")).unwrap_or_default();
    let mut finding = Finding::new("rungate", level, format!("{}{help}", diagnostic.message)).at(place);
    finding.rule = Some(diagnostic.rule.to_owned());
    finding
}
