#!/usr/bin/env python3
"""Runs the composite action by a runner program of others against the fake GitHub, and judges what arrived.

    tests/runner/story.py RUNGATE FAKE_GITHUB WRKFLW [NODE]

RUNGATE and FAKE_GITHUB are programs of this repository, WRKFLW is wrkflw 0.8.0, NODE runs the step that is JavaScript.

What that runner does otherwise than GitHub's: it sets no GITHUB_ACTION_PATH and no GITHUB_EVENT_PATH, it only pretends
to run actions of the marketplace, it passes scripts by `bash -c`, it takes `inputs.a-b` from INPUT_A_B while it sets
INPUT_A-B, it reads no name with a hyphen from an output of several lines, it judges no `if` inside of a composite, and
it runs none of its steps after one that failed. So the steps that are conditional are cut off, inputs with a hyphen are
given twice, and one output is looked at. tests/it/action replays GitHub's own runner for all that, and the step that is
JavaScript is run here by node.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIMIT = 120  # Seconds for one workflow.

MANIFEST = """\
version: 1
commands:
  passes:
    inputs: {word: {pattern: '[a-z]+', default: fine}}
    steps:
      - {id: a, shell: sh, env: {WORD: '${{ inputs.word }}'}, run: 'echo "::notice file=a.txt,line=1::$WORD"'}
  fails:
    steps:
      - {id: a, shell: sh, run: 'echo "::error file=a.txt,line=1::broken"'}
"""

WORKFLOW = """\
name: story
on:
  workflow_dispatch: {{}}
jobs:
  story:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - id: rungate
        uses: ./
        # That runner takes these from a step alone.
        env:
          GITHUB_API_URL: {url}
          GITHUB_REPOSITORY: acme/widgets
          RUNGATE_STATE_DIR: {state}
{hyphens}
        with:
{inputs}
      - name: Tell
        run: echo "$CONCLUSION" > "$TOLD"
        env:
          TOLD: {told}
          CONCLUSION: ${{{{ steps.rungate.outputs.conclusion }}}}
