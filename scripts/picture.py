#!/usr/bin/env python3
"""Draws docs/run.svg: a real run of rungate on a terminal, as the README shows it.

    cargo build --release
    scripts/picture.py target/release/rungate docs/run.svg

A small repository is made in a temporary folder, the program runs there on a pseudo-terminal, and what its screen
shows at the end becomes an SVG. Only the standard library is needed. The picture is the program's own output: nothing
is drawn that was not printed.
"""

import argparse
import fcntl
import html
import os
import pathlib
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios

COLUMNS, ROWS = 92, 48
# Of one character, in pixels; the font is the reader's own.
WIDTH, HEIGHT, FONT = 8.4, 19, 14
MARGIN, BAR = 18, 34
COLOURS = {31: "#f47067", 32: "#57ab5a", 33: "#c69026", 34: "#539bf5"}
PAPER, INK, FAINT = "#1c2128", "#cdd9e5", "#768390"

FILES = {
    ".github/rungate.yml": """\
version: 1
name: Tide tables
commands:
  check:
    name: Tide tables
    steps:
      - id: fetch
        needs: []
        script: tools/fetch.sh
        retry: {attempts: 3, on: [75]}
        sandbox: {write: [build]}
      - id: schema
        needs: []
        script: tools/schema.py
        findings: [{parser: problem-matcher, matcher: tools/location.json, tool: schema}]
      - id: rows
        needs: [fetch]
        strategy: {matrix: {port: [brest, dover]}}
        shell: sh
        run: test -n "$1"
        args: ['${{ matrix.port }}']
      - {id: publish, needs: [schema, rows], shell: sh, run: 'true'}
    gates:
      - {id: data, name: Data is sound, needs: [schema, rows], max: {warning: 5}}
""",
    "tools/fetch.sh": """\
test -e build/fetched && exit 0
mkdir -p build && touch build/fetched
echo "connection reset by peer" >&2
exit 75
""",
    "tools/schema.py": """\
print("data/tides.csv:318:14: error: height `4,2m` is not a number")
print("data/ports.csv:12:1: warning: port has no harbour master")
raise SystemExit(1)
""",
    "tools/location.json": """\
{"problemMatcher": [{"owner": "location", "pattern": [{
  "regexp": "^(.+?):(\\\\d+):(\\\\d+): (error|warning): (.+)$",
  "file": 1, "line": 2, "column": 3, "severity": 4, "message": 5}]}]}
""",
}


def make_repository(folder):
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git = ["git", "-c", "user.name=rungate", "-c", "user.email=rungate@localhost"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "tides"]):
        subprocess.run([*git, *arguments], cwd=folder, check=True)


def run(program, folder):
    """Returns what the program wrote to a terminal of its own."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environment = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "LANG": "C.UTF-8", "HOME": str(folder)}
    child = subprocess.Popen(
        [program, "run", "check"], cwd=folder, env=environment, stdin=follower, stdout=follower, stderr=follower
    )
    os.close(follower)
    output = b""
    while True:
        try:
            piece = os.read(leader, 65536)
        except OSError:  # Linux says so when the last process has closed its side.
            break
        if not piece:
            break
        output += piece
    if child.wait() != 1:
        sys.exit(f"the run was to fail with 1, and ended with {child.returncode}:\n{output.decode()}")
    return output.decode()


def screen(output):
    """The lines that are left in the end, as lists of (character, style). Knows what rungate uses and nothing else."""
    lines, row, column, style = [[]], 0, 0, (None, False, False)
    for match in re.finditer(r"\x1b\[([0-9;]*)([A-Za-z])|\r|\n|[^\x1b\r\n]", output):
        text, number = match.group(0), match.group(1) or ""
        if text == "\r":
            column = 0
        elif text == "\n":
            row += 1
            if row == len(lines):
                lines.append([])
        elif not text.startswith("\x1b"):
            line = lines[row]
            line.extend([(" ", style)] * (column - len(line)))
            line[column : column + 1] = [(text, style)]
            column += 1
        elif match.group(2) == "A":
            row = max(0, row - int(number or 1))
        elif match.group(2) == "J":
            lines[row] = lines[row][:column]
            del lines[row + 1 :]
        elif match.group(2) == "m":
            colour, bold, dim = style
            for code in (int(code or 0) for code in number.split(";")):
                if code == 0:
                    colour, bold, dim = None, False, False
                elif code in COLOURS:
                    colour = COLOURS[code]
                else:
                    bold, dim = bold or code == 1, dim or code == 2
            style = (colour, bold, dim)
        else:
            sys.exit(f"a sequence that this script does not know: {text!r}")
    while lines and not lines[-1]:
        lines.pop()
    return lines


def spans(line):
    """The line cut where its style changes: (column, text, style)."""
    start = 0
    for column in range(1, len(line) + 1):
        if column == len(line) or line[column][1] != line[start][1]:
            yield start, "".join(character for character, _ in line[start:column]), line[start][1]
            start = column


def draw(lines):
    width = round(COLUMNS * WIDTH + 2 * MARGIN)
    height = round(len(lines) * HEIGHT + 2 * MARGIN + BAR)
    svg = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img">',
        "<title>A run of rungate that fails: one step found an error, another one passed at its second attempt</title>",
        f'<rect width="100%" height="100%" rx="8" fill="{PAPER}"/>',
    ]
    for at, colour in enumerate(("#f47067", "#c69026", "#57ab5a")):
        svg.append(f'<circle cx="{MARGIN + 6 + at * 20}" cy="{BAR / 2 + 4:g}" r="6" fill="{colour}"/>')
    family = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"
    svg.append(f'<g font-family="{family}" font-size="{FONT}" fill="{INK}" xml:space="preserve">')
    for row, line in enumerate(lines):
        y = BAR + MARGIN + row * HEIGHT + FONT
        for column, text, (colour, bold, dim) in spans(line):
            if not text.strip():
                continue
            # The length is said, so that columns stay columns in every font.
            look = f' fill="{FAINT if dim else colour}"' if dim or colour else ""
            look += ' font-weight="bold"' if bold else ""
            svg.append(
                f'<text x="{MARGIN + column * WIDTH:g}" y="{y}" textLength="{len(text) * WIDTH:g}"'
                f' lengthAdjust="spacingAndGlyphs"{look}>{html.escape(text)}</text>'
            )
    return "\n".join([*svg, "</g>", "</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("program", type=pathlib.Path, help="the built rungate")
    parser.add_argument("picture", type=pathlib.Path, help="the SVG to write")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tides-") as folder:
        make_repository(pathlib.Path(folder))
        output = run(arguments.program.resolve(), folder)
    plain = (None, False, False)
    prompt = [("$", ("#57ab5a", False, False)), *((character, plain) for character in " rungate run check")]
    # The folder was a temporary one; its name says nothing to a reader.
    shown = output.replace(folder, "~/tides")
    arguments.picture.write_text(draw([prompt, *screen(shown)]))


if __name__ == "__main__":
    main()
