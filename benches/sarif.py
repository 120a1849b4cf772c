"""Measures `rungate findings parse --parser sarif` beside other readers of JSON, interleaved, and prints Markdown.

usage: sarif.py RUNGATE [MEGABYTES [RUNS]]      defaults: 110 and 5

Python and node read the whole document and count its results; rungate also writes each of them as a finding. A second
report has its results before its rules, as logs of widespread tools do. Nothing here passes or fails.
"""

import json
import os
import shutil
import statistics
import sys
import tempfile
import time

RULES = 200
PYTHON = """
import json, sys
print(sum(len(run["results"]) for run in json.load(open(sys.argv[1], encoding="utf-8"))["runs"]))
"""
NODE = """
const log = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"));
console.log(log.runs.reduce((sum, run) => sum + run.results.length, 0));
"""


def result(number):
    """One result as linters write it."""
    rule = number % RULES
    line = number % 900 + 1
    return {
        "ruleId": f"R{rule:04}",
        "ruleIndex": rule,
        "level": ("error", "warning", "note")[number % 3],
        "message": {"text": f"'value_{number}' is assigned but never used, \"quoted\" in function f_{number % 77}"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {
                        "uri": f"src/package_{number % 50}/module_{number % 1200}.py",
                        "uriBaseId": "%SRCROOT%",
                    },
                    "region": {
                        "startLine": line,
                        "startColumn": 5,
                        "endLine": line,
                        "endColumn": 29,
                        "snippet": {"text": f'    value_{number} = compute(argument_{number}, {{"key": None}})\n'},
                    },
                }
            }
        ],
        "partialFingerprints": {"primaryLocationLineHash": f"{number * 2654435761 % 2**64:016x}:1"},
        "properties": {"tags": ["correctness", "unused"], "precision": "high"},
    }


def report(path, size, results_first):
    """A log of at least `size` bytes."""
    rules = [
        {
            "id": f"R{rule:04}",
            "name": f"rule-{rule}",
            "shortDescription": {"text": f"Rule {rule}"},
            "help": {"text": "Why. " * 40},
        }
        for rule in range(RULES)
    ]
    tool = '"tool": ' + json.dumps({"driver": {"name": "lint", "rules": rules}})
    bases = '"originalUriBaseIds": {"%SRCROOT%": {"uri": "file:///build/"}}'
    written = number = 0
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"version": "2.1.0", "runs": [{')
        file.write('"results": [' if results_first else f'{tool}, {bases}, "results": [')
        while written < size:
            written += file.write(("" if number == 0 else ",\n") + json.dumps(result(number)))
            number += 1
        file.write(f"], {tool}, {bases}}}]}}" if results_first else "]}]}")
    return number


def once(argv):
    """Seconds on the clock, seconds of the processor, and MiB of memory of one run."""
    began = time.perf_counter()
    child = os.posix_spawnp(
        argv[0], argv, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    )
    _, status, usage = os.wait4(child, 0)
    if status:
        sys.exit(f"{argv[0]} ended with {status}")
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main(rungate, megabytes=110, runs=5):
    """Makes the reports, measures, prints."""
    with tempfile.TemporaryDirectory() as folder:
        ordered, late = os.path.join(folder, "ordered.sarif"), os.path.join(folder, "late.sarif")
        count = report(ordered, int(megabytes) * 1_000_000, results_first=False)
        report(late, int(megabytes) * 1_000_000, results_first=True)
        size = os.path.getsize(ordered) / 1e6
        parse = [rungate, "findings", "parse", "--parser", "sarif"]
        readers = {"rungate": [*parse, ordered], "rungate, results before rules": [*parse, late]}
        if shutil.which("node"):
            readers["node JSON.parse"] = ["node", "--max-old-space-size=8192", "-e", NODE, ordered]
        readers["python json"] = [sys.executable, "-c", PYTHON, ordered]
        figures = {name: [] for name in readers}
        for _ in range(int(runs)):
            for name, argv in readers.items():
                figures[name].append(once(argv))
    print(f"SARIF, {size:.0f} MB, {count} results, {runs} runs each, one reader after the other\n")
    print("| reader | median | MB/s | MB/s of processor time | most memory |\n|---|---:|---:|---:|---:|")
    for name, runs_of in figures.items():
        clock, processor = (statistics.median(run[index] for run in runs_of) for index in (0, 1))
        memory = max(run[2] for run in runs_of)
        print(f"| {name} | {clock:.2f} s | {size / clock:.0f} | {size / processor:.0f} | {memory:.0f} MiB |")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(*sys.argv[1:])
