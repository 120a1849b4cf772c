//! Telling a verdict where the token may not make a check run: by a commit status, else by the summary of the job.
//!
//! Only what was refused is told another way. A server that is down is asked again later, by a person.

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::deliver::compose::word;
use crate::deliver::text::{clean_line, cut_characters};
use crate::github::client::{Client, ClientError, Request};
use crate::github::repository::Repository;
use crate::manifest::model::Fallback;
use crate::record::delivery::{Delivered, Delivery};
use crate::record::{Conclusion, Record};
use crate::redact::Registry;

/// Longest description of a status, in characters.
const MAX_DESCRIPTION: usize = 140;

/// Longest name of a status, in characters; branch rules know it by that.
const MAX_CONTEXT: usize = 255;

/// Where a verdict can be told beside a check run.
pub struct Ways<'a> {
    /// A client that may write statuses, where the token may.
    pub statuses: &'a Client,
    /// The repository.
    pub repository: &'a Repository,
    /// Whether the job has a summary, which holds the verdict by now.
    pub has_summary: bool,
}

/// Tells the verdict of `record` by the first way of its list that is open, and says so in the delivery.
pub async fn fall_back(
    record: &Record,
    refused: Delivery,
    ways: &Ways<'_>,
    registry: &Registry,
    deadline: Instant,
) -> Delivery {
    let mut reasons: Vec<String> = refused.reason.clone().into_iter().collect();
    for way in &record.check_run.fallback {
        let told = match way {
            Fallback::CheckRun => continue,
            Fallback::Status => status(record, ways, registry, deadline).await,
            Fallback::StepSummary if ways.has_summary => Ok(()),
            Fallback::StepSummary => Err("no step summary: GITHUB_STEP_SUMMARY is not set".to_owned()),
        };
        match told {
            Ok(()) => {
                let reason = Some(reasons.join("; "));
                return Delivery { check_run: Delivered::Delivered, instead: Some(*way), reason, ..refused };
            }
            Err(why) => reasons.push(why),
        }
    }
    Delivery { reason: Some(reasons.join("; ")), ..refused }
}

async fn status(
    record: &Record,
    ways: &Ways<'_>,
    registry: &Registry,
    deadline: Instant,
) -> Result<(), String> {
    let Some(sha) = &record.sha else { return Err("no commit status: the commit is not known".to_owned()) };
    let path = ways.repository.path(&format!("/statuses/{sha}"));
    // A second one of the same name takes the place of the first.
    let request = Request::post(path, body(record, registry)).repeatable();
    let sent = ways.statuses.send(&request, deadline).await;
    sent.map(drop).map_err(|error: ClientError| format!("no commit status: {}", error.full_text()))
}

fn body(record: &Record, registry: &Registry) -> Value {
    let state = match record.conclusion {
        Conclusion::Success | Conclusion::Neutral => "success",
        Conclusion::Failure => "failure",
        Conclusion::Cancelled | Conclusion::TimedOut => "error",
    };
    let counts = crate::page::words::counted(&record.counts);
    let counts = if counts.is_empty() { "no findings".to_owned() } else { counts };
    let mut description = clean_line(&format!("{}: {counts}", word(record.conclusion)), registry);
    cut_characters(&mut description, MAX_DESCRIPTION);
    let mut context = clean_line(&record.check_run.name, registry);
    cut_characters(&mut context, MAX_CONTEXT);
    let mut body = json!({"state": state, "description": description, "context": context});
    if let Some(url) = &record.check_run.details_url {
        body["target_url"] = registry.text(url).into_owned().into();
    }
    body
}
