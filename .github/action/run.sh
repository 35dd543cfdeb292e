#!/usr/bin/env bash
# The step of action.yml: finds the binary, runs it, and delivers its outputs and its exit code, whatever happens.
# Only an exit code 0 together with the verdict `pass` opens the gate; one shard's verdict is `shard` where it found nothing.
set -euo pipefail

out="${INPUT_REPORT_DIR:-rehearsal-out}"
work="$(mktemp -d "${RUNNER_TEMP:-${TMPDIR:-/tmp}}/rehearsal.XXXXXX")"
own_output="$work/output"
: >"$own_output"
trap 'rm -rf "$work"' EXIT
# The command alone is given the token, not what builds it.
token="${INPUT_TOKEN:-}"
unset INPUT_TOKEN

# Workflow commands are read from every line: a message is one line.
error() {
    local message="${1//'%'/%25}"
    message="${message//$'\r'/%0D}"
    printf '::error title=Rehearsal::%s\n' "${message//$'\n'/%0A}"
}

# One output. The mark is random: no value can end itself and begin another output.
put() {
    local mark
    mark="rehearsal_$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
    printf '%s<<%s\n%s\n%s\n' "$1" "$mark" "$2" "$mark" >>"$GITHUB_OUTPUT"
}

# What holds until the command says otherwise: the last value of an output counts.
put_defaults() {
    put verdict inconclusive
    put cause "Rehearsal ended before it could tell: the step's log says why"
    put exit-code 70
    put report-dir "$out"
    put junit-path "$out/junit.xml"
    put result-path "$out/result.json"
    put summary-path "$out/summary.md"
    put html-path "$out/report.html"
    put attestation-path "$out/verdict.sigstore.json"
    put candidate ""
    local count
    for count in tests passed failed errors skipped not-run duration-ms; do put "$count" 0; done
    put blocked-by ""
    put tool-version ""
}

# Ends as `inconclusive`, with the exit code and the cause.
inconclusive() {
    put verdict inconclusive
    put exit-code "$1"
    put cause "$2"
    error "$2"
    exit "$1"
}

# What is no reason to shut the gate, but is worth more than a line of the log.
warning() {
    local message="${1//'%'/%25}"
    message="${message//$'\r'/%0D}"
    printf '::warning title=Rehearsal::%s\n' "${message//$'\n'/%0A}"
}

find_binary() {
    if [ -n "${INPUT_BIN_PATH:-}" ]; then
        bin="$INPUT_BIN_PATH"
        [ -f "$bin" ] && [ -x "$bin" ] || inconclusive 2 "the input bin-path names no program: $bin"
        bin="$(cd "$(dirname "$bin")" && pwd)/$(basename "$bin")"
        return
    fi
    if released; then return; fi
    # What others say must not begin a line: the runner hears commands there.
    why="${why//[$'\r\n']/ }"
    # What was tampered with on the way is worth more than a line.
    case "$why" in
        *"is not what was released"*) warning "$why; it was not run, and Rehearsal is built from the action's sources" ;;
        *) echo "Rehearsal is built from the action's sources, which takes minutes: $why" ;;
    esac
    build
}

# The archive that was released of these very sources. Its digest stands in this action, at the commit that the workflow pins:
# neither who serves it nor who could write the cache decides what is run. Where there is none, `why` says it.
released() {
    local target sources lines place wanted
    why=""
    case "$(uname -s)/$(uname -m)" in
        Linux/x86_64) target=x86_64-unknown-linux-gnu ;;
        Linux/aarch64 | Linux/arm64) target=aarch64-unknown-linux-gnu ;;
        *) why="there is no release for $(uname -s) on $(uname -m)" && return 1 ;;
    esac
    sources="$(bash "$GITHUB_ACTION_PATH/.github/action/sources.sh" "$GITHUB_ACTION_PATH" 2>&1)" ||
        { why="the digest of its sources cannot be told: $sources" && return 1; }
    lines="$(sed -n "s|^$sources $target \([0-9a-f]\{64\}\) \([A-Za-z0-9_][A-Za-z0-9._/+-]*\)\$|\1 \2|p" "$GITHUB_ACTION_PATH/.github/action/checksums")" ||
        { why="its file of checksums cannot be read" && return 1; }
    case "$lines" in
        "") why="no release was made of these sources (sha256 $sources) for $target" && return 1 ;;
        *$'\n'*) why="its file of checksums has several releases of these sources for $target" && return 1 ;;
        *..*) why="its file of checksums names a place outside of the releases" && return 1 ;;
    esac
    wanted="${lines%% *}"
    place="${lines#* }"
    cached "$wanted" || downloaded "$wanted" "${INPUT_DOWNLOAD_FROM:-https://github.com/rehearsal-dev/rehearsal/releases/download}" "$place" || return 1
    unpack
}

