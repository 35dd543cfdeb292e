#!/usr/bin/env bash
# sources.sh FOLDER: prints the digest of everything that the binary is built from, of the checkout in that folder. The file
# of checksums is no source: a release is two commits, the sources, and one that changes only that file.
set -euo pipefail

cd "$1"
export LC_ALL=C
sources=(.cargo .github/examples Cargo.lock Cargo.toml askama.toml benches src)
# A link may lead anywhere.
odd="$(find "${sources[@]}" ! -type f ! -type d)"
if [ -n "$odd" ]; then
    printf 'neither a file nor a folder: %s\n' "$odd" >&2
    exit 1
fi
find "${sources[@]}" -type f -print0 | sort -z | xargs -0 sha256sum -- | sha256sum | cut -c 1-64
