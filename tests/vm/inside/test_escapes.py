"""The battery of attempts to get out of a sandbox on this kernel; where it cannot confine, nothing is started."""

import shutil
import unittest
from pathlib import Path

from guest import CONFINES, DELEGATED, KERNEL, MEDIA, PROGRAM, GuestTest, in_unit

# Versions of Landlock by those of Linux that brought them. What is newer than the last one has at least that.
VERSIONS = {(5, 13): 1, (5, 19): 2, (6, 2): 3, (6, 7): 4, (6, 10): 5, (6, 12): 6}


@unittest.skipUnless(CONFINES, "nothing is started on this kernel")
class Escapes(GuestTest):
    def test_the_layers_are_those_of_this_kernel(self):
        version = max(version for kernel, version in VERSIONS.items() if kernel <= KERNEL)
        for user in ("runner", "root"):
            found = self.probe(user=user)
            self.assertEqual(found["tier"], "namespaces")
            self.assertGreaterEqual(found["landlock"]["abi"], version)
            if KERNEL < (6, 12):
                self.assertEqual(found["landlock"]["abi"], version)
            self.assertEqual(found["scoped_kill"], version >= 6)

    def test_nothing_crosses(self):
        program = Path(MEDIA.joinpath("program").read_text())
        program.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROGRAM, program)
        done = in_unit(MEDIA / "tests", "escapes::", "--test-threads=1", user="root",
                       properties=("Environment=CI=true", *DELEGATED))  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


@unittest.skipIf(CONFINES, "this kernel can confine")
class TooOld(GuestTest):
    def test_nothing_is_started_and_the_reason_is_said(self):
        for user in ("runner", "root"):
            for tier in ("namespaces", "landlock"):
                done = in_unit(PROGRAM, "sandbox", "exec", "--tier", tier, "--", "/bin/echo", "out", user=user)
                self.assertEqual((done.returncode, done.stdout), (125, ""), done.stderr)
                self.assertNotIn("panicked", done.stderr)
            self.assertEqual(self.probe(user=user)["tier"], "none")
            check = self.check("namespaces", user=user)
            self.assertEqual(check["state"], "failed")
            self.assertIn("use Linux 5.12 or newer", " ".join(check["remedies"]), check)
