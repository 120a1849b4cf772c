#!/usr/bin/env bash
# Runs the tests in the machine, as root. The last line is what tests/vm/run.py waits for.
set -u
cd /media/rungate/inside || exit
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 HOME=/root CI=true
uname -r
if python3 -m unittest discover -v; then
  echo "PASSED"
else
  journalctl -b --no-pager -n 300 -o short-monotonic
  echo "FAILED"
fi
