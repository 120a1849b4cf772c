//! Why a policy admits or refuses: every rule that was looked at, and what stands against it.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::app::policy::Verdict;
use crate::policy::decide::{Judgement, Outcome};
use crate::policy::model::{Facts, Fork};

/// The same for programs.
pub(super) fn json(verdict: &Verdict) -> Value {
    let facts = &verdict.facts;
    let judgements = verdict.decision.iter().flat_map(|decision| &decision.judgements);
    json!({
        "admitted": verdict.decision.as_ref().is_none_or(|decision| decision.refusal().is_none()),
        "facts": {
            "verified": facts.verified,
            "repository": facts.repository,
            "ref": facts.reference,
            "event": facts.event,
            "actors": facts.actors,
            "fork": fork(facts.fork),
        },
        "policies": judgements.map(judgement).collect::<Vec<_>>(),
        "bounds": verdict.decision.as_ref().map(|decision| decision.bounds.lines()),
    })
}

fn judgement(judgement: &Judgement) -> Value {
    let (outcome, at, why) = outcome(judgement);
    let looked: Vec<Value> = judgement
        .looked
        .iter()
        .map(|looked| json!({"path": looked.at.path, "line": looked.at.line, "against": looked.against}))
        .collect();
    json!({"outcome": outcome, "at": at, "why": why, "rules": looked})
}

fn outcome(judgement: &Judgement) -> (&'static str, String, Option<&str>) {
    match &judgement.outcome {
        Outcome::Rule(place) => ("rule", place.to_string(), None),
        Outcome::Default(place) => ("default", place.to_string(), None),
        Outcome::Refused { at, why } => ("refused", at.to_string(), Some(why)),
    }
}

const fn fork(fork: Fork) -> &'static str {
    match fork {
        Fork::No => "no",
        Fork::Yes => "yes",
        Fork::Unknown => "unknown",
    }
}

pub(super) fn for_people(verdict: &Verdict) -> String {
    let Some(decision) = &verdict.decision else {
        return "policy\n  this host has none\n".to_owned();
    };
    let mut text = String::from("policy\n");
    facts(&verdict.facts, &mut text);
    for judgement in &decision.judgements {
        for looked in &judgement.looked {
            let what =
                if looked.against.is_empty() { "matches".to_owned() } else { looked.against.join("; ") };
            let _ = writeln!(text, "  rule at {}: {what}", looked.at);
        }
        let _ = match outcome(judgement) {
            ("rule", at, _) => writeln!(text, "  admitted by the rule at {at}"),
            ("default", at, _) => writeln!(text, "  admitted by the default at {at}"),
            (_, at, why) => writeln!(text, "  refused at {at}: {}", why.unwrap_or_default()),
        };
    }
    if decision.refusal().is_none() {
        for line in decision.bounds.lines() {
            let _ = writeln!(text, "  {line}");
        }
    }
    text
}

fn facts(facts: &Facts, text: &mut String) {
    let known = |fact: &Option<String>| fact.clone().unwrap_or_else(|| "unknown".to_owned());
    let basis = if facts.verified { "signed by GitHub" } else { "unverified, from the environment" };
    let actors = if facts.actors.is_empty() { "unknown".to_owned() } else { facts.actors.join(", ") };
    let _ = writeln!(
        text,
        "  facts ({basis}): repository {}, ref {}, event {}, actor {actors}, from a fork: {}",
        known(&facts.repository),
        known(&facts.reference),
        known(&facts.event),
        fork(facts.fork)
    );
}
