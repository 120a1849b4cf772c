#!/bin/sh
# Installs rungate from a release archive, or removes it again.
#
#   curl -fsSLO https://github.com/rungate/rungate/releases/latest/download/install.sh
#   sh install.sh                      the newest release, to /usr/local as root, else to ~/.local
#   sh install.sh --help               everything else
#
# Nothing is changed before the archive is there, has the digest that the release's list names, and its program runs here.
# New files are put beside the old ones and renamed; the list of what was installed is kept for --uninstall.
set -eu
umask 022
LC_ALL=C
export LC_ALL

usage() {
  cat <<'HELP'
usage: install.sh [OPTION]...

  --version VERSION   release to install [default: the newest]
  --prefix DIR        where to: DIR/bin, DIR/share [default: /usr/local as root, else ~/.local]
  --host NAME         GitHub server that has the releases [default: github.com]
  --url URL           folder of archives and SHA256SUMS on another server; needs --version
  --from FILE         archive on this machine; SHA256SUMS beside it, or --sha256, says what it must be
  --sha256 DIGEST     what the archive must be, instead of what SHA256SUMS says
  --attestation       require a valid provenance attestation (needs the program gh). Without this it is
                      verified where gh is installed and logged in, and passed over elsewhere
  --dry-run           say what would be done, and do nothing
  --uninstall         remove what an earlier installation under the prefix has put there
  -h, --help          this text

Examples:
  sh install.sh --version 0.1.0
  sh install.sh --from rungate-0.1.0-x86_64-unknown-linux-musl.tar.gz --prefix /opt/rungate
  sh install.sh --uninstall

Exit codes: 0 done, 1 not done and nothing changed, 2 wrong usage.
HELP
}

say() { printf '%s\n' "$*"; }

fail() { # fail WHAT REMEDY
  printf 'error: %s\nhelp: %s\n' "$1" "$2" >&2
  exit 1
}

wrong() {
  printf 'error: %s\nhelp: see install.sh --help\n' "$1" >&2
  exit 2
}

has() { command -v "$1" >/dev/null 2>&1; }

REPOSITORY=rungate/rungate
version='' prefix='' host=github.com url='' from='' sha256='' attestation=auto dry_run='' uninstall=''

while [ $# -gt 0 ]; do
  option=$1
  shift
  case $option in
    --version | --prefix | --host | --url | --from | --sha256)
      if [ $# -eq 0 ] || [ -z "$1" ]; then wrong "$option needs a value"; fi
      case $option in
        --version) version=${1#v} ;;
        --prefix) prefix=$1 ;;
        --host) host=$1 ;;
        --url) url=${1%/} ;;
        --from) from=$1 ;;
        --sha256) sha256=$1 ;;
      esac
      shift
      ;;
    --attestation) attestation=require ;;
    --dry-run) dry_run=yes ;;
    --uninstall) uninstall=yes ;;
    -h | --help)
      usage
      exit 0
      ;;
    *) wrong "unknown option $option" ;;
  esac
done

case $version in *[!0-9A-Za-z.+-]*) wrong "$version is no version" ;; esac
case $host in *[!0-9A-Za-z.:-]*) wrong "$host is no server's name" ;; esac
case $sha256 in *[!0-9A-Fa-f]*) wrong "$sha256 is no SHA-256 in hexadecimal digits" ;; esac
if [ -n "$sha256" ] && [ ${#sha256} -ne 64 ]; then wrong "a SHA-256 has 64 digits"; fi
if [ -n "$from" ] && [ -n "$url" ]; then wrong "--from and --url exclude each other"; fi
if [ -n "$url" ] && [ -z "$version" ]; then wrong "--url needs --version"; fi
sha256=$(printf '%s' "$sha256" | tr 'A-F' 'a-f')

if [ -z "$prefix" ]; then
  if [ "$(id -u)" -eq 0 ]; then prefix=/usr/local; else prefix=${HOME:?}/.local; fi
fi
case $prefix in /*) ;; *) prefix=$(pwd)/$prefix ;; esac
prefix=${prefix%/}
LIST="$prefix/share/rungate/installed"

# ---- removing -------------------------------------------------------------------------------------------------------

# Whether a line of the list is what an installation writes: a file, or with a slash at its end a folder that it made.
is_ours() {
  case $1 in
    */../* | */..) return 1 ;;
    bin/rungate | share/* | bin/ | ./) return 0 ;;
    *) return 1 ;;
  esac
}

# Removes the folders among the lines of FILE that are empty, the inner ones first.
remove_folders() {
  grep '/$' "$1" | sort -r | while IFS= read -r path; do
    path=$prefix/${path#./}
    rmdir "${path%/}" 2>/dev/null || true
  done
}

remove() {
  [ -f "$LIST" ] || fail "there is no installation of this script under $prefix" "name another one with --prefix"
  while IFS= read -r path; do
    is_ours "$path" || fail "$LIST names $path, which no installation writes" "remove the files by hand"
  done <"$LIST"
  lines=$(cat "$LIST")
  printf '%s\n' "$lines" | while IFS= read -r path; do
    case $path in */) continue ;; esac
    say "remove $prefix/$path"
    [ -n "$dry_run" ] || rm -f "$prefix/$path"
  done
  [ -z "$dry_run" ] || return 0
  # The list goes last of all files: until then the removal can be repeated.
  work=$(mktemp -d)
  printf '%s\n' "$lines" >"$work/list"
  rm -f "$LIST"
  remove_folders "$work/list"
  rm -rf "$work"
}

