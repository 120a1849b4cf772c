"""Writes a repository whose commands do nothing, in the words of rungate, just and prek, and one that floods.

usage: fixtures.py FOLDER FLOOD_SIZE
"""

import pathlib
import sys

STEPS = 10


def manifest(flood):
    """The rungate manifest."""
    lines = ["version: 1", "defaults: {run: {shell: sh}, timeout-minutes: 30}", "commands:"]
    for name, count, needs in (("noop1", 1, ""), ("noop10", STEPS, ""), ("noop10-parallel", STEPS, ", needs: []")):
        lines += [f"  {name}:", "    steps:"]
        lines += [f"      - {{id: s{index}, run: ':'{needs}}}" for index in range(count)]
    lines += ["  flood:", "    steps:", f"      - {{id: flood, run: 'yes 0123456789abcdef | head -c {flood}'}}"]
    return "\n".join(lines) + "\n"


def justfile():
    """The same ten steps as recipes, each its own shell."""
    names = [f"s{index}" for index in range(STEPS)]
    recipes = "".join(f"\n{name}:\n    @:\n" for name in names)
    return "set shell := ['sh', '-c']\n\nnoop10: " + " ".join(names) + "\n" + recipes


def prek():
    """The same ten steps as hooks."""
    hooks = "".join(
        f"      - {{id: s{index}, name: s{index}, entry: \"sh -c ':'\", language: system, pass_filenames: false, "
        "always_run: true}\n"
        for index in range(STEPS)
    )
    return "repos:\n  - repo: local\n    hooks:\n" + hooks


def main(folder, flood):
    top = pathlib.Path(folder)
    (top / ".github").mkdir(parents=True)
    (top / ".github" / "rungate.yml").write_text(manifest(flood))
    (top / "justfile").write_text(justfile())
    (top / ".pre-commit-config.yaml").write_text(prek())
    (top / ".gitignore").write_text("/.rungate\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
