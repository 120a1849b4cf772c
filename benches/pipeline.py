#!/usr/bin/env python3
"""Times a whole run over many findings, with and without a baseline that knows them, and prints a Markdown table.

    benches/pipeline.py RUNGATE [FINDINGS] [RUNS]

Seconds and peak memory are those of the whole program, its children apart, the least of some runs.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MANIFEST = """version: 1
commands:
  plain:
    steps: [{id: lint, shell: sh, run: 'cat findings.txt'}]
    gates: [{id: g, needs: [lint], fail-on: none}]
  known:
    steps: [{id: lint, shell: sh, run: 'cat findings.txt'}]
    gates: [{id: g, needs: [lint], baseline: known.json}]
"""


def measure(argv: list[str], folder: Path) -> tuple[float, int, int]:
    """Seconds, peak resident memory of the program in MiB, and its exit code."""
    started = time.perf_counter()
    process = subprocess.Popen(argv, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return time.perf_counter() - started, usage.ru_maxrss // 1024, process.returncode


def main() -> int:
    rungate = str(Path(sys.argv[1]).resolve())
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
    runs = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / ".github").mkdir()
        (folder / ".github/rungate.yml").write_text(MANIFEST)
        with (folder / "findings.txt").open("w") as out:
            for number in range(count):
                out.write(
                    f"::warning file=src/f{number % 997}.py,line={number},title=R{number % 31}::problem {number}\n"
                )
        rows = []
        for command in ("plain", "known"):
            if command == "known":
                subprocess.run(
                    [rungate, "run", "known", "--out", "first"], cwd=folder, capture_output=True, check=False
                )
                subprocess.run(
                    [rungate, "baseline", "update", "known", "--from", "first"],
                    cwd=folder,
                    check=True,
                    capture_output=True,
                )
            results = [measure([rungate, "run", command, "--out", f"{command}{run}"], folder) for run in range(runs)]
            if any(code != 0 for _, _, code in results):
                sys.exit(f"{command} ended with {[code for _, _, code in results]}")
            record = json.loads((folder / f"{command}0" / "record.json").read_text())
            gate = record["gates"][1]
            rows.append(
                (
                    command,
                    min(seconds for seconds, _, _ in results),
                    max(mib for _, mib, _ in results),
                    record["counts"]["warning"],
                    gate["left_out"]["known"],
                )
            )
        print(f"| {count:,} findings | seconds | MiB | counted | known |\n|---|---:|---:|---:|---:|")
        for command, seconds, mib, counted, known in rows:
            print(f"| {command} | {seconds:.2f} | {mib} | {counted:,} | {known:,} |")
        print(f"\nThe baseline costs {(rows[1][1] - rows[0][1]) * 1000:.0f} ms.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
