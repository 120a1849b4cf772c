"""check_data_files.py"""

import os
import subprocess
import sys
import unittest

from harness import SCRIPTS, ScriptTest

try:
    import tomllib
except ImportError:
    tomllib = None
try:
    import yaml
except ImportError:
    yaml = None

# What `-c` is given to run the script as if PyYAML or tomllib were not there.
WITHOUT = (
    "import os, runpy, sys; sys.modules['yaml'] = None; sys.modules['tomllib'] = None; sys.argv = sys.argv[1:]; "
    "sys.path.insert(0, os.path.dirname(sys.argv[0])); runpy.run_path(sys.argv[0], run_name='__main__')"
)

GOOD_YAML = {
    "plain": "a: 1\nb:\n  c: x\n  d:\n    - 1\n    - 2\ne: [1, {f: g}]\n",
    "sequence at its key's column": "a:\n- b: 1\n  c: 2\n- b: 3\nd: 4\n",
    "block scalars": "run: |\n  if [ x ]; then\n  \t  echo \"it's\n  fi\nother: >-\n    folded: text\n  \nlast: x\n",
    "block scalar in a sequence": "- |\n  a: [\n  a: '\n- run: |2-\n    x\n  name: y\n",
    "quotes": "a: \"x # [y\\\" z\"\nb: 'it''s ]'\nc: don't\nd: a \"b\" [c\n'e f': 1\n\"g\": 2\n",
    "quoted over lines": "a: \"one\n  two: [\n  three\"\nb: 'x\n\n  y'\nc: 1\n",
    "plain over lines": "a: one\n  two\n  three\nb: 1\n",
    "flow over lines": "a: [\n  1, # ]\n  {b: 'c]'},\n]\nb: {\n}\n",
    "comments": "# x: [\na: 1 # ]\n  # deeper\nb: 2\n",
    "documents": "%YAML 1.2\n---\na: 1\n---\na: 2\n...\n",
    "anchors": "a: &x\n  b: 1\nc: *x\nd: !tag\n  e: 1\nf: &y [1]\ng: !!str {\n  }\n",
    "nested sequences": "- - a\n  - b\n-\n  - c\n- d: 1\n\n  e: 2\n",
    "urls and times": "a: http://x/y:z#q\nb: 12:30\nc: a:b\n",
    "same key at other levels": "a:\n  b: 1\nc:\n  b: 2\nd:\n  - b: 1\n  - b: 2\n",
    "carriage returns": "a: 1\r\nb:\r\n  - c\r\n",
    "empty": "",
    "null values": "a:\nb:\n  c:\nd:\n",
    "expressions": 'if: ${{ a && b }}\nname: ${{ x }} and [y]\nrun: echo "${{ a }}"\n',
    "block scalar as a value with a tag": "a: !x |\n  b: [\nc: 1\n",
    "explicit keys": "? a\n: b: 1\n? c\n: - d\n",
    "single value": "just text\n",
    "byte order mark": "\ufeffa: 1\n",
}

BAD_YAML = {
    "a:\n\tb: 1\n": ("2", "1"),
    "a: 1\nb: 2\na: 3\n": ("3", "1"),
    "a:\n  b: 1\n  c: 2\n  b: 3\n": ("4", "3"),
    "- a: 1\n  a: 2\n": ("2", "3"),
    "a:\n    b: 1\n  c: 2\n": ("3", None),
    "a: 1\n  b: 2\n": ("2", None),
    "a: [1, 2\nb: 3\n": (None, None),
    "a: [1, 2}\n": ("1", "9"),
    'a: "never closed\nb: 1\n': (None, None),
    "'a': 1\na: 2\n": ("2", "1"),
}


class Json(ScriptTest):
    script = "check_data_files.py"

    def check(self, content, name="file.json"):
        self.write(name, content)
        return self.run_script(name)

    def test_good_values(self):
        for text in (
            "{}",
            "[]",
            " null\n",
            '"x"',
            "-0.5e+10",
            '{"a": [1, {"b": []}], "c": "\\u00e9\\n"}',
            '{"a": {"a": 1}}',
        ):
            with self.subTest(text):
                self.assertEqual(self.check(text).stdout, "")

    def test_bad_values_and_their_places(self):
        cases = {
            "": ("1", "1"),
            '{"a": 1,}': ("1", "9"),
            "[1,\n  2,\n]": ("3", "1"),
            '{"a": 1\n "b": 2}': ("2", "2"),
            '{"a" 1}': ("1", "6"),
            "{a: 1}": ("1", "2"),
            "[1 2]": ("1", "4"),
            "[NaN]": ("1", "2"),
            "[01]": ("1", "2"),
            "[+1]": ("1", "2"),
            "[1.]": ("1", "2"),
            "[True]": ("1", "2"),
            "['x']": ("1", "2"),
            '["a\tb"]': ("1", "4"),
            '["\\x"]': ("1", "3"),
            '["open\n"]': ("1", "2"),
            "[1]]": ("1", "4"),
            "[1}": ("1", "3"),
            "{]": ("1", "2"),
            '{"a": ]': ("1", "7"),
            "[1": ("1", "3"),
            "// x\n1": ("1", "1"),
            '{"a": 1, "b": 2, "a": 3}': ("1", "18"),
            '{"a": 1,\n "\\u0061": 3}': ("2", "2"),
            "[,]": ("1", "2"),
            "1,": ("1", "2"),
        }
        for text, place in cases.items():
            with self.subTest(text):
                result = self.check(text)
                self.assertEqual((result.code, result.places), (1, [("file.json", *place)]))

    def test_comments_where_they_are_the_custom(self):
        text = '// x\n{"a": 1, /* y */ "b": [1, 2,],}\n'
        for name in (".vscode/settings.json", "tsconfig.base.json", "x.jsonc"):
            with self.subTest(name):
                self.assertEqual(self.check(text, name).code, 0)
        self.assertEqual(self.check(text, "conf/x.json").code, 1)
        self.assertEqual(self.run_script("--jsonc", "conf/*").code, 0)
        self.assertEqual(self.check('{"a": 1,, "b": 2}', "x.jsonc").places, [("x.jsonc", "1", "9")])
        self.assertEqual(self.check("{,}", "x.jsonc").code, 1)
        self.assertEqual(self.check("[1 /* open", "x.jsonc").code, 1)

    def test_json_lines(self):
        self.assertEqual(self.check('{"a": 1}\n\n[2]\n', "x.jsonl").code, 0)
        self.assertEqual(self.check('{"a": 1}\n{"b": }\n', "x.ndjson").places, [("x.ndjson", "2", "7")])

    def test_encodings(self):
        self.assertEqual(self.check(b"\xef\xbb\xbf{}").places, [("file.json", "1", "1")])
        self.assertEqual(self.check('{"a": 1}'.encode("utf-16")).places, [("file.json", "1", "1")])
        self.assertEqual(self.check(b'{\n "\xc3\xa9\xff": 1}').places, [("file.json", "2", "4")])

    def test_deep_and_large(self):
        self.assertIn("levels deep", self.check("[" * 100000).findings[0].message)
        self.assertEqual(self.check("[" * 500 + "]" * 500).code, 0)
        self.assertEqual(self.check("[" + ",".join(["1"] * 200000) + "]").code, 0)
        self.assertEqual(self.check('"' + "a" * 5000000 + '"').code, 0)
        with open(self.write("huge.json"), "r+b") as stream:
            stream.truncate(1 << 32)
        self.assertEqual(self.run_script("huge.json").rules, ["too-large"])


