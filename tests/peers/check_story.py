#!/usr/bin/env python3
"""Judge what a run has told the emulator: by the requests in a log of front.py, and by what the emulator knows.

    check_story.py LOG EMULATOR REPOSITORY SHA ANNOTATIONS

The emulator replaces annotations where GitHub appends, so they are counted in the requests.
"""

import json
import re
import sys
import urllib.request
from pathlib import Path

WRITES = ("POST", "PATCH")


def fail(message):
    sys.exit(f"the story is wrong: {message}")


def judge_requests(entries, wanted):
    """One creation, all annotations in batches of at most 50, and one conclusion without any."""
    posted = re.compile(r"/check-runs(/\d+)?$")
    writes = [entry for entry in entries if entry["method"] in WRITES and posted.search(entry["path"])]
    refused = [entry for entry in writes if entry["status"] not in (200, 201)]
    if refused:
        fail(f"refused: {refused[0]['method']} {refused[0]['path']}: {refused[0]['status']}")
    if [entry["method"] for entry in writes].count("POST") != 1 or writes[0]["method"] != "POST":
        fail("it does not begin with one creation")
    batches = [entry["body"].get("output", {}).get("annotations", []) for entry in writes]
    if sum(map(len, batches)) != wanted or max(map(len, batches)) > 50:
        fail(f"batches of {[len(batch) for batch in batches]}")
    places = {(item["path"], item["start_line"]) for batch in batches for item in batch}
    if len(places) != wanted:
        fail(f"{len(places)} places of {wanted}")
    conclusions = [entry["body"].get("conclusion") for entry in writes]
    if conclusions[-1] != "failure" or any(conclusions[:-1]) or batches[-1]:
        fail(f"conclusions {conclusions}, and {len(batches[-1])} annotations with the last")
    return writes[0]["body"]


def judge_state(emulator, repository, sha, created):
    request = urllib.request.Request(
        f"{emulator}/repos/{repository}/commits/{sha}/check-runs", headers={"Authorization": "Bearer tok_octocat"}
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        runs = json.load(response)["check_runs"]
    if len(runs) != 1:
        fail(f"{len(runs)} check runs at the emulator")
    run = runs[0]
    expected = {
        "name": created["name"],
        "external_id": created["external_id"],
        "head_sha": sha,
        "status": "completed",
        "conclusion": "failure",
    }
    found = {key: run[key] for key in expected}
    if found != expected:
        fail(f"{found} instead of {expected}")
    return run


def main():
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    log, emulator, repository, sha, annotations = sys.argv[1:]
    entries = [json.loads(line) for line in Path(log).read_text(encoding="utf-8").splitlines()]
    created = judge_requests(entries, int(annotations))
    run = judge_state(emulator, repository, sha, created)
    print(f"check run {run['id']}: {run['conclusion']}, {annotations} annotations in {len(entries)} requests")


if __name__ == "__main__":
    main()
