"""Measures `rungate findings parse` beside other readers of the same report, interleaved, and prints Markdown.

usage: parse.py RUNGATE [MEGABYTES [RUNS]]      defaults: 120 and 5

XML2JS may hold the path of an installed npm package `xml2js`, which is then measured, too. Nothing here passes or
fails: times are for reading, not for CI.
"""

import os
import shutil
import statistics
import sys
import tempfile
import time

FAILURE = (
    '<failure message="assert {n} == {m} &amp; &lt;more&gt;" type="AssertionError">def test_{n}():\n'
    ">       assert f({n}) == {m}\nE       assert {n} == {m}\n\ntests/test_{n}.py:{line}: AssertionError</failure>"
)

ITERPARSE = """
import sys
from xml.etree.ElementTree import iterparse
failed = 0
for event, element in iterparse(sys.argv[1]):
    if element.tag == "testcase":
        failed += any(child.tag in ("failure", "error") for child in element)
    if element.tag in ("testcase", "testsuite"):
        element.clear()
print(failed)
"""


XML2JS = """
const { parseStringPromise } = require(process.env.XML2JS);
parseStringPromise(require("fs").readFileSync(process.argv[1], "utf8"))
  .then((document) => console.log(document.testsuites.testsuite.length));
"""


def report(path, size):
    """A JUnit report of at least `size` bytes as pytest writes them: one case in fifty fails."""
    written = number = 0
    with open(path, "w", encoding="utf-8") as file:
        written += file.write('<?xml version="1.0" encoding="utf-8"?>\n<testsuites>\n')
        while written < size:
            written += file.write(f'<testsuite name="pkg.module_{number}" tests="1000" failures="20" time="12.3">\n')
            for _ in range(1000):
                number += 1
                name = f'classname="pkg.module.TestClass{number % 97}" name="test_case_{number}"'
                case = f'<testcase {name} time="0.0{number % 89:02}"'
                if number % 50:
                    case += "/>\n"
                else:
                    case += ">" + FAILURE.format(n=number, m=number + 1, line=number % 400 + 1) + "</testcase>\n"
                written += file.write(case)
            written += file.write("</testsuite>\n")
        file.write("</testsuites>\n")


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


def main(rungate, megabytes=120, runs=5):
    """Makes the report, measures, prints."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "junit.xml")
        report(path, int(megabytes) * 1_000_000)
        size = os.path.getsize(path) / 1e6
        readers = {
            "rungate findings parse": [rungate, "findings", "parse", "--parser", "junit", "--format", "jsonl", path],
            "python iterparse": [sys.executable, "-c", ITERPARSE, path],
        }
        # Only where it is there: it comes with npm, and is what action-based reporters of tests are made of.
        if shutil.which("node") and os.environ.get("XML2JS"):
            readers["node xml2js"] = ["node", "--max-old-space-size=8192", "-e", XML2JS, path]
        figures = {name: [] for name in readers}
        for _ in range(int(runs)):
            for name, argv in readers.items():
                figures[name].append(once(argv))
    print(f"JUnit, {size:.0f} MB, {runs} runs each, one reader after the other\n")
    print("| reader | median | MB/s | MB/s of processor time | most memory |\n|---|---|---|---|---|")
    for name, runs_of in figures.items():
        clock, processor = (statistics.median(run[index] for run in runs_of) for index in (0, 1))
        memory = max(run[2] for run in runs_of)
        print(f"| {name} | {clock:.2f} s | {size / clock:.0f} | {size / processor:.0f} | {memory:.0f} MiB |")


if __name__ == "__main__":
    main(*sys.argv[1:])
