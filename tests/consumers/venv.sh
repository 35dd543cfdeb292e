#!/usr/bin/env bash
# Makes the Python environment with the consumers, once for each state of requirements.txt, and prints its path.
# Tests run in parallel: the first makes it, the others wait.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
key="$(sha256sum "$here/requirements.txt" | cut -c 1-12)"
base="${REHEARSAL_CONSUMERS_DIR:-$root/target/consumers}"
venv="$base/$key"

mkdir -p "$base"
exec 9>"$base/lock"
flock 9
if [ ! -f "$venv/complete" ]; then
    rm -rf "$venv"
    "$root/fixtures/tools.sh" python >&2
    {
        python3 -m venv "$venv"
        "$venv/bin/pip" install --quiet --requirement "$here/requirements.txt"
    } >&2 || {
        echo "the consumers could not be installed from PyPI (its last words are above): this needs the network, and where its" >&2
        echo "TLS is somebody else's, the file with that authority in PIP_CERT; or a mirror of PyPI in PIP_INDEX_URL" >&2
        exit 1
    }
    touch "$venv/complete"
fi
echo "$venv"
