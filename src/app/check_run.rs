//! The check run of a run: whether there is one, in whose name, and what it says where nothing was judged.

mod publisher;
pub mod stored;
mod unjudged;

use std::fs::File;
use std::io::{self, BufReader, BufWriter};
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use crate::app::code_scanning;
pub use crate::app::code_scanning::upload_trouble;
use crate::app::failure::Failure;
use crate::app::policy;
use crate::deliver::compose::{Job, Lines, Subject};
use crate::deliver::fallback::{self, Ways};
use crate::deliver::gates;
use crate::deliver::preview::Preview;
use crate::deliver::publish;
use crate::deliver::remote::Remote;
use crate::environ::Environ;
use crate::github::app::{Access, Scope};
use crate::github::client::Client;
use crate::github::credentials::CredentialsError;
use crate::github::host::Host;
use crate::github::repository::Repository;
use crate::http::Http;
use crate::manifest::model::CheckRuns;
use crate::plan::model::Plan;
use crate::record::Record;
use crate::record::delivery::{CheckRunPlan, Delivered, Delivery};
use crate::redact::Registry;
use crate::redact::guard::Form;
use crate::redact::writer::Writer;

pub use publisher::Published;
pub(super) use publisher::Publisher;
pub(super) use unjudged::{post_failure, without_verdict};

/// How long telling it another way may take.
const FALL_BACK: Duration = Duration::from_secs(30);

/// How long the token may take to be given back.
pub(super) const CLOSE: Duration = Duration::from_secs(2);

/// Whether a run is posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Under Actions, where everything is known that it takes.
    Auto,
    /// In any case.
    On,
    /// Not at all.
    Off,
    /// The requests are shown, and nothing is sent.
    Preview,
}

/// What is done about it.
pub(super) enum Way {
    /// Nothing, because of this.
    None(String),
    /// It is wanted and cannot be, because of this.
    Broken(String),
    /// The requests are shown.
    Preview,
    /// It is posted.
    Remote(Box<Remote>),
}

impl Way {
    /// Decides for `repository` at the commit `sha`.
    ///
    /// # Errors
    /// Fails when it was asked for, and something that it takes is missing.
    pub(super) fn of(
        wanted: Wanted,
        (repository, sha): (Option<&str>, Option<&str>),
        environ: &Environ,
        registry: &Registry,
    ) -> Result<Self, Failure> {
        match wanted {
            Wanted::Off => return Ok(Self::None("it was not asked for".to_owned())),
            Wanted::Preview => return Ok(Self::Preview),
            Wanted::Auto if !environ.in_actions() => {
                return Ok(Self::None("it was not asked for".to_owned()));
            }
            Wanted::Auto | Wanted::On => {}
        }
        match (remote((repository, sha), Scope::checks, environ, registry), wanted) {
            (Ok(remote), _) => Ok(Self::Remote(Box::new(remote))),
            (Err(Lack { what, remedy, .. }), Wanted::On) => {
                let message = format!("a check run was asked for, and {what}");
                Err(Failure::Undeliverable { message, help: remedy })
            }
            (Err(Lack { what, is_absent: true, .. }), _) => Ok(Self::None(what)),
            // What is set and wrong must not pass for what nobody set.
            (Err(Lack { what, .. }), _) => Ok(Self::Broken(what)),
        }
    }

    /// What is to be said of it among the notes of the run.
    pub(super) fn note(&self, environ: &Environ) -> Option<String> {
        match self {
            Self::None(why) if environ.in_actions() => Some(format!("there is no check run: {why}")),
            Self::None(_) | Self::Broken(_) | Self::Preview | Self::Remote(_) => None,
        }
    }

    /// What the record says until more is known.
    pub(super) fn delivery(&self) -> Delivery {
        match self {
            Self::None(why) => Delivery::none(why.clone()),
            Self::Broken(why) => Delivery::failed(why.clone()),
            Self::Preview => Delivery::none("its requests were only shown"),
            Self::Remote(_) => Delivery::pending(),
        }
    }
}

/// What is missing for a check run.
pub(super) struct Lack {
    pub(super) what: String,
    remedy: String,
    /// Whether nobody has set it.
    is_absent: bool,
}

/// The way to `repository`, about the commit `sha`, with a token for `scope` alone.
pub(super) fn remote(
    (repository, sha): (Option<&str>, Option<&str>),
    scope: fn(Repository) -> Scope,
    environ: &Environ,
    registry: &Registry,
) -> Result<Remote, Lack> {
    let absent =
        |what: &str, remedy: &str| Lack { what: what.into(), remedy: remedy.into(), is_absent: true };
    let wrong = |what: String, remedy: String| Lack { what, remedy, is_absent: false };
    let repository = repository
        .ok_or_else(|| absent("the repository is not known", "set GITHUB_REPOSITORY to OWNER/NAME"))?;
    let repository = Repository::parse(repository)
        .map_err(|error| wrong(error.to_string(), "set GITHUB_REPOSITORY to OWNER/NAME".to_owned()))?;
    if sha.is_none() {
        return Err(absent("the commit is not known", "name it with --sha"));
    }
    let client = client(scope(repository.clone()), environ, registry)?;
    Ok(Remote { client, repository })
}

fn client(scope: Scope, environ: &Environ, registry: &Registry) -> Result<Client, Lack> {
    let host = Host::of_environ(environ).map_err(|error| Lack {
        what: error.to_string(),
        remedy: error.remedy(),
        is_absent: false,
    })?;
    let credentials = policy::credentials(&host, environ, registry).map_err(|error| Lack {
        what: crate::http::error::chain(&error),
        remedy: error.remedy().to_owned(),
        is_absent: matches!(error, CredentialsError::Missing),
    })?;
    let http = Http::new(environ, registry);
    Ok(Client::new(host, credentials, scope, http, registry))
}

