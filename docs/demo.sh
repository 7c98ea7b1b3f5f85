#!/bin/sh
# A real job in slices, on a SQLite store in a new folder: `make demo` runs this.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export OUTLAST_STORE="sqlite:///$folder/demo.db" OUTLAST_QUEUE="sqlite:///$folder/demo.db"

show() {
  printf '\n$ outlast %s\n' "$*"
  "$OUTLAST" "$@"
}

show run nth-prime position=1_000_000_000_000_000 --slice-seconds 1 --job-id demo
show status demo
