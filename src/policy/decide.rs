//! The decision: one pure function over policies, a request and facts, with its reasons.
//!
//! In each policy the first rule whose conditions all hold decides; where none does, its default. What every policy
//! admits is admitted, and the strictest bounds hold, so that a further policy can only take something away.

use std::collections::BTreeSet;

use crate::manifest::diagnostic::Span;
use crate::policy::bounds::{Bounds, Place};
use crate::policy::model::{Asked, Basis, Facts, Fork, Member, Otherwise, Policy, Rule, Verb};
use crate::policy::pattern::Actor;

/// Events that run with the rights of the repository on behalf of somebody who may have none. A rule that does not name
/// them does not mean them.
pub const TO_BE_NAMED: [&str; 3] = ["pull_request_target", "workflow_run", "issue_comment"];

/// Rules of a policy that are named in a refusal; `plan --explain` shows all of them.
const SHOWN: usize = 3;

/// What was decided, and why.
#[derive(Clone, Debug)]
pub struct Decision {
    /// What each policy says, in their order.
    pub judgements: Vec<Judgement>,
    /// What holds for what is admitted.
    pub bounds: Bounds,
}

/// What one policy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The rules that were looked at, in order; the last is the one that matched, if one did.
    pub looked: Vec<Looked>,
    /// What came of it.
    pub outcome: Outcome,
}

/// A rule that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// Its line.
    pub at: Place,
    /// What of it is not met; nothing when it matched.
    pub against: Vec<String>,
}

/// What a policy comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The rule on this line admits it.
    Rule(Place),
    /// No rule matched, and the default on this line admits it.
    Default(Place),
    /// It is refused.
    Refused {
        /// The line that refuses it.
        at: Place,
        /// Why.
        why: String,
    },
}

impl Decision {
    /// Why it is refused, where it is, with the line that refuses it.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        self.judgements.iter().find_map(|judgement| match &judgement.outcome {
            Outcome::Refused { at, why } => Some(format!("{at}: {why}")),
            Outcome::Rule(_) | Outcome::Default(_) => None,
        })
    }
}

/// Decides.
#[must_use]
pub fn decide(policies: &[Policy], asked: &Asked, facts: &Facts) -> Decision {
    let mut bounds = Bounds::default();
    let judgements = policies.iter().map(|policy| judge(policy, asked, facts, &mut bounds)).collect();
    Decision { judgements, bounds }
}

/// The teams and users whose membership would make a difference: those of rules that nothing else stands against.
#[must_use]
pub fn teams(policies: &[Policy], asked: &Asked, facts: &Facts) -> BTreeSet<(String, String)> {
    let mut wanted = BTreeSet::new();
    for policy in policies {
        for rule in &policy.rules {
            let (against, undecided) = compare(rule, asked, facts);
            if against.is_empty() {
                wanted.extend(undecided);
            }
        }
    }
    wanted
}

fn judge(policy: &Policy, asked: &Asked, facts: &Facts, bounds: &mut Bounds) -> Judgement {
    let at = |span: Span| Place {
        path: policy.source.path.clone(),
        line: policy.source.position(span.start).line,
    };
    if policy.facts.value == Basis::Verified && !facts.verified && is_of_this_job(asked.verb) {
        let why = "facts have to be verified, and the job has shown no token that GitHub signed".to_owned();
        let outcome = Outcome::Refused { at: at(policy.facts.span), why };
        return Judgement { looked: Vec::new(), outcome };
    }
    let mut looked = Vec::new();
    for rule in &policy.rules {
        let (mut against, undecided) = compare(rule, asked, facts);
        against.extend(undecided.into_iter().map(|(team, user)| unknown_team(&team, &user, facts)));
        let place = at(rule.span);
        let matched = against.is_empty();
        looked.push(Looked { at: place.clone(), against });
        if matched {
            bounds.add(policy, Some(rule));
            return Judgement { looked, outcome: Outcome::Rule(place) };
        }
    }
    let place = at(policy.default.span);
    let outcome = match (policy.default.value, foreign(facts)) {
        (Otherwise::Allow, None) => {
            bounds.add(policy, None);
            Outcome::Default(place)
        }
        (Otherwise::Allow, Some(foreign)) => {
            let why = format!("{foreign}, which only a rule can admit{}", reasons(&looked));
            Outcome::Refused { at: place, why }
        }
        (Otherwise::Deny, _) => {
            let why = format!("no rule admits {}{}", described(asked, facts), reasons(&looked));
            Outcome::Refused { at: place, why }
        }
    };
    Judgement { looked, outcome }
}

/// Whether the ref, the event and the people of this job have to do with it. What is closed by `reconcile` was another
/// job's, and never passes.
const fn is_of_this_job(verb: Verb) -> bool {
    match verb {
        Verb::Run | Verb::Publish | Verb::Token | Verb::Exec => true,
        Verb::Reconcile => false,
    }
}

/// Why a default that allows does not reach as far as this.
fn foreign(facts: &Facts) -> Option<String> {
    match (facts.fork, &facts.event) {
        (Fork::Yes, _) => Some("code from a fork is in it".to_owned()),
        (Fork::Unknown, _) => Some("code from a fork may be in it".to_owned()),
        (Fork::No, Some(event)) if TO_BE_NAMED.contains(&event.as_str()) => {
            Some(format!("the event `{event}` may act for somebody without rights"))
        }
        (Fork::No, _) => None,
    }
}

