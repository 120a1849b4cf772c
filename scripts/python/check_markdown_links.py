#!/usr/bin/env python3
"""Finds links in Markdown files that lead nowhere: relative paths, anchors, images, reference links and HTML links.

Links to other hosts are not followed. A path that begins with `/` starts at the repository's top, as on GitHub.
"""

from __future__ import annotations

import bisect
import difflib
import fnmatch
import html
import os
import re
import sys
import unicodedata
import urllib.parse
from collections import OrderedDict

sys.dont_write_bytecode = True  # The repository stays as it is.

from validation import Report, argument_parser, check_each, files_to_check, open_regular, run  # noqa: E402

EXAMPLES = """\
Without PATH it reads the files that $RUNGATE_FILES lists (NUL-separated), else everything below the current folder.
Only names that end in .md or .markdown are looked at. The current folder is the repository's top.

examples:
  check_markdown_links.py
  check_markdown_links.py --format text README.md docs
  check_markdown_links.py --exclude 'vendor/*' --ignore-target 'build/*'

exit codes: 0 nothing found, 1 findings, 2 wrong usage
"""

MOST_BYTES = 8 << 20
# What bounds the work on hostile text. CommonMark leaves such a limit to the reader too.
LONGEST_TARGET = 4096
LONGEST_HEADING = 1000
DEEPEST_PARENTHESIS = 32
CACHED_DOCUMENTS = 512
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
FENCE = re.compile(r"[ \t>]*(?:(?:[-*+]|[0-9]{1,9}[.)])[ \t]+)*(`{3,}(?=[^`]*$)|~{3,})")
CLOSING = re.compile(r"[ \t>]*(`{3,}|~{3,})[ \t]*$")
LIST_ITEM = re.compile(r"[ \t>]*(?:[-*+]|[0-9]{1,9}[.)])(?:[ \t]|$)")
DEFINITION = re.compile(r"[ >]{0,12}\[((?:[^\[\]\\]|\\.){1,999})\]:[ \t]*(<[^<>]*>|\S+)")
ATX = re.compile(r"[ >]{0,12}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
FRONT_MATTER = re.compile(r"---[ \t]*\n(?:.*\n)*?(?:---|\.\.\.)[ \t]*(?=\n|$)")
SETEXT = re.compile(r" {0,3}(?:=+|-+)[ \t]*$")
TAG = re.compile(r"<([A-Za-z][A-Za-z0-9-]*)(\s[^<>]*)>")
ATTRIBUTE = re.compile(r"([A-Za-z_:][A-Za-z0-9_:.-]*)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'=<>`]+))")
LINE_ANCHOR = re.compile(r"L([0-9]{1,9})(?:C[0-9]+)?(?:-L([0-9]{1,9})(?:C[0-9]+)?)?")
# `../../issues` in a README is a page of the repository on GitHub, not a file.
PAGES = frozenset(
    [
        "actions",
        "blob",
        "commit",
        "commits",
        "compare",
        "discussions",
        "graphs",
        "issues",
        "labels",
        "milestones",
        "network",
        "packages",
        "projects",
        "pull",
        "pulls",
        "raw",
        "releases",
        "security",
        "stargazers",
        "tags",
        "tree",
        "wiki",
    ]
)


class Document:
    """A Markdown file: its links, and the anchors that others may point at. Offsets are in its text."""

    def __init__(self, text):
        self.text = text
        self.starts = [0] + [match.end() for match in re.finditer("\n", text)]
        prose, headings = without_code_blocks(text)
        prose = blank_comments(prose)
        tags = list(TAG.finditer(blank_code_spans(prose)))
        self.anchors = slugs(headings) | {anchor for tag in tags for anchor in anchors_of(tag)}
        self.prose = blank_code_spans(prose)
        self.tags = tags

    def place(self, offset):
        """Line and column, from 1."""
        index = bisect.bisect_right(self.starts, offset) - 1
        return index + 1, offset - self.starts[index] + 1

    def links(self):
        """(offset, target) of everything that points somewhere, and (offset, None, label) of undefined references."""
        definitions = {}
        for match in definitions_of(self.prose, self.starts):
            label = normalised(match.group(1))
            if label.startswith("^"):
                continue
            definitions.setdefault(label, match)
            yield match.start(2), unwrapped(match.group(2)), None
        for tag in self.tags:
            for offset, target in targets_of(tag):
                yield offset, target, None
        for start, end in paragraphs(self.prose):
            yield from inline_links(self.prose, start, end, definitions)


def blank(text):
    """As many characters, all spaces but the line ends."""
    return re.sub(r"[^\n]", " ", text)


def without_code_blocks(text):
    """The text with fenced and indented code blanked, and the text of each heading."""
    out, headings = [], []
    fence, quoted = None, False
    in_list = in_indented = False
    previous = ""
    front_matter = FRONT_MATTER.match(text)
    if front_matter:
        text = blank(front_matter.group()) + text[front_matter.end() :]
    for line in text.split("\n"):
        if fence is not None and quoted and not line.lstrip().startswith(">"):
            fence = None
        if fence is not None:
            closing = CLOSING.match(line)
            if closing and closing.group(1)[0] == fence[0] and len(closing.group(1)) >= len(fence):
                fence = None
            out.append(" " * len(line))
            previous = ""
            continue
        opening = FENCE.match(line)
        if opening:
            fence, quoted = opening.group(1), line.lstrip().startswith(">")
            out.append(" " * len(line))
            continue
        indented = line.startswith(("    ", "\t")) and bool(line.strip())
        if LIST_ITEM.match(line):
            in_list = in_list or not indented or in_indented
        elif line.strip() and not line.startswith((" ", "\t")) and not previous.strip():
            in_list = False
        in_indented = indented and not in_list and (in_indented or not previous.strip())
        if in_indented:
            out.append(" " * len(line))
            previous = ""
            continue
        heading = ATX.match(line)
        if heading:
            headings.append(heading.group(2) or "")
        elif SETEXT.match(line) and previous.strip() and not re.match(r"[ >]*(?:[-*+>]\s|[|#])", previous):
            headings.append(previous.strip())
        out.append(line)
        previous = "" if heading else line
    return "\n".join(out), headings


def blank_comments(text):
    """The text with HTML comments blanked."""
    out, position = [], 0
    while True:
        start = text.find("<!--", position)
        end = text.find("-->", start + 4) if start >= 0 else -1
        if end < 0:
            return "".join(out) + text[position:]
        out.append(text[position:start] + blank(text[start : end + 3]))
        position = end + 3


def blank_code_spans(text):
    """The text with `code` blanked. A span ends within its paragraph, at the next run of as many backticks."""
    out, position = [], 0
    for start, end in paragraphs(text):
        runs = list(re.finditer("`+", text[start:end]))
        following = {}
        partner = [None] * len(runs)
        for index in range(len(runs) - 1, -1, -1):
            length = len(runs[index].group())
            partner[index] = following.get(length)
            following[length] = index
        index = 0
        while index < len(runs):
            opening = start + runs[index].start()
            escaped = opening > 0 and text[opening - 1] == "\\" and (opening < 2 or text[opening - 2] != "\\")
            if partner[index] is None or escaped:
                index += 1
                continue
            closing = start + runs[partner[index]].end()
            out.append(text[position:opening] + blank(text[opening:closing]))
            position = closing
            index = partner[index] + 1
    return "".join(out) + text[position:]


def paragraphs(text):
    """(start, end) of the runs of lines between blank lines; a link cannot cross those."""
    start = 0
    for match in re.finditer(r"\n[ \t>]*(?=\n)", text):
        if match.start() > start:
            yield start, match.start()
        start = match.end()
    if start < len(text):
        yield start, len(text)


def definitions_of(text, starts):
    """Matches of `[label]: target` at line starts."""
    for start in starts:
        match = DEFINITION.match(text, start)
        if match:
            yield match


def normalised(label):
    """A label as Markdown compares it."""
    return re.sub(r"\s+", " ", label).strip().casefold()


def unwrapped(target):
    """A link's destination without its angle brackets, escapes and entities."""
    if target.startswith("<") and target.endswith(">"):
        target = target[1:-1]
    return html.unescape(re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", target))


def inline_links(text, start, end, definitions):
    """`[text](target)`, `[text][label]` and `[label][]`, images and nested ones too, in one pass over a paragraph."""
    opened = []
    position = start
    while position < end:
        char = text[position]
        if char == "\\":
            position += 2
            continue
        if char == "[":
            opened.append(position)
        elif char == "]" and opened:
            opening = opened.pop()
            after = text[position + 1] if position + 1 < end else ""
            if after == "(":
                found = destination(text, position + 2, end)
                if found:
                    yield found[0], unwrapped(found[1]), None
            elif after == "[":
                closing = text.find("]", position + 2, min(end, position + 1002))
                undefined = closing >= 0 and undefined_label(text, opening, position, closing, definitions)
                if undefined:
                    yield opening, None, undefined
                if closing >= 0:
                    position = closing
        position += 1


def undefined_label(text, opening, middle, closing, definitions):
    """The label of a reference link when nothing defines it. `a[0][1]` in prose is no link."""
    label = text[middle + 2 : closing] or text[opening + 1 : middle]
    before = text[opening - 1] if opening else " "
    if normalised(label) in definitions or before.isalnum() or before in "_])":
        return None
    if "[" in label or "^" in (text[opening + 1], label[:1]) or not any(char.isalpha() for char in label):
        return None
    return " ".join(label.split())


def destination(text, position, end):
    """(offset, text) of a link's destination that begins at or after `position`, or None when it is no link."""
    while position < end and text[position] in " \t\n":
        position += 1
    start = position
    if position < end and text[position] == "<":
        closing = text.find(">", position, min(end, position + LONGEST_TARGET))
        inside = text[position : closing + 1]
        return (start, inside) if closing >= 0 and "\n" not in inside and "<" not in inside[1:] else None
    depth = 0
    while position < min(end, start + LONGEST_TARGET):
        char = text[position]
        if char == "\\":
            position += 1
        elif char == "(":
            depth += 1
            if depth > DEEPEST_PARENTHESIS:
                return None
        elif char == ")":
            if depth == 0:
                return start, text[start:position]
            depth -= 1
        elif char in " \t\n":
            title = re.compile(r"\s*(?:[\"'(].{0,1000}?[\"')]\s*)?\)", re.DOTALL)
            return (start, text[start:position]) if depth == 0 and title.match(text, position, end) else None
        position += 1
    return None


def attributes_of(tag):
    """(name, value, offset of the value) of a tag."""
    for match in ATTRIBUTE.finditer(tag.group(2)):
        group = next(index for index in (2, 3, 4) if match.group(index) is not None)
        yield match.group(1).lower(), html.unescape(match.group(group)), tag.start(2) + match.start(group)


def anchors_of(tag):
    """The anchors that a tag sets."""
    return [value for name, value, _ in attributes_of(tag) if name in ("id", "name")]


def targets_of(tag):
    """Where a tag points."""
    for name, value, offset in attributes_of(tag):
        if name in ("href", "src") and value:
            yield offset, value
        elif name == "srcset":
            for part in value.split(","):
                if part.split():
                    yield offset, part.split()[0]


def slugs(headings):
    """The anchors that GitHub gives to headings, in order: a repeated one gets a number."""
    used = {}
    for heading in headings:
        base = slug = slug_of(heading)
        while slug in used:
            used[base] += 1
            slug = f"{base}-{used[base]}"
        used[slug] = 0
    return set(used)


def slug_of(heading):
    """The anchor of one heading: its visible text in lower case, without punctuation, spaces as hyphens."""
    code = []

    def keep(match):
        code.append(match.group(2))
        return f"\0{len(code) - 1}\0"

    text = re.sub(r"(`+)(.+?)(?<!`)\1(?!`)", keep, heading[:LONGEST_HEADING].replace("\0", ""))
    text = re.sub(r"!\[[^\]]*\](?:\([^)]*\)|\[[^\]]*\])", "", text)
    text = re.sub(r"\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])", r"\1", text)
    text = re.sub(r"</?[A-Za-z][^<>]*>", "", text)
    text = re.sub(r"(?<![^\W_])(_{1,3})(?=\S)(.+?)(?<=\S)\1(?![^\W_])", r"\2", text)
    text = html.unescape(text)
    text = re.sub("\0([0-9]+)\0", lambda match: code[int(match.group(1))], text)
    kept = []
    for char in text.strip().lower():
        if char == " ":
            kept.append("-")
        elif char in "-_" or unicodedata.category(char) in ("Mn", "Mc", "Me", "Nd", "Nl", "Pc") or char.isalpha():
            kept.append(char)
    return "".join(kept)


class Checker:
    """Judges the links of one file after the other; documents that are pointed at are read once."""

    def __init__(self, arguments, report):
        self.arguments = arguments
        self.report = report
        self.top = os.path.realpath(".")
        self.documents = OrderedDict()
        self.suggestions = 0

    def document(self, path):
        """The Markdown file at `path`, or None when it cannot be read as one."""
        key = os.path.realpath(path)
        if key not in self.documents:
            with open_regular(key) as stream:
                data = stream.read(MOST_BYTES + 1)
            text = data.decode("utf-8-sig", "replace").replace("\r\n", "\n").replace("\r", "\n")
            self.documents[key] = Document(text) if len(data) <= MOST_BYTES else None
            if len(self.documents) > CACHED_DOCUMENTS:
                self.documents.popitem(last=False)
        return self.documents[key]

    def check(self, path):
        """Judges every link of one file."""
        open_regular(path).close()
        document = self.document(path)
        if document is None:
            self.report.finding("warning", "too-large", f"not checked: more than {MOST_BYTES} bytes", path)
            return
        for offset, target, label in sorted(document.links(), key=lambda link: link[0]):
            if target is None:
                trouble = "undefined-reference", f"no definition of [{label}] in this file"
            else:
                trouble = self.trouble_with(path, target)
            if trouble:
                self.report.finding("error", trouble[0], trouble[1], path, *document.place(offset))

    def trouble_with(self, path, target):
        """What is wrong with a link, as (rule, message), or None."""
        if SCHEME.match(target) or target.startswith(("//", "{{", "${")) or not target.strip():
            return None
        address, _, fragment = target.partition("#")
        address = os.fsdecode(urllib.parse.unquote_to_bytes(address.partition("?")[0]))
        fragment = urllib.parse.unquote(fragment, errors="replace")
        if "\0" in address:
            return "broken-link", f"a NUL byte in {target!r}"
        if not address:
            return self.trouble_with_anchor(path, path, fragment)
        if address.startswith("/"):
            place = os.path.normpath(address.lstrip("/") or ".")
        else:
            place = os.path.normpath(os.path.join(os.path.dirname(path), address))
        if any(fnmatch.fnmatchcase(place, glob) for glob in self.arguments.ignore_target):
            return None
        outside = place.split(os.sep)
        if outside[0] == os.pardir:
            page = next((part for part in outside if part != os.pardir), "")
            return None if page in PAGES else ("outside", f"{address!r} leaves the repository")
        trouble = self.trouble_with_place(place, address)
        return trouble or self.trouble_with_anchor(path, place, fragment)

    def trouble_with_place(self, place, address):
        """What is wrong with the path of a link."""
        real = os.path.realpath(place)
        if os.path.exists(place):
            if real != self.top and not real.startswith(self.top.rstrip(os.sep) + os.sep):
                return "outside", f"{address!r} is a symlink that leaves the repository"
            return None
        message = f"no file or folder {place!r}"
        try:
            siblings = os.listdir(os.path.dirname(place) or ".")
        except OSError:
            siblings = []
        name = os.path.basename(place)
        for sibling in sorted(siblings):
            if sibling.casefold() == name.casefold():
                return "broken-link", f"{message}; did you mean {sibling}?"
        return "broken-link", message + self.suggestion(name, siblings)

    def trouble_with_anchor(self, path, place, fragment):
        """What is wrong with the part of a link after `#`."""
        if not fragment or fragment == "top" or fragment.startswith(":~:"):
            return None
        if not is_markdown(place):
            return trouble_with_line(place, fragment)
        if os.path.isdir(place) or LINE_ANCHOR.fullmatch(fragment):
            return None
        document = self.document(place)
        anchor = fragment[len("user-content-") :] if fragment.startswith("user-content-") else fragment
        if document is None or anchor in document.anchors:
            return None
        where = "this file" if place == path else repr(place)
        message = f"no heading or anchor #{fragment} in {where}"
        return "broken-anchor", message + self.suggestion(anchor, document.anchors, "#")

    def suggestion(self, word, words, prefix=""):
        """The nearest of `words`, as a question. Searching is slow, so only some findings of a run get one."""
        self.suggestions += 1
        if self.suggestions > 200 or len(word) > 100:
            return ""
        near = difflib.get_close_matches(word, sorted(words)[:500], n=1)
        return f"; did you mean {prefix}{near[0]}?" if near else ""


def trouble_with_line(place, fragment):
    """`code.rs#L10-L20` must not point past the end of the file."""
    match = LINE_ANCHOR.fullmatch(fragment)
    if match is None or not os.path.isfile(place):
        return None
    wanted = max(int(number) for number in match.groups() if number)
    lines = 0
    with open_regular(os.path.realpath(place)) as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            lines += block.count(b"\n")
    if wanted > lines + 1:
        return "broken-anchor", f"#{fragment} points past the end of {place!r}"
    return None


def is_markdown(path):
    """Whether `path` is looked at."""
    return path.lower().endswith((".md", ".markdown"))


def main(argv):
    parser = argument_parser(__doc__, EXAMPLES)
    parser.add_argument(
        "--ignore-target", action="append", default=[], metavar="GLOB", help="paths that may be absent; may be repeated"
    )
    arguments = parser.parse_args(argv)
    report = Report(arguments.format)
    paths = (path for path in files_to_check(arguments, report) if is_markdown(path))
    check_each(paths, Checker(arguments, report).check, report)
    return report


if __name__ == "__main__":
    sys.exit(run(main))