is() {
    [ "$(sha256sum <"$1" | cut -c 1-64)" = "$2" ]
}

# What is checked is this step's own copy: nobody can exchange it afterwards.
cached() {
    kept="${RUNNER_TOOL_CACHE:+$RUNNER_TOOL_CACHE/rehearsal/$1.tar.gz}"
    [ -n "$kept" ] && [ -f "$kept" ] && cp -- "$kept" "$work/archive" 2>/dev/null && is "$work/archive" "$1" &&
        echo "Rehearsal is of the runner's cache, sha256 $1"
}

# An archive is some ten megabytes: what is much longer is none. No settings of the machine for curl are heard.
downloaded() {
    local url="${2%/}/$3" said
    command -v curl >/dev/null || { why="there is no curl to download $url with" && return 1; }
    said="$(curl --disable --fail --silent --show-error --location --proto '=https,http' --proto-redir '=https,http' --retry 2 --max-time 300 \
        --connect-timeout 20 --max-filesize 200000000 --output "$work/archive" -- "$url" 2>&1)" ||
        { why="$url cannot be downloaded: $said" && return 1; }
    if ! is "$work/archive" "$1"; then
        why="$url is not what was released: its sha256 is $(sha256sum <"$work/archive" | cut -c 1-64), and must be $1"
        return 1
    fi
    echo "Rehearsal is from $url, sha256 $1"
    # For the next job on this runner; where it cannot be kept it is had again.
    if [ -n "$kept" ]; then
        mkdir -p "$(dirname "$kept")" 2>/dev/null && cp -- "$work/archive" "$kept.$$" 2>/dev/null && mv -f -- "$kept.$$" "$kept" || true
    fi
}

unpack() {
    mkdir "$work/released"
    # What an earlier step set for tar and gzip could exchange what comes out.
    if ! env -u TAR_OPTIONS -u GZIP tar -xzf "$work/archive" -C "$work/released" rehearsal || ! [ -x "$work/released/rehearsal" ]; then
        why="the archive that was released has no program" && return 1
    fi
    bin="$work/released/rehearsal"
}

# The last resort. The sources are those of this action at the commit that the workflow pins; so the pin covers the binary
# too. It is built where nobody has been before and serves this step alone.
build() {
    local target
    command -v cargo >/dev/null ||
        inconclusive 2 "there is no binary of these sources to run ($why), and no cargo to build Rehearsal with: install Rust before this step, or give the input bin-path"
    echo "::group::Build Rehearsal"
    target="$work/target"
    (cd "$GITHUB_ACTION_PATH" && CARGO_TARGET_DIR="$target" cargo build --release --locked --bin rehearsal) ||
        inconclusive 2 "Rehearsal could not be built from the action's sources: the log above says why"
    echo "::endgroup::"
    bin="$(find "$target" -path '*/release/rehearsal' -type f | head -n 1)"
    [ -n "$bin" ] || inconclusive 2 "cargo built no rehearsal"
}

# The inputs alone say what is rehearsed and what decides; a variable that an earlier step left in the job does not.
forget_the_jobs_own() {
    unset REHEARSAL_CONFIG REHEARSAL_CANDIDATE REHEARSAL_PRODUCTION_FROM REHEARSAL_ONLY REHEARSAL_SEED REHEARSAL_FAIL_FAST REHEARSAL_KEEP
    unset REHEARSAL_OUT REHEARSAL_REPORT REHEARSAL_FORMAT REHEARSAL_COLOR REHEARSAL_TIMEOUT REHEARSAL_HURL_IMAGE
    unset REHEARSAL_CHECK_NAME REHEARSAL_CHECK_RUN REHEARSAL_LOGIN REHEARSAL_ENVIRONMENT REHEARSAL_GITHUB_TOKEN
    unset REHEARSAL_KEY REHEARSAL_QUIET REHEARSAL_SHARD
}

# An empty input leaves the choice to the configuration.
give() {
    if [ -n "$2" ]; then export "$1=$2"; fi
}

# Production's description is the base's. Of a commit that is not in this checkout that one is fetched; what git says then
# may hold a login, and is not shown.
give_production_from() {
    local from="${INPUT_PRODUCTION_FROM:-}" folder
    case "$from" in "" | none) return ;; esac
    export REHEARSAL_PRODUCTION_FROM="$from"
    [[ "$from" =~ ^[0-9a-f]{40}([0-9a-f]{24})?$ ]] || return 0
    folder="$(dirname -- "${INPUT_CONFIG:-./rehearsal.yaml}")"
    if has_commit "$folder" "$from" || fetches "$folder" "$from"; then return; fi
    inconclusive 2 "production is as the base has it, and the base's commit $from is neither in this checkout nor can it be fetched: check out with fetch-depth: 0, or check the base out into a folder of its own and give the input production-from that folder, as in ./base"
}

