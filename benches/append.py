#!/usr/bin/env python3
"""Appends of a journal against what the disk can do: fio with records of that size, each flushed, in a file that grows.

    cargo build --release --example append
    benches/append.py target/release/examples/append [rounds]

Both take turns in one run, on the file system of the current folder. fio's file grows into space that is reserved
without being part of the file (`fallocate=keep`), as a journal's does, and also into none, as a plain file does.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ENTRIES = 1000


def fio(folder, size, fallocate):
    """Flushed writes a second."""
    file = Path(folder) / f"fio-{fallocate}"
    command = [
        *("fio", "--name=floor", "--ioengine=psync", "--rw=write", "--fdatasync=1", "--output-format=json"),
        *(
            f"--filename={file}",
            f"--bs={size}",
            f"--size={size * ENTRIES}",
            f"--fallocate={fallocate}",
            "--create_on_open=1",
        ),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    file.unlink()
    return json.loads(done.stdout)["jobs"][0]["write"]["iops"]


def journal(program, folder):
    """Entries a second, and the length of one."""
    done = subprocess.run([program, "journal", folder, str(ENTRIES)], capture_output=True, text=True, check=True)
    rate, size = done.stdout.split()
    return float(rate), int(size)


def main():
    program = str(Path(sys.argv[1]).resolve())
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 15
    rates = {"journal": [], "keep": [], "none": []}
    with tempfile.TemporaryDirectory(dir=".") as folder:
        size = journal(program, Path(folder) / "warm")[1]
        for number in range(rounds):
            rates["journal"].append(journal(program, Path(folder) / str(number))[0])
            for fallocate in ("keep", "none"):
                rates[fallocate].append(fio(folder, size, fallocate))
    middle = {name: statistics.median(all) for name, all in rates.items()}
    print(f"{ENTRIES} entries of {size} bytes, each flushed, {rounds} rounds in turn; medians, a second:\n")
    print("| journal | fio, space reserved | fio, none | journal to the better |\n|---:|---:|---:|---:|")
    share = middle["journal"] / max(middle["keep"], middle["none"])
    print(f"| {middle['journal']:.0f} | {middle['keep']:.0f} | {middle['none']:.0f} | {share:.0%} |")


if __name__ == "__main__":
    main()
