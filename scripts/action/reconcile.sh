#!/usr/bin/env bash
# The last step of action.yml, after a run that did not succeed: closes check runs whose run is dead, and ends quickly
# when there are none.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/action/credentials.sh
. "$here/credentials.sh"
exec "$PROGRAM" reconcile
