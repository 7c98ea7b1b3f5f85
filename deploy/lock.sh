#!/usr/bin/env bash
# Writes deploy/requirements*.txt: the newest packages that pyproject.toml, RunPod's SDK and torch allow,
# each with the hashes of its wheels for every platform. $1 is uv, in a virtual environment. What follows it
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

base=(--extra gmp --extra primes --extra dashboard)
echo torch >"$folder/torch"
# The versions are those of the whole in all, so that they fit each other.
resolve "$folder/all" pyproject.toml "$folder/torch" "${base[@]}" --extra runpod
resolve "$folder/base" pyproject.toml "${base[@]}" --constraint "$folder/all"
resolve "$folder/sdk" pyproject.toml "${base[@]}" --extra runpod --constraint "$folder/all"
without() { sed -E 's/^([^=]+)==.*/--no-emit-package=\1/' "$1"; }
mapfile -t in_base < <(without "$folder/base")
mapfile -t in_sdk < <(without "$folder/sdk")
"$(dirname "$uv")/python" - >"$folder/build" <<'PYTHON'
import tomllib
print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")
PYTHON

lock deploy/requirements.txt "What the images hold" \
  pyproject.toml "${base[@]}" --constraint "$folder/all"
lock deploy/requirements-runpod.txt "What RunPod's SDK adds" \
  pyproject.toml "${base[@]}" --extra runpod --constraint "$folder/all" "${in_base[@]}"
lock deploy/requirements-gpu.txt "What torch and CUDA add to both" \
  "$folder/torch" --constraint "$folder/all" "${in_sdk[@]}"
lock deploy/requirements-build.txt "What builds the project; the images do not hold it" "$folder/build"
