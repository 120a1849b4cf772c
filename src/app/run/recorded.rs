//! The record of a run that was judged.

use crate::app::check_run;
use crate::app::run::Making;
use crate::clock::Timestamp;
use crate::finding::Counts;
use crate::gate::Verdict;
use crate::record::artifact::ArtifactRecord;
use crate::record::{self, Conclusion, Record, StepRecord, Tests};

impl Making<'_> {
    /// The record. `notices` are findings of no step, which are notices all.
    pub(super) fn record(
        self,
        steps: Vec<StepRecord>,
        verdict: Verdict,
        notices: u64,
        artifacts: Vec<ArtifactRecord>,
    ) -> Record {
        let mut counts = Counts { notice: notices, ..Counts::default() };
        for step in &steps {
            counts.failure += step.counts.failure;
            counts.warning += step.counts.warning;
            counts.notice += step.counts.notice;
        }
        let suppressed = steps.iter().map(|step| step.suppressed).sum();
        let tests = steps.iter().fold(Tests::default(), |sum, step| sum.plus(step.tests));
        Record {
            schema: record::SCHEMA.into(),
            rungate: env!("CARGO_PKG_VERSION").into(),
            run_id: self.run_id,
            command: self.plan.command.clone(),
            name: self.plan.name.clone(),
            inputs: self.plan.inputs.clone(),
            conclusion: verdict.conclusion,
            exit_code: exit_code(verdict.conclusion, &steps),
            started_at: self.started_at,
            finished_at: Timestamp::now(),
            manifest: self.plan.manifest.clone(),
            plan: self.plan.fingerprint,
            repository: self.plan.repository.clone(),
            sha: self.plan.sha.clone(),
            notes: self.notes,
            steps,
            gates: verdict.gates,
            counts,
            suppressed,
            filtered: 0,
            tests,
            artifacts,
            check_run: check_run::plan_of(self.plan, &self.host.environ),
            delivery: self.delivery,
            audit: "none".into(),
        }
    }
}

/// The exit code that a conclusion stands for, when everything could be written and delivered. A failure to which a step
/// belongs that the host could not start is no verdict on the repository.
fn exit_code(conclusion: Conclusion, steps: &[StepRecord]) -> u8 {
    let not_judged =
        |step: &StepRecord| step.outcome == record::Outcome::SetupFailed && !step.continue_on_error;
    match conclusion {
        Conclusion::Success | Conclusion::Neutral => 0,
        Conclusion::Failure if steps.iter().any(not_judged) => 4,
        Conclusion::Failure | Conclusion::TimedOut => 1,
        Conclusion::Cancelled => 130,
    }
}
