#!/usr/bin/env python3
"""Finds files that are too large for a Git repository.

A file that .gitattributes gives to Git LFS is stored elsewhere and may be large; a pointer that stands in its place is
read and checked.
"""

from __future__ import annotations

import argparse
import os
import re
import sys

sys.dont_write_bytecode = True  # The repository stays as it is.

from validation import Report, argument_parser, check_each, files_to_check, open_regular, run  # noqa: E402

EXAMPLES = """\
Without PATH it reads the files that $RUNGATE_FILES lists (NUL-separated), else everything below the current folder.

examples:
  check_large_files.py
  check_large_files.py --limit 500KiB --format text
  check_large_files.py --limit 1MiB --lfs-limit 2GiB assets

exit codes: 0 nothing found, 1 findings, 2 wrong usage
"""

POINTER = b"version https://git-lfs.github.com/spec/v1\n"
POINTER_OID = re.compile(rb"^oid sha256:[0-9a-f]{64}$", re.MULTILINE)
POINTER_SIZE = re.compile(rb"^size ([0-9]{1,19})$", re.MULTILINE)
UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


def size(text):
    """A number of bytes, as in `500KiB`."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)", text.strip())
    if match is None or match.group(2).lower() not in UNITS:
        raise argparse.ArgumentTypeError(f"not a size: {text!r} (write 1048576, 500KiB or 2MB)")
    value = int(float(match.group(1)) * UNITS[match.group(2).lower()])
    if value < 1:
        raise argparse.ArgumentTypeError("a limit must be at least one byte")
    return value


def human(count):
    """A number of bytes for people."""
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if count >= unit:
            return f"{count / unit:.1f} {name} ({count} bytes)"
    return f"{count} bytes"


class Attributes:
    """Which paths .gitattributes files give to Git LFS. Deeper files and later lines win, as in Git."""

    def __init__(self):
        self.by_folder = {}

    def in_lfs(self, path):
        """Whether `path` has `filter=lfs`."""
        path = os.path.normpath(path)
        parts = path.split(os.sep)
        answer = False
        for depth in range(len(parts)):
            relative = "/".join(parts[depth:])
            for pattern, value in self.rules(os.sep.join(parts[:depth])):
                if pattern.fullmatch(relative):
                    answer = value
        return answer

    def rules(self, folder):
        """The lines about `filter` in the .gitattributes of `folder`, read once."""
        if folder not in self.by_folder:
            try:
                with open_regular(os.path.join(folder, ".gitattributes")) as stream:
                    text = os.fsdecode(stream.read(2**20))
            except OSError:
                text = ""
            self.by_folder[folder] = list(attribute_rules(text))
        return self.by_folder[folder]


def attribute_rules(text):
    """(pattern, whether LFS) for each line that sets or unsets `filter`."""
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2 or words[0].startswith(("#", "!", "[attr]")):
            continue
        for word in words[1:]:
            if word == "filter=lfs":
                yield pattern_of(words[0]), True
            elif word in ("-filter", "!filter") or word.startswith("filter="):
                yield pattern_of(words[0]), False


def pattern_of(glob):
    """A regular expression for a pattern of .gitattributes; one without a slash matches in every folder."""
    glob = re.sub(r"\*{3,}", "**", glob)
    anywhere = "/" not in glob
    pieces = []
    for piece in re.findall(r"\*\*/|/\*\*$|\*+|\?|\[!?\]?[^\]]*\]|[^*?\[/]+|.", glob[1:] if glob[0] == "/" else glob):
        if piece == "**/":
            pieces.append("(?:.*/)?")
        elif piece == "/**":
            pieces.append("/.*")
        elif piece.startswith("*"):
            pieces.append("[^/]*")
        elif piece == "?":
            pieces.append("[^/]")
        elif piece.startswith("[") and len(piece) > 2:
            pieces.append("[" + piece[1:-1].replace("\\", "\\\\").replace("!", "^", 1) + "]")
        else:
            pieces.append(re.escape(piece))
    try:
        return re.compile(("(?:.*/)?" if anywhere else "") + "".join(pieces), re.DOTALL)
    except re.error:
        return re.compile(re.escape(glob))


def check_file(path, arguments, attributes, report):
    """Judges one file."""
    with open_regular(path) as stream:
        length = os.fstat(stream.fileno()).st_size
        head = stream.read(1024)
    if head.startswith(POINTER):
        check_pointer(path, head, arguments, report)
    elif attributes.in_lfs(path):
        if arguments.lfs_limit is not None and length > arguments.lfs_limit:
            report.finding("error", "lfs-too-large", over(length, arguments.lfs_limit), path)
    elif length > arguments.limit:
        remedy = ". Store it outside of Git, or give it to Git LFS with `git lfs track`"
        report.finding("error", "too-large", over(length, arguments.limit) + remedy, path)


def over(length, limit):
    """How much is too much."""
    return f"{human(length)} is more than the limit of {human(limit)}"


def check_pointer(path, head, arguments, report):
    """Judges a Git LFS pointer: it must be whole, and what it points at within the limit for such files."""
    found = POINTER_SIZE.search(head)
    if found is None or POINTER_OID.search(head) is None:
        report.finding("error", "lfs-pointer", "a Git LFS pointer without a valid oid and size", path, 1)
    elif arguments.lfs_limit is not None and int(found.group(1)) > arguments.lfs_limit:
        report.finding("error", "lfs-too-large", over(int(found.group(1)), arguments.lfs_limit), path)


def main(argv):
    parser = argument_parser(__doc__, EXAMPLES)
    parser.add_argument("--limit", type=size, default=2**20, help="largest file, as in 500KiB (default: 1MiB)")
    parser.add_argument("--lfs-limit", type=size, help="largest file in Git LFS (default: none)")
    arguments = parser.parse_args(argv)
    report = Report(arguments.format)
    attributes = Attributes()
    paths = files_to_check(arguments, report)
    check_each(paths, lambda path: check_file(path, arguments, attributes, report), report)
    return report


if __name__ == "__main__":
    sys.exit(run(main))
