"""Measures zip, SHA-256 and upload of artifacts beside GitHub's own client and Info-ZIP, and prints Markdown.

usage: artifacts.py RUNGATE [MEGABYTES [RUNS [NODE_MODULES [GIGABYTES]]]]      defaults: 300, 5, none, 10

NODE_MODULES holds `@actions/artifact` (as tests/peers/package.json names it); without it that client is left out. All
upload to one server on the loopback interface that takes blocks and throws them away. Info-ZIP only packs. A last run
packs one file of so many gigabytes, to see what memory does. Nothing here passes or fails.
"""

import base64
import http.server
import json
import os
import pathlib
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

NODE = """
import {DefaultArtifactClient} from '@actions/artifact';
const [root, name, ...files] = process.argv.slice(2);
const client = new DefaultArtifactClient();
await client.uploadArtifact(name, files, root, {compressionLevel: 6});
"""


def token():
    """What a job's token looks like."""
    parts = ({"alg": "none"}, {"scp": "Actions.Results:run:job", "exp": 4102444800}, "signature")
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)


class Service(http.server.BaseHTTPRequestHandler):
    """The results service and its storage, as far as an upload goes."""

    protocol_version = "HTTP/1.1"
    received = 0

    def take(self):
        left = int(self.headers.get("content-length", 0))
        text = b""
        while left:
            piece = self.rfile.read(min(left, 1 << 20))
            left -= len(piece)
            Service.received += len(piece)
            text = piece if len(piece) < 1 << 16 else b""
        return text

    def answer(self, status, value=None):
        body = json.dumps(value).encode() if value is not None else b""
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        # GitHub's client wants these of the storage.
        self.send_header("etag", '"0x1"')
        self.send_header("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.take()
        if self.path.endswith("/CreateArtifact"):
            here = f"http://127.0.0.1:{self.server.server_port}"
            self.answer(200, {"ok": True, "signed_upload_url": f"{here}/storage/blob.zip?sig=abcdefgh"})
        else:
            self.answer(200, {"ok": True, "artifact_id": "1"})

    def do_PUT(self):
        self.take()
        self.answer(201)

    def log_message(self, *_):
        pass


def fill(folder, megabytes):
    """Text as logs and reports have it, in files of many sizes, and a little that is compressed already."""
    source = random.Random(7)
    words = ["".join(source.choices("abcdefghijklmnopqrstuvwxyz", k=source.randint(2, 11))) for _ in range(4000)]
    left, number = megabytes * 1_000_000, 0
    while left > 0:
        size = min(left, source.choice([20_000, 200_000, 2_000_000, 20_000_000]))
        path = folder / f"part-{number % 10}" / f"log-{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="ascii") as file:
            written = 0
            while written < size:
                line = f"{source.random():.6f} {' '.join(source.choices(words, k=12))}\n"
                written += file.write(line)
        left -= written
        number += 1
    (folder / "noise.png").write_bytes(source.randbytes(megabytes * 20_000))


def repository(folder):
    """A repository whose command keeps everything below `out`."""
    (folder / ".github").mkdir(parents=True)
    (folder / ".github/rungate.yml").write_text(
        "version: 1\nsandbox: {limits: {artifacts: 100GiB, artifact-files: 100000}}\n"
        "commands:\n  c:\n    steps:\n      - {id: a, shell: sh, run: 'true'}\n"
        "    artifacts:\n      - {name: a, path: out}\n",
        encoding="ascii",
    )


def timed(arguments, environment, folder):
    """Seconds and the largest memory, in MiB, of one run."""
    before = time.perf_counter()
    process = subprocess.Popen(arguments, env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{arguments[0]} ended with {status}:\n{output.decode(errors='replace')}")
    return time.perf_counter() - before, usage.ru_maxrss / 1024


def job_of(port, work):
    """What a job has in its environment."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(work),
        "GITHUB_ACTIONS": "true",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "acme/widgets",
        "GITHUB_RUN_ID": "1",
        "GITHUB_WORKSPACE": str(work / "repo"),
        "ACTIONS_RUNTIME_TOKEN": token(),
        "ACTIONS_RESULTS_URL": f"http://127.0.0.1:{port}/",
        "RUNGATE_STATE_DIR": str(work / "state"),
    }


def main():
    """Measures, and prints a table."""
    rungate = os.path.realpath(sys.argv[1])
    megabytes = int(sys.argv[2]) if len(sys.argv) > 2 else 300
    runs = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    modules = os.path.realpath(sys.argv[4]) if len(sys.argv) > 4 else None
    large = int(sys.argv[5]) if len(sys.argv) > 5 else 10
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    work = pathlib.Path(tempfile.mkdtemp())
    try:
        measure(rungate, megabytes, runs, modules, server.server_port, work)
        memory(rungate, large, server.server_port, work)
    finally:
        server.shutdown()
        shutil.rmtree(work)


def measure(rungate, megabytes, runs, modules, port, work):
    """Runs everything in turn."""
    repository(work / "repo")
    fill(work / "repo/out", megabytes)
    size = sum(path.stat().st_size for path in (work / "repo/out").rglob("*") if path.is_file())
    job = job_of(port, work)
    programs = {"rungate run: copy, list, zip, digest, upload": [rungate, "run", "c", "--check-run", "off"]}
    if modules:
        # Modules are looked up from the script's own folder.
        (work / "node_modules").symlink_to(modules)
        (work / "upload.mjs").write_text(NODE, encoding="ascii")
        files = [str(path) for path in sorted((work / "repo/out").rglob("*")) if path.is_file()]
        node = shutil.which("node") or sys.exit("there is no node")
        client = [node, str(work / "upload.mjs"), str(work / "repo/out"), "a", *files]
        programs["@actions/artifact: zip, digest, upload"] = client
    if shutil.which("zip"):
        programs["Info-ZIP: zip alone, to a file"] = ["zip", "-q", "-r", str(work / "out.zip"), "out"]
    figures = {name: [] for name in programs}
    for _ in range(runs):
        for name, arguments in programs.items():
            (work / "out.zip").unlink(missing_ok=True)
            shutil.rmtree(work / "state", ignore_errors=True)
            figures[name].append(timed(arguments, job, work / "repo"))
    print(f"{size / 1e6:.0f} MB in files; {runs} runs each, one after the other; {os.cpu_count()} CPUs\n")
    print("| | median | MB/s | largest memory |\n|---|---:|---:|---:|")
    for name, all_runs in figures.items():
        seconds = statistics.median(run[0] for run in all_runs)
        memory = max(run[1] for run in all_runs)
        print(f"| {name} | {seconds:.2f} s | {size / 1e6 / seconds:.0f} | {memory:.0f} MiB |")


def memory(rungate, gigabytes, port, work):
    """Packs one large file, whose copy takes as much room as it says."""
    shutil.rmtree(work / "repo/out")
    shutil.rmtree(work / "state", ignore_errors=True)
    if shutil.disk_usage(work).free < (gigabytes + 2) << 30:
        print(f"\nThere is no room for {gigabytes} GiB here.")
        return
    (work / "repo/out").mkdir()
    with (work / "repo/out/large").open("wb") as file:
        file.truncate(gigabytes << 30)
    seconds, most = timed([rungate, "run", "c", "--check-run", "off"], job_of(port, work), work / "repo")
    print(f"\nOne file of {gigabytes} GiB of zeros: {seconds:.1f} s, {most:.0f} MiB")


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
