//! Several check runs of one run: one a gate, for branch rules that want to name a gate. Pure.
//!
//! The first is that of the gates that nobody declares: those over the steps and the artifacts. It carries what is said
//! only once: the live table, and all annotations, so that no finding is shown twice.

use crate::deliver::compose::{Job, Subject, word};
use crate::gate::STEPS;
use crate::gate::artifacts::ARTIFACTS;
use crate::page::Page;
use crate::record::{Conclusion, GateResult, Record};
use crate::redact::Registry;

/// Whether nobody has declared a gate of this id.
fn is_implicit(id: &str) -> bool {
    [STEPS, ARTIFACTS].contains(&id)
}

/// The check runs of a run with these gates (ids and names). `whole` is the one check run that there would be otherwise;
/// the first takes its id.
#[must_use]
pub fn subjects<'a>(whole: &Subject, gates: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<Subject> {
    let first = Subject { name: named(&whole.name, STEPS), ..whole.clone() };
    let declared = gates.into_iter().filter(|(id, _)| !is_implicit(id));
    let rest = declared.map(|(id, name)| Subject {
        name: named(&whole.name, name),
        external_id: format!("{}/{id}", whole.external_id),
        ..whole.clone()
    });
    std::iter::once(first).chain(rest).collect()
}

/// The name of the check run of a gate.
#[must_use]
pub fn named(whole: &str, gate: &str) -> String {
    format!("{whole} / {gate}")
}

/// What each of them says in the end, in the order of [`subjects`]. `whole` is what the one check run would say.
///
/// # Errors
/// None that these values can cause.
pub fn jobs(record: &Record, whole: Job, registry: &Registry) -> std::io::Result<Vec<Job>> {
    let (implicit, declared): (Vec<_>, Vec<_>) = record.gates.iter().partition(|gate| is_implicit(&gate.id));
    let worst = implicit.iter().find(|gate| !gate.passed).or(implicit.first()).copied();
    let conclusion = worst.map_or(record.conclusion, |gate| conclusion(record, gate));
    let first = whole.concluded_as(conclusion, &title(conclusion, worst));
    let rest = declared.into_iter().map(|gate| {
        let conclusion = self::conclusion(record, gate);
        let title = title(conclusion, Some(gate));
        let mut page = Page::new(registry);
        page.head(record);
        page.gates(record);
        page.foot(record);
        let text = page.into_sections().concat();
        Job::without_verdict(conclusion, &title, text, &[], registry)
    });
    std::iter::once(Ok(first)).chain(rest).collect()
}

/// How a gate is concluded. A run that was stopped has passed no gate.
const fn conclusion(record: &Record, gate: &GateResult) -> Conclusion {
    match record.conclusion {
        Conclusion::Cancelled | Conclusion::TimedOut => record.conclusion,
        Conclusion::Success | Conclusion::Neutral | Conclusion::Failure if gate.passed => Conclusion::Success,
        Conclusion::Success | Conclusion::Neutral | Conclusion::Failure => Conclusion::Failure,
    }
}

fn title(conclusion: Conclusion, gate: Option<&GateResult>) -> String {
    match gate {
        Some(gate) if !gate.reason.is_empty() => format!("{}: {}", word(conclusion), gate.reason),
        _ => word(conclusion).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn every_gate_has_a_check_run_of_its_own_and_the_first_is_that_of_the_steps() {
        let whole = Subject {
            name: "checks".into(),
            head_sha: "a".repeat(40),
            external_id: "me".into(),
            details_url: None,
            started_at: Timestamp::from_unix_seconds(0),
        };
        let all = subjects(&whole, [("fmt", "Format"), ("lint", "lint")]);
        let told: Vec<(&str, &str)> =
            all.iter().map(|one| (one.name.as_str(), one.external_id.as_str())).collect();
        assert_eq!(
            told,
            [("checks / steps", "me"), ("checks / Format", "me/fmt"), ("checks / lint", "me/lint")]
        );
    }
}
