#!/usr/bin/env bash
# What tests/install/run.sh does in the fresh root.
set -euo pipefail
umount -l /run/old && rmdir /run/old
cd /

say() { printf '\n--- %s\n' "$*"; }

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

# Files and folders, without what changes by itself and what dpkg keeps about packages.
listing() {
  find / -xdev \( -path /proc -o -path /tmp -o -path /run -o -path /home -o -path /media -o -path /var/lib/dpkg -o -path /var/cache \
    -o -path /var/log \) -prune -o -printf '%p %m %u %g %l\n' | LC_ALL=C sort
}

nothing_is_left() { # nothing_is_left AFTER: compares with the listing at the start
  listing >/tmp/after
  diff /tmp/before /tmp/after || fail "$1 has left something, or taken something away"
  echo "nothing is left"
}

as_runner() { su -s /bin/bash runner -c "cd ~ && $1"; }

# use PROGRAM: what somebody does first.
use() {
  local program=$1 out
  say "doctor"
  # What this kernel gives is told, and no reason to fail.
  as_runner "$program doctor" || [ $? -eq 4 ] || fail "doctor ended with neither 0 nor 4"
  say "init and the first run"
  as_runner "rm -rf repo && mkdir -p repo/tools && cd repo && git init -q -b main . \
    && printf 'print(1)\n' >tools/a.py && printf '#!/bin/sh\necho hi\n' >tools/b.sh \
    && $program init && git add -A && $program validate && $program run check" || fail "the first run did not pass"
  out=$(as_runner "ls repo/.rungate/runs | wc -l")
  [ "$out" -eq 1 ] || fail "there is no record"
  # A mistake is found: what passes is no accident.
  if as_runner "cd repo && printf 'x = (\n' >tools/a.py && git add -A && $program run check >/tmp/run.out"; then
    fail "a file that does not compile passed"
  fi
  grep -q 'tools/a.py:1' /tmp/run.out || fail "the mistake's place is not told: $(cat /tmp/run.out)"
}

useradd --create-home runner
listing >/tmp/before
rm -f /tmp/run.out && touch /tmp/run.out && chown runner /tmp/run.out

say "by the script, for everybody"
sh /media/rungate/install.sh --from /media/rungate/rungate-*.tar.gz
[ "$(command -v rungate)" = /usr/local/bin/rungate ] || fail "it is not on PATH"
rungate --version
[ -f /usr/local/share/man/man1/rungate-run.1.gz ] || fail "there is no manual page"
use /usr/local/bin/rungate
sh /media/rungate/install.sh --from /media/rungate/rungate-*.tar.gz >/dev/null || fail "a second installation over the first"
sh /media/rungate/install.sh --uninstall >/dev/null
nothing_is_left "install.sh --uninstall"

say "by the script, for one user"
as_runner "sh /media/rungate/install.sh --from /media/rungate/rungate-*.tar.gz && .local/bin/rungate --version \
  && sh /media/rungate/install.sh --uninstall && test ! -e .local"
nothing_is_left "install.sh --uninstall of a user"

say "by the package"
dpkg -i /media/rungate/rungate_*.deb
hash -r
[ "$(command -v rungate)" = /usr/bin/rungate ] || fail "it is not on PATH"
[ "$(stat -c '%a %U %G' /etc/rungate)" = '755 root root' ] || fail "/etc/rungate is not root's"
systemd-analyze verify --man=no rungate-reconcile@runner.service rungate-reconcile@runner.timer || fail "the units are not valid"
mkdir -p /etc/systemd/system/runner.service.d
printf '[Service]\nUser=runner\nExecStart=/bin/true\n' >/etc/systemd/system/runner.service
cp /usr/share/doc/rungate/examples/runner.conf /etc/systemd/system/runner.service.d/rungate.conf
systemd-analyze verify --man=no runner.service || fail "the example for the runner's unit is not valid"
rm -r /etc/systemd/system/runner.service /etc/systemd/system/runner.service.d
systemctl enable --quiet rungate-reconcile@runner.timer
[ "$(head -n 1 /etc/apparmor.d/rungate | cut -c 1-20)" = '# Written by the pac' ] || fail "there is no AppArmor profile"
apparmor_parser --skip-kernel-load --skip-cache /etc/apparmor.d/rungate || fail "the AppArmor profile is not valid"
use /usr/bin/rungate
dpkg -i /media/rungate/rungate_*.deb >/dev/null || fail "a second installation over the first"
dpkg --purge rungate
# `systemctl enable` has made it, and leaves it empty.
rmdir --ignore-fail-on-non-empty /etc/systemd/system/timers.target.wants
nothing_is_left "dpkg --purge"

say "installed and removed three times, used by script and by package"
