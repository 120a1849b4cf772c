"""Runs a command whose step floods, and says its throughput and the most memory that the command itself held.

The memory is VmHWM of the process itself, read while it runs: `wait4` would mix its children in.

usage: flood.py SIZE COMMAND...
"""

import subprocess
import sys
import time

UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}


def high_water(pid):
    """VmHWM of a process in KiB, or 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/status") as stream:
            for line in stream:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0


def main(size, *command):
    count = int(size[:-1]) * UNITS[size[-1]] if size[-1] in UNITS else int(size)
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    most = 0
    while process.poll() is None:
        most = max(most, high_water(process.pid))
        time.sleep(0.02)
    elapsed = time.perf_counter() - started
    print("| bytes | time | throughput | most memory | exit |")
    print("|---:|---:|---:|---:|---:|")
    rate = count / elapsed / 1e6
    print(f"| {count} | {elapsed:.1f} s | {rate:.0f} MB/s | {most / 1024:.1f} MiB | {process.returncode} |")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
