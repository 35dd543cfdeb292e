#!/usr/bin/env bash
# Lints the action, the workflows and every shell script: actionlint (which checks `uses: ./` against action.yml),
# zizmor (security) and shellcheck.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
cd "$here/../.."
bin="$("$here/venv.sh")/bin"

workflows=(.github/workflows/*.yml .github/examples/*.yml tests/action/workflow.yml tests/action/shards.yml)
mapfile -t scripts < <(git ls-files --cached --others --exclude-standard '*.sh' .ci/run)

"$bin/shellcheck" "${scripts[@]}"
"$bin/actionlint" -shellcheck "$bin/shellcheck" "${workflows[@]}"
# Workflows outside of .github/workflows are not found by zizmor on its own.
"$bin/zizmor" --config .github/zizmor.yml --quiet --offline --no-progress --persona=regular action.yml "${workflows[@]}"
