#!/usr/bin/env bash
# Makes what the virtual machines are made of: a Debian with systemd as a disk image, and kernels of several releases of Debian.
# Needs root, debootstrap, mkfs.ext4 and Debian's mirror. What is there already is kept.
#
#   tests/vm/prepare.sh FOLDER RELEASE...
set -euo pipefail

if [ $# -lt 2 ]; then
  echo "usage: tests/vm/prepare.sh FOLDER RELEASE..." >&2
  exit 2
fi
folder=$1
shift
readonly folder suite=trixie
readonly packages=apparmor,ca-certificates,dbus,dbus-user-session,git,libpam-systemd,python3,systemd
PATH="$PATH:/usr/sbin:/sbin"
mkdir -p "$folder"
root=
trap 'rm -rf --one-file-system "$root"' EXIT

quietly() { # quietly COMMAND...: what it says is shown only when it fails
  "$@" >"$folder/log" 2>&1 || {
    tail -n 20 "$folder/log" >&2
    return 1
  }
}

if [ ! -f "$folder/disk" ]; then
  echo "making a Debian $suite; this takes some minutes"
  root=$(mktemp -d)
  quietly debootstrap --variant=minbase --include="$packages" "$suite" "$root"
  rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
  chmod 0755 "$root"
  tar -C "$root" -cf "$folder/root.tar" .
  truncate -s 2G "$folder/disk.new"
  quietly mkfs.ext4 -q -F -d "$root" "$folder/disk.new"
  mv "$folder/disk.new" "$folder/disk"
fi

# unpacked RELEASE TO PACKAGE: what is in a package and those parts of a kernel that it needs, but nothing else that it does.
# The new Debian's own apt gets it, which knows keys and mirror.
unpacked() {
  if [ -z "$root" ]; then
    root=$(mktemp -d)
    tar -C "$root" -xf "$folder/root.tar"
    cp /etc/resolv.conf "$root/etc/"
  fi
  sed -i -E "s/^(deb [^ ]+) [^ ]+/\1 $1/" "$root/etc/apt/sources.list"
  quietly chroot "$root" apt-get -q update
  # shellcheck disable=SC2016 # expanded inside
  quietly chroot "$root" bash -euc '
    mkdir -p /media/unpacked
    cd /media
    wanted=$1
    while [ -n "$wanted" ]; do
      apt-get -q -o APT::Sandbox::User=root download $wanted
      wanted=$(apt-cache depends --important $wanted \
        | sed -nE "s/^ +Depends: (linux-(image|binary|modules)-[0-9].*)/\1/p" | sort -u)
    done
    for package in *.deb; do dpkg-deb -x "$package" unpacked; done
    rm ./*.deb
  ' bash "$3"
  mv "$root/media/unpacked" "$2"
}

if [ ! -f "$folder/busybox" ]; then
  unpacked "$suite" "$folder/tools" busybox-static
  mv "$folder/tools/usr/bin/busybox" "$folder/busybox"
  rm -r "$folder/tools"
fi

for release; do
  kernel="$folder/kernel-$release"
  [ ! -d "$kernel" ] || continue
  echo "getting the kernel of $release"
  unpacked "$release" "$kernel.new" linux-image-cloud-amd64
  mv "$(find "$kernel.new" -name 'vmlinuz*')" "$kernel.new/vmlinuz"
  mv "$(find "$kernel.new" -type d -path '*lib/modules/[0-9]*' -prune)" "$kernel.new/modules"
  rm -rf "$kernel.new"/{boot,lib,usr}
  mv "$kernel.new" "$kernel"
done
