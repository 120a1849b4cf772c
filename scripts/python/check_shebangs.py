#!/usr/bin/env python3
"""Finds scripts that cannot be started: executable bits without a first line that names an interpreter, and the other
way round; carriage returns, byte order marks and wrong words in that line; interpreters that nobody knows.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import sys

sys.dont_write_bytecode = True  # The repository stays as it is.

from validation import Report, argument_parser, check_each, files_to_check, open_regular, run  # noqa: E402

EXAMPLES = """\
Without PATH it reads the files that $RUNGATE_FILES lists (NUL-separated), else everything below the current folder.

examples:
  check_shebangs.py
  check_shebangs.py --format text scripts
  check_shebangs.py --interpreter nu --not-executable 'templates/*'

exit codes: 0 nothing found, 1 findings, 2 wrong usage
"""

# The kernel reads 256 bytes of a program to find its interpreter, the line's end included.
LONGEST_LINE = 255
BINARY_HEADS = (b"\x7fELF", b"MZ", b"\xca\xfe\xba\xbe", b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\0asm")
BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
STANDARD_FOLDERS = ("/bin", "/usr/bin", "/usr/local/bin", "/sbin", "/usr/sbin")
KNOWN = re.compile(
    r"(?:ash|awk|ba|bun|busybox|cs|da|deno|elixir|elvish|env|escript|expect|fi|gawk|gnuplot|groovy|guile|ipython|jq|js|julia|"
    r"just|k|lua|make|mawk|mk|nix-shell|node|nodejs|nu|octave|osascript|perl|php|pwsh|py|pypy|python|R|racket|raku|"
    r"Rscript|ruby|runghc|rust-script|scala|sed|stack|swift|tclsh|tcsh|tsx|ts-node|uv|wish|xonsh|yash|z)"
    r"(?:sh)?(?:-preview)?[0-9.]*"
)


def check_file(path, arguments, report):
    """Judges one file by its mode and its first line."""
    with open_regular(path) as stream:
        executable = bool(os.fstat(stream.fileno()).st_mode & 0o111)
        head = stream.read(4096)
    for mark in BYTE_ORDER_MARKS:
        if head.startswith(mark) and head[len(mark) : len(mark) + 4].replace(b"\0", b"").startswith(b"#!"):
            report.finding("error", "byte-order-mark", "a byte order mark hides `#!` from the kernel", path, 1, 1)
            return
    # `#![` opens an attribute of Rust, not the name of an interpreter.
    if not head.startswith(b"#!") or head.startswith(b"#!["):
        if executable and not head.startswith(BINARY_HEADS):
            message = "executable, but its first line names no interpreter; add one (`#!`) or run `chmod a-x`"
            report.finding("error", "no-shebang", message, path, 1)
        return
    if not executable and not any(fnmatch.fnmatchcase(path, glob) for glob in arguments.not_executable):
        message = "names an interpreter, but is not executable; run `chmod a+x`, or remove the first line"
        report.finding("error", "not-executable", message, path, 1)
    line, ended, _ = head.partition(b"\n")
    if len(line) > LONGEST_LINE or (not ended and len(head) == 4096):
        report.finding("error", "too-long", "the kernel reads only 255 bytes of this line", path, 1)
        return
    if line.endswith(b"\r"):
        message = "the first line ends in a carriage return, which becomes part of the interpreter's name"
        report.finding("error", "carriage-return", message, path, 1, len(line))
        line = line[:-1]
    check_line(path, line, arguments, report)


def check_line(path, line, arguments, report):
    """Judges the text after `#!`."""
    text = os.fsdecode(line[2:]).strip(" \t")
    words = text.split()
    if not words:
        report.finding("error", "no-interpreter", "names no interpreter after `#!`", path, 1, 3)
        return
    program = words[0]
    if not program.startswith("/"):
        message = "the interpreter {!r} is not an absolute path; write `#!/usr/bin/env {}`"
        report.finding("error", "not-absolute", message.format(program, os.path.basename(program)), path, 1, 3)
    elif os.path.basename(program) == "env":
        check_env(path, words[1:], arguments, report)
    else:
        check_absolute(path, program, arguments, report)


def check_absolute(path, program, arguments, report):
    """Judges an interpreter that is named by its path."""
    if os.path.exists(program):
        if not os.access(program, os.X_OK) or os.path.isdir(program):
            report.finding("error", "interpreter", f"{program!r} is not a program", path, 1, 3)
        return
    name = os.path.basename(program)
    if os.path.dirname(program) in STANDARD_FOLDERS and is_known(name, arguments):
        message = "{!r} is not on this host; `#!/usr/bin/env {}` would find it elsewhere"
        report.finding("notice", "interpreter", message.format(program, name), path, 1, 3)
    else:
        report.finding("error", "interpreter", f"the interpreter {program!r} does not exist", path, 1, 3)


def check_env(path, words, arguments, report):
    """Judges what `env` is given. The kernel hands it everything after its name as one word, spaces included."""
    split = bool(words) and (words[0].startswith("-S") or words[0].startswith("--split-string"))
    if split:
        rest = words[0][2:] if words[0].startswith("-S") else words[0].partition("=")[2]
        words = ([rest] if rest else []) + words[1:]
        while words and (words[0].startswith("-") or "=" in words[0]):
            words = words[1:]
    if not words:
        report.finding("error", "no-interpreter", "`env` is given no program", path, 1, 3)
        return
    if not split and len(words) > 1:
        message = "`env` takes {!r} for the name of one program; write `env -S {}`"
        text = " ".join(words)
        report.finding("error", "env-arguments", message.format(text, text), path, 1, 3)
    name = words[0]
    if not is_known(os.path.basename(name), arguments) and shutil.which(name) is None:
        message = "the interpreter {!r} is neither known nor on this host (--interpreter makes it known)"
        report.finding("error", "interpreter", message.format(name), path, 1, 3)


def is_known(name, arguments):
    """Whether `name` is an interpreter that scripts may expect somewhere."""
    return name in arguments.interpreter or KNOWN.fullmatch(name) is not None


def main(argv):
    parser = argument_parser(__doc__, EXAMPLES)
    parser.add_argument(
        "--interpreter", action="append", default=[], metavar="NAME", help="a further known interpreter"
    )
    parser.add_argument(
        "--not-executable", action="append", default=[], metavar="GLOB", help="files that need no executable bit"
    )
    arguments = parser.parse_args(argv)
    report = Report(arguments.format)
    check_each(files_to_check(arguments, report), lambda path: check_file(path, arguments, report), report)
    return report


if __name__ == "__main__":
    sys.exit(run(main))
