#!/usr/bin/env bash
# Builds the static release program so that the same commit gives the same bytes, wherever it is built. docs/installing.md
# says how to compare.
#
#   scripts/release-build.sh [TARGET]
#
# TARGET is that of this machine with musl unless given. Prints the path of the program, which is below CARGO_TARGET_DIR or
# `target`. The toolchain is that of rust-toolchain.toml; the C compiler is the host's, and part of what has to be the same.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$(pwd -P)
readonly root target=${1:-$(uname -m)-unknown-linux-musl}

fail() {
  echo "release-build.sh: $1" >&2
  exit 1
}

# Without git, as in a source archive, the caller says both.
if [ -z "${RUNGATE_COMMIT:-}" ]; then
  RUNGATE_COMMIT=$(git log -1 --abbrev=12 --format='%h %cd' --date=format-local:%Y-%m-%d) \
    || fail "set RUNGATE_COMMIT and SOURCE_DATE_EPOCH: this is no git repository"
  git diff --quiet HEAD -- || RUNGATE_COMMIT="$RUNGATE_COMMIT, changed"
fi
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)} || fail "set SOURCE_DATE_EPOCH: this is no git repository"
export RUNGATE_COMMIT SOURCE_DATE_EPOCH TZ=UTC LC_ALL=C

target_dir=$(realpath -m -- "${CARGO_TARGET_DIR:-target}")
cargo_home=$(realpath -m -- "${CARGO_HOME:-$HOME/.cargo}")
readonly target_dir cargo_home
# Places of the building host that the compilers would write into the program, and what stands there instead. The last one
# that fits counts, so the folder of the build comes after that of the sources, which it may be in.
remaps=("$root=/rungate" "$cargo_home=/cargo" "$target_dir=/target")

flags=() c_flags='-g0'
for remap in "${remaps[@]}"; do
  case $remap in *[[:space:]]*) fail "the path ${remap%=*} has a blank, which the C compiler's flags cannot hold" ;; esac
  flags+=("--remap-path-prefix=$remap")
  c_flags+=" -ffile-prefix-map=$remap"
done
CARGO_ENCODED_RUSTFLAGS=$(printf '%s\x1f' "${flags[@]}")
export CARGO_ENCODED_RUSTFLAGS=${CARGO_ENCODED_RUSTFLAGS%$'\x1f'}
# What callers set would be in the program, too.
unset RUSTFLAGS CFLAGS CXXFLAGS CPPFLAGS LDFLAGS
variable=CFLAGS_${target//-/_}
export "$variable=$c_flags"

cargo build --locked --release --target "$target" --bin rungate >&2
printf '%s\n' "$target_dir/$target/release/rungate"
