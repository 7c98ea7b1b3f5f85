#!/usr/bin/env bash
# Brings docker-compose.yml up from nothing, tries what only real containers show, and takes it down.
# Needs `docker compose`; five minutes, most of it for the images. Run it by `make test-stack`.
set -euo pipefail
cd "$(dirname "$0")/../.."

export COMPOSE_PROJECT_NAME=outlast-test
# As in the shell of someone who has deployed to AWS: nothing of it may reach the stack.
export OUTLAST_STORE=s3://not-here/jobs OUTLAST_BLOBS=s3://not-here/arrays
export OUTLAST_QUEUE=sqs://not-here AWS_ENDPOINT_URL=http://192.0.2.1
export AWS_ACCESS_KEY_ID=real AWS_SECRET_ACCESS_KEY=real AWS_DEFAULT_REGION=eu-north-1 BUCKET=not-here
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
about() { compose exec --no-TTY "$1" cat /proc/1/status | grep -E '^(Uid|CapEff|NoNewPrivs)' | tr -s '\t\n' ' '; }

say "From nothing: build, start, wait until all is healthy"
compose --profile demo down --volumes >/dev/null 2>&1 || true
compose up --detach --build --wait --quiet-pull 2>&1 | grep -E 'Healthy|Exited|Error' | sort | uniq
compose ps --all --format 'table {{.Service}}\t{{.Status}}\t{{.Ports}}'
for image in worker lambda runpod; do
  docker image ls --format '{{.Repository}}:{{.Tag}}  {{.Size}}' "outlast-$image" | head -1
done

say "Nobody is root, nobody can write to the image"
for service in valkey aws worker lambda event-source runpod dashboard; do
  found=$(about "$service"); echo "$service: $found"
  [[ $found == *"Uid: 10001 10001"*"CapEff: 0000000000000000"*"NoNewPrivs: 1"* ]] || fail "$service"
  compose exec --no-TTY "$service" sh -c ': >/stain' 2>/dev/null && fail "$service has a writable root"
done

say "What a kernel leaves behind is reaped"
for service in worker lambda runpod; do
  for _ in 1 2 3; do compose exec --no-TTY "$service" sh -c 'sleep 0.1 &'; done
  sleep 1
  found=$(compose exec --no-TTY "$service" sh -c "cat /proc/[0-9]*/stat | grep -c ') Z '" || true)
  echo "$service: $found zombies"
  [ "$found" = 0 ] || fail "$service"
done

say "The kernels were compiled when the image was built"
seconds=$(outlast warmup --json | sed -n 's/.*"seconds": *\([0-9.]*\).*/\1/p' | head -1)
files() { compose exec --no-TTY worker sh -c "find $1 -name '*.nbc' | wc -l"; }
echo "ready after $seconds s; $(files /opt/outlast/compiled) compiled in the image, $(files /tmp) in use"
[ "$(files /opt/outlast/compiled)" -gt 0 ] || fail "none in the image"
[ "$(files /opt/outlast/compiled)" = "$(files /tmp)" ] || fail "some were compiled again"

say "Two workers, Lambda and RunPod share one job"
compose run --rm --no-TTY demo 2>&1 | grep -vE '^ ?(Container|Network) '

# Submit a job that takes a minute, and wait until it is on its second slice.
begin() {
  slices=0
  outlast submit nth-prime "position=$2" --job-id "$1"
  for _ in $(seq 200); do
    found=$(outlast status "$1" --json | tr -d ' \n')
    [[ $found =~ \"slices\":([0-9]+) ]] && slices=${BASH_REMATCH[1]}
    [ "$slices" -ge 2 ] && break
  done
  echo "stopping all while $1 is on slice $slices"
}
# Wait for the job; its prime must be $2, and it must have needed more slices than it had begun.
ends_with() {
  outlast wait "$1" --timeout-seconds 240 >/dev/null
  found=$(outlast status "$1"); echo "$found"
  [[ $found == *"prime=$2"* ]] || fail "$1: wrong result"
  [[ $found =~ slices\ +([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -gt "$slices" ] || fail "$1: not resumed"
}

say "The dashboard is behind its token"
code() { curl --silent --output /dev/null --write-out '%{http_code}' "http://$(compose port dashboard 8765)$1"; }
[ "$(code /login)" = 200 ] || fail "no dashboard"
[ "$(code /workers)" = 303 ] || fail "it lets everyone in"
compose exec --no-TTY dashboard cat /var/lib/outlast/dashboard-token | grep -qE '^.{40,}$' || fail "no token"

say "A job outlives the stop of everything"
begin patient 10_000_000_000_000_000
compose stop --timeout 40 2>&1 | grep -vE '^ ?Container' || true
compose ps --all --format 'table {{.Service}}\t{{.Status}}'
# 137 would be SIGKILL: these end their slice first, and then themselves; the web server of RunPod's SDK
# by the signal that it got, 143.
compose ps --all --format '{{.Service}} {{.ExitCode}}' | grep -E '^(worker|runpod) ' \
  | grep -vxE 'worker 0|runpod 143' && fail "killed"
compose up --detach --wait 2>&1 | grep -E 'Error' || true
ends_with patient 394906913903735329

say "Killed workers are made up for"
begin shot 10_000_000_000_000_000
compose kill worker lambda runpod 2>&1 | grep -vE '^ ?Container' || true
compose up --detach --wait 2>&1 | grep -E 'Error' || true
ends_with shot 394906913903735329

say "The bucket is a store as well"
compose run --rm --no-TTY --env OUTLAST_STORE=s3://outlast/jobs demo \
  outlast run nth-prime position=20_000_000 2>/dev/null | grep -x 'position=20000000 prime=373587883' || fail bucket

say "Down"
compose --profile demo down --timeout 40 2>&1 | grep -E 'Error' || true
[ -z "$(compose ps --all --quiet)" ] || fail "containers are left"
echo "all passed"
