"""Control groups, delegated by systemd and not: who holds which limit, what is said of it, and what is left."""

import json
import os
import signal
import unittest
from pathlib import Path

from guest import CONFINES, DELEGATED, GROUPS, PROGRAM, USER, GuestTest, groups, home_of, in_unit, run, until, well

HOG = "x = bytearray(256 << 20)"
# Each within the limit.
HOGS = "import os, time\nfor i in range(3): os.fork()\nx = bytearray(40 << 20)\ntime.sleep(1000)"
BOMB = "import os, time\nwhile True:\n  try: os.fork()\n  except OSError: raise SystemExit(3)"
SOME = "import os, time\nfor i in range(3): os.fork()\ntime.sleep(1000)"
TIERS = ("namespaces", "landlock")


def lingering(name):
    """A manager of this user's own units."""
    well("loginctl", "enable-linger", name)
    folder = Path("/run/user", well("id", "-u", name).strip())
    until("the user's manager", lambda: (folder / "bus").exists())
    return "runuser", "-u", name, "--", "env", f"XDG_RUNTIME_DIR={folder}"


def execute(*options, script, **more):
    return in_unit(PROGRAM, "sandbox", "exec", *options, "--", "/usr/bin/python3", "-c", script, **more)


@unittest.skipUnless(CONFINES, "nothing is started on this kernel")
class Delegated(GuestTest):
    def test_everything_is_limited(self):
        for user in (USER, "root"):
            found = self.probe(user=user)["cgroup"]
            self.assertEqual(sorted(found["controllers"]), ["cpu", "memory", "pids"])
            self.assertEqual((found["kill"], found["problem"], found["remedy"]), (True, None, None), user)
            self.assertEqual(self.check("cgroup", user=user)["state"], "good")

    def test_a_unit_of_the_users_own_manager_is_delegated_too(self):
        manager = lingering(USER)
        found = self.probe(manager=manager)["cgroup"]
        self.assertEqual((sorted(found["controllers"]), found["problem"]), (["cpu", "memory", "pids"], None))
        done = execute("--memory", "64MiB", script=HOG, manager=manager)
        self.assertIn("memory limit of 64MiB exceeded (cgroup)", done.stderr)

    def test_the_kernel_kills_what_takes_too_much_memory(self):
        for user in (USER, "root"):
            for tier in TIERS:
                for script in (HOG, HOGS):
                    done = execute("--tier", tier, "--memory", "64MiB", script=script, user=user)
                    self.assertIn("memory limit of 64MiB exceeded (cgroup)", done.stderr, (user, tier))
                    self.assertNotEqual(done.returncode, 0)

    def test_the_kernel_refuses_processes(self):
        for user in (USER, "root"):
            for tier in TIERS:
                done = execute("--tier", tier, "--processes", "20", "--timeout", "30s", script=BOMB, user=user)
                self.assertIn("limit of 20 processes reached (cgroup)", done.stderr, (user, tier))
                self.assertNotEqual(done.returncode, 0)

    def test_nothing_is_left_of_a_run_that_is_killed(self):
        for user in (USER, "root"):
            for tier in TIERS:
                with self.subTest(user=user, tier=tier):
                    self.killed(user, tier)

    def killed(self, user, tier):
        unit = "rungate-killed.service"
        # What is left is looked at while the unit goes on.
        options = [word for each in (*DELEGATED, "KillMode=process") for word in ("--property", each)]
        options += (f"--unit={unit}", f"--uid={user}", f"--working-directory={home_of(user)}")
        script = 'rungate sandbox exec --tier "$0" -- /usr/bin/python3 -c "$1"; sleep 1000'
        well("systemd-run", "--quiet", *options, "--", "/bin/sh", "-c", script, tier, SOME)
        group = Path(until("a group", groups)[0])
        self.assertEqual(group.parent, GROUPS / "system.slice" / unit)
        until("the processes", lambda: len(group.joinpath("cgroup.procs").read_text().split()) >= 8)
        inside = [int(pid) for pid in group.joinpath("cgroup.procs").read_text().split()]
        runner = group.parent / "runner/cgroup.procs"
        ours = [pid for pid in runner.read_text().split() if Path(f"/proc/{pid}/exe").resolve() == Path(PROGRAM)]
        executor = min(map(int, ours))
        os.kill(executor, signal.SIGKILL)
        until("the end of the group", lambda: not group.exists(), 10)
        for pid in inside:
            until(f"the end of {pid}", lambda pid=pid: not Path(f"/proc/{pid}").exists(), 5)
        well("systemctl", "kill", "--signal=KILL", "--kill-whom=all", unit)
        run("systemctl", "reset-failed", unit)
        until("the end of the unit", lambda: not group.parent.exists())

    def test_the_record_says_that_groups_held_it(self):
        for user in (USER, "root"):
            self.recorded(user)

    def recorded(self, user):
        home = home_of(user)
        work = home / "recorded"
        (work / ".github").mkdir(parents=True, exist_ok=True)
        work.joinpath(".github/rungate.yml").write_text(MANIFEST)
        well("git", "init", "-q", "-b", "main", work)
        well("chown", "-R", user, work)
        out = home / "record"
        for command, reason in (("fits", None), ("hog", "memory limit of 64MiB exceeded (cgroup)")):
            run("rm", "-rf", out)
            done = in_unit(PROGRAM, "run", command, "--workspace", work, "--out", out, user=user)
            record = json.loads(out.joinpath("record.json").read_text())
            step = record["steps"][0]
            held = step["sandbox"]
            self.assertEqual(done.returncode, 1 if reason else 0, done.stderr)
            self.assertEqual(sorted(held["cgroup"]), ["cpu", "memory", "pids"], held)
            by = held["limits_enforced_by"]
            self.assertEqual((by["memory"], by["processes"]), ("cgroup", "cgroup"), held)
            self.assertFalse([word for word in held["degraded"] if "cgroup" in word], held)
            if reason:
                self.assertIn(reason, json.dumps(step))
                self.assertIn(reason, done.stdout + done.stderr)