class Toml(ScriptTest):
    script = "check_data_files.py"

    @unittest.skipIf(tomllib is None, "this Python has no tomllib")
    def test_toml(self):
        self.write("good.toml", "[a]\nb = 1\n")
        self.assertEqual(self.run_script().code, 0)
        self.write("bad.toml", "[a]\nb = 1\nb = 2\n")
        self.assertEqual(self.run_script().places[0][:2], ("bad.toml", "3"))
        self.write("bad.toml", "a = " + "9" * 5000 + "\n")
        self.assertEqual(self.run_script().code, 1)
        self.write("bad.toml", "a = " + "[" * 100000)
        self.assertEqual(self.run_script().code, 1)

    def test_without_tomllib_it_says_that_it_skips(self):
        self.write("bad.toml", "= broken")
        result = self.run_script(python=(sys.executable, "-c", WITHOUT))
        self.assertEqual((result.code, result.rules), (0, ["toml-skipped"]))
        self.assertIn("TOML is skipped", result.stderr)
        result = self.run_script("--require-full", python=(sys.executable, "-c", WITHOUT))
        self.assertEqual(result.code, 1)


class YamlCases:
    """The same files for both ways to check YAML."""

    script = "check_data_files.py"
    python = (sys.executable,)

    def findings(self, content):
        self.write("file.yml", content)
        result = self.run_script(python=self.python)
        return [finding for finding in result.findings if finding.level == "error"]

    def test_good_files(self):
        for name, text in GOOD_YAML.items():
            with self.subTest(name):
                self.assertEqual([finding.message for finding in self.findings(text)], [])

    def test_bad_files(self):
        for text, (line, column) in BAD_YAML.items():
            with self.subTest(text):
                found = self.findings(text)
                self.assertEqual(len(found), 1)
                if line:
                    self.assertEqual(found[0].properties["line"], line)
                if column:
                    self.assertEqual(found[0].properties["col"], column)

    def test_hostile_files(self):
        for text in (
            "[" * 100000,
            "{a: " * 50000,
            "- " * 50000,
            "'",
            '"\\',
            "? " * 5000,
            "&a " * 1000,
            b"a: \xff",
            ": " * 1000,
        ):
            with self.subTest(text[:10]):
                self.write("file.yml", text)
                self.assertIn(self.run_script(python=self.python).code, (0, 1))


@unittest.skipIf(yaml is None, "PyYAML is not installed")
class WholeYaml(YamlCases, ScriptTest):
    def test_what_only_a_parser_sees(self):
        self.assertEqual(len(self.findings("a: *nothing\n")), 1)
        self.assertEqual(len(self.findings('a: "\\q"\n')), 1)
        self.assertEqual(len(self.findings("a: {b: 1, b: 2}\n")), 1)

    def test_aliases_are_not_expanded(self):
        lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
        for index in range(1, 30):
            lines.append("a{}: &a{} [{}]".format(index, index, ", ".join([f"*a{index - 1}"] * 9)))
        self.assertEqual(self.findings("\n".join(lines) + "\n"), [])


class ReducedYaml(YamlCases, ScriptTest):
    python = (sys.executable, "-c", WITHOUT)

    def test_it_says_that_it_is_reduced(self):
        self.write("file.yml", "a: 1\n")
        result = self.run_script(python=self.python)
        self.assertEqual((result.code, result.rules), (0, ["yaml-reduced"]))
        self.assertIn("PyYAML is not installed", result.stderr)


class OwnFiles(unittest.TestCase):
    def test_the_files_of_this_repository_pass_both_ways(self):
        top = os.path.dirname(os.path.dirname(SCRIPTS))
        script = os.path.join(SCRIPTS, "check_data_files.py")
        for python in ([sys.executable], [sys.executable, "-c", WITHOUT]):
            done = subprocess.run([*python, script, "--format", "text"], cwd=top, capture_output=True)
            self.assertEqual(done.returncode, 0, done.stdout)


if __name__ == "__main__":
    unittest.main()
