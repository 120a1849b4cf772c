#!/usr/bin/env python3
"""Times a sandboxed program beside the bare one and beside bubblewrap, round by round, and prints Markdown.

    benches/sandbox.py RUNGATE [ROUNDS]

Every round runs each way once, so that a busy moment hits all of them. bubblewrap (of the apt package) gets every
namespace, the same system folders, a procfs, devices and a private /tmp; it has no Landlock, filter or limits.
As root it measures an ordinary user as well: they take different ways. Then ten steps that do nothing in one run, and
what the helper and the first process of a sandbox hold in memory while a program runs.

On a busy machine `chrt -f 10 benches/sandbox.py ...` keeps the others away; it is fair, since it holds for every way.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# The user of the second measurement.
NOBODY = 65534

BUBBLEWRAP = [
    "bwrap",
    "--unshare-all",
    "--new-session",
    "--die-with-parent",
    "--proc",
    "/proc",
    "--dev",
    "/dev",
    "--tmpfs",
    "/tmp",
    "--ro-bind",
    "/usr",
    "/usr",
    "--ro-bind",
    "/etc",
    "/etc",
]


def bubblewrap() -> list[str]:
    """Its words up to the program, with the system's folders as they are on this host."""
    words = list(BUBBLEWRAP)
    for folder in ("/bin", "/lib", "/lib64", "/sbin"):
        path = Path(folder)
        if path.is_symlink():
            words += ["--symlink", os.readlink(path), folder]
        elif path.is_dir():
            words += ["--ro-bind", folder, folder]
    return words


def once(argv: list[str]) -> float:
    """Milliseconds from start to end."""
    began = time.perf_counter()
    null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
    _, status = os.waitpid(os.posix_spawnp(argv[0], argv, os.environ, file_actions=null), 0)
    if status:
        sys.exit(f"{argv} ended with {os.waitstatus_to_exitcode(status)}")
    return (time.perf_counter() - began) * 1000


def table(ways: dict[str, list[str]], rounds: int) -> None:
    """Runs every way once a round, and prints minima and medians."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, argv in ways.items():
            times[name].append(once(argv))
    reference = "bubblewrap" if "bubblewrap" in ways else next(iter(ways))
    print(f"| {rounds} rounds | median ms | minimum ms | median to {reference} |\n|---|---:|---:|---:|")
    middle = {name: statistics.median(values) for name, values in times.items()}
    for name, values in times.items():
        print(f"| {name} | {middle[name]:.2f} | {min(values):.2f} | {middle[name] / middle[reference]:.2f} |")
    print()


def programs(rungate: str, rounds: int) -> None:
    """One program in a sandbox, each way."""
    print(f"### User {os.geteuid()}\n")
    for program in (["/bin/true"], ["/usr/bin/python3", "-c", "pass"]):
        ways = {"bare": program, "rungate sandbox exec": [rungate, "sandbox", "exec", "--", *program]}
        if shutil.which("bwrap"):
            ways["bubblewrap"] = [*bubblewrap(), *program]
        print(f"`{' '.join(program)}`\n")
        table(ways, rounds)


def steps(rungate: str, rounds: int) -> None:
    """Ten steps in one run, beside ten programs started by bubblewrap one after the other."""
    here = Path(__file__).resolve().parent
    with tempfile.TemporaryDirectory() as work:
        repository = Path(work) / "repository"
        subprocess.run([sys.executable, here / "fixtures.py", repository, "1"], check=True)
        git = ["git", "-C", repository, "-c", "user.name=bench", "-c", "user.email=bench@localhost"]
        for words in (["init", "-q", "."], ["add", "-A"], ["commit", "-qm", "fixtures"]):
            subprocess.run([*git, *words], check=True)
        os.chdir(repository)
        run = [rungate, "run", "noop10"]
        ways = {"`--sandbox off`": [*run, "--sandbox", "off"], "sandboxed": run}
        if shutil.which("bwrap"):
            one = " ".join([*bubblewrap(), "/bin/sh", "-c", ":"])
            ways["bubblewrap"] = ["/bin/sh", "-c", "; ".join([one] * 10)]
        print("### Ten steps that do nothing (`shell: sh`)\n")
        table(ways, rounds)
        os.chdir(here)


def memory(rungate: str) -> None:
    """Prints what the chain between the executor and a program holds."""
    print("### Memory\n")
    with subprocess.Popen([rungate, "sandbox", "exec", "--", "/bin/sleep", "2"]) as executor:
        time.sleep(1)
        below, rows = [executor.pid], []
        while below:
            pid = below.pop()
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            below += [int(child) for child in children]
            fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
            rows.append(
                (
                    Path(f"/proc/{pid}/comm").read_text().strip(),
                    *(fields[key].split()[0] for key in ("Rss", "Pss", "Private_Dirty")),
                )
            )
        print("| process | resident KiB | proportional KiB | its own KiB |\n|---|---:|---:|---:|")
        for row in rows:
            print("| " + " | ".join(row) + " |")


def main() -> int:
    rungate = str(Path(sys.argv[1]).resolve())
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    for name in ("GITHUB_ACTIONS", "GITHUB_WORKSPACE", "RUNGATE_STATE_DIR"):
        os.environ.pop(name, None)
    print(f"Linux {os.uname().release}, {os.cpu_count()} CPUs.\n")
    programs(rungate, rounds)
    if os.geteuid() == 0:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            with tempfile.TemporaryDirectory() as here:
                os.chdir(here)
                programs(rungate, rounds)
                os.chdir("/")
            sys.stdout.flush()
            os._exit(0)
        os.waitpid(child, 0)
    steps(rungate, max(10, rounds // 5))
    memory(rungate)
    return 0


if __name__ == "__main__":
    sys.exit(main())