if [ -n "$uninstall" ]; then
  remove
  exit 0
fi

# ---- what is wanted -------------------------------------------------------------------------------------------------

case $(uname -s)-$(uname -m) in
  Linux-x86_64 | Linux-amd64) target=x86_64-unknown-linux-musl ;;
  Linux-aarch64 | Linux-arm64) target=aarch64-unknown-linux-musl ;;
  *) fail "there is no release for $(uname -s) on $(uname -m)" "build it from source: cargo install --locked rungate" ;;
esac
for tool in tar gzip awk sed mktemp; do
  has "$tool" || fail "$tool is missing" "install it"
done

# Over HTTPS, unless the server is this machine: redirects included.
allowed() {
  case $1 in
    https://*) return 0 ;;
    http://127.0.0.1 | http://127.0.0.1[:/]* | http://localhost | http://localhost[:/]*) return 0 ;;
    *) return 1 ;;
  esac
}

fetch() { # fetch URL FILE
  if has curl; then
    protocol='=https'
    case $1 in http://*) protocol='=http,https' ;; esac
    curl --fail --silent --show-error --location --proto "$protocol" --retry 2 --connect-timeout 15 --output "$2" -- "$1"
  elif has wget; then
    wget -q -T 30 -O "$2" -- "$1"
  else
    fail "neither curl nor wget is installed" "install one, or download the archive elsewhere and use --from"
  fi
}

newest() {
  latest="https://$host/$REPOSITORY/releases/latest"
  has curl || fail "the newest release can only be looked up with curl" "name one with --version"
  found=$(curl --fail --silent --show-error --location --proto '=https' --connect-timeout 15 --output /dev/null \
    --write-out '%{url_effective}' -- "$latest") || fail "$latest cannot be read" "name a release with --version"
  case $found in
    */releases/tag/v*) printf '%s\n' "${found##*/v}" ;;
    *) fail "$latest leads to $found, which is no release" "name one with --version" ;;
  esac
}

digest_of() {
  if has sha256sum; then sha256sum "$1" | cut -d ' ' -f 1; else shasum -a 256 "$1" | cut -d ' ' -f 1; fi
}
has sha256sum || has shasum || fail "neither sha256sum nor shasum is installed" "install coreutils"

if [ -n "$from" ]; then
  archive=$(basename "$from")
  [ -f "$from" ] || fail "$from is no file" "name the archive of a release"
  case $archive in
    rungate-*-"$target".tar.gz) ;;
    *) fail "$archive is not for this machine" "take the archive rungate-VERSION-$target.tar.gz" ;;
  esac
else
  [ -n "$version" ] || version=$(newest)
  archive="rungate-$version-$target.tar.gz"
  [ -n "$url" ] || url="https://$host/$REPOSITORY/releases/download/v$version"
  allowed "$url" || fail "$url is not HTTPS" "name a server that speaks it"
fi

if [ -n "$dry_run" ]; then
  if [ -n "$from" ]; then say "read $from"; else say "download $url/$archive"; fi
  say "verify its SHA-256, and try its program"
  say "install $prefix/bin/rungate"
  say "install manual pages, completions and examples below $prefix/share"
  exit 0
fi

# ---- getting and verifying ------------------------------------------------------------------------------------------

work=$(mktemp -d)
staged=''
clean() {
  # What was put beside the old files and not renamed yet, and folders that were made for it.
  if [ -n "$staged" ]; then
    for path in $staged; do rm -f "$prefix/$path.rungate-new"; done
    remove_folders "$work/made"
  fi
  rm -rf "$work"
}
trap clean EXIT
trap 'exit 1' HUP INT TERM

if [ -n "$from" ]; then
  cp "$from" "$work/$archive"
  sums=$(dirname "$from")/SHA256SUMS
  if [ -z "$sha256" ]; then
    [ -f "$sums" ] || fail "there is no SHA256SUMS beside $from" "put it there, or say the digest with --sha256"
    cp "$sums" "$work/SHA256SUMS"
  fi
