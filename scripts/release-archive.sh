#!/usr/bin/env bash
# Packs a program into a release archive, with all that is installed beside it. The same program, sources and
# SOURCE_DATE_EPOCH give the same bytes.
#
#   scripts/release-archive.sh PROGRAM TARGET OUT_DIR
#
# Writes OUT_DIR/rungate-VERSION-TARGET.tar.gz and prints its path. PROGRAM is run, for its version, manual pages and
# completions. In the archive stand `rungate`, `install.sh`, and below `share/` what goes to PREFIX/share.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly root

fail() {
  echo "release-archive.sh: $1" >&2
  exit 1
}

if [ $# -ne 3 ]; then
  echo "usage: scripts/release-archive.sh PROGRAM TARGET OUT_DIR" >&2
  exit 2
fi
program=$(realpath -- "$1")
readonly program target=$2 out=$3
epoch=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct)} || fail "set SOURCE_DATE_EPOCH: this is no git repository"
readonly epoch

version=$("$program" --version | sed -n '1s/^rungate \([0-9A-Za-z.+-]*\).*/\1/p')
declared=$(sed -n 's/^version = "\([^"]*\)"$/\1/p' "$root/Cargo.toml" | head -n 1)
readonly version declared
[ "$version" = "$declared" ] || fail "$program is ${version:-no rungate}, and these sources are $declared"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022
readonly name="rungate-$version-$target"
readonly tree="$work/$name"
readonly share="$tree/share"

mkdir -p "$share/man/man1" "$share/bash-completion/completions" "$share/zsh/site-functions" \
  "$share/fish/vendor_completions.d" "$share/rungate/apparmor" "$share/rungate/systemd" "$share/doc/rungate"
install -m 0755 "$program" "$tree/rungate"
install -m 0755 "$root/scripts/install.sh" "$tree/install.sh"
"$program" man "$share/man/man1"
gzip -9n "$share"/man/man1/*.1
"$program" completions bash >"$share/bash-completion/completions/rungate"
"$program" completions zsh >"$share/zsh/site-functions/_rungate"
"$program" completions fish >"$share/fish/vendor_completions.d/rungate.fish"
install -m 0644 "$root/packaging/apparmor/rungate" "$share/rungate/apparmor/rungate"
install -m 0644 "$root"/packaging/systemd/* "$share/rungate/systemd/"
install -m 0644 "$root/README.md" "$root/CHANGELOG.md" "$root/LICENSE" "$root/LICENSE-APACHE" "$root/LICENSE-MIT" \
  "$root/docs/installing.md" "$share/doc/rungate/"

mkdir -p "$out"
readonly archive="$out/$name.tar.gz"
tar --create --directory "$work" --format=ustar --sort=name --mtime="@$epoch" --owner=0 --group=0 --numeric-owner "$name" \
  | gzip -9n >"$archive.new"
mv -f "$archive.new" "$archive"
printf '%s\n' "$archive"
