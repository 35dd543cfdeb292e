#!/usr/bin/env bash
# wheel.sh FOLDER PROFILE: puts the wheel around cargo's binary into FOLDER. maturin is had from PyPI, into target/.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
version=1.16.0
tools="${CARGO_TARGET_DIR:-$PWD/target}/maturin-$version"
if [ ! -f "$tools/complete" ]; then
    rm -rf "$tools"
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet "maturin==$version"
    touch "$tools/complete"
fi
"$tools/bin/maturin" build --locked --profile "$2" --out "$1"
