#!/usr/bin/env bash
# build.sh FOLDER [PROFILE]: builds the static binary of this machine's platform as it is released, the same bytes from the same
# sources and tools wherever they lie, and puts its archive and its wheel into FOLDER, with SHA256SUMS of both.
# PROFILE is `release`; `dev` is for tests of what is done with the files, and takes what cargo has already.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
cd "$here/../.."
mkdir -p "$1"
out="$(cd "$1" && pwd)"
profile="${2:-release}"
target="$(rustc -vV | sed -n 's/^host: //p')"
built="${CARGO_TARGET_DIR:-$PWD/target}"

# The time of the last change, in place of the clock's.
SOURCE_DATE_EPOCH="$(git log -1 --format=%ct 2>/dev/null || echo 0)"
export SOURCE_DATE_EPOCH
if [ "$profile" = release ]; then
    # These take the place of .cargo/config.toml's, so what stands there stands here: no path of this machine is left in it.
    flags=(-C target-feature=+crt-static "--remap-path-prefix=$PWD=/rehearsal" "--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo")
    CARGO_ENCODED_RUSTFLAGS="$(IFS=$'\x1f' && printf '%s' "${flags[*]}")"
    CFLAGS="-ffile-prefix-map=$PWD=/rehearsal -ffile-prefix-map=${CARGO_HOME:-$HOME/.cargo}=/cargo -ffile-prefix-map=$built=/target"
    export CARGO_ENCODED_RUSTFLAGS CFLAGS CARGO_INCREMENTAL=0
fi
cargo build --locked --profile "$profile" --bin rehearsal
folder="$profile"
if [ "$profile" = dev ]; then folder=debug; fi
binary="$built/$target/$folder/rehearsal"

# The archive: the program, what shells and `man` read, and whose it is.
stage="$(mktemp -d)"
trap 'rm -rf "$stage"' EXIT
cp "$binary" LICENSE README.md "$stage"
mkdir "$stage/completions"
"$binary" completions bash >"$stage/completions/rehearsal.bash"
"$binary" completions zsh >"$stage/completions/_rehearsal"
"$binary" completions fish >"$stage/completions/rehearsal.fish"
"$binary" man --out "$stage/man"
tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode='u+rw,go=rX' \
    -C "$stage" -cf - -- rehearsal LICENSE README.md completions man | gzip -9 --no-name >"$out/rehearsal-$target.tar.gz"

# The wheel, around the same program: for pip, pipx and uv.
"$here/wheel.sh" "$out" "$profile"
cd "$out"
sha256sum -- *.tar.gz *.whl >SHA256SUMS
cat SHA256SUMS
