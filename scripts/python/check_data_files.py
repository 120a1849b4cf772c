#!/usr/bin/env python3
"""Finds JSON, TOML and YAML files that are not well-formed, with line and column.

JSON is judged strictly: no duplicate keys, no comments, no trailing commas, no NaN. TOML needs Python 3.11 or newer.
YAML is read by PyYAML where it is installed; elsewhere a reduced check of its structure is made, and said aloud.
"""

from __future__ import annotations

import codecs
import fnmatch
import os
import re
import sys

sys.dont_write_bytecode = True  # The repository stays as it is.

from validation import Report, argument_parser, check_each, files_to_check, read_whole, run, visible  # noqa: E402

try:
    import tomllib
except ImportError:
    tomllib = None
try:
    import yaml
except ImportError:
    yaml = None

EXAMPLES = """\
Without PATH it reads the files that $RUNGATE_FILES lists (NUL-separated), else everything below the current folder.
Kinds are told apart by their names: .json .jsonl .ndjson .geojson .webmanifest .sarif, .toml, .yml .yaml.

examples:
  check_data_files.py
  check_data_files.py --format text config
  check_data_files.py --jsonc 'config/*.json' --require-full

exit codes: 0 nothing found, 1 findings, 2 wrong usage
"""

MOST_BYTES = 64 << 20
DEEPEST = 512
JSONC = ("*.jsonc", "*.code-workspace", "tsconfig*.json", "jsconfig*.json", "devcontainer.json", ".eslintrc.json")
JSONC_FOLDERS = (".vscode", ".devcontainer")
JSON_SPACE = re.compile(r"[ \t\r\n]*")
JSONC_SPACE = re.compile(r"(?:[ \t\r\n]|//[^\n]*|/\*(?:[^*]|\*(?!/))*\*/)*")
STRING_BODY = r'"[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4})[^"\\\x00-\x1f]*)*'
JSON_STRING = re.compile(STRING_BODY + '"')
JSON_STRING_START = re.compile(STRING_BODY)
JSON_ATOM = re.compile(
    r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![0-9A-Za-z.+-])|(?:true|false|null)(?!\w)"
)


class Malformed(Exception):
    """What is wrong, and the offset in characters, or the line and column, where."""

    def __init__(self, message, offset=None, line=None, column=None):
        super().__init__(message)
        self.offset = offset
        self.line = line
        self.column = column


def place_of(text, offset):
    """Line and column, from 1, of an offset in characters."""
    return text.count("\n", 0, offset) + 1, offset - (text.rfind("\n", 0, offset) + 1) + 1


def decoded(data):
    """The text of a file. These formats are UTF-8."""
    for mark, name in (
        (codecs.BOM_UTF32_LE, "UTF-32"),
        (codecs.BOM_UTF16_LE, "UTF-16"),
        (codecs.BOM_UTF16_BE, "UTF-16"),
    ):
        if data.startswith(mark):
            raise Malformed(f"the file is {name}, not UTF-8", line=1, column=1)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        message = f"the byte 0x{data[error.start]:02x} is not UTF-8"
        raise Malformed(message, line=before.count(b"\n") + 1, column=column) from None


# JSON. The parser of the standard library says where, but neither sees duplicate keys with their places nor bears deep
# nesting, so the grammar is walked here, with a stack of its own.


