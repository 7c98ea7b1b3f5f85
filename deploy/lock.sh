#!/usr/bin/env bash
# Writes deploy/requirements*.txt: the newest packages that pyproject.toml and RunPod's SDK allow, each
# with the hashes of its wheels for every platform. $1 is uv, in a virtual environment. What follows it
# goes to uv as well, such as `--constraint deploy/requirements.txt`, to keep the versions that there are.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=$1
shift
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
more=("$@")

# The pins of what $2 and the further words ask for, into $1.
resolve() {
  "$uv" pip compile --quiet --no-header --no-annotate --python-version 3.13 --python-platform linux \
    --only-binary :all: "${more[@]}" "${@:2}" --output-file "$1"
}
# The same with hashes and a heading, $2.
lock() {
  resolve "$folder/locked" --generate-hashes "${@:3}"
  { echo "# $2. Made by make lock; do not edit."; cat "$folder/locked"; } >"$1"
}

base=(--extra gmp --extra primes)
# The versions are those of the whole in both, so that they fit each other.
resolve "$folder/all" pyproject.toml "${base[@]}" --extra runpod
resolve "$folder/base" pyproject.toml "${base[@]}" --constraint "$folder/all"
mapfile -t shared < <(sed -E 's/^([^=]+)==.*/--no-emit-package=\1/' "$folder/base")
"$(dirname "$uv")/python" - >"$folder/build" <<'PYTHON'
import tomllib
print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")
PYTHON

lock deploy/requirements.txt "What the images hold" \
  pyproject.toml "${base[@]}" --constraint "$folder/all"
lock deploy/requirements-runpod.txt "What RunPod's SDK adds" \
  pyproject.toml "${base[@]}" --extra runpod --constraint "$folder/all" "${shared[@]}"
lock deploy/requirements-build.txt "What builds the project; the images do not hold it" "$folder/build"
