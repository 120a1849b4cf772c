//! The gate over the artifacts: it stands beside the one over the steps wherever a command has any.

use crate::gate::{Verdict, list, result};
use crate::record::Conclusion;
use crate::record::artifact::{ArtifactRecord, ArtifactState};

/// Its id.
pub const ARTIFACTS: &str = "artifacts";

/// `verdict` with the word of this gate. It fails for an artifact that could not be kept or must not be, and for one
/// without files where that is an error; nothing that failed before passes because of it.
#[must_use]
pub fn with_artifacts(mut verdict: Verdict, artifacts: &[ArtifactRecord]) -> Verdict {
    if artifacts.is_empty() {
        return verdict;
    }
    let refused: Vec<String> = artifacts
        .iter()
        .filter(|artifact| artifact.state == ArtifactState::Refused)
        .map(|artifact| {
            let why = artifact.reason.as_deref().unwrap_or("it could not be kept");
            format!("{}: {why}", artifact.name)
        })
        .collect();
    let passed = refused.is_empty();
    let reason = if passed { kept(artifacts) } else { list(&refused) };
    verdict.gates.insert(1.min(verdict.gates.len()), result(ARTIFACTS, ARTIFACTS, passed, reason));
    verdict.conclusion = match verdict.conclusion {
        Conclusion::Success | Conclusion::Neutral if !passed => Conclusion::Failure,
        before => before,
    };
    verdict
}

fn kept(artifacts: &[ArtifactRecord]) -> String {
    let count = |state: ArtifactState| artifacts.iter().filter(|artifact| artifact.state == state).count();
    let words = [
        (ArtifactState::Kept, "kept"),
        (ArtifactState::Empty, "without files"),
        (ArtifactState::Skipped, "skipped"),
    ];
    let words = words.map(|(state, word)| (count(state), word));
    let words = words.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}"));
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::model::Archive;
    use crate::record::artifact::{ArtifactDelivery, Packing};

    fn artifact(name: &str, state: ArtifactState, reason: Option<&str>) -> ArtifactRecord {
        ArtifactRecord {
            name: name.to_owned(),
            state,
            reason: reason.map(str::to_owned),
            files: 0,
            bytes: 0,
            manifest_sha256: None,
            left_out: Vec::new(),
            left_out_count: 0,
            packing: Packing {
                archive: Archive::Zip,
                compression_level: 6,
                retention_days: None,
                overwrite: false,
            },
            size: None,
            sha256: None,
            delivery: ArtifactDelivery::default(),
        }
    }

    #[test]
    fn one_that_was_refused_turns_green_red_and_never_red_green() {
        let good = [artifact("a", ArtifactState::Kept, None), artifact("b", ArtifactState::Skipped, None)];
        let bad = [
            artifact("a", ArtifactState::Kept, None),
            artifact("b", ArtifactState::Refused, Some("no file matches")),
        ];
        for before in [
            Conclusion::Success,
            Conclusion::Neutral,
            Conclusion::Failure,
            Conclusion::Cancelled,
            Conclusion::TimedOut,
        ] {
            let verdict = || Verdict { gates: Vec::new(), conclusion: before };
            assert_eq!(with_artifacts(verdict(), &[]), verdict());
            let passed = with_artifacts(verdict(), &good);
            assert_eq!((passed.conclusion, passed.gates[0].reason.as_str()), (before, "1 kept, 1 skipped"));
            let failed = with_artifacts(verdict(), &bad);
            assert!(!matches!(failed.conclusion, Conclusion::Success | Conclusion::Neutral));
            assert_eq!(
                (failed.gates[0].passed, failed.gates[0].reason.as_str()),
                (false, "b: no file matches")
            );
        }
    }
}
