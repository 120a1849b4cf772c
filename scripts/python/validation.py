"""What the checks of this folder have in common: options, the files to look at, how findings are written.

Copy it beside the check that you copy. Standard library only.
"""

import argparse
import errno
import fnmatch
import os
import re
import stat
import sys

SKIPPED_FOLDERS = frozenset([".git", ".rungate", ".venv", "node_modules", "target"])
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


class UsageError(Exception):
    """The caller asked for something that cannot be done; exit code 2."""


class Report:
    """Prints findings as they come. It keeps only their number, so memory does not grow with them."""

    def __init__(self, form):
        self.form = form
        self.files = 0
        self.counts = {"error": 0, "warning": 0, "notice": 0}

    def finding(self, level, rule, message, path=None, line=None, column=None):
        """Prints one finding. `path` is a name as the operating system gave it; lines and columns count from 1."""
        self.counts[level] += 1
        name = None if path is None else visible(os.fsencode(path).decode("utf-8", "backslashreplace"))
        message = visible(message)
        if self.form == "commands":
            pairs = [("file", name), ("line", line), ("col", column), ("title", rule)]
            properties = ",".join(f"{key}={escape_property(str(value))}" for key, value in pairs if value is not None)
            print(f"::{level} {properties}::{escape_data(message)}")
        else:
            place = ":".join(str(part) for part in (name, line, column) if part is not None)
            text = "{}: {}: {} [{}]".format(place or "-", level, message, rule)
            text = text.replace("\r", "\\r").replace("\n", "\\n")
            print("./" + text if text.startswith("::") else text)

    def exit_code(self):
        """Errors and warnings fail; a notice only tells."""
        return 1 if self.counts["error"] or self.counts["warning"] else 0


def escape_data(text):
    """The message of a workflow command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escape_property(text):
    """The value of a property of a workflow command."""
    return escape_data(text).replace(":", "%3A").replace(",", "%2C")


def visible(text):
    """`text` with control and direction characters, which could forge what a reader sees, written out."""
    return CONTROL.sub(lambda match: match.group().encode("unicode_escape").decode("ascii"), text)


def argument_parser(description, examples):
    """The options that every script here has."""
    parser = argparse.ArgumentParser(
        description=description, epilog=examples, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", help="files or folders (default: see below)")
    parser.add_argument(
        "--format",
        choices=["commands", "text"],
        default="commands",
        help="workflow commands, which rungate and GitHub read, or lines for people (default: commands)",
    )
    parser.add_argument(
        "--exclude", action="append", default=[], metavar="GLOB", help="leave out paths that match; may be repeated"
    )
    return parser


def files_to_check(arguments, report):
    """The regular files to look at: the PATHs given, else those that $RUNGATE_FILES lists, else the current folder."""
    listing = os.environ.get("RUNGATE_FILES")
    if arguments.paths:
        found = named_files(arguments.paths, report)
    elif listing:
        found = listed_files(listing)
    else:
        found = walk(".", report)
    for path in found:
        if not any(fnmatch.fnmatchcase(path, glob) for glob in arguments.exclude):
            report.files += 1
            yield path


def named_files(paths, report):
    """What the command line names: a folder stands for what is in it."""
    for path in paths:
        if os.path.isdir(path):
            yield from walk(path, report)
        elif os.path.isfile(path):
            yield os.path.normpath(path)
        else:
            raise UsageError(f"no file or folder {path!r}")


def listed_files(listing):
    """What a NUL-separated list names. Symlinks and files that are gone are left out, as a walk would leave them."""
    try:
        with open(listing, "rb") as stream:
            names = [os.fsdecode(name) for name in stream.read().split(b"\0") if name]
    except OSError as error:
        raise UsageError(f"cannot read the list that RUNGATE_FILES names: {error}") from None
    top = os.path.realpath(".")
    for name in names:
        path = os.path.normpath(name)
        if os.path.isabs(path) or path.split(os.sep)[0] == os.pardir:
            raise UsageError(f"RUNGATE_FILES names {name!r}, which is not in this folder")
        if os.path.isfile(path) and os.path.realpath(path) == os.path.join(top, path):
            yield path


def walk(top, report):
    """Regular files under `top`, sorted. No symlink is followed. A stack, because a deep tree outgrows recursion."""
    pending = [os.path.normpath(top)]
    while pending:
        folder = pending.pop()
        try:
            with os.scandir(folder) as entries:
                entries = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            report.finding("error", "unreadable", f"cannot list this folder: {error.strerror}", folder)
            continue
        folders = []
        for entry in entries:
            path = os.path.normpath(os.path.join(folder, entry.name))
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in SKIPPED_FOLDERS:
                    folders.append(path)
            elif entry.is_file(follow_symlinks=False):
                yield path
        pending.extend(reversed(folders))


def open_regular(path):
    """Opens a regular file for reading; a symlink or a pipe in its place is refused, not waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", path)
    return os.fdopen(descriptor, "rb")


def read_whole(path, most, report):
    """The bytes of a file, or None and a warning where it has more than `most`."""
    with open_regular(path) as stream:
        data = stream.read(most + 1)
    if len(data) > most:
        report.finding("warning", "too-large", f"not checked: more than {most} bytes", path)
        return None
    return data


def check_each(paths, check, report):
    """Runs `check` on every path. What goes wrong with one file is a finding, not the end."""
    for path in paths:
        try:
            check(path)
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
            report.finding("error", "unreadable", f"cannot be read: {error.strerror or error}", path)
        except (MemoryError, RecursionError):
            report.finding("error", "too-complex", "too large or too deeply nested to be checked", path)


def run(main):
    """Turns trouble into exit codes: 2 for wrong usage, 130 for an interrupt; never a traceback for either."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    tool = os.path.splitext(os.path.basename(sys.argv[0]))[0]
    try:
        report = main(sys.argv[1:])
        total = sum(report.counts.values())
        print(f"{tool}: {report.files} files, {total} findings", file=sys.stderr)
        sys.stdout.flush()
        return report.exit_code()
    except UsageError as error:
        print(f"{tool}: {visible(str(error))}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
