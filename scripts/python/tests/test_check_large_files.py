"""check_large_files.py"""

import os
import unittest

from harness import ScriptTest

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n"


class LargeFiles(ScriptTest):
    script = "check_large_files.py"

    def test_the_limit_itself_is_allowed(self):
        self.write("at", "x" * 1024)
        self.write("over", "x" * 1025)
        result = self.run_script("--limit", "1KiB")
        self.assertEqual((result.code, result.places), (1, [("over", None, None)]))

    def test_the_default_limit_is_one_mebibyte(self):
        self.write("at", b"x" * 2**20)
        self.assertEqual(self.run_script().code, 0)

    def test_a_huge_sparse_file_is_not_read(self):
        with open(self.write("huge"), "r+b") as stream:
            stream.truncate(1 << 40)
        result = self.run_script()
        self.assertIn("1024.0 GiB", result.findings[0].message)

    def test_wrong_limits(self):
        for limit in ("0", "-1", "ten", "1TB", "", "nan"):
            with self.subTest(limit):
                self.assertEqual(self.run_script("--limit=" + limit).code, 2)

    def test_files_that_attributes_give_to_lfs(self):
        self.write(
            ".gitattributes",
            "# comment\n*.bin filter=lfs diff=lfs merge=lfs -text\n/only/top.dat filter=lfs\n*.dat -text\n",
        )
        self.write("assets/.gitattributes", "plain.bin -filter\ndeep/**/x.raw filter=lfs\n")
        for path in (
            "a.bin",
            "assets/b.bin",
            "assets/plain.bin",
            "only/top.dat",
            "sub/only/top.dat",
            "assets/deep/a/b/x.raw",
        ):
            self.write(path, "x" * 11)
        places = [place[0] for place in self.run_script("--limit", "10", "--exclude", "*.gitattributes").places]
        self.assertEqual(places, ["assets/plain.bin", "sub/only/top.dat"])

    def test_pointers(self):
        self.write("good.bin", POINTER.format("a" * 64, 5000))
        self.write("broken.bin", POINTER.format("a" * 63, 5000))
        result = self.run_script("--limit", "1KiB")
        self.assertEqual([(f.properties["file"], f.rule) for f in result.findings], [("broken.bin", "lfs-pointer")])
        result = self.run_script("--limit", "1KiB", "--lfs-limit", "4KiB", "good.bin")
        self.assertEqual(result.rules, ["lfs-too-large"])

    @unittest.skipIf(os.geteuid() == 0, "root may read everything")
    def test_an_unreadable_file_is_a_finding(self):
        self.write("locked", "x", 0o000)
        self.assertEqual(self.run_script().rules, ["unreadable"])


if __name__ == "__main__":
    unittest.main()
