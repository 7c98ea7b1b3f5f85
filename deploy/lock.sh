#!/usr/bin/env bash
# Writes deploy/requirements*.txt: the newest packages that pyproject.toml and RunPod's SDK allow, as
# the image $1 resolves them.
set -euo pipefail
cd "$(dirname "$0")/.."
note='Made by `make lock`; do not edit.'

resolve() { # what to install beside the project
  docker run --rm --volume "$PWD:/src:ro" "$1" sh -euc '
    cp -r /src/pyproject.toml /src/README.md /src/LICENSE /src/checkpoint /src/kernel /src/worker /tmp
    python3 -m venv /tmp/venv
    /tmp/venv/bin/pip install --quiet /tmp '"${2:+'$2'}"'
    /tmp/venv/bin/pip freeze --exclude outlast'
}

all=$(resolve "$1" 'runpod~=1.12')
# The same versions in both, so that one layer of the images serves both.
base=$(resolve "$1" | cut -d= -f1)
own() { grep "$@" -ixEf <(sed 's/$/==.*/' <<<"$base") <<<"$all"; }
{ echo "# What the images hold, to the version. $note"; own; } >deploy/requirements.txt
{ echo "# What RunPod's SDK needs beyond requirements.txt. $note"; own -v; } >deploy/requirements-runpod.txt
