#!/usr/bin/env python3
"""Boots kernels of several releases of Debian in virtual machines, and tests rungate there under a real systemd.

    tests/vm/run.py PACKAGE TESTS PROGRAM CACHE_DIR [RELEASE...]

PACKAGE is Debian's, TESTS the compiled program of `tests/it`, PROGRAM the path where that looks for rungate. Needs
root, qemu, debootstrap and, the first time, Debian's mirror; what that gives is kept in CACHE_DIR. This machine is not
changed. Where it cannot be done it says so and succeeds, but fails where CI is set.
"""

import concurrent.futures
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import Machine

HERE = Path(__file__).resolve().parent

# What is tried unless somebody asks for others: kernels that stay where they are.
RELEASES = ("bookworm", "trixie")

# A machine that is not done by then hangs: on two processors they take a quarter of it.
SECONDS = 900


def main():
    if len(sys.argv) < 5:
        sys.exit("usage: tests/vm/run.py PACKAGE TESTS PROGRAM CACHE_DIR [RELEASE...]")
    package, tests, program, cache = map(Path, sys.argv[1:5])
    releases = sys.argv[5:] or RELEASES
    lacking = lacks()
    if lacking:
        print(f"SKIPPED: no virtual machine was started: this needs {lacking}", file=sys.stderr)
        sys.exit(1 if os.environ.get("CI") else 0)
    parts = cache / "vm-1"
    subprocess.run([HERE / "prepare.sh", parts, *releases], check=True)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        brought = bring(package, tests, program, folder / "brought")
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            results = pool.map(lambda release: passes(parts, release, brought, folder / release), releases)
            failed = [release for release, passed in zip(releases, results, strict=True) if not passed]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def lacks():
    if os.geteuid() != 0:
        return "root"
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    return next((name for name in ("qemu-system-x86_64", "debootstrap") if not shutil.which(name, path=path)), None)


def bring(package, tests, program, folder):
    """What comes onto the disk."""
    media = folder / "media/rungate"
    shutil.copytree(HERE / "inside", media / "inside")
    shutil.copy(package, media / "rungate.deb")
    shutil.copy(tests, media / "tests")
    (media / "program").write_text(str(program.resolve()))
    units = folder / "etc/systemd/system"
    (units / "multi-user.target.wants").mkdir(parents=True)
    shutil.move(media / "inside/rungate-vm.service", units)
    (units / "multi-user.target.wants/rungate-vm.service").symlink_to("../rungate-vm.service")
    return folder


def passes(parts, release, brought, folder):
    folder.mkdir()
    machine = Machine(parts / f"kernel-{release}", parts / "disk", parts / "busybox", brought, folder)
    said, console, seconds = machine.run(SECONDS)
    passed = said.rstrip().endswith("PASSED")
    result = f"{release}: {'passed' if passed else 'FAILED'} after {seconds:.0f} s"
    # At once, since others run beside it.
    print("\n".join([f"--- {release}", said, "" if passed else console, result]), flush=True)
    return passed


if __name__ == "__main__":
    main()
