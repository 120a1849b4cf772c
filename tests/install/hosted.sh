#!/usr/bin/env bash
# Installs the package on this machine, and tries what needs a real host: AppArmor's restriction of user namespaces, and a unit
# whose control groups are delegated. For machines that are thrown away; as root.
#
#   tests/install/hosted.sh PACKAGE
set -euo pipefail

if [ $# -ne 1 ] || [ "$(id -u)" -ne 0 ]; then
  echo "usage, as root on a machine that is thrown away: tests/install/hosted.sh PACKAGE" >&2
  exit 2
fi
package=$(realpath -- "$1")
readonly package user=rungate-test

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

as_user() { runuser -u "$user" -- bash -c "cd ~ && $1"; }

state_of() { # state_of PROGRAM CHECK: what doctor says of it
  as_user "$1 doctor --format json || true" \
    | python3 -c 'import json, sys; print(next(c["state"] for c in json.load(sys.stdin)["checks"] if c["id"] == sys.argv[1]))' "$2"
}

useradd --create-home "$user"

echo "--- AppArmor"
restricted=$(cat /proc/sys/kernel/apparmor_restrict_unprivileged_userns 2>/dev/null || echo 0)
[ "$restricted" = 1 ] || fail "this host does not restrict user namespaces, so nothing would be tried"
dpkg-deb --fsys-tarfile "$package" | tar -xO ./usr/bin/rungate >"/home/$user/rungate"
chmod 0755 "/home/$user/rungate"
[ "$(state_of ./rungate namespaces)" != good ] || fail "a program without a profile got namespaces: nothing is shown by what follows"
dpkg -i "$package"
[ "$(state_of /usr/bin/rungate namespaces)" = good ] || fail "the package's profile does not give namespaces"

echo "--- a unit with delegated control groups"
as_user "mkdir repo && cd repo && git init -q -b main . && printf 'print(1)\n' >a.py && rungate init && git add -A"
cat >/etc/systemd/system/rungate-test.service <<UNIT
[Service]
Type=oneshot
User=$user
WorkingDirectory=/home/$user/repo
ExecStart=/usr/bin/rungate run check --format json --out /home/$user/record
UNIT
mkdir -p /etc/systemd/system/rungate-test.service.d
sed -e "s,rungate/runner,rungate/$user,g" /usr/share/doc/rungate/examples/runner.conf \
  >/etc/systemd/system/rungate-test.service.d/rungate.conf
systemctl daemon-reload
systemctl start rungate-test.service || {
  journalctl -u rungate-test.service --no-pager
  fail "the run in the unit did not pass"
}
python3 - "/home/$user/record/record.json" <<'PYTHON' || fail "a layer was not active in the unit"
import json, sys
steps = json.load(open(sys.argv[1]))['steps']
for step in steps:
    print(step['id'], json.dumps(step['sandbox']))
sys.exit(any(step['sandbox']['degraded'] for step in steps))
PYTHON

echo "--- the timer's service, which has nothing to do without a key"
systemctl enable --now "rungate-reconcile@$user.timer"
systemctl start "rungate-reconcile@$user.service" || fail "the service does not pass over a host without a key"

echo "--- removed"
rm -r /etc/systemd/system/rungate-test.service /etc/systemd/system/rungate-test.service.d
dpkg --purge rungate
[ ! -e /etc/apparmor.d/rungate ] || fail "the profile is left"
! systemctl list-timers --all --no-legend | grep rungate || fail "the timer is left"
