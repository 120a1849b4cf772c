#!/usr/bin/env bash
# Measures rungate side by side with its neighbours, in one run on one machine, and prints Markdown for docs/benchmarks.md.
#
#   benches/run.sh [flood-size]      size of the flood, as `head -c` takes it (default 5G)
#   benches/run.sh reports           the tables of report formats and of the pipeline alone, of the binary in RUNGATE if set
#
# Needs hyperfine and python3-venv (apt), and bubblewrap to compare the sandbox with. just and prek are installed by pip into a folder that is removed again.
# Nothing here passes or fails: times are for reading, not for CI.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly FLOOD="${1:-5G}"
readonly BENCHES="$PWD/benches"
readonly RUNS="${RUNS:-50}"

# Reports of 110 MB and 120 MB beside readers of other languages, and 100,000 findings from a step to the record.
reports() {
  printf '\n### SARIF\n\n'
  python3 "$BENCHES/sarif.py" "$1"
  printf '\n### JUnit\n\n'
  python3 "$BENCHES/parse.py" "$1"
  printf '\n### 100,000 findings, from a step to the record\n\n'
  python3 "$BENCHES/pipeline.py" "$1"
}

if [ "$FLOOD" = reports ] && [ -n "${RUNGATE:-}" ]; then
  reports "$(realpath "$RUNGATE")"
  exit 0
fi

for program in hyperfine python3 git cargo; do
  command -v "$program" >/dev/null || { echo "benches/run.sh: needs $program" >&2; exit 2; }
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The static build is what is installed, so it is what is measured.
readonly TARGET=x86_64-unknown-linux-musl
cargo build --locked --release --quiet --target "$TARGET"
cargo build --locked --release --quiet --target "$TARGET" --example redact_speed
release="$(cd "${CARGO_TARGET_DIR:-target}/$TARGET/release" && pwd)"
rungate="$release/rungate"
if [ "$FLOOD" = reports ]; then
  reports "$rungate"
  exit 0
fi
unset GITHUB_ACTIONS GITHUB_OUTPUT GITHUB_STEP_SUMMARY GITHUB_WORKSPACE RUNGATE_STATE_DIR

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check rust-just==1.59.0 prek==0.5.11
PATH="$work/venv/bin:$PATH"
python3 benches/fixtures.py "$work/repo" "$FLOOD"
cd "$work/repo"
git init -q . && git add -A && git -c user.name=bench -c user.email=bench@localhost commit -qm fixtures

printf 'Machine: %s, %s CPUs, Linux %s. rungate %s, just %s, prek %s; %s runs each, one command after the other.\n' \
  "$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -n 1)" "$(nproc)" "$(uname -r)" \
  "$("$rungate" --version | cut -d' ' -f2)" "$(just --version | cut -d' ' -f2)" "$(prek --version | cut -d' ' -f2)" "$RUNS"

printf '\n### Start\n\n'
hyperfine -N -w 5 -r "$RUNS" --style none --export-markdown "$work/start.md" \
  -n 'rungate --version' "$rungate --version" \
  -n 'rungate plan noop1' "$rungate plan noop1" >/dev/null
cat "$work/start.md"
printf '\nFirst event of a run: '
python3 "$BENCHES/first_event.py" "$RUNS" "$rungate" run noop1 --format jsonl

printf '\n### Ten steps that do nothing (shell: sh)\n\n'
hyperfine -N -w 3 -r "$RUNS" --style none --export-markdown "$work/noop.md" \
  -n 'rungate run noop10' "$rungate run noop10" \
  -n 'rungate run noop10 (needs: [])' "$rungate run noop10-parallel" \
  -n 'just' 'just noop10' \
  -n 'prek' 'prek run --all-files' >/dev/null
cat "$work/noop.md"

printf '\n### A flood of %s on standard output\n\n' "$FLOOD"
python3 "$BENCHES/flood.py" "$FLOOD" "$rungate" run flood

printf '\n### Redaction\n\n'
"$release/examples/redact_speed"

printf '\n## The sandbox\n\n'
python3 "$BENCHES/sandbox.py" "$rungate" "$RUNS"
reports "$rungate"