/// The nearest rules, with what stands against each.
fn reasons(looked: &[Looked]) -> String {
    let mut nearest: Vec<&Looked> = looked.iter().collect();
    nearest.sort_by_key(|looked| looked.against.len());
    let shown: Vec<String> = nearest
        .iter()
        .take(SHOWN)
        .map(|looked| format!("line {}: {}", looked.at.line, looked.against.join(", ")))
        .collect();
    let more = looked.len().saturating_sub(SHOWN);
    match (shown.is_empty(), more) {
        (true, _) => String::new(),
        (false, 0) => format!(" ({})", shown.join("; ")),
        (false, more) => format!(" ({}; and {more} more)", shown.join("; ")),
    }
}

fn described(asked: &Asked, facts: &Facts) -> String {
    let what = match (&asked.command, asked.verb) {
        (Some(command), Verb::Run) => format!("the command `{command}`"),
        (_, verb) => format!("`{}`", verb.as_str()),
    };
    let repository = facts.repository.as_deref().unwrap_or("an unknown repository");
    format!("{what} of {repository}")
}

fn unknown_team(team: &str, user: &str, facts: &Facts) -> String {
    match facts.teams.get(&(team.to_owned(), user.to_owned())) {
        Some(Member::Unknown(why)) => format!("whether {user} is in {team} is not known: {why}"),
        _ => format!("whether {user} is in {team} was not asked"),
    }
}

/// What of `rule` is not met, and the memberships that nobody knows.
fn compare(rule: &Rule, asked: &Asked, facts: &Facts) -> (Vec<String>, Vec<(String, String)>) {
    let mut against = Vec::new();
    let mut fail = |what: String| against.push(what);
    match &facts.repository {
        None => fail("the repository is not known".to_owned()),
        Some(known) if rule.repositories.iter().any(|glob| glob.matches(known)) => {}
        Some(known) => fail(format!("`repository` does not name {known}")),
    }
    if !rule.verbs.contains(&asked.verb) {
        fail(format!("`verbs` does not name `{}`", asked.verb.as_str()));
    }
    if !is_of_this_job(asked.verb) {
        return (against, Vec::new());
    }
    match (&rule.refs, &facts.reference) {
        (None, _) => {}
        (Some(_), None) => fail("the ref is not known".to_owned()),
        (Some(globs), Some(known)) if globs.iter().any(|glob| glob.matches(known)) => {}
        (Some(_), Some(known)) => fail(format!("`refs` does not name {known}")),
    }
    match (&rule.events, &facts.event) {
        (None, Some(event)) if TO_BE_NAMED.contains(&event.as_str()) => {
            fail(format!("the event `{event}` has to be named in `events`"));
        }
        (None, _) => {}
        (Some(_), None) => fail("the event is not known".to_owned()),
        (Some(events), Some(event)) if events.contains(event) => {}
        (Some(_), Some(event)) => fail(format!("`events` does not name `{event}`")),
    }
    match facts.fork {
        Fork::Yes if !rule.forks => {
            fail("code from a fork is in it, and `forks: true` is not said".to_owned());
        }
        Fork::Unknown if !rule.forks => {
            fail("code from a fork may be in it, and `forks: true` is not said".to_owned());
        }
        Fork::No | Fork::Yes | Fork::Unknown => {}
    }
    if let (Some(commands), Some(command)) = (&rule.commands, &asked.command)
        && !commands.contains(command)
    {
        fail(format!("`commands` does not name `{command}`"));
    }
    if let (Some(digests), Some(digest)) = (&rule.manifests, &asked.manifest) {
        let digest = digest.to_string();
        if !digests.contains(&digest) {
            fail(format!("`manifest-sha256` does not name {digest}"));
        }
    }
    let undecided = match &rule.actors {
        None => Vec::new(),
        Some(actors) => people(actors, facts, &mut fail),
    };
    (against, undecided)
}

/// Everybody who has part in it has to be among `actors`.
fn people(actors: &[Actor], facts: &Facts, fail: &mut impl FnMut(String)) -> Vec<(String, String)> {
    let mut undecided = Vec::new();
    if facts.actors.is_empty() {
        fail("the actor is not known".to_owned());
    }
    for user in &facts.actors {
        let named = |actor: &Actor| matches!(actor, Actor::User(name) if name.eq_ignore_ascii_case(user));
        if actors.iter().any(named) {
            continue;
        }
        let teams: Vec<(String, String)> = actors
            .iter()
            .filter_map(|actor| match actor {
                Actor::Team(team) => Some((team.clone(), user.clone())),
                Actor::User(_) => None,
            })
            .collect();
        let is_in = |team: &(String, String)| facts.teams.get(team) == Some(&Member::Yes);
        if teams.iter().any(is_in) {
            continue;
        }
        let open: Vec<_> =
            teams.into_iter().filter(|team| facts.teams.get(team) != Some(&Member::No)).collect();
        if open.is_empty() {
            fail(format!("`actors` does not name {user}"));
        }
        undecided.extend(open);
    }
    undecided
}

#[cfg(test)]
mod tests;
