"""What the package brings for systemd, alive: the runner's drop-in, the timer, and that nothing is left."""

import json
from pathlib import Path

from guest import PROGRAM, USER, GuestTest, run, until, well

UNITS = Path("/etc/systemd/system")
RUNNER = "actions.runner.acme-widgets.one.service"
TIMER = f"rungate-reconcile@{USER}.timer"
SERVICE = f"rungate-reconcile@{USER}.service"


class Units(GuestTest):
    def test_the_runners_drop_in_gives_what_it_says(self):
        unit = UNITS / RUNNER
        out = "/var/lib/rungate/runner/doctor.json"
        program = f"/bin/sh -c '{PROGRAM} doctor --offline --format json >{out}'"
        unit.write_text(f"[Service]\nType=oneshot\nUser={USER}\nExecStart={program}\nSuccessExitStatus=4\n")
        found = self.check("runner-unit")
        self.assertEqual(found["state"], "lacking")
        self.assertIn("DelegateSubgroup=", found["remedies"][0])
        # As docs/installing.md says it.
        drop_in = Path(f"{unit}.d/rungate.conf")
        well("install", "-D", "-m", "0644", "/usr/share/doc/rungate/examples/runner.conf", drop_in)
        well("systemctl", "daemon-reload")
        well("systemctl", "restart", RUNNER)
        self.assertEqual(self.check("runner-unit")["state"], "good")
        checks = {check["id"]: check for check in json.loads(Path(out).read_text())["checks"]}
        self.assertEqual(checks["cgroup"]["state"], "good", checks["cgroup"])
        self.assertEqual(checks["runner-unit"]["state"], "good")
        well("rm", "-r", unit, drop_in.parent)
        well("systemctl", "daemon-reload")

    def test_the_timer_starts_the_service_which_passes_without_a_key_and_reads_one(self):
        well("systemctl", "enable", "--now", TIMER)
        self.assertIn(TIMER, well("systemctl", "list-timers", "--all", "--no-legend"))
        well("systemctl", "start", SERVICE)
        self.assertEqual(well("systemctl", "show", "-P", "ConditionResult", SERVICE).strip(), "no")
        key = well("openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
        Path("/etc/rungate/app.pem").write_text(key)
        Path("/etc/rungate/app.pem").chmod(0o600)
        Path("/etc/rungate/app.env").write_text("RUNGATE_APP_ID=Iv23liEXAMPLE\n")
        try:
            # By the timer itself, which is made to be due.
            override = UNITS / f"{TIMER}.d/soon.conf"
            override.parent.mkdir()
            override.write_text("[Timer]\nOnActiveSec=1s\nRandomizedDelaySec=0\nAccuracySec=1s\n")
            well("systemctl", "daemon-reload")
            well("systemctl", "restart", TIMER)
            until("the service", lambda: "ExecMainStartTimestampMonotonic=0" not in self.shown(), 30)
            until("its end", lambda: "ActiveState=inactive" in self.shown() or "failed" in self.shown(), 30)
            log = well("journalctl", "-b", "-u", SERVICE, "--no-pager")
            self.assertIn("Result=success", self.shown(), log)
            self.assertIn("0 journals looked at", log)
        finally:
            run("rm", "-r", "/etc/rungate/app.pem", "/etc/rungate/app.env", override.parent)
            well("systemctl", "disable", "--now", TIMER)

    def shown(self):
        names = ("ActiveState", "Result", "ExecMainStartTimestampMonotonic")
        return well("systemctl", "show", *[word for name in names for word in ("-p", name)], SERVICE)

    def test_nothing_is_left_of_the_package(self):
        well("systemctl", "enable", "--now", TIMER)
        well("dpkg", "--purge", "rungate")
        self.assertNotIn("rungate", well("systemctl", "list-timers", "--all", "--no-legend"))
        units = well("systemctl", "list-units", "--all", "--no-legend", "--plain", "rungate-reconcile*")
        self.assertEqual(units.strip(), "")
        for path in (PROGRAM, "/etc/apparmor.d/rungate", "/var/lib/rungate"):
            self.assertFalse(Path(path).exists(), path)
        self.setUpClass()
