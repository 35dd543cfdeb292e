#!/usr/bin/env bash
# checksums.sh FOLDER TAG [--check]: the lines of .github/action/checksums for the archives in FOLDER, as a release TAG of these
# very sources. They are the whole of a release's second commit. With --check, says whether they stand there.
set -euo pipefail

folder="$(cd "$1" && pwd)"
tag="$2"
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
sources="$(.github/action/sources.sh .)"
lines="$(cd "$folder" && for archive in rehearsal-*.tar.gz; do
    target="${archive#rehearsal-}"
    printf '%s %s %s %s/%s\n' "$sources" "${target%.tar.gz}" "$(sha256sum <"$archive" | cut -c 1-64)" "$tag" "$archive"
done)"
if [ "${3:-}" != --check ]; then
    printf '%s\n' "$lines"
    exit
fi
while read -r line; do
    if ! grep -qxF -- "$line" .github/action/checksums; then
        printf 'not in .github/action/checksums, so no action would run it: %s\n' "$line" >&2
        exit 1
    fi
done <<<"$lines"
