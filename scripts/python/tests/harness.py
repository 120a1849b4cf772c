"""Runs a script in a folder of its own and reads what it printed, as a reader of workflow commands would."""

import os
import re
import subprocess
import sys
import tempfile
import unittest

SCRIPTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
COMMAND = re.compile(r"::(error|warning|notice) ([^:]*)::(.*)")


def unescaped(text):
    """What a workflow command's escapes stand for."""
    for code, char in (("%2C", ","), ("%3A", ":"), ("%0A", "\n"), ("%0D", "\r"), ("%25", "%")):
        text = text.replace(code, char)
    return text


class Finding:
    """One workflow command."""

    def __init__(self, line):
        match = COMMAND.fullmatch(line)
        if match is None:
            raise AssertionError(f"not a workflow command: {line!r}")
        self.level = match.group(1)
        self.properties = {}
        for pair in match.group(2).split(","):
            key, _, value = pair.partition("=")
            self.properties[key] = unescaped(value)
        self.message = unescaped(match.group(3))
        self.rule = self.properties.get("title")
        self.place = tuple(self.properties.get(key) for key in ("file", "line", "col"))


class Result:
    """How a script ended, and what it said."""

    def __init__(self, process):
        self.code = process.returncode
        self.stdout = process.stdout.decode("utf-8")
        self.stderr = process.stderr.decode("utf-8")

    @property
    def findings(self):
        return [Finding(line) for line in self.stdout.splitlines()]

    @property
    def rules(self):
        return [finding.rule for finding in self.findings]

    @property
    def places(self):
        return [finding.place for finding in self.findings]


class ScriptTest(unittest.TestCase):
    """A test case with an empty folder in which `script` is run."""

    script = None

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.outside = holder.name
        self.top = os.path.join(holder.name, "top")
        os.mkdir(self.top)

    def write(self, path, content="", mode=0o644):
        """Writes a file; `path` and `content` may be text or bytes."""
        place = os.path.join(os.fsencode(self.top), os.fsencode(path))
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "wb") as stream:
            stream.write(content if isinstance(content, bytes) else content.encode("utf-8"))
        os.chmod(place, mode)
        return place

    def run_script(self, *arguments, listing=None, python=(sys.executable,)):
        """Runs the script here, with an environment made from nothing. No run may end in a traceback."""
        environment = {"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8"}
        if listing is not None:
            environment["RUNGATE_FILES"] = os.path.join(self.outside, "list")
            with open(environment["RUNGATE_FILES"], "wb") as stream:
                stream.write(b"\0".join(os.fsencode(name) for name in listing))
        process = subprocess.run(
            [*python, os.path.join(SCRIPTS, self.script), *arguments],
            cwd=self.top,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
        )
        result = Result(process)
        self.assertNotIn("Traceback", result.stderr)
        return result
