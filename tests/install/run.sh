#!/usr/bin/env bash
# Installs rungate in a fresh Debian, by script and by package, uses it there as an unprivileged user, and removes it: nothing
# may be left. Needs root, debootstrap and, the first time, Debian's mirror; what that gives is kept in CACHE_DIR.
#
#   tests/install/run.sh ARCHIVE PACKAGE CACHE_DIR
#
# The new root has namespaces of its own, without a network, and is the root of its mounts: a chroot may make no user
# namespaces. This machine is not changed. Where it cannot be done the script says so and succeeds, but fails where CI is set.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here suite=trixie
readonly packages=ca-certificates,git,python3-minimal,apparmor,systemd

if [ $# -ne 3 ]; then
  echo "usage: tests/install/run.sh ARCHIVE PACKAGE CACHE_DIR" >&2
  exit 2
fi
archive=$(realpath -- "$1") package=$(realpath -- "$2") cache=$(realpath -m -- "$3")
readonly archive package cache
readonly base="$cache/root-$suite-1.tar"

lacking=
[ "$(id -u)" -eq 0 ] || lacking='root'
[ -f "$base" ] || command -v debootstrap >/dev/null || lacking='debootstrap'
unshare --mount --pid --fork true 2>/dev/null || lacking='the right to make namespaces'
if [ -n "$lacking" ]; then
  echo "SKIPPED: the installation in a fresh root was not tried: this needs $lacking" >&2
  [ -z "${CI:-}" ]
  exit
fi

if [ ! -f "$base" ]; then
  made=$(mktemp -d)
  trap 'rm -rf "$made"' EXIT
  echo "making a Debian $suite; this takes some minutes"
  debootstrap --variant=minbase --include="$packages" "$suite" "$made" >"$made.log" 2>&1 || {
    tail -n 20 "$made.log" >&2
    exit 1
  }
  rm -f "$made.log"
  rm -rf "$made"/var/cache/apt/archives/*.deb "$made"/var/lib/apt/lists/*
  mkdir -p "$cache"
  tar -C "$made" -cf "$base.new" .
  mv "$base.new" "$base"
  rm -rf "$made"
  trap - EXIT
fi

root=$(mktemp -d)
trap 'rm -rf --one-file-system "$root"' EXIT
tar -C "$root" -xf "$base"
# The archive's own `.` is as private as the folder that it was made in, and nobody but root could use anything below it.
chmod 0755 "$root"
mkdir "$root/media/rungate"
cp "$archive" "$package" "$here/inside.sh" "$root/media/rungate/"
(cd "$root/media/rungate" && sha256sum -- *.tar.gz >SHA256SUMS && tar -xzf ./*.tar.gz --strip-components=1 --wildcards '*/install.sh')

# The mounts end with the namespace.
# shellcheck disable=SC2016 # expanded inside
unshare --mount --pid --ipc --uts --net --fork --kill-child bash -euc '
  root=$1
  mount --make-rprivate /
  mount --bind "$root" "$root"
  mount -t proc proc "$root/proc"
  mount -t tmpfs tmpfs "$root/tmp"
  mount -t tmpfs tmpfs "$root/run"
  mkdir "$root/run/old"
  cd "$root"
  pivot_root . run/old
  exec chroot . /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 HOME=/root \
    bash /media/rungate/inside.sh
' bash "$root"
