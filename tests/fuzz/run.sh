#!/usr/bin/env bash
# run.sh [TARGET…]: looks for inputs that break a target, REHEARSAL_FUZZ_SECONDS (60) for each; without names, all of them.
# An input that breaks one is left in target/fuzz/found/TARGET and ends the run: it belongs into tests/fuzz/seeds/TARGET, where
# `make test` tries it from then on.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
all=(bundle compose env hurl junit lock page record wire yaml)
seconds=${REHEARSAL_FUZZ_SECONDS:-60}
host=$(rustc -vV | sed -n 's/^host: //p')

# What LLVM has for this is in every compiler; only a sanitizer would need a nightly one, and there is no unsafe code
# of ours that it could watch.
coverage=(-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
  -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares)

# The product's own versions; to them cargo adds what only fuzzing needs.
cp "$root/Cargo.lock" "$here/Cargo.lock"
RUSTFLAGS="${coverage[*]}" cargo build --release --target "$host" --manifest-path "$here/Cargo.toml" --target-dir "$root/target/fuzz"

targets=("$@")
if ((${#targets[@]} == 0)); then targets=("${all[@]}"); fi
for target in "${targets[@]}"; do
  corpus=$root/target/fuzz/corpus/$target found=$root/target/fuzz/found/$target
  mkdir -p "$corpus" "$found"
  printf '\n%s: %s s\n' "$target" "$seconds"
  REHEARSAL_FUZZ_TARGET=$target REHEARSAL_FUZZ_CORPUS=$corpus "$root/target/fuzz/$host/release/rehearsal-fuzz" \
    -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 -verbosity=0 -artifact_prefix="$found/" "$corpus"
done