"""


class Fake:
    """The fake GitHub, stopped when the block ends."""

    def __init__(self, program: str) -> None:
        self.process = subprocess.Popen([program], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.introduction = json.loads(self.process.stdout.readline())
        self.url = self.introduction["url"]

    def __enter__(self) -> Fake:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()

    def check_runs(self) -> list[dict]:
        with urllib.request.urlopen(f"{self.url}/_fake/state", timeout=10) as answer:
            return json.load(answer)["check_runs"]


def git(repository: pathlib.Path, *arguments: str) -> None:
    identity = ["-c", "user.name=T", "-c", "user.email=t@example.com", "-c", "core.hooksPath=/dev/null"]
    subprocess.run(["git", *identity, *arguments], cwd=repository, check=True)


def repository(folder: pathlib.Path) -> None:
    """A repository that holds the action, so that `uses: ./` is it."""
    for path in ["action.yml", "Cargo.toml", "scripts/action"]:
        source, target = ROOT / path, folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    action = folder / "action.yml"
    steps = re.split(r"(?m)^    - name: ", action.read_text())
    action.write_text("    - name: ".join(step for step in steps if not re.search(r"(?m)^      if: ", step)))
    (folder / ".github/workflows").mkdir(parents=True)
    (folder / ".github/rungate.yml").write_text(MANIFEST)
    (folder / "a.txt").write_text("one\n")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "x")


def run(programs: dict[str, str], fake: Fake, inputs: dict[str, str]) -> tuple[int, str, str]:
    """Runs one workflow that uses the action. Returns how it ended, what was said, and what a step saw."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name) / "widgets"
        folder.mkdir()
        repository(folder)
        lines = "\n".join(f"          {key}: {json.dumps(value)}" for key, value in inputs.items())
        hyphens = "\n".join(
            f"          INPUT_{key.upper().replace('-', '_')}: {json.dumps(value)}"
            for key, value in inputs.items()
            if "-" in key
        )
        workflow = folder / ".github/workflows/story.yml"
        told = pathlib.Path(name) / "told"
        workflow.write_text(
            WORKFLOW.format(url=fake.url, state=f"{name}/state", told=told, inputs=lines, hyphens=hyphens)
        )
        installed = pathlib.Path(name) / "bin"
        installed.mkdir()
        (installed / "rungate").symlink_to(programs["rungate"])
        # Nothing of this machine's job or of its credentials.
        kept = {key: os.environ[key] for key in ["HOME", "LANG", "TMPDIR"] if key in os.environ}
        environment = {**kept, "PATH": f"{installed}:{os.environ['PATH']}", "NO_COLOR": "1"}
        ended = subprocess.run(
            [programs["wrkflw"], "run", "--runtime", "emulation", "--verbose", str(workflow)],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        return ended.returncode, ended.stdout, told.read_text().strip() if told.exists() else ""


def stories(programs: dict[str, str], fake_github: str) -> list[str]:
    """Tells all of them, and returns what was not as it has to be."""
    wrong = []
    for name, inputs, is_success, conclusion in [
        ("success", {"command": "passes", "inputs": '{"word": "good"}'}, True, "success"),
        ("failing gate", {"command": "fails"}, False, "failure"),
        ("bad input", {"command": "passes", "inputs": '{"word": "NOT; touch x"}'}, False, "failure"),
        ("no credentials", {"command": "passes"}, True, None),
    ]:
        with Fake(fake_github) as fake:
            inputs["install"] = "never"
            if conclusion is not None:
                inputs["app-id"] = str(fake.introduction["app_id"])
                key = pathlib.Path(fake.introduction["private_key_file"]).read_text()
                inputs["private-key"] = key.strip().replace("\n", "\\n")
            status, text, seen = run(programs, fake, inputs)
            runs = fake.check_runs()
        problems = []
        if (status == 0) != is_success:
            problems.append(f"the workflow ended with {status}")
        if [item["conclusion"] for item in runs] != ([] if conclusion is None else [conclusion]):
            problems.append(f"the check runs are {runs}")
        if seen != ("success" if is_success else ""):
            problems.append(f"the next step saw {seen!r}")
        print(f"{name}: {'; '.join(problems) or 'as it has to be'}", flush=True)
        if problems:
            wrong.append(name)
            print(text)
    return wrong


def hand_over(node: str) -> list[str]:
    """Runs the step that is JavaScript as actions/github-script does: with `core`, and with the service's variables."""
    text = (ROOT / "action.yml").read_text()
    script = re.search(r"        script: \|\n((?:          .*\n)+)", text)
    assert script is not None
    program = (
        "const outputs = {}; const core = {setOutput: (name, value) => { outputs[name] = value; }};\n"
        f"(async () => {{ {script.group(1)} }})().then(() => console.log(JSON.stringify(outputs)));"
    )
    wrong = []
    variables = {"ACTIONS_RUNTIME_TOKEN": "t", "ACTIONS_RESULTS_URL": "r", "ACTIONS_RUNTIME_URL": "u"}
    for environment, outputs in [
        (variables, {"token": "t", "results-url": "r", "runtime-url": "u"}),
        ({}, {"token": "", "results-url": "", "runtime-url": ""}),
    ]:
        ended = subprocess.run(
            [node, "-e", program],
            env={"PATH": os.environ["PATH"], **environment},
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=True,
        )
        if json.loads(ended.stdout) != outputs:
            wrong.append(f"hand-over: {ended.stdout}")
    print("hand-over of the artifact service's token:", "; ".join(wrong) or "as it has to be")
    return wrong


def main(arguments: list[str]) -> int:
    if len(arguments) not in (3, 4):
        print(__doc__, file=sys.stderr)
        return 2
    rungate, fake_github, wrkflw = (str(pathlib.Path(path).resolve()) for path in arguments[:3])
    wrong = stories({"rungate": rungate, "wrkflw": wrkflw}, fake_github)
    wrong += hand_over(arguments[3] if len(arguments) == 4 else "node")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
