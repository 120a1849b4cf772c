#!/usr/bin/env bash
# Makes a Debian package from a release archive. The same archive and SOURCE_DATE_EPOCH give the same bytes.
#
#   scripts/package-deb.sh ARCHIVE OUT_DIR
#
# Writes OUT_DIR/rungate_VERSION-1_ARCH.deb and prints its path. Needs dpkg-deb and nothing else of Debian's tools.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly root

fail() {
  echo "package-deb.sh: $1" >&2
  exit 1
}

if [ $# -ne 2 ]; then
  echo "usage: scripts/package-deb.sh ARCHIVE OUT_DIR" >&2
  exit 2
fi
readonly archive=$1 out=$2
name=$(basename "$archive" .tar.gz)
readonly name
case $name in
  rungate-*-x86_64-unknown-linux-musl) architecture=amd64 version=${name%-x86_64-unknown-linux-musl} ;;
  rungate-*-aarch64-unknown-linux-musl) architecture=arm64 version=${name%-aarch64-unknown-linux-musl} ;;
  *) fail "$archive is not called rungate-VERSION-TARGET.tar.gz" ;;
esac
# A version of ours with a hyphen is one before a release, which for Debian sorts before it with a tilde.
version=${version#rungate-}
readonly architecture version deb_version="${version/-/\~}-1"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022
tar -xzf "$archive" -C "$work" --no-same-owner
readonly unpacked="$work/$name" tree="$work/tree"
[ -x "$unpacked/rungate" ] || fail "$archive holds no $name/rungate"
# Everything in the archive has the time of the release.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(stat -c %Y "$unpacked/rungate")}

install -d -m 0755 "$tree/DEBIAN" "$tree/usr/bin" "$tree/etc/rungate" "$tree/usr/lib/systemd/system"
install -m 0755 "$unpacked/rungate" "$tree/usr/bin/rungate"
cp -r "$unpacked/share" "$tree/usr/share"
install -d -m 0755 "$tree/usr/share/lintian/overrides" "$tree/usr/share/zsh/vendor-completions"
mv "$tree/usr/share/zsh/site-functions/_rungate" "$tree/usr/share/zsh/vendor-completions/_rungate"
rmdir "$tree/usr/share/zsh/site-functions"
for unit in 'rungate-reconcile@.service' 'rungate-reconcile@.timer'; do
  mv "$tree/usr/share/rungate/systemd/$unit" "$tree/usr/lib/systemd/system/$unit"
done

readonly doc="$tree/usr/share/doc/rungate"
install -d -m 0755 "$doc/examples"
mv "$tree/usr/share/rungate/systemd/runner.conf" "$doc/examples/runner.conf"
rmdir "$tree/usr/share/rungate/systemd"
# Their texts are in Debian's own folder, and in `copyright`.
rm "$doc/LICENSE" "$doc/LICENSE-APACHE" "$doc/LICENSE-MIT"
gzip -9nc "$doc/CHANGELOG.md" >"$doc/changelog.gz"
rm "$doc/CHANGELOG.md"
{
  printf 'rungate (%s) stable; urgency=medium\n\n' "$deb_version"
  printf '  * Release %s; what has changed is in changelog.gz.\n\n' "$version"
  printf ' -- The rungate developers <rungate@users.noreply.github.com>  %s\n' "$(LC_ALL=C date -uR -d "@$SOURCE_DATE_EPOCH")"
} | gzip -9n >"$doc/changelog.Debian.gz"
install -m 0644 "$root/packaging/debian/copyright" "$doc/copyright"
install -m 0644 "$root/packaging/debian/lintian-overrides" "$tree/usr/share/lintian/overrides/rungate"

for script in postinst prerm postrm; do
  install -m 0755 "$root/packaging/debian/$script" "$tree/DEBIAN/$script"
done
(cd "$tree" && find usr etc -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum) >"$tree/DEBIAN/md5sums"
size=$(find "$tree/usr" "$tree/etc" -type f -printf '%k\n' | awk '{ sum += $1 } END { print sum }')
sed -e "s/@VERSION@/$deb_version/" -e "s/@ARCHITECTURE@/$architecture/" -e "s/@SIZE@/$size/" \
  "$root/packaging/debian/control.in" >"$tree/DEBIAN/control"
find "$tree" -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +

mkdir -p "$out"
readonly package="$out/rungate_${deb_version}_$architecture.deb"
dpkg-deb --root-owner-group -Zxz --threads-max=1 --build "$tree" "$package.new" >/dev/null
mv -f "$package.new" "$package"
printf '%s\n' "$package"
