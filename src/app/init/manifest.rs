//! The text of a first manifest.

use std::fmt::Write as _;

use crate::app::init::steps::Step;

const HEAD: &str = "\
# What can be run here. `rungate run check` runs it, `rungate plan check` shows what that would do, and `rungate validate`
# checks this file. All fields: https://github.com/rungate/rungate/blob/main/docs/manifest.md
#
# Each step runs in a sandbox: it sees the repository read-only and without .git, has no network, and gets no variable of the
# job but what is named here. `sandbox: {write: [folder]}` gives it a folder that it may write.
version: 1

defaults:
  run: {shell: sh}
  timeout-minutes: 10

commands:
  check:
    name: Checks
    description: What must hold before anything is merged.
    steps:
";

const GATES: &str = "
    # What decides. Beside these gates every step has to succeed.
    gates:
      - id: findings
        name: No errors
        fail-on: error
";

/// The manifest with these steps.
pub(super) fn text(steps: &[Step]) -> String {
    let mut text = HEAD.to_owned();
    for (index, step) in steps.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        let _ = writeln!(text, "      # {}", step.comment);
        let mark = match &step.off {
            Some(reason) => {
                let _ = writeln!(text, "      # Commented out: {reason}.");
                "# "
            }
            None => "",
        };
        for line in step.text.lines() {
            let _ = writeln!(text, "      {mark}{line}");
        }
    }
    text.push_str(GATES);
    let tested: Vec<&str> =
        steps.iter().filter(|step| step.tests && step.off.is_none()).map(|step| step.id).collect();
    if !tested.is_empty() {
        let _ = write!(
            text,
            "      - id: tests\n        name: Tests ran, and none failed\n        needs: [{}]\n        tests: {{min: 1}}\n",
            tested.join(", ")
        );
    }
    text
}
