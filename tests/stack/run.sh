#!/usr/bin/env bash
# Brings docker-compose.yml up from nothing, tries what only real containers show, and takes it down.
# Needs `docker compose`; five minutes, most of it for the images. Run it by `make test-stack`.
set -euo pipefail
cd "$(dirname "$0")/../.."

export COMPOSE_PROJECT_NAME=outlast-test
compose() { docker compose "$@"; }
say() { printf '\n== %s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }
finish() {
  status=$?
  if [ $status -ne 0 ]; then compose ps --all || true; compose logs --no-color --tail 40 || true; fi
  compose --profile demo down --volumes --timeout 40 >/dev/null 2>&1 || true
  exit $status
}
trap finish EXIT
outlast() { compose exec --no-TTY worker outlast "$@"; }
# What a container's main process, as seen by the kernel, is and may do.
about() { compose exec --no-TTY "$1" sh -c 'grep -E "^(Uid|CapEff|NoNewPrivs)" /proc/1/status | tr -s "\t\n" " "'; }

say "From nothing: build, start, wait until all is healthy"
compose --profile demo down --volumes >/dev/null 2>&1 || true
compose up --detach --build --wait --quiet-pull 2>&1 | grep -E 'Healthy|Exited|Error' | sort | uniq
compose ps --all --format 'table {{.Service}}\t{{.Status}}\t{{.Ports}}'
for image in worker lambda runpod; do
  docker image ls --format '{{.Repository}}:{{.Tag}}  {{.Size}}' "outlast-$image"
done

say "Nobody is root, nobody can write to the image"
for service in valkey aws worker lambda event-source runpod; do
  found=$(about "$service"); echo "$service: $found"
  [[ $found == *"Uid: 10001 10001"*"CapEff: 0000000000000000"*"NoNewPrivs: 1"* ]] || fail "$service"
  compose exec --no-TTY "$service" sh -c ': >/stain' 2>/dev/null && fail "$service has a writable root"
done

say "The kernels were compiled when the image was built"
seconds=$(outlast warmup --json | sed -n 's/.*"seconds": *\([0-9.]*\).*/\1/p' | head -1)
files() { compose exec --no-TTY worker sh -c "find $1 -name '*.nbc' | wc -l"; }
echo "ready after $seconds s; $(files /opt/outlast/compiled) compiled in the image, $(files /tmp) in use"
[ "$(files /opt/outlast/compiled)" -gt 0 ] || fail "none in the image"
[ "$(files /opt/outlast/compiled)" = "$(files /tmp)" ] || fail "some were compiled again"

say "Jobs move between a worker, Lambda and RunPod"
compose run --rm --no-TTY demo 2>&1 | grep -vE '^ ?(Container|Network) '

say "A job outlives the stop of everything"
outlast submit nth-prime position=600_000_000 --job-id patient
for _ in $(seq 100); do outlast status patient --json | grep -q '"saves": [1-9]' && break; sleep .2; done
compose stop --timeout 40 2>&1 | grep -vE '^ ?Container' || true
compose ps --all --format 'table {{.Service}}\t{{.Status}}'
# 143 is SIGTERM, 137 would be SIGKILL: a worker ends its slice and then itself.
compose ps --all --format '{{.Service}} {{.ExitCode}}' | grep -E '^(worker|runpod) ' | grep -vE ' 0$' && fail "killed"
compose up --detach --wait 2>&1 | grep -E 'Error' || true
outlast wait patient --timeout-seconds 240
outlast status patient

say "Killed workers are made up for"
outlast submit nth-prime position=600_000_001 --job-id shot
for _ in $(seq 100); do outlast status shot --json | grep -q '"saves": [1-9]' && break; sleep .2; done
compose kill worker 2>&1 | grep -vE '^ ?Container' || true
compose up --detach --wait 2>&1 | grep -E 'Error' || true
outlast wait shot --timeout-seconds 240

say "Down"
compose --profile demo down --timeout 40 2>&1 | grep -E 'Error' || true
[ -z "$(compose ps --all --quiet)" ] || fail "containers are left"
echo "all passed"
