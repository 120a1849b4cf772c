#!/usr/bin/env bash
# The first step of action.yml: finds the rungate that is installed, or installs one for this job alone.
#
#   VERSION      exactly this one; without it any that fits this action
#   SHA256       digest of the program: another one is not run
#   INSTALL      release | source | never: what to do when none that fits is installed
#   RELEASE_URL  folder of release archives, in place of the releases of the action's repository
#
# Writes the path of the program to $GITHUB_OUTPUT as `program`.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
readonly root

fail() { # fail WHAT REMEDY: ends with the words that the job's page shows
  echo "::error title=rungate::$1; $2" >&2
  exit 4
}

# The version that belongs to this action's source.
own_version() { sed -n 's/^version = "\([^"]*\)"$/\1/p' "$root/Cargo.toml" | head -n 1; }

# fits VERSION OWN: whether a program of VERSION understands what this action of OWN asks for: the same line (the first
# number, or the second below 1.0), and not older.
fits() {
  local have want
  IFS=. read -r -a have <<<"${1%%[-+]*}"
  IFS=. read -r -a want <<<"${2%%[-+]*}"
  [ "${#have[@]}" -eq 3 ] && [ "${have[0]}" = "${want[0]}" ] || return 1
  [ "${want[0]}" != 0 ] || [ "${have[1]}" = "${want[1]}" ] || return 1
  [ "$(printf '%s\n' "${want[*]}" "${have[*]}" | sort -t ' ' -k2,2n -k3,3n | head -n 1)" = "${want[*]}" ]
}

# version_of PROGRAM: its version, or nothing.
version_of() { "$1" --version 2>/dev/null | sed -n '1s/^rungate \([0-9A-Za-z.+-]*\).*/\1/p'; }

digest_of() { sha256sum -- "$1" | cut -d ' ' -f 1; }

# suits PROGRAM: whether it is what was asked for. It is not started before its digest is known.
suits() {
  local version
  [ -f "$1" ] && [ -x "$1" ] || return 1
  if [ -n "${SHA256:-}" ] && [ "$(digest_of "$1")" != "$SHA256" ]; then
    echo "$1 has another digest"
    return 1
  fi
  version=$(version_of "$1")
  if [ -n "${VERSION:-}" ] && [ "$version" != "$VERSION" ]; then
    echo "$1 is ${version:-of no known version}, not $VERSION"
    return 1
  fi
  if [ -z "${VERSION:-}" ] && ! fits "$version" "$own"; then
    echo "$1 is ${version:-of no known version}, and this action fits $own"
    return 1
  fi
}

# installed: the first program that suits; sets PROGRAM.
installed() {
  local candidate
  for candidate in "$(command -v rungate || true)" /usr/local/bin/rungate /usr/bin/rungate /opt/rungate/bin/rungate; do
    [ -n "$candidate" ] || continue
    if suits "$candidate"; then
      PROGRAM=$candidate
      return
    fi
  done
  return 1
}

# A folder of this job: the next job's program must not be one that this job could have changed.
own_folder() {
  local folder
  folder=$(mktemp -d "${RUNNER_TEMP:-${TMPDIR:-/tmp}}/rungate.XXXXXXXX")
  printf '%s\n' "$folder"
}

# Where archives may be: the server that runs the job, which asks itself first for an action too, then github.com.
release_urls() {
  local repository=${ACTION_REPOSITORY:-${GITHUB_ACTION_REPOSITORY:-}} server=${GITHUB_SERVER_URL:-https://github.com}
  if [ -n "${RELEASE_URL:-}" ]; then
    printf '%s\n' "${RELEASE_URL%/}"
    return
  fi
  repository=${repository:-rungate/rungate}
  printf '%s\n' "$server/$repository/releases/download/v$1"
  [ "$server" = https://github.com ] || printf '%s\n' "https://github.com/$repository/releases/download/v$1"
}

# release VERSION: installs it by the script that administrators use too, which verifies what it downloads.
release() {
  local folder url
  folder=$(own_folder)
  while read -r url; do
    if sh "$root/scripts/install.sh" --version "$1" --prefix "$folder" --url "$url"; then
      PROGRAM="$folder/bin/rungate"
      return
    fi
  done < <(release_urls "$1")
  fail "no release of rungate $1 could be installed" \
    "install it on this host, name a mirror with the input release-url, or set the input install to source"
}

build() {
  local folder
  command -v cargo >/dev/null \
    || fail "building rungate needs cargo, and the host has none" "install Rust by rustup, or set the input install to release"
  folder=$(own_folder)
  echo "building rungate from the source of this action; this takes some minutes"
  (cd "$root" && CARGO_TARGET_DIR="$folder/target" cargo install --locked --quiet --path . --root "$folder") \
    || fail "rungate could not be built" "see above; a C compiler is needed, too"
  rm -rf "$folder/target"
  PROGRAM="$folder/bin/rungate"
}

own=$(own_version)
readonly own
[ -n "$own" ] || fail "the source of this action is not whole: $root/Cargo.toml names no version" "check the ref of the action"
if ! [[ ${VERSION:-0} =~ ^[0-9][0-9A-Za-z.+-]*$ ]]; then
  fail "the input version is no version" "write it as in 1.2.3"
fi
SHA256=${SHA256:-}
SHA256=${SHA256,,}
if ! [[ ${SHA256:-$(printf '%064d' 0)} =~ ^[0-9a-f]{64}$ ]]; then
  fail "the input sha256 is no SHA-256" "it has 64 hexadecimal digits"
fi

PROGRAM=
if ! installed; then
  case ${INSTALL:-release} in
    release) release "${VERSION:-$own}" ;;
    source)
      [ -z "${VERSION:-}" ] || [ "$VERSION" = "$own" ] \
        || fail "the source of this action is $own, not $VERSION" "leave the input version out, or use that version's action"
      build
      ;;
    never)
      fail "no rungate that fits is installed here" \
        "ask the administrator of this host to install ${VERSION:-$own}, or set the input install to release"
      ;;
    *) fail "the input install is release, source or never" "correct it" ;;
  esac
  suits "$PROGRAM" || fail "what was installed is not what was asked for" "correct the inputs version and sha256"
fi
case $PROGRAM in
  *$'\n'*) fail "the path of rungate has a line break" "install it elsewhere" ;;
esac
echo "using $PROGRAM, $("$PROGRAM" --version)"
printf 'program=%s\n' "$PROGRAM" >>"$GITHUB_OUTPUT"
