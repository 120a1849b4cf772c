"""What all scripts have in common: options, where files come from, how findings are written."""

import glob
import os
import subprocess
import sys
import unittest

from harness import SCRIPTS, ScriptTest

ALL = sorted(os.path.basename(path) for path in glob.glob(os.path.join(SCRIPTS, "check_*.py")))


class EveryScript(unittest.TestCase):
    def test_there_are_five(self):
        self.assertEqual(len(ALL), 5)

    def test_it_is_executable_and_explains_itself(self):
        for script in ALL:
            with self.subTest(script):
                path = os.path.join(SCRIPTS, script)
                done = subprocess.run([path, "--help"], capture_output=True)
                self.assertEqual((done.returncode, done.stderr), (0, b""))
                self.assertIn(b"examples:", done.stdout)
                self.assertIn(b"exit codes: 0 nothing found, 1 findings, 2 wrong usage", done.stdout)

    def test_wrong_usage_is_exit_2(self):
        for script in ALL:
            for arguments in (["--no-such-option"], ["no-such-file"], ["--format", "xml"]):
                with self.subTest(script, arguments=arguments):
                    done = subprocess.run(
                        [sys.executable, os.path.join(SCRIPTS, script), *arguments],
                        capture_output=True,
                    )
                    self.assertEqual(done.returncode, 2)
                    self.assertNotIn(b"Traceback", done.stderr)


class WhereFilesComeFrom(ScriptTest):
    script = "check_large_files.py"

    def found(self, *arguments, **options):
        result = self.run_script("--limit", "10", *arguments, **options)
        return [finding.properties["file"] for finding in result.findings]

    def test_walks_sorted_and_leaves_out_folders_of_tools(self):
        for path in (
            "b/x",
            "a",
            ".git/x",
            ".rungate/x",
            "target/x",
            "node_modules/x",
            ".venv/x",
            "b/target/x",
            ".hidden/x",
        ):
            self.write(path, "x" * 11)
        self.assertEqual(self.found(), ["a", ".hidden/x", "b/x"])

    def test_reads_the_list_that_the_environment_names(self):
        for name in ("one", "two", "with space\nand line"):
            self.write(name, "x" * 11)
        self.assertEqual(self.found(listing=["two", "with space\nand line", "gone"]), ["two", "with space\nand line"])

    def test_an_empty_list_means_no_files(self):
        self.write("one", "x" * 11)
        self.assertEqual(self.found(listing=[]), [])

    def test_a_list_that_leaves_the_folder_is_refused(self):
        for name in ("../secret", "/etc/passwd", "a/../../secret"):
            with self.subTest(name):
                self.assertEqual(self.run_script(listing=[name]).code, 2)

    def test_symlinks_are_not_followed_and_loops_end(self):
        self.write("folder/big", "x" * 11)
        os.symlink(".", os.path.join(self.top, "folder", "loop"))
        os.symlink("folder", os.path.join(self.top, "alias"))
        os.symlink("folder/big", os.path.join(self.top, "link"))
        self.assertEqual(self.found(), ["folder/big"])
        self.assertEqual(self.found(listing=["link", "alias/big", "folder/big"]), ["folder/big"])

    def test_a_pipe_is_not_waited_for(self):
        os.mkfifo(os.path.join(self.top, "pipe"))
        self.assertEqual(self.run_script().code, 0)

    def test_names_on_the_command_line(self):
        for name in ("a/one", "a/two", "b"):
            self.write(name, "x" * 11)
        self.assertEqual(self.found("a", "b"), ["a/one", "a/two", "b"])
        self.assertEqual(self.found("--exclude", "a/*"), ["b"])

    def test_a_very_deep_tree(self):
        here = os.getcwd()
        self.addCleanup(os.chdir, here)
        os.chdir(self.top)
        for _ in range(1200):
            os.mkdir("d")
            os.chdir("d")
        with open("big", "w") as stream:
            stream.write("x" * 11)
        os.chdir(here)
        # The library's own removal of folders recurses, and gives up on this one.
        self.addCleanup(subprocess.run, ["rm", "-rf", os.path.join(self.top, "d")])
        self.assertEqual(len(self.found()), 1)


class HowFindingsAreWritten(ScriptTest):
    script = "check_large_files.py"

    def test_escapes_of_a_workflow_command(self):
        name = "100%,a:b\nc\rd"
        self.write(name, "x" * 11)
        result = self.run_script("--limit", "10")
        self.assertEqual(len(result.stdout.splitlines()), 1)
        self.assertIn("file=100%25%2Ca%3Ab%0Ac%0Dd,", result.stdout)
        self.assertEqual(result.findings[0].properties["file"], name)

    def test_names_that_would_forge_output(self):
        self.write("::error file=x::forged", "x" * 11)
        self.write("\x1b[2Jcleared \u202egnp.exe", "x" * 11)
        for form in ("text", "commands"):
            with self.subTest(form):
                result = self.run_script("--limit", "10", "--format", form)
                self.assertEqual(len(result.stdout.splitlines()), 2)
                self.assertNotIn("\x1b", result.stdout)
                self.assertNotIn("\u202e", result.stdout)
                self.assertFalse(any(line.startswith("::error file=x::") for line in result.stdout.splitlines()))

    def test_a_name_that_is_not_utf_8(self):
        self.write(b"bad\xff.bin", "x" * 11)
        result = self.run_script("--limit", "10")
        self.assertEqual(result.findings[0].properties["file"], "bad\\xff.bin")
        self.assertEqual(self.run_script("--limit", "10", listing=[b"bad\xff.bin"]).code, 1)

    def test_text_for_people(self):
        self.write("big", "x" * 11)
        result = self.run_script("--limit", "10", "--format", "text")
        self.assertTrue(result.stdout.startswith("big: error: 11 bytes is more than the limit of 10 bytes"))
        self.assertTrue(result.stdout.endswith("[too-large]\n"))
        self.assertEqual(result.stderr, "check_large_files: 1 files, 1 findings\n")

    def test_a_reader_that_goes_away(self):
        for index in range(3000):
            self.write(f"f{index}", "x" * 11)
        process = subprocess.Popen(
            [sys.executable, os.path.join(SCRIPTS, self.script), "--limit", "10"],
            cwd=self.top,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        process.stdout.readline()
        process.stdout.close()
        self.assertNotIn(b"Traceback", process.stderr.read())
        process.stderr.close()
        self.assertEqual(process.wait(), 1)


if __name__ == "__main__":
    unittest.main()
