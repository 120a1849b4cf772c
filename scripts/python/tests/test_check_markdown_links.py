"""check_markdown_links.py"""

import os
import unittest

from harness import ScriptTest


class MarkdownLinks(ScriptTest):
    script = "check_markdown_links.py"

    def check(self, content, name="doc.md"):
        self.write(name, content)
        return self.run_script(name)

    def good(self, content, name="doc.md"):
        result = self.check(content, name)
        self.assertEqual(result.stdout, "", content)

    def bad(self, content, *rules):
        self.assertEqual(self.check(content).rules, list(rules), content)

    def test_relative_links(self):
        self.write("a file.md", "# Hello World\n")
        self.write("sub/code.rs", "one\ntwo\n")
        self.good("[a](a%20file.md) [b](<a file.md>) [c](./sub/) [d](/sub/code.rs) [e](sub/code.rs#L1-L2) [f](doc.md)")
        self.good("[x](../a%20file.md#hello-world)", "sub/inner.md")
        self.bad("[a](nofile.md)", "broken-link")
        self.bad("[e](sub/code.rs#L9)", "broken-anchor")
        self.bad("![image](missing.png)", "broken-link")
        self.bad("[![badge](missing.svg)](nowhere.md)", "broken-link", "broken-link")

    def test_links_elsewhere_are_not_followed(self):
        self.good(
            "[a](https://x.invalid/y) [b](mailto:a@b) [c](//host/x) [d](../../issues) <http://x> [e](../../pull/3#x)"
        )
        self.bad("[a](../outside.md)", "outside")
        os.symlink("/etc", os.path.join(self.top, "etc"))
        self.bad("[a](etc/passwd)", "outside")

    def test_place_and_suggestion(self):
        self.write("README.md", "")
        result = self.check("# T\n\n  text [a](readme.md) é [b](REDME.md)\n")
        self.assertEqual(result.places, [("doc.md", "3", "12"), ("doc.md", "3", "29")])
        self.assertTrue(all("did you mean README.md?" in finding.message for finding in result.findings))

    def test_headings_as_github_names_them(self):
        headings = """# Hello, World!
## `code_span` and *stars*
## With [a link](https://x)
## Ünïcödé & co.
## Same
## Same
## Same-1
Under
-----
Over
====
### snake_case _emphasis_ here ###
## 1. Numbers - dashes
> ## Quoted
- # In a list
<a name="Custom_Anchor"></a> <div id='other'>
## A <b>bold</b> &amp; entity
"""
        anchors = (
            "hello-world code_span-and-stars with-a-link ünïcödé--co same same-1 same-1-1 under over "
            "snake_case-emphasis-here 1-numbers---dashes quoted Custom_Anchor other a-bold--entity top"
        )
        self.good(headings + "\n" + " ".join(f"[x](#{anchor})" for anchor in anchors.split()))
        self.good(headings + "\n[x](#%C3%BCn%C3%AFc%C3%B6d%C3%A9--co)")
        self.bad(headings + "\n[x](#same-3)", "broken-anchor")
        self.bad(headings + "\n[x](#Hello-World)", "broken-anchor")

    def test_anchors_of_other_files(self):
        self.write("other.md", "# There\n```\n# not a heading\n```\n")
        self.good("[a](other.md#there)")
        self.bad("[a](other.md#not-a-heading)", "broken-anchor")
        self.bad("[a](other.md?plain=1#nope)", "broken-anchor")

    def test_reference_links(self):
        self.write("x.md", "")
        self.good('[a][One two] [three][] [four]\n\n[one  TWO]: x.md "title"\n[Three]: <x.md>\n[four]: https://x\n')
        self.bad("[a][missing]", "undefined-reference")
        self.bad("[missing thing][]", "undefined-reference")
        self.bad("[a]\n\n[a]: gone.md\n", "broken-link")
        self.good("array[i][j] and f(x)[a][b] and [0][1] and footnote[^1][^two]\n\n[^1]: text [^two]: y\n")

    def test_html_links(self):
        self.write("pic.png", "")
        self.good(
            '<img src="pic.png" alt="x"> <a href=\'pic.png\'>y</a>\n<picture><source srcset="pic.png 1x, pic.png 2x">'
        )
        self.bad('<p>\n<img\n src="gone.png">\n</p>', "broken-link")
        self.bad("<a href=#gone>y</a>", "broken-anchor")

    def test_code_is_not_prose(self):
        self.good("```\n[a](gone)\n```\n~~~md\n[a](gone)\n```\n~~~\n")
        self.good("`[a](gone)` and ``[b](gone) ` ``\n\n    [indented](gone)\n\n<!-- [c](gone)\n\n[d](gone) -->\n")
        self.good("- item\n\n  ```\n  [a](gone)\n  ```\n\n> ```\n> [a](gone)\n")
        self.good("\\[a](gone) and [b\\](gone)")
        self.bad("`unclosed [a](gone)", "broken-link")
        self.bad("- item\n\n    [nested paragraph](gone)\n", "broken-link")
        self.bad("````\n```\n````\n[a](gone)", "broken-link")
        self.bad("> ```\n> x\n\n[a](gone)\n", "broken-link")

    def test_titles_and_parentheses(self):
        self.write("a(b).md", "")
        self.good("[x](a(b).md) [y](a(b).md \"title\") [z](a\\(b\\).md 't') [n]() [v]({{ x }})")
        self.good("[not a link](with space.md) and [neither] (gone)")

    def test_front_matter_is_not_a_heading(self):
        self.bad("---\ntitle: x\n---\n[a](#title-x)\n", "broken-anchor")

    def test_line_ends_and_byte_order_mark(self):
        self.good("\ufeff# Title\r\n\r\nUnder\r\n---\r\n[a](#title) [b](#under)\r\n")

    def test_ignored_targets(self):
        self.write("doc.md", "[a](build/out.html)")
        self.assertEqual(self.run_script("--ignore-target", "build/*").code, 0)

    def test_hostile_files(self):
        self.write(b"bad\xff.md", b"\xff\xfe [a](gone%00) [b](%ff)\n")
        self.assertEqual(self.run_script().code, 1)

    def test_hostile_text_takes_linear_time(self):
        for piece in (
            "[",
            "](",
            "[a](",
            "[a][",
            "`",
            "` `` ",
            "<!--",
            "<a ",
            "\\",
            "[](((",
            "#",
            "> ",
            "[a](<",
            "![",
            "# _a",
            "_a_ ",
            "~~~ ",
        ):
            with self.subTest(piece):
                result = self.check(piece * (200000 // len(piece)))
                self.assertIn(result.code, (0, 1))

    def test_a_target_that_is_a_pipe_is_not_waited_for(self):
        os.mkfifo(os.path.join(self.top, "pipe.md"))
        self.write("doc.md", "[a](pipe.md#x) [b](pipe.md)")
        self.assertIn(self.run_script("doc.md").code, (0, 1))


if __name__ == "__main__":
    unittest.main()
