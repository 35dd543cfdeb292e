#!/usr/bin/env bash
# run.sh [FILE…]: changes one thing at a time in the files that the verdict stands on, and asks for each change whether
# one of the unit tests sees it. A change that none sees and that is not in `accepted` fails, and so does an entry of
# `accepted` that no longer is one. About a minute a change: an hour or two for all.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
version=27.1.0
tools=$root/target/tools
out=$root/target/mutants
files=(src/verdict.rs src/rehearsal/confirm.rs src/rehearsal/not_run.rs src/check/traffic.rs)
if (($#)); then files=("$@"); fi

if [[ $("$tools/bin/cargo-mutants" mutants --version 2>/dev/null) != "cargo-mutants $version" ]]; then
  cargo install --locked --root "$tools" --version "=$version" cargo-mutants
fi

only=()
for file in "${files[@]}"; do only+=(--file "$file"); done
mkdir -p "$out"
# 0: every change was seen; 2: some were not; 3: some made a test wait without end, which it saw. Anything else is a fault.
status=0
(cd "$root" && CARGO_TARGET_DIR=$out/build "$tools/bin/cargo-mutants" mutants "${only[@]}" --jobs 1 --no-shuffle --colors never \
  --output "$out" -- --lib) || status=$?
case $status in 0 | 2 | 3) ;; *) exit "$status" ;; esac

python3 "$here/compare.py" "$here/accepted" "$out/mutants.out/missed.txt" "${files[@]}"
