#!/usr/bin/env python3
"""Parses PowerShell files by the tree-sitter grammar, where there is no PowerShell to do it.

A tool of this project's own CI; it needs the packages tree-sitter and tree-sitter-powershell. It proves that the text
is PowerShell, not that it does what it should.

usage: check_grammar.py FILE...
"""

import sys

import tree_sitter
import tree_sitter_powershell


def errors(node):
    """The topmost nodes that the grammar could not read. A stack, because a hostile file outgrows recursion."""
    pending = [node]
    while pending:
        current = pending.pop()
        if current.is_error or current.is_missing:
            yield current
        elif current.has_error:
            pending.extend(reversed(current.children))


def main(paths):
    if not paths:
        print(__doc__, file=sys.stderr)
        return 2
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
    found = 0
    for path in paths:
        with open(path, "rb") as stream:
            tree = parser.parse(stream.read())
        for node in errors(tree.root_node):
            row, column = node.start_point
            what = "missing " + node.type if node.is_missing else "not PowerShell"
            print(f"::error file={path},line={row + 1},col={column + 1},title=grammar::{what}")
            found += 1
    print(f"check_grammar: {len(paths)} files, {found} findings", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
