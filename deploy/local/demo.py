"""Runs one job on all workers of the stack at once, shows who is at which part, and checks it."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from outlast import Client
from outlast.worker.jobs.parts import parts_of

if TYPE_CHECKING:
    from outlast.checkpoint.record_parts import Lease
    from outlast.worker.jobs.parts import Parts

KERNEL = "nth-prime"
PARAMS: dict[str, Any] = {"position": 10_000_000_000_000_000}
RESULT = {"position": 10_000_000_000_000_000, "prime": 394_906_913_903_735_329}  # by primecount
WORKERS = 4  # two plain ones, Lambda, RunPod
KINDS = {"worker", "lambda", "runpod"}
LOOK_SECONDS = 0.1
LONGEST_SECONDS = 300.0
RUNPOD_SECONDS = 10


@dataclass
class Seen:
    """What was seen of the job.

    Attributes:
        slices: the slices of parts that were printed, by part and number.
        places: how many of them each kind of worker ran.
        most: how many were at work at the same time.
    """

    slices: set[tuple[int, int]] = field(default_factory=set)
    places: Counter[str] = field(default_factory=Counter)
    most: int = 0


def main() -> None:
    """Exit 0 if the result is right and every kind of worker had a part in it."""
    client, seen = Client(), Seen()
    job_id = client.submit(KERNEL, job_id=f"demo-{time.time():.0f}", parallel=WORKERS, **PARAMS)
    print(f"submitted  {job_id}, for {WORKERS} workers", flush=True)
    threading.Thread(target=keep_runpod_awake, daemon=True).start()

    begun = time.monotonic()
    while not (job := client.status(job_id)).status.is_final:
        if time.monotonic() - begun > LONGEST_SECONDS:
            sys.exit(f"not done after {LONGEST_SECONDS:.0f} s")
        if parts := parts_of(client.jobs, job):
            look(parts, seen, time.monotonic() - begun)
        time.sleep(LOOK_SECONDS)

    print(f"{job.status} after {time.monotonic() - begun:.1f} s: {job.result}")
    print(f"{job.usage.compute_seconds:.1f} s of work, {seen.most} workers at the same time")
    print("slices seen:", ", ".join(f"{place} {n}" for place, n in seen.places.most_common()))
    if job.result != RESULT:
        sys.exit("the result is wrong")
    if missing := KINDS - set(seen.places):
        sys.exit(f"no part taken by: {', '.join(sorted(missing))}")
    print("the result is right, and every kind of worker had a part in it")


def look(parts: Parts, seen: Seen, seconds: float) -> None:
    """Print which parts are at work that were not at the last look, and where."""
    for number, part in sorted(parts.heads.items()):
        if part.lease and (number, part.slice_number) not in seen.slices:
            seen.slices.add((number, part.slice_number))
            place = place_of(part.lease)
            seen.places[place] += 1
            print(f"{seconds:5.1f} s  part {number:>3}  slice {part.slice_number}  {place}")
    seen.most = max(seen.most, parts.running)
    sys.stdout.flush()


def place_of(lease: Lease) -> str:
    """Return the kind of worker; the host of RunPod's has its name by docker-compose.yml."""
    if lease.platform.startswith("lambda/"):
        return "lambda"
    return "runpod" if lease.worker.startswith("runpod:") else "worker"


def keep_runpod_awake() -> None:
    """Let the RunPod worker take messages from the queue, again whenever it found it empty."""
    body = {"input": {"drain": True, "max_seconds": RUNPOD_SECONDS}}
    while True:
        request = urllib.request.Request(
            f"{os.environ['RUNPOD_URL']}/runsync",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=RUNPOD_SECONDS + 60) as response:
                response.read()
        except OSError as error:
            print(f"runpod: {error}", flush=True)
            time.sleep(1.0)


if __name__ == "__main__":
    main()
