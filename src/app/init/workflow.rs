//! The text of a first workflow.

use crate::workspace::survey::{Survey, is_plain};

const TEXT: &str = "\
# Runs `rungate run check` of .github/rungate.yml on a runner of your own that has rungate installed:
# https://github.com/rungate/rungate/blob/main/docs/installing.md
name: rungate

on:
  push:
    branches: [@BRANCH@]
  pull_request:
  workflow_dispatch:

permissions: {}

concurrency:
  group: rungate-${{ github.ref }}
  cancel-in-progress: ${{ github.event_name == 'pull_request' }}

jobs:
  check:
    # A fork's code is a stranger's: it does not run on a machine that is yours.
    if: github.event_name != 'pull_request' || github.event.pull_request.head.repo.full_name == github.repository
    runs-on: [@LABELS@]
    timeout-minutes: 60
    permissions:
      contents: read # to check out
    steps:
      - uses: actions/checkout@8e8c483db84b4bee98b60c0593521ed34d9990e8 # v6.0.1
        with:
          persist-credentials: false
      # `exec` lets a cancellation reach rungate, and not only the shell around it.
      - run: exec rungate run check
        env:
          # With a GitHub App of yours the result is a check run with annotations, too; without one it is in the log and in
          # the job's summary: https://github.com/rungate/rungate/blob/main/docs/github-app.md
          RUNGATE_APP_ID: ${{ vars.RUNGATE_APP_ID }}
          RUNGATE_APP_PRIVATE_KEY: ${{ secrets.RUNGATE_APP_PRIVATE_KEY }}
";

/// The workflow for what `survey` found.
pub(super) fn text(survey: &Survey) -> String {
    let branch = survey.branch.as_deref().filter(|branch| is_plain(branch)).unwrap_or("main");
    let labels =
        survey.labels.as_ref().map_or_else(|| "self-hosted, linux".to_owned(), |labels| labels.join(", "));
    TEXT.replace("@BRANCH@", branch).replace("@LABELS@", &labels)
}
