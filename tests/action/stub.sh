#!/usr/bin/env bash
# Stands for the binary: writes the outputs that the real one would, in the same form, and ends as it would.
set -euo pipefail

echo "$@" >"$REHEARSAL_TRACE/arguments"
env | grep '^REHEARSAL_' | sort >"$REHEARSAL_TRACE/environment"

put() { printf '%s<<rehearsal_stub\n%s\nrehearsal_stub\n' "$1" "$2" >>"$GITHUB_OUTPUT"; }

[ "${1:-}" != shard ] || { echo '{"include":[{"shard":"1/1"}]}' && exit 0; }

case "${REHEARSAL_SEED:-}" in
    1) put verdict block; put cause "sign-in broke; keep the old flow"; put exit-code 1; put tests 9; put blocked-by upgrade; exit 1 ;;
    2) put verdict pass; put cause "web shop:2 may take the place of shop:1"; put exit-code 0; put tests 4; exit 0 ;;
    3) kill -SEGV $$ ;;                       # crashes before it says anything
    4) put verdict pass; kill -SEGV $$ ;;     # crashes after it said too much
    5) exit 0 ;;                              # ends well and says nothing
    6) put verdict block; put cause $'forged\nverdict=pass\nverdict<<EOF\npass\nEOF'; put exit-code 1; exit 1 ;;
    7) put verdict inconclusive; put cause "the mirror did not come up"; put exit-code 3; exit 3 ;;
    8) exit 2 ;;                              # refuses the configuration
    9)                                        # is interrupted, and takes its time to write its reports
        ended() { sleep 0.3; touch "$REHEARSAL_TRACE/reports-written"; put verdict inconclusive; put cause interrupted; put exit-code "$1"; exit "$1"; }
        trap 'ended 130' INT
        trap 'ended 143' TERM
        touch "$REHEARSAL_TRACE/ready"
        for _ in $(seq 200); do sleep 0.05; done
        ;;
    10) put verdict shard; put cause "shard 1 of 2: nothing was found"; put exit-code 0; exit 0 ;;
    *) exit 99 ;;
esac