else
  say "download $url/$archive"
  fetch "$url/$archive" "$work/$archive" || fail "$archive cannot be downloaded" "check the version and the server, or use --from"
  if [ -z "$sha256" ]; then
    fetch "$url/SHA256SUMS" "$work/SHA256SUMS" || fail "SHA256SUMS cannot be downloaded" "try again, or say the digest with --sha256"
  fi
fi

if [ -z "$sha256" ]; then
  sha256=$(awk -v name="$archive" '$2 == name || $2 == "*" name { print $1; exit }' "$work/SHA256SUMS")
  [ -n "$sha256" ] || fail "SHA256SUMS does not name $archive" "do not use it; tell who made the release"
fi
found=$(digest_of "$work/$archive")
[ "$found" = "$sha256" ] || fail "$archive has the SHA-256 $found, and not $sha256" "do not use it; tell who made the release"
say "verified: SHA-256 $sha256"

if [ "$attestation" = require ]; then
  has gh || fail "attestations are verified by the program gh, which is not installed" "install gh, or leave --attestation out"
fi
# A mirror may have builds of its own; those of the project are attested.
case $url in "https://github.com/$REPOSITORY/"*) attested=yes ;; *) attested='' ;; esac
if [ "$attestation" = require ] || { [ "$attested" ] && has gh && gh auth status >/dev/null 2>&1; }; then
  gh attestation verify "$work/$archive" --repo "$REPOSITORY" >"$work/attestation" 2>&1 || {
    cat "$work/attestation" >&2
    fail "$archive has no valid attestation of $REPOSITORY" "do not use it; tell who made the release"
  }
  say "verified: provenance attestation of $REPOSITORY"
fi

tree="$work/${archive%.tar.gz}"
tar -xzf "$work/$archive" -C "$work" --no-same-owner || fail "$archive cannot be unpacked" "download it again"
[ -f "$tree/rungate" ] || fail "$archive holds no program" "do not use it; tell who made the release"
about=$("$tree/rungate" --version) || fail "the program of $archive does not run here" "check that it is for this machine"

# ---- installing -----------------------------------------------------------------------------------------------------

(cd "$tree" && find share -type f | sort && echo bin/rungate) >"$work/list"
# Names come from a verified archive; blanks in them would break the lists all the same.
if grep -q '[^0-9A-Za-z._/@-]' "$work/list"; then fail "$archive has a file with an odd name" "tell who made the release"; fi

# Makes a folder below the prefix, or the prefix itself, and notes what had to be made.
make_folder() {
  [ ! -d "$prefix/$1" ] || return 0
  case $1 in
    .) mkdir -p "$prefix" ;;
    */*) make_folder "${1%/*}" && mkdir "$prefix/$1" ;;
    *) make_folder . && mkdir "$prefix/$1" ;;
  esac || return 1
  echo "$1/" >>"$work/made"
}

# Everything that can fail for want of space or rights comes before the first rename.
: >"$work/made"
staged=$(cat "$work/list")
for path in $staged; do
  if [ "$path" = bin/rungate ]; then source=$tree/rungate mode=0755; else source=$tree/$path mode=0644; fi
  new=$prefix/$path.rungate-new
  if ! { make_folder "${path%/*}" && cp "$source" "$new" && chmod "$mode" "$new"; }; then
    fail "$prefix/$path cannot be written" "become root, free some space, or name another folder with --prefix"
  fi
done
make_folder share/rungate
if [ -f "$LIST" ]; then grep '/$' "$LIST" >>"$work/made" || true; fi
cat "$work/made" >>"$work/list"

# Should the machine stop between two renames, --uninstall still finds all files, the old and the new.
if [ -f "$LIST" ]; then sort -u "$LIST" "$work/list" >"$LIST.new"; else cp "$work/list" "$LIST.new"; fi
mv -f "$LIST.new" "$LIST"
for path in $staged; do
  mv -f "$prefix/$path.rungate-new" "$prefix/$path"
done
staged=''

# Files of an older release that this one does not have.
while IFS= read -r path; do
  case $path in */) continue ;; esac
  if is_ours "$path" && ! grep -qx -- "$path" "$work/list"; then rm -f "$prefix/$path"; fi
done <"$LIST"
cp "$work/list" "$LIST.new"
mv -f "$LIST.new" "$LIST"

say "installed $about: $prefix/bin/rungate"
case ":${PATH:-}:" in
  *":$prefix/bin:"*) ;;
  *) say "note: $prefix/bin is not on PATH" ;;
esac
say "next: \`rungate doctor\` says what this host gives a sandbox, and \`rungate init\` writes a first manifest"
