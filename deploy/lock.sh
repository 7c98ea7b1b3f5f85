#!/usr/bin/env bash
# Writes deploy/requirements*.txt: the newest packages that pyproject.toml and RunPod's SDK allow, as
# the image $1 resolves them.
set -euo pipefail
cd "$(dirname "$0")/.."
image=$1

# The packages that come with the project ($1: with which extras).
resolve() {
  docker run --rm --volume "$PWD:/src:ro" "$image" sh -euc '
    cp -r /src/pyproject.toml /src/README.md /src/LICENSE /src/checkpoint /src/kernel /src/worker /src/src /tmp
    python3 -m venv /tmp/venv
    /tmp/venv/bin/pip install --quiet "/tmp$1"
    /tmp/venv/bin/pip freeze --exclude outlast' sh "$1"
}

all=$(resolve '[gmp,primes,runpod]')
base=$(resolve '[gmp,primes]' | sed 's/==.*/==/')
note='Made by make lock; do not edit.'
# The versions are those of the whole in both, so that they fit each other.
{ echo "# What the images hold. $note"; grep -F "$base" <<<"$all"; } >deploy/requirements.txt
{ echo "# What RunPod's SDK adds. $note"; grep -vF "$base" <<<"$all"; } >deploy/requirements-runpod.txt
