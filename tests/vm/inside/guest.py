"""What the tests in the machine have in common: the package, users, units, and what is left of a sandbox."""

import json
import os
import pwd
import subprocess
import time
import unittest
from pathlib import Path

MEDIA = Path("/media/rungate")
GROUPS = Path("/sys/fs/cgroup")
PROGRAM = "/usr/bin/rungate"
USER = "runner"
DELEGATED = ("Delegate=cpu memory pids", "DelegateSubgroup=runner")
KERNEL = tuple(int(number) for number in os.uname().release.split(".")[:2])

# Before, the kernel cannot make a whole tree of mounts read-only, nor has it Landlock.
CONFINES = KERNEL >= (5, 12)


def run(*argv, **more):
    more = {"capture_output": True, "text": True, "timeout": 300, **more}
    return subprocess.run([str(word) for word in argv], **more)


def well(*argv, **more):
    done = run(*argv, **more)
    if done.returncode != 0:
        raise AssertionError(f"{argv} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def install():
    """The package and a user, where they are not there yet."""
    if not Path("/home", USER).exists():
        well("useradd", "--create-home", USER)
    if not Path(PROGRAM).exists():
        well("dpkg", "-i", MEDIA / "rungate.deb")


def home_of(user):
    return Path(pwd.getpwnam(user).pw_dir)


def in_unit(*argv, user=USER, properties=DELEGATED, manager=(), **more):
    """Runs it in a service of its own, of the system or of the user's `manager`, and waits for its end."""
    options = ["--quiet", "--wait", "--pipe", "--collect", "--user" if manager else f"--uid={user}"]
    options.append(f"--working-directory={home_of(USER if manager else user)}")
    options += [word for each in properties for word in ("--property", each)]
    return run(*manager, "systemd-run", *options, "--", *argv, **more)


def groups():
    """Control groups of ours."""
    return [str(path) for path in GROUPS.rglob("rungate-*") if path.is_dir() and path.name[8:9].isdigit()]


def until(what, condition, seconds=20):
    started = time.monotonic()
    while not (found := condition()):
        if time.monotonic() - started > seconds:
            raise AssertionError(f"{what} did not happen within {seconds} s")
        time.sleep(0.05)
    return found


class GuestTest(unittest.TestCase):
    """A machine with the package and the user."""

    @classmethod
    def setUpClass(cls):
        install()

    def tearDown(self):
        until("the end of our control groups", lambda: not groups(), 5)

    def probe(self, program=PROGRAM, **more):
        done = in_unit(program, "sandbox", "probe", "--format", "json", **more)
        self.assertTrue(done.stdout, done.stderr)
        return json.loads(done.stdout)

    def check(self, name, program=PROGRAM, **more):
        """What doctor says of it."""
        done = in_unit(program, "doctor", "--offline", "--format", "json", **more)
        return next(check for check in json.loads(done.stdout)["checks"] if check["id"] == name)
