"""A kernel with AppArmor: the package's profile, and a profile that keeps user namespaces from a program."""

import shutil
import subprocess
import unittest
from pathlib import Path

from guest import CONFINES, PROGRAM, USER, GuestTest, home_of, in_unit, well

SECURITY = Path("/sys/kernel/security/apparmor")
MEDIATES = (
    SECURITY.joinpath("features/namespaces/mask").exists()
    and "userns_create" in SECURITY.joinpath("features/namespaces/mask").read_text()
)

# All that there is, but no user namespaces.
PROFILE = """abi <abi/4.0>,
profile rungate-without PROGRAM flags=(attach_disconnected) {
  file, capability, network, mount, umount, pivot_root, signal, ptrace, unix, dbus,
}
"""


def profiles():
    return SECURITY.joinpath("profiles").read_text().splitlines()


class Profile(GuestTest):
    def test_the_package_loads_it_and_takes_it_away(self):
        self.assertIn("rungate (unconfined)", profiles())
        well("dpkg", "--remove", "rungate")
        self.assertNotIn("rungate (unconfined)", profiles())
        self.assertFalse(Path("/etc/apparmor.d/rungate").exists())
        self.setUpClass()
        self.assertIn("rungate (unconfined)", profiles())

    @unittest.skipUnless(CONFINES, "this kernel has no namespaces for rungate")
    def test_the_program_works_under_it(self):
        script = f"{PROGRAM} sandbox exec -- /bin/sleep 3 & sleep 1; cat /proc/$!/attr/current; wait"
        self.assertIn("rungate (unconfined)", in_unit("/bin/sh", "-c", script).stdout)
        self.assertEqual(self.probe()["tier"], "namespaces")

    @unittest.skipUnless(MEDIATES, "this kernel's AppArmor says nothing about user namespaces")
    def test_a_profile_without_user_namespaces_leaves_the_other_tier_and_the_remedy(self):
        program = home_of(USER) / "without"
        shutil.copy(PROGRAM, program)
        profile = PROFILE.replace("PROGRAM", str(program))
        subprocess.run(["apparmor_parser", "-r"], input=profile, text=True, check=True)
        try:
            found = self.probe(program=program)
            self.assertEqual(found["tier"], "landlock")
            self.assertFalse(found["namespaces"]["available"])
            check = self.check("namespaces", program=program)
            self.assertEqual(check["state"], "lacking")
            self.assertIn("security module", " ".join(check["remedies"]))
            done = in_unit(program, "sandbox", "exec", "--", "/bin/echo", "out")
            self.assertEqual((done.returncode, done.stdout), (0, "out\n"), done.stderr)
        finally:
            subprocess.run(["apparmor_parser", "-R"], input=profile, text=True, check=True)