def check_json(text, relaxed):
    """Raises Malformed unless `text` is one JSON value. `relaxed` allows comments and trailing commas."""
    if text.startswith("\ufeff"):
        raise Malformed("a byte order mark is not allowed in JSON", 0)
    space = JSONC_SPACE if relaxed else JSON_SPACE
    open_containers = []
    position = space.match(text, 0).end()
    wanted = "value"
    while True:
        char = text[position : position + 1]
        if wanted in ("value", "first") and char in ("{", "["):
            if len(open_containers) >= DEEPEST:
                raise Malformed(f"nested more than {DEEPEST} levels deep", position)
            open_containers.append((char, {}, position))
            position += 1
            wanted = "key-first" if char == "{" else "first"
        elif wanted in ("value", "first") and char != "]":
            position = json_scalar(text, position)
            wanted = "separator"
        elif wanted in ("key", "key-first") and char == '"':
            position = json_key(text, position, open_containers[-1][1], space)
            wanted = "value"
        elif char and char in "}]" and open_containers and closes(wanted, char, open_containers[-1], relaxed):
            open_containers.pop()
            position += 1
            wanted = "separator"
        elif wanted == "separator" and char == "," and open_containers:
            position += 1
            wanted = "key" if open_containers[-1][0] == "{" else "value"
        elif wanted == "separator" and not open_containers:
            if char:
                raise Malformed("text after the end of the value", position)
            return
        else:
            raise unexpected(text, position, wanted, open_containers)
        position = space.match(text, position).end()


def closes(wanted, char, container, relaxed):
    """Whether `char` may close the innermost container here."""
    if {"{": "}", "[": "]"}[container[0]] != char:
        return False
    trailing_comma = relaxed and (wanted == "key" or (wanted == "value" and char == "]"))
    return wanted in ("separator", "first", "key-first") or trailing_comma


def unexpected(text, position, wanted, open_containers):
    """The complaint about what stands at `position`."""
    char = text[position : position + 1]
    if not char:
        if not open_containers:
            return Malformed("the file holds no value", position)
        opening = open_containers[-1]
        line, column = place_of(text, opening[2])
        return Malformed(f"the file ends before the {opening[0]!r} of line {line}, column {column} is closed", position)
    if char in "}]" and wanted in ("value", "key"):
        return Malformed(f"a comma before {char!r}", position)
    if char == "/" and text[position + 1 : position + 2] in ("/", "*"):
        return Malformed("comments are not allowed in JSON", position)
    names = {"value": "a value", "first": "a value or ']'", "key": "a key in double quotes"}
    names["key-first"] = "a key in double quotes or '}'"
    closing = "'}'" if open_containers and open_containers[-1][0] == "{" else "']'"
    return Malformed("expected {}, found {!r}".format(names.get(wanted, "',' or " + closing), char), position)


def json_scalar(text, position):
    """The end of a string, number or word."""
    if text.startswith('"', position):
        return json_string(text, position)
    match = JSON_ATOM.match(text, position)
    if match is None:
        word = re.compile(r"[^\s,\]}\"]{1,40}").match(text, position)
        if word is None:
            raise unexpected(text, position, "value", [])
        if text[position : position + 2] in ("//", "/*"):
            raise unexpected(text, position, "value", [])
        raise Malformed(f"{word.group()!r} is no JSON value", position)
    return match.end()


def json_string(text, position):
    """The end of a string."""
    match = JSON_STRING.match(text, position)
    if match is not None:
        return match.end()
    good = JSON_STRING_START.match(text, position).end()
    if good >= len(text) or text[good] in "\r\n":
        raise Malformed("a string that is not closed on its line", position)
    what = "a wrong escape" if text[good] == "\\" else "a control character"
    raise Malformed(what + " in a string", good)


def json_key(text, position, keys, space):
    """The end of a key and its colon. `keys` holds those of the object so far."""
    end = json_string(text, position)
    key = text[position:end]
    key = re.sub(r"\\u([0-9A-Fa-f]{4})", lambda match: chr(int(match.group(1), 16)), key) if "\\" in key else key
    if key in keys:
        message = f"the key {visible(key)[:80]} stands already in line {place_of(text, keys[key])[0]}"
        raise Malformed(message, position)
    keys[key] = position
    colon = space.match(text, end).end()
    if text[colon : colon + 1] != ":":
        raise Malformed("expected ':' after the key", colon)
    return colon + 1