has_commit() {
    git -C "$1" cat-file -e "$2^{commit}" 2>/dev/null
}

fetches() {
    GIT_TERMINAL_PROMPT=0 git -C "$1" -c gc.auto=0 -c maintenance.auto=false \
        fetch --quiet --depth=1 --no-tags --no-recurse-submodules origin "$2" >/dev/null 2>&1 && has_commit "$1" "$2"
}

# How the run is divided among runners: a matrix for the jobs that come, and no verdict.
divide() {
    local matrix code=0
    matrix="$("$bin" shard --into="$INPUT_INTO")" || code=$?
    [ "$code" = 0 ] || inconclusive "$code" "the run could not be divided: the log above says why"
    put matrix "$matrix"
    put verdict none
    put cause "the run is divided; no verdict is given here"
    put exit-code 0
    exit 0
}

# Runs the command and passes signals on: a cancelled job must still take the mirror down and write its reports.
run() {
    local signalled=no pid
    set -m
    GITHUB_OUTPUT="$own_output" "$bin" "${command[@]}" &
    pid=$!
    trap 'signalled=yes; kill -INT "$pid" 2>/dev/null || true' INT
    trap 'signalled=yes; kill -TERM "$pid" 2>/dev/null || true' TERM
    code=0
    wait "$pid" || code=$?
    while [ "$signalled" = yes ]; do
        signalled=no
        code=0
        wait "$pid" || code=$?
    done
    trap - INT TERM
}

put_defaults
find_binary
forget_the_jobs_own
give REHEARSAL_CONFIG "${INPUT_CONFIG:-}"
give REHEARSAL_CANDIDATE "${INPUT_CANDIDATE:-}"
# The shards have read production; what merges them does not.
[ -n "${INPUT_MERGE:-}" ] || give_production_from
give REHEARSAL_SEED "${INPUT_SEED:-}"
give REHEARSAL_TIMEOUT "${INPUT_TIMEOUT:-}"
give REHEARSAL_REPORT "${INPUT_REPORT:-}"
give REHEARSAL_HURL_IMAGE "${INPUT_HURL_IMAGE:-}"
give REHEARSAL_CHECK_NAME "${INPUT_CHECK_NAME:-}"
give REHEARSAL_CHECK_RUN "${INPUT_CHECK_RUN:-}"
give REHEARSAL_LOGIN "${INPUT_LOGIN:-}"
give REHEARSAL_ENVIRONMENT "${INPUT_ENVIRONMENT:-}"
# Not GITHUB_TOKEN: the candidate's configuration may name that one, and never sees this.
export REHEARSAL_GITHUB_TOKEN="$token"
give REHEARSAL_KEY "${INPUT_KEY:-}"
give REHEARSAL_OUT "$out"
give REHEARSAL_FORMAT github
case "${INPUT_FAIL_FAST:-false}" in
    true) export REHEARSAL_FAIL_FAST=true ;;
    false | "") ;;
    *) inconclusive 2 "the input fail-fast is neither true nor false" ;;
esac

# One thing of the three. What one shard came to is `shard` at most: `pass` is the merge's word.
command=(run) opens=pass
case "${INPUT_INTO:+into}/${INPUT_SHARD:+shard}/${INPUT_MERGE:+merge}" in
    //) ;;
    into//) divide ;;
    /shard/) export REHEARSAL_SHARD="$INPUT_SHARD" && opens=shard ;;
    //merge) command=(merge -- "$INPUT_MERGE") ;;
    *) inconclusive 2 "of the inputs into, shard and merge a step takes one: it divides a run, runs one of its shards, or merges them" ;;
esac

run
cat "$own_output" >>"$GITHUB_OUTPUT"
# The verdict is the first output that the command writes.
verdict="$(sed -n '1{/^verdict<</!q};2{p;q}' "$own_output")"
case "$code/$verdict" in
    "0/$opens" | 1/block | [23]/inconclusive | 70/inconclusive | 130/inconclusive | 143/inconclusive) ;;
    0/*) inconclusive 3 "the command ended well but gave no verdict that opens the gate" ;;
    2/) inconclusive 2 "the configuration or the inputs are wrong and nothing was started: the log above says what" ;;
    130/* | 143/*) inconclusive "$code" "the rehearsal was interrupted" ;;
    *) inconclusive "$code" "the command ended with exit code $code, which does not fit the verdict '$verdict'" ;;
esac
put exit-code "$code"
exit "$code"
