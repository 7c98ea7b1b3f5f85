#!/bin/sh
# Two real jobs on a SQLite store in a new folder: `make demo` runs this, and sets BIN to where `outlast` is.
# What the second one needs is fetched and compiled while the first one runs.
set -eu
folder=$(mktemp -d)
export OUTLAST_STORE="sqlite:///$folder/demo.db" OUTLAST_QUEUE="sqlite:///$folder/demo.db"
export OUTLAST_SLICE_SECONDS=1 OUTLAST_CHECKPOINT_SECONDS=0.5

say() { printf '\n# %s\n' "$*"; }
show() {
  printf '$ outlast %s\n' "$*"
  "$BIN/outlast" "$@"
}

# A slow machine may take a while to begin; a minute is the limit.
await_saves() {
  for _ in $(seq 60); do
    "$BIN/outlast" status "$1" --json | grep -qE '"saves": ([2-9]|[0-9]{2,})' && return
    sleep 1
  done
}

# Without Outlast itself, which is in use meanwhile.
NEEDS_OF_PRIMES='
from importlib.metadata import requires
print(*(need.partition(";")[0] for need in requires("outlast") if "extra == '"'primes'"'" in need))'
get_compiler() {
  # shellcheck disable=SC2046 # one word for each package
  "$BIN/pip" install --quiet --disable-pip-version-check --no-compile \
    $("$BIN/python" -c "$NEEDS_OF_PRIMES") && "$BIN/outlast" warmup nth-prime
}
get_compiler >"$folder/compiler.log" 2>&1 &
compiler=$!
trap 'kill $compiler 2>/dev/null || true; rm -rf "$folder"' EXIT

exponent=19937
"$BIN/python" -c 'import gmpy2' 2>/dev/null && exponent=44497  # It multiplies much faster.
say "A job, in slices of a second: is 2^$exponent - 1 a prime? Its worker is killed after some checkpoints."
show submit lucas-lehmer exponent=$exponent --job-id mersenne
printf '$ outlast worker\n'
"$BIN/outlast" worker &
worker=$!
await_saves mersenne
kill -9 $worker
wait $worker 2>/dev/null || true

say "Another worker goes on from the last checkpoint, wherever it runs."
show worker --max-idle-seconds 0.1
show result mersenne
show history mersenne

kill -0 $compiler 2>/dev/null && say "Waiting for numba, which compiles the next job ..."
wait $compiler || { cat "$folder/compiler.log" >&2; exit 1; }

say "The 10^15th prime, here and now, without a worker."
show run nth-prime position=1_000_000_000_000_000 --job-id demo
show status demo
say "Next: docs/tutorial.md leads from a loop of your own to a job on AWS Lambda."