def check_json_lines(text):
    """One value a line."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                check_json(line, False)
            except Malformed as error:
                raise Malformed(str(error), line=number, column=error.offset + 1) from None


# TOML.


def check_toml(text):
    """Raises Malformed unless `text` is TOML."""
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\s*\(at (?:line ([0-9]+), column ([0-9]+)|end of document)\)$", str(error))
        message = str(error)[: found.start()] if found else str(error)
        if found and found.group(1):
            raise Malformed(message, line=int(found.group(1)), column=int(found.group(2))) from None
        raise Malformed(message, len(text)) from None
    except ValueError as error:
        raise Malformed(str(error), line=1) from None


# YAML, whole.


def check_yaml(text):
    """Raises Malformed unless `text` is YAML without duplicate keys. Walks events, so nothing is expanded or nested."""
    frames, anchors = [], set()
    try:
        for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if isinstance(event, (yaml.DocumentStartEvent, yaml.DocumentEndEvent)):
                anchors = set()
            elif isinstance(event, yaml.CollectionEndEvent):
                frames.pop()
            elif isinstance(event, yaml.NodeEvent):
                check_node(event, frames, anchors)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = " ".join(part for part in (error.context, error.problem) if part)
        raise Malformed(message, line=mark.line + 1 if mark else 1, column=mark.column + 1 if mark else None) from None
    except yaml.YAMLError as error:
        raise Malformed(" ".join(str(error).split()), line=1) from None
    except (ValueError, OverflowError) as error:
        raise Malformed(f"an escape that names no character: {error}", line=1) from None


def check_node(event, frames, anchors):
    """Judges one node. A frame is [its keys, or None in a sequence; whether the next node is a key]."""
    place = {"line": event.start_mark.line + 1, "column": event.start_mark.column + 1}
    if isinstance(event, yaml.AliasEvent):
        if event.anchor not in anchors:
            raise Malformed(f"the alias *{event.anchor} names no anchor", **place)
    elif event.anchor is not None:
        anchors.add(event.anchor)
    if frames and frames[-1][0] is not None:
        keys, is_key = frames[-1]
        if is_key and isinstance(event, yaml.ScalarEvent):
            if event.value in keys:
                message = f"the key {event.value[:80]!r} stands already in line {keys[event.value]}"
                raise Malformed(message, **place)
            keys[event.value] = place["line"]
        frames[-1][1] = not is_key
    if isinstance(event, yaml.CollectionStartEvent):
        if len(frames) >= DEEPEST:
            raise Malformed(f"nested more than {DEEPEST} levels deep", **place)
        frames.append([{} if isinstance(event, yaml.MappingStartEvent) else None, True])


# YAML, reduced: no parser at hand, so only what goes wrong most often. It must not complain about good YAML.

PLAIN_KEY = re.compile(
    r"(?:\"(?:[^\"\\]|\\.)*\"|'(?:[^']|'')*'|[^\s#\[\]{},&*!|>'\"%@`-](?:[^:#]|:(?=\S)|(?<=\S)#)*?|-(?=\S)(?:[^:#]|:(?=\S))*?)\s*:(?=\s|$)"
)
BLOCK_SCALAR = re.compile(r"(?:^|[:\s-])(?:[&!]\S+\s+)*[|>](?:[1-9][+-]?|[+-][1-9]?)?(?:\s+#.*)?\s*$")


class Structure:
    """A walk over the lines of a YAML file: indentation, quotes, brackets, and keys at one level."""

    def __init__(self):
        self.levels = []
        self.brackets = []
        self.quote = None
        self.scalar = None
        self.may_nest = True
        self.given_up = False

    def line(self, number, text):
        """Reads one line; raises Malformed where it is wrong."""
        if self.given_up:
            return
        indent = len(text) - len(text.lstrip(" "))
        rest = text[indent:]
        if self.scalar is not None:
            if not rest.strip() or indent > self.scalar:
                return
            self.scalar = None
        if self.quote is not None or self.brackets:
            self.inside(number, text, 0)
            return
        if not rest.strip() or rest.lstrip("\t").startswith("#"):
            return
        if rest.startswith("\t"):
            raise Malformed("a tab in the indentation", line=number, column=indent + 1)
        if indent == 0 and (rest.startswith("%") or re.match(r"(?:---|\.\.\.)(?:\s|$)", rest)):
            self.levels = []
            self.may_nest = True
            indent, rest = 4, rest[3:].strip()
            if not rest or rest.startswith(("#", "YAML", "TAG")):
                return
            self.levels = []
        self.entries(number, text, indent)

    def entries(self, number, text, indent):
        """The `- ` marks and the key at the beginning of a line."""
        column = indent
        while re.match(r"-(?:\s|$)", text[column:]):
            self.enter(number, column, "sequence")
            column += 1
            column += len(text[column:]) - len(text[column:].lstrip(" "))
            self.may_nest = True
            if column >= len(text):
                return
        if re.match(r"[?:](?:\s|$)", text[column:]):
            # A key of several lines (`? key`). Rare, and more than can be judged without a parser.
            self.given_up = True
            return
        match = PLAIN_KEY.match(text, column)
        if match:
            key = re.sub(r"^(['\"])(.*)\1$", r"\2", match.group()[:-1].rstrip())
            keys = self.enter(number, column, "mapping")
            if key in keys:
                message = f"the key {key[:80]!r} stands already in line {keys[key]}"
                raise Malformed(message, line=number, column=column + 1)
            keys[key] = number
            value = text[match.end() :]
            self.may_nest = not value.strip() or value.strip().startswith(("#", "&", "!"))
        else:
            self.may_nest = text[column] in "&!"
        if BLOCK_SCALAR.search(strip_comment(text)):
            self.scalar = self.levels[-1][0] if self.levels else -1
            return
        self.inside(number, text, match.end() if match else column, value_only=True)

    def enter(self, number, column, kind):
        """The level at `column`; complains where no such level can be."""
        while self.levels and self.levels[-1][0] > column:
            self.levels.pop()
        # A sequence may stand at the column of the key that it belongs to.
        if self.levels and self.levels[-1][0] == column and self.levels[-1][1] == "sequence" and kind == "mapping":
            self.levels.pop()
        if self.levels and self.levels[-1][0] == column and (self.levels[-1][1] == kind):
            return self.levels[-1][2]
        if not self.may_nest:
            raise Malformed("this indentation fits no level above it", line=number, column=column + 1)
        self.levels.append((column, kind, {}))
        return self.levels[-1][2]

    def inside(self, number, text, position, value_only=False):
        """Quotes and brackets from `position` to the end of a line."""
        fresh = value_only
        while position < len(text):
            char = text[position]
            if self.quote is not None:
                position = self.quoted(text, position)
                continue
            if char == "#" and (position == 0 or text[position - 1] in " \t"):
                return
            if char in "'\"" and (fresh or self.brackets) and starts_token(text, position):
                self.quote = (char, number, position + 1)
            elif char in "[{" and (fresh or self.brackets):
                self.brackets.append((char, number, position + 1))
            elif char in "]}" and self.brackets:
                opening = self.brackets.pop()
                if opening[0] + char not in ("[]", "{}"):
                    message = f"{char!r} closes the {opening[0]!r} of line {opening[1]}"
                    raise Malformed(message, line=number, column=position + 1)
                fresh = False
            elif not char.isspace() and not self.brackets and not (fresh and char in "&!"):
                # A plain scalar: quotes and brackets in it are only characters.
                return
            elif fresh and char in "&!":
                position += len(re.match(r"\S+", text[position:]).group()) - 1
            position += 1

    def quoted(self, text, position):
        """The position after what can be read of a quoted scalar on this line."""
        mark = self.quote[0]
        while position < len(text):
            if mark == '"' and text[position] == "\\":
                position += 2
                continue
            if text[position] == mark:
                if mark == "'" and text[position + 1 : position + 2] == "'":
                    position += 2
                    continue
                self.quote = None
                return position + 1
            position += 1
        return position

    def end(self):
        """Complains about what is still open."""
        if self.quote is not None:
            raise Malformed(f"a quote {self.quote[0]} that is never closed", line=self.quote[1], column=self.quote[2])
        if self.brackets:
            char, line, column = self.brackets[-1]
            raise Malformed(f"{char!r} is never closed", line=line, column=column)


def starts_token(text, position):
    """Whether a quote at `position` opens a scalar, rather than standing inside of a word."""
    before = text[:position].rstrip(" \t")
    return not before or before[-1] in "[{,:-?&!" or text[position - 1] in " \t"


def strip_comment(text):
    """A line without the comment at its end, as far as that can be told without its quotes."""
    found = re.search(r"\s#[^'\"]*$", text)
    return text[: found.start()] if found else text


def check_yaml_structure(text):
    """Raises Malformed for what is surely wrong in a YAML file."""
    structure = Structure()
    for number, line in enumerate(text.lstrip("\ufeff").split("\n"), 1):
        structure.line(number, line.rstrip("\r"))
    structure.end()


# What belongs to which file.


class Kinds:
    """Says once, and aloud, what cannot be checked fully here."""

    def __init__(self, arguments, report):
        self.arguments = arguments
        self.report = report
        self.told = set()

    def tell(self, rule, message):
        """A notice, or an error where a full check is required."""
        if rule not in self.told:
            self.told.add(rule)
            print(message, file=sys.stderr)
            self.report.finding("error" if self.arguments.require_full else "notice", rule, message)

    def check_for(self, path):
        """What checks `path`, or None."""
        lower = path.lower()
        if lower.endswith((".yml", ".yaml")):
            if yaml is not None:
                return check_yaml
            self.tell("yaml-reduced", "YAML gets a reduced check of its structure only: PyYAML is not installed")
            return check_yaml_structure
        if lower.endswith(".toml"):
            if tomllib is not None:
                return check_toml
            self.tell("toml-skipped", "TOML is skipped: it needs Python 3.11 or newer")
            return None
        if lower.endswith((".jsonl", ".ndjson")):
            return check_json_lines
        relaxed = self.is_jsonc(path)
        if relaxed or lower.endswith((".json", ".geojson", ".webmanifest", ".sarif")):
            return lambda text: check_json(text, relaxed)
        return None

    def is_jsonc(self, path):
        """Whether a file is JSON with comments by the custom of the tool that reads it."""
        parts = path.split(os.sep)
        by_name = any(fnmatch.fnmatchcase(parts[-1], glob) for glob in JSONC)
        by_folder = len(parts) > 1 and parts[-2] in JSONC_FOLDERS and parts[-1].endswith(".json")
        return by_name or by_folder or any(fnmatch.fnmatchcase(path, glob) for glob in self.arguments.jsonc)

    def check(self, path):
        """Judges one file."""
        check = self.check_for(path)
        data = read_whole(path, MOST_BYTES, self.report) if check else None
        if data is None:
            return
        text = ""
        try:
            text = decoded(data)
            check(text)
        except Malformed as error:
            line, column = error.line, error.column
            if error.offset is not None:
                line, column = place_of(text, error.offset)
            self.report.finding("error", "malformed", str(error), path, line, column)


def main(argv):
    parser = argument_parser(__doc__, EXAMPLES)
    parser.add_argument("--jsonc", action="append", default=[], metavar="GLOB", help="JSON files with comments")
    parser.add_argument("--require-full", action="store_true", help="fail where a kind cannot be checked fully")
    arguments = parser.parse_args(argv)
    report = Report(arguments.format)
    check_each(files_to_check(arguments, report), Kinds(arguments, report).check, report)
    return report


if __name__ == "__main__":
    sys.exit(run(main))
