#!/usr/bin/env python3
"""Disturbs the writer of crash-safe files from outside, and looks whether anything that it acknowledged is lost.

    cargo build --example append
    tests/faults/append.py target/debug/examples/append

Four parts: every system call of the writer fails once, by strace (EIO, ENOSPC, EINTR); writers that share a file are
killed again and again; the disk is full (a loop device, as root or by sudo); and the order of calls is looked at:
written, flushed, acknowledged. A part that this machine cannot do is skipped aloud, and is an error where CI is set.

A kill leaves the kernel's cache as it is. So none of this shows what a power cut does; the order of calls does.
"""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CALLS = (
    "openat",
    "statx",
    "fstat",
    "newfstatat",
    "flock",
    "pread64",
    "pwrite64",
    "fdatasync",
    "fsync",
    "fallocate",
    "ftruncate",
)
ERRORS = ("EIO", "ENOSPC", "EINTR")
RECORDS = 6
SKIPPED = []


def main():
    program = str(Path(sys.argv[1]).resolve())
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        if shutil.which("strace"):
            order(program, folder / "order")
            sweep(program, folder)
        else:
            skip("no strace: calls do not fail one by one, and their order is not seen")
        storm(program, folder / "storm")
        mkfs = shutil.which("mkfs.ext4", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
        if mkfs and (os.geteuid() == 0 or run("sudo", "-n", "true") == 0):
            full_disk(program, folder, mkfs)
        else:
            skip("not root, or no mkfs.ext4: no disk is filled")
    if SKIPPED and os.environ.get("CI"):
        sys.exit(f"{len(SKIPPED)} parts were skipped, and CI has to do them all")


def skip(why):
    SKIPPED.append(why)
    print(f"skipped: {why}")


def run(*command):
    return subprocess.run(command, capture_output=True).returncode


def write(program, file, name, count, verb="write", before=(), **more):
    return subprocess.run([*before, program, verb, file, name, str(count)], capture_output=True, text=True, **more)


def records(program, file):
    """The records of a file, after a writer has taken it up and added one."""
    added = write(program, file, "check", 1)
    if added.returncode != 0:
        sys.exit(f"{file} cannot be taken up: {added.stderr}")
    done = subprocess.run([program, "read", file], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{file} is damaged: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def acknowledged(text):
    """What a writer has promised: lines that are whole."""
    return [tuple(line.split(" ")) for line in text.split("\n")[:-1]]


def check(program, file, promises, what):
    """Everything that was promised is there, once, and each writer's in its order."""
    held = [(record["by"], str(record["number"])) for record in records(program, file)]
    kept = [one for one in held if one[0] != "check"]
    lost = set(promises) - set(kept)
    if lost or len(set(kept)) != len(kept):
        sys.exit(f"{what}: lost {sorted(lost)}, or there twice: {len(kept) - len(set(kept))}")
    for writer in {by for by, _ in kept}:
        numbers = [int(number) for by, number in kept if by == writer]
        if numbers != sorted(numbers):
            sys.exit(f"{what}: {writer} is out of order")
    return kept


def traced(program, file, *options, count=RECORDS):
    log = str(file) + ".strace"
    done = write(program, file, "w", count, before=["strace", "-f", "-o", log, *options])
    return done, Path(log).read_text()


def order(program, file):
    """Between a record's write and its acknowledgement there is a flush."""
    _, log = traced(program, file, "-e", "trace=pwrite64,fdatasync,write,fsync")
    calls = re.findall(r"\b(pwrite64|fdatasync|write\(1|fsync)\b", log)
    calls = [call for call in calls if call != "fsync"]
    wanted = ["pwrite64", "fdatasync", "write(1"] * RECORDS
    if calls != wanted:
        sys.exit(f"the order of calls is {calls}")
    made = re.findall(r"fsync\(\d+<?", log)
    if len(made) < 2:
        sys.exit("the new file and its folder are not flushed")
    print(f"order: written, flushed, acknowledged, {RECORDS} times; the new file and its folder are flushed")


def sweep(program, folder):
    """Every call fails once in every way."""
    points = stopped = 0
    for begin in ("new", "torn"):
        clean = begun(program, folder / f"{begin}-clean", begin)
        _, log = traced(program, clean)
        counts = {call: len(re.findall(rf"\b{call}\(", log)) for call in CALLS}
        for call, count in counts.items():
            for error in ERRORS:
                for when in range(1, count + 1):
                    file = begun(program, folder / f"{begin}-{call}-{error}-{when}", begin)
                    inject = f"inject={call}:error={error}:when={when}"
                    done, log = traced(program, file, "-e", f"trace={call}", "-e", inject)
                    if "(INJECTED)" not in log:
                        continue
                    points += 1
                    stopped += done.returncode != 0
                    check(program, file, acknowledged(done.stdout), f"{begin}: {inject}")
                    for old in folder.glob(f"{file.name}*"):
                        old.unlink()
    if points < 100:
        sys.exit(f"only {points} calls were disturbed")
    print(f"sweep: {points} faults, {stopped} of them stopped the writer, nothing that was acknowledged is lost")


def begun(program, file, begin):
    """A file that the writer finds: none, or one whose last line is half written."""
    if begin == "torn":
        write(program, file, "old", 2)
        with open(file, "ab") as out:
            out.write(b'["0011223344')
    return file


def storm(program, file, rounds=25, writers=4):
    """Writers that share a file are killed at any moment."""
    promises, started = [], time.monotonic()
    for number in range(rounds):
        running = [
            subprocess.Popen(
                [program, "write", file, f"r{number}w{writer}", "100000"], stdout=subprocess.PIPE, text=True
            )
            for writer in range(writers)
        ]
        time.sleep(random.uniform(0.02, 0.3))
        for process in running:
            process.send_signal(signal.SIGKILL)
        for process in running:
            promises += acknowledged(process.communicate()[0])
    kept = check(program, file, promises, "storm")
    if len(promises) < rounds:
        sys.exit(f"only {len(promises)} records were acknowledged")
    rate = len(promises) / (time.monotonic() - started)
    promised = f"{len(promises)} acknowledged, {len(kept)} kept ({rate:.0f}/s)"
    print(f"storm: {rounds} rounds of {writers} killed writers, {promised}")


def full_disk(program, folder, mkfs):
    """A disk becomes full: what was acknowledged stays, and who has space reserved goes on for a while."""
    image, point = folder / "image", folder / "disk"
    point.mkdir()
    with open(image, "wb") as out:
        out.truncate(8 << 20)
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    subprocess.run([mkfs, "-q", "-F", "-m", "0", image], check=True)
    if run(*sudo, "mount", "-o", "loop", image, point) != 0:
        return skip("no loop device can be mounted: no disk is filled")
    run(*sudo, "chown", str(os.geteuid()), point)
    try:
        held = subprocess.Popen(
            [program, "keep", point / "held", "held", "100000"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        first = held.stdout.readline()
        held.send_signal(signal.SIGSTOP)
        with open(point / "filler", "wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(bytes(64 << 10))
            except OSError:
                pass
            try:
                while True:
                    filler.write(b"x")
            except OSError:
                pass
        new = write(program, point / "new", "new", 3)
        if new.stdout:
            sys.exit("a record was acknowledged on a full disk")
        held.send_signal(signal.SIGCONT)
        out, err = held.communicate()
        promises = acknowledged(first + out)
        if held.returncode == 0 or len(promises) < 100:
            sys.exit(f"{len(promises)} records went into the reserved space, and then: {err}")
        (point / "filler").unlink()
        kept = check(program, point / "held", promises, "full disk")
        write(program, point / "new", "new", 3)
        print(f"full disk: {len(promises)} records into reserved space, {len(kept)} kept; afterwards it goes on")
    finally:
        run(*sudo, "umount", point)


if __name__ == "__main__":
    main()
