#!/usr/bin/env bash
# deploy.sh IMAGE@sha256:… HOST…: deploys to plain servers by ssh what a rehearsal has passed, one server after the other. Copy
# it beside rehearsal.yaml, production.lock and rehearsal.pub; rehearsal-out is the folder of the rehearsal. On the servers
# lies the compose.yaml of production, whose service `web` has `image: ${WEB_IMAGE}`.
set -euo pipefail

image=$1
shift
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# Everything but 0 ends here: refused (1), wrongly called (2), or not told (3).
"${REHEARSAL:-rehearsal}" verify --key "$here/rehearsal.pub" --lock "$here/production.lock" --max-age 24h \
  --config "$here/rehearsal.yaml" --bundle "$here/rehearsal-out/verdict.sigstore.json" -- "$image"

for host in "$@"; do
  echo "deploying to $host"
  # The digest alone goes over: it is `sha256:` and hexadecimal digits behind a name that verify has read.
  "${SSH:-ssh}" "$host" "cd /srv/shop && WEB_IMAGE=$(printf '%q' "$image") docker compose up --detach --wait web"
done
