#!/usr/bin/env bash
# load-tools.sh: the load generator that ours is compared with, under target/tools.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
version=1.16.0
tools=$root/target/tools

if [[ $("$tools/bin/oha" --version 2>/dev/null) != "oha $version" ]]; then
  cargo install --locked --root "$tools" --version "=$version" oha
fi
