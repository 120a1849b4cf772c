"""check_shebangs.py"""

import unittest

from harness import ScriptTest


class Shebangs(ScriptTest):
    script = "check_shebangs.py"

    def rules_of(self, first_line, mode=0o755, *arguments):
        self.write("script", first_line, mode)
        return self.run_script(*arguments).rules

    def test_good_ones(self):
        lines = [
            "#!/bin/sh\n",
            "#! /bin/sh -e\n",
            "#!/usr/bin/env python3\n",
            "#!/usr/bin/env -S python3 -u\n",
            "#!/bin/sh",
        ]
        lines += ["#!/usr/bin/env pwsh\n", "#!/usr/bin/env -S A=1 -i node --test\n", "#!/usr/bin/env python3.12\n"]
        for line in lines:
            with self.subTest(line):
                self.assertEqual(self.rules_of(line), [])

    def test_a_plain_file_needs_nothing(self):
        self.assertEqual(self.rules_of("text\n", 0o644), [])

    def test_executable_bit_and_first_line_belong_together(self):
        self.assertEqual(self.rules_of("echo hello\n"), ["no-shebang"])
        self.assertEqual(self.rules_of(""), ["no-shebang"])
        self.assertEqual(self.rules_of("#!/bin/sh\n", 0o644), ["not-executable"])
        self.assertEqual(self.rules_of("#!/bin/sh\n", 0o644, "--not-executable", "scr*"), [])

    def test_programs_and_attributes_of_rust_have_no_first_line(self):
        self.assertEqual(self.rules_of(b"\x7fELF\x02\x01\x01\0"), [])
        self.assertEqual(self.rules_of("#![no_std]\n", 0o644), [])

    def test_carriage_return(self):
        result_rules = self.rules_of("#!/bin/sh\r\necho\r\n")
        self.assertEqual(result_rules, ["carriage-return"])
        self.assertEqual(self.run_script().places, [("script", "1", "10")])

    def test_byte_order_marks(self):
        self.assertEqual(self.rules_of(b"\xef\xbb\xbf#!/bin/sh\n"), ["byte-order-mark"])
        self.assertEqual(self.rules_of("\ufeff#!/bin/sh\n".encode("utf-16-le")), ["byte-order-mark"])

    def test_wrong_interpreters(self):
        for line, rule in [
            ("#!\n", "no-interpreter"),
            ("#!bash\n", "not-absolute"),
            ("#!/opt/nowhere/tool\n", "interpreter"),
            ("#!/bin\n", "interpreter"),
            ("#!/usr/bin/env\n", "no-interpreter"),
            ("#!/usr/bin/env -S\n", "no-interpreter"),
            ("#!/usr/bin/env python3 -u\n", "env-arguments"),
            ("#!/usr/bin/env no-such-program-here\n", "interpreter"),
        ]:
            with self.subTest(line):
                self.assertEqual(self.rules_of(line), [rule])

    def test_a_known_interpreter_may_be_elsewhere(self):
        self.write("script", "#!/usr/bin/yash\n", 0o755)
        result = self.run_script()
        self.assertEqual((result.code, [f.level for f in result.findings]), (0, ["notice"]))

    def test_a_further_interpreter(self):
        self.assertEqual(self.rules_of("#!/usr/bin/env gizmo\n", 0o755, "--interpreter", "gizmo"), [])

    def test_hostile_first_lines(self):
        self.assertEqual(self.rules_of("#!/" + "a" * 300 + "\n"), ["too-long"])
        self.assertEqual(self.rules_of(b"#!" + b"/" * 100000), ["too-long"])
        self.assertEqual(self.rules_of(b"#!/bin/\xff\xfe\n"), ["interpreter"])
        self.assertEqual(self.rules_of(b"#!/bin/a\0b\n"), ["interpreter"])
        self.assertEqual(self.rules_of(b"#!/usr/bin/env a\0b\n"), ["interpreter"])


if __name__ == "__main__":
    unittest.main()