@unittest.skipUnless(CONFINES, "nothing is started on this kernel")
class NotDelegated(GuestTest):
    def test_the_remedy_is_named(self):
        found = self.probe(properties=())["cgroup"]
        self.assertEqual((found["kill"], found["controllers"]), (False, []))
        self.assertIn("not delegated to this user", found["problem"])
        self.assertIn("Delegate=", found["remedy"])
        check = self.check("cgroup", properties=())
        self.assertEqual(check["state"], "lacking")
        self.assertIn("Delegate=", check["remedies"][0])

    def test_a_watchdog_holds_the_limits(self):
        done = execute("--memory", "64MiB", script=HOGS, properties=())
        self.assertNotEqual(done.returncode, 0)
        done = execute("--processes", "20", "--timeout", "20s", script=BOMB, properties=())
        self.assertNotEqual(done.returncode, 0)

    def test_root_takes_no_group_that_is_systemds(self):
        before = {path: path.read_text() for path in GROUPS.glob("*/cgroup.subtree_control")}
        found = self.probe(properties=(), user="root")["cgroup"]
        self.assertEqual(found["controllers"], [])
        self.assertIn("Delegate=", found["remedy"])
        self.assertEqual(before, {path: path.read_text() for path in GROUPS.glob("*/cgroup.subtree_control")})

    def test_without_a_group_for_the_runner_itself_the_remedy_is_named_and_steps_run(self):
        for user in (USER, "root"):
            found = self.probe(properties=("Delegate=yes",), user=user)["cgroup"]
            self.assertIn("DelegateSubgroup=", found["remedy"] or "", (user, found))
            for tier in TIERS:
                done = execute("--tier", tier, script="print(1)", properties=("Delegate=yes",), user=user)
                self.assertEqual((done.returncode, done.stdout), (0, "1\n"), (user, tier, done.stderr))


MANIFEST = """version: 1
sandbox:
  limits: {memory: 64MiB}
commands:
  fits:
    steps:
      - {id: one, shell: python, run: "print(1)"}
  hog:
    steps:
      - {id: one, shell: python, run: "x = bytearray(256 << 20)"}
"""
