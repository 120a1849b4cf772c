"""Says how long a command takes until the first byte on its standard output.

usage: first_event.py RUNS COMMAND...
"""

import statistics
import subprocess
import sys
import time


def once(command):
    """Milliseconds until the first byte."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    first = process.stdout.read(1)
    elapsed = time.perf_counter() - started
    process.communicate()
    if not first or process.returncode != 0:
        sys.exit(f"{command} ended with {process.returncode} and wrote {'something' if first else 'nothing'}")
    return elapsed * 1000


def main(runs, *command):
    times = sorted(once(command) for _ in range(int(runs) + 5))
    print(f"median {statistics.median(times):.1f} ms, fastest {times[0]:.1f} ms, slowest {times[-1]:.1f} ms.")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
