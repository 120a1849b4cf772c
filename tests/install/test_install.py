"""install.sh against a server on the loopback: what is verified and written, and that nothing is left by halves."""

import functools
import hashlib
import http.server
import io
import os
import pathlib
import platform
import stat
import subprocess
import tarfile
import tempfile
import threading
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts/install.sh"
TARGET = f"{platform.machine()}-unknown-linux-musl"


def archive_name(version):
    return f"rungate-{version}-{TARGET}.tar.gz"


def make_archive(folder, version, program=None, extra=()):
    """Writes a release archive with a stand-in for the program, and adds it to SHA256SUMS."""
    name = f"rungate-{version}-{TARGET}"
    program = program or f'#!/bin/sh\necho "rungate {version} (0123abc)"\n'
    files = {"rungate": program, "install.sh": "", "share/man/man1/rungate.1.gz": "page", "share/rungate/x": version}
    files.update(extra)
    path = folder / archive_name(version)
    with tarfile.open(path, "w:gz") as archive:
        for file, text in files.items():
            info = tarfile.TarInfo(f"{name}/{file}")
            info.size = len(text)
            info.mode = 0o755 if file == "rungate" else 0o644
            archive.addfile(info, io.BytesIO(text.encode()))
    with open(folder / "SHA256SUMS", "a") as sums:
        sums.write(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")
    return path


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


class InstallTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.releases = self.folder / "releases"
        self.prefix = self.folder / "prefix"
        self.releases.mkdir()
        (self.folder / "tmp").mkdir()
        handler = functools.partial(Quiet, directory=self.releases)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.url = f"http://127.0.0.1:{server.server_port}"

    def run_script(self, *args, path=None):
        env = {"PATH": path or "/usr/bin:/bin", "HOME": str(self.folder / "home"), "TMPDIR": str(self.folder / "tmp")}
        ran = subprocess.run(
            ['sh', str(SCRIPT), *map(str, args)],
            env=env, cwd=self.folder, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        self.assertEqual(os.listdir(self.folder / "tmp"), [], f"something is left in TMPDIR: {ran.stderr}")
        return ran

    def install(self, version, *args, path=None):
        return self.run_script("--url", self.url, "--version", version, "--prefix", self.prefix, *args, path=path)

    def files(self):
        """Files and folders below the prefix."""
        return sorted(str(path.relative_to(self.prefix)) for path in self.prefix.rglob("*") if not path.is_dir())

    def assert_failed(self, ran, words):
        self.assertEqual(ran.returncode, 1, ran.stdout + ran.stderr)
        self.assertIn(words, ran.stderr)
        self.assertIn("help: ", ran.stderr)

    def test_a_release_is_installed_and_removed_without_a_trace(self):
        make_archive(self.releases, "1.0.0")
        ran = self.install("v1.0.0")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertIn("installed rungate 1.0.0 (0123abc)", ran.stdout)
        self.assertEqual(
            self.files(),
            ["bin/rungate", "share/man/man1/rungate.1.gz", "share/rungate/installed", "share/rungate/x"],
        )
        self.assertEqual(stat.S_IMODE((self.prefix / "bin/rungate").stat().st_mode), 0o755)
        ran = self.run_script("--uninstall", "--prefix", self.prefix)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertFalse(self.prefix.exists(), "the prefix did not exist before")

    def test_folders_that_were_there_stay_and_so_do_files_of_others(self):
        make_archive(self.releases, "1.0.0")
        (self.prefix / "bin").mkdir(parents=True)
        (self.prefix / "share/man/man1").mkdir(parents=True)
        (self.prefix / "share/man/man1/other.1").write_text("x")
        self.assertEqual(self.install("1.0.0").returncode, 0)
        self.assertEqual(self.run_script("--uninstall", "--prefix", self.prefix).returncode, 0)
        self.assertEqual(self.files(), ["share/man/man1/other.1"])
        self.assertTrue((self.prefix / "bin").is_dir())
        self.assertFalse((self.prefix / "share/rungate").exists())

    def test_an_upgrade_removes_what_the_new_release_does_not_have(self):
        make_archive(self.releases, "1.0.0", extra={"share/old/page": "x"})
        make_archive(self.releases, "1.1.0", extra={"share/rungate/new": "y"})
        self.assertEqual(self.install("1.0.0").returncode, 0)
        self.assertEqual(self.install("1.1.0").returncode, 0)
        self.assertEqual((self.prefix / "share/rungate/x").read_text(), "1.1.0")
        self.assertNotIn("share/old/page", self.files())
        self.assertIn("share/rungate/new", self.files())
        self.assertEqual(self.run_script("--uninstall", "--prefix", self.prefix).returncode, 0)
        self.assertFalse(self.prefix.exists())

    def test_what_is_not_the_release_changes_nothing(self):
        archive = make_archive(self.releases, "1.0.0")
        self.assertEqual(self.install("1.0.0").returncode, 0)
        before = {name: (self.prefix / name).read_bytes() for name in self.files()}
        (self.releases / archive_name("1.1.0")).write_bytes(archive.read_bytes())
        self.assert_failed(self.install("1.1.0"), "SHA256SUMS does not name")
        make_archive(self.releases, "1.2.0").write_bytes(b"something else")
        self.assert_failed(self.install("1.2.0"), "and not")
        self.assert_failed(self.install("1.0.0", "--sha256", "0" * 64), "and not " + "0" * 64)
        self.assert_failed(self.install("9.9.9"), "cannot be downloaded")
        make_archive(self.releases, "1.3.0", program="#!/bin/sh\nexit 3\n")
        self.assert_failed(self.install("1.3.0"), "does not run here")
        make_archive(self.releases, "1.4.0", extra={"share/a b": "x"})
        self.assert_failed(self.install("1.4.0"), "odd name")
        self.assertEqual(before, {name: (self.prefix / name).read_bytes() for name in self.files()})

    def test_an_installation_that_breaks_off_leaves_nothing(self):
        # A file stands where the last folder is to be made: the program has been copied by then.
        make_archive(self.releases, "1.0.0", extra={"share/zzz/page": "x"})
        (self.prefix / "share").mkdir(parents=True)
        (self.prefix / "share/zzz").write_text("mine")
        self.assert_failed(self.install("1.0.0"), "cannot be written")
        self.assertEqual(self.files(), ["share/zzz"])
        self.assertEqual([path.name for path in self.prefix.iterdir()], ["share"])

    def test_an_archive_at_hand_needs_no_server_but_a_digest(self):
        archive = make_archive(self.releases, "1.0.0")
        ran = self.run_script("--from", archive, "--prefix", self.prefix)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        (self.releases / "SHA256SUMS").unlink()
        self.assert_failed(self.run_script("--from", archive, "--prefix", self.prefix), "no SHA256SUMS")
        digest = hashlib.sha256(archive.read_bytes()).hexdigest().upper()
        ran = self.run_script("--from", archive, "--sha256", digest, "--prefix", self.prefix)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        other = archive.rename(self.releases / "rungate-1.0.0-riscv64gc-unknown-linux-musl.tar.gz")
        self.assert_failed(self.run_script("--from", other, "--prefix", self.prefix), "not for this machine")

    def test_a_dry_run_asks_nobody_and_writes_nothing(self):
        ran = self.install("1.0.0", "--dry-run")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertIn(f"download {self.url}/{archive_name('1.0.0')}", ran.stdout)
        self.assertFalse(self.prefix.exists())

    def test_a_host_without_tls_is_refused_unless_it_is_this_machine(self):
        for url in ["http://example.com/x", "ftp://127.0.0.1", "http://127.0.0.1.example.com/x", "file:///etc"]:
            ran = self.run_script("--url", url, "--version", "1.0.0", "--prefix", self.prefix)
            self.assert_failed(ran, "is not HTTPS")

    def test_wrong_usage_ends_with_two(self):
        wrong = [
            ['--nonsense'], ['--version'], ['--version', '1/../2'], ['--sha256', 'abc'], ['--host', 'a/b'],
            ['--url', 'https://x'], ['--from', 'x', '--url', 'https://x', '--version', '1'],
        ]  # fmt: skip
        for args in wrong:
            ran = self.run_script(*args)
            self.assertEqual(ran.returncode, 2, args)
            self.assertIn("help: ", ran.stderr)

    def test_a_list_that_names_something_else_removes_nothing(self):
        victim = self.folder / "victim"
        victim.write_text("x")
        (self.prefix / "share/rungate").mkdir(parents=True)
        for line in ["../victim", "share/../../victim", str(victim), "", "bin/other"]:
            (self.prefix / "share/rungate/installed").write_text(f"share/rungate/installed\n{line}\n")
            self.assert_failed(self.run_script("--uninstall", "--prefix", self.prefix), "which no installation writes")
            self.assertEqual(self.files(), ["share/rungate/installed"], line)
        self.assertTrue(victim.exists())
        self.assert_failed(self.run_script("--uninstall", "--prefix", self.folder / "none"), "no installation")

    def test_an_attestation_that_is_required_has_to_be_valid(self):
        make_archive(self.releases, "1.0.0")
        tools = self.folder / "tools"
        tools.mkdir()
        gh, path = tools / "gh", f"{tools}:/usr/bin:/bin"
        for code, said in [(1, "has no valid attestation"), (0, None)]:
            gh.write_text(f'#!/bin/sh\necho "$*" >>"{self.folder}/asked"\nexit {code}\n')
            gh.chmod(0o755)
            ran = self.install("1.0.0", "--attestation", path=path)
            if said:
                self.assert_failed(ran, said)
                self.assertFalse(self.prefix.exists())
            else:
                self.assertEqual(ran.returncode, 0, ran.stderr)
        asked = (self.folder / "asked").read_text()
        self.assertIn("attestation verify", asked)
        self.assertIn("--repo rungate/rungate", asked)


if __name__ == "__main__":
    unittest.main()
