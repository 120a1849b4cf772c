#!/usr/bin/env bash
# The step of action.yml that runs a command. Every value comes by the environment; this only says which flag it belongs
# to, and gives way to rungate under the same process id, so that the runner's signals reach it.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/action/credentials.sh
. "$here/credentials.sh"

case ${ARTIFACTS:-native} in
  native | hand-off) ;;
  *)
    echo "::error title=rungate::the input artifacts is native or hand-off" >&2
    exit 2
    ;;
esac
give ACTIONS_RUNTIME_TOKEN RUNTIME_TOKEN
give ACTIONS_RESULTS_URL RESULTS_URL
give ACTIONS_RUNTIME_URL RUNTIME_URL

if [ -z "${INPUTS_JSON:-}" ]; then
  export INPUTS_JSON='{}'
fi
# With `=`, so that no value is taken for a flag.
arguments=("--inputs-json-env=INPUTS_JSON" "--sandbox=${SANDBOX:-required}" "--check-run=${CHECK_RUN:-auto}")
[ "${ARTIFACTS:-native}" = native ] || arguments+=("--artifacts=stage")
[ -z "${MANIFEST:-}" ] || arguments+=("--manifest=$MANIFEST")
[ -z "${WORKSPACE:-}" ] || arguments+=("--workspace=$WORKSPACE")
[ -z "${SHA:-}" ] || arguments+=("--sha=$SHA")
[ -z "${BASE:-}" ] || arguments+=("--base=$BASE")
exec "$PROGRAM" run "${arguments[@]}" -- "$COMMAND"