/// A client for `scope`; else what is missing, and what to do about it.
pub(super) fn client_of(
    scope: Scope,
    environ: &Environ,
    registry: &Registry,
) -> Result<Client, (String, String)> {
    client(scope, environ, registry).map_err(|lack| (lack.what, lack.remedy))
}

/// The way to the check runs of a repository; else what is missing, with what to do about it.
pub(super) fn remote_of(repository: &str, environ: &Environ, registry: &Registry) -> Result<Remote, String> {
    let told = |(what, remedy): (String, String)| format!("{what}; {remedy}");
    let repository = Repository::parse(repository).map_err(|error| error.to_string())?;
    let client = client_of(Scope::checks(repository.clone()), environ, registry).map_err(told)?;
    Ok(Remote { client, repository })
}

/// What the check run of a run of `plan` is to be.
pub(super) fn plan_of(plan: &Plan, environ: &Environ) -> CheckRunPlan {
    CheckRunPlan {
        name: plan.check_name.clone(),
        details_url: details(plan.repository.as_deref(), environ),
        check_runs: plan.report.check_runs,
        max_annotations: plan.report.max_annotations,
        summary: plan.report.summary.clone(),
        fallback: plan.report.fallback.clone(),
        sarif_upload: code_scanning::plan_of(plan),
    }
}

/// The page of the job that called us, when it is known.
fn details(repository: Option<&str>, environ: &Environ) -> Option<String> {
    let number = |name| environ.text(name).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let repository = Repository::parse(repository?).ok()?;
    let mut path = format!("/{repository}/actions/runs/{}", number("GITHUB_RUN_ID")?);
    if let Some(attempt) = number("GITHUB_RUN_ATTEMPT") {
        path.push_str("/attempts/");
        path.push_str(attempt);
    }
    Some(Host::of_environ(environ).ok()?.page(&path))
}

/// What the record says of several check runs: the first one's words, and the first trouble of any.
pub(super) fn together(deliveries: impl IntoIterator<Item = Delivery>) -> Delivery {
    let mut all = deliveries.into_iter();
    let first = all.next().unwrap_or_else(|| Delivery::failed("the publisher broke down"));
    all.fold(first, |whole, one| match (whole.check_run, one.check_run) {
        (Delivered::Delivered, Delivered::Delivered) | (Delivered::Failed, _) => whole,
        _ => Delivery { check_run: one.check_run, reason: one.reason, ..whole },
    })
}

/// The check runs of `record`, in order; none where its commit is not known.
pub(super) fn subjects(record: &Record) -> Vec<Subject> {
    let Some(whole) = Subject::of(record) else { return Vec::new() };
    match record.check_run.check_runs {
        CheckRuns::Command => vec![whole],
        CheckRuns::Gates => {
            let named = record.gates.iter().map(|gate| (gate.id.as_str(), gate.name.as_str()));
            gates::subjects(&whole, named)
        }
    }
}

/// Tells the verdict of `record` another way, when its check run was refused and there is one.
pub(super) async fn fall_back(
    record: &Record,
    delivery: Delivery,
    environ: &Environ,
    registry: &Registry,
) -> Delivery {
    let repository = record.repository.as_deref().and_then(|name| Repository::parse(name).ok());
    let Some(repository) = repository.filter(|_| delivery.is_refused) else { return delivery };
    let permissions = [("statuses".to_owned(), Access::Write)].into();
    let scope = Scope { repository: repository.clone(), permissions };
    let Ok(statuses) = client(scope, environ, registry) else { return delivery };
    let has_summary = environ.path("GITHUB_STEP_SUMMARY").is_some();
    let ways = Ways { statuses: &statuses, repository: &repository, has_summary };
    let told = fallback::fall_back(record, delivery, &ways, registry, Instant::now() + FALL_BACK).await;
    statuses.close(Instant::now() + CLOSE).await;
    told
}

/// What each check run of `record` in `folder` has to say.
///
/// # Errors
/// Fails when its findings cannot be read.
pub(super) fn jobs(record: &Record, folder: &Path, registry: &Registry) -> io::Result<Vec<Job>> {
    let lines: Box<dyn Lines> = Box::new(BufReader::new(File::open(folder.join("findings.jsonl"))?));
    let most = usize::try_from(record.check_run.max_annotations).unwrap_or(usize::MAX);
    let whole = Job::of(record, lines, most, registry)?;
    match record.check_run.check_runs {
        CheckRuns::Command => Ok(vec![whole]),
        CheckRuns::Gates => gates::jobs(record, whole, registry),
    }
}

/// Shows the requests that would deliver `record` in `folder`, on standard output.
///
/// # Errors
/// Fails when the findings cannot be read, or standard output takes no more.
pub(super) async fn preview(
    record: &Record,
    folder: &Path,
    environ: &Environ,
    registry: &Registry,
) -> io::Result<()> {
    let jobs = jobs(record, folder, registry)?;
    let out = BufWriter::new(io::stdout());
    let out = if environ.in_actions() {
        Writer::guarded(registry, Form::Json, out)
    } else {
        Writer::new(registry, out)
    };
    let repository = record.repository.as_deref().unwrap_or("{owner}/{repo}");
    // Where the commit is not known, its place is shown.
    let known = Record { sha: record.sha.clone().or(Some("{head_sha}".to_owned())), ..record.clone() };
    let preview = Preview::new(repository, out);
    for (subject, job) in subjects(&known).iter().zip(jobs) {
        let _nothing_was_sent = publish::deliver(&preview, subject, job, false, None).await;
    }
    if let Some(Ok(upload)) = code_scanning::prepare(record, folder) {
        preview.show(&upload.shown(repository));
    }
    preview.finish()?.finish().map(drop)
}
