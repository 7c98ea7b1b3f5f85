"""Submits jobs to the stack, watches them move between its workers, and checks the results."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field

from outlast import Client

# Position and prime, by primecount. More jobs than workers, so that none finds the queue empty.
JOBS = {
    1_000_000_000_000_000: 37_124_508_045_065_437,
    1_200_000_000_000_000: 44_774_424_266_565_143,
    1_400_000_000_000_000: 52_458_753_029_241_283,
    1_600_000_000_000_000: 60_172_538_090_123_567,
    1_800_000_000_000_000: 67_912_074_089_826_233,
}
LOOK_SECONDS = 0.1
LONGEST_SECONDS = 300.0
RUNPOD_SECONDS = 10


@dataclass
class Watched:
    """One job and where its slices were seen."""

    position: int
    job_id: str
    slice: int = 0
    places: Counter[str] = field(default_factory=Counter)
    is_over: bool = False


def main() -> None:
    """Exit 0 if all results are right and every kind of worker had a part in them."""
    client = Client()
    run = f"demo-{time.time():.0f}"
    jobs = [
        Watched(position, client.submit("nth-prime", job_id=f"{run}-{position}", position=position))
        for position in JOBS
    ]
    for job in jobs:
        print(f"submitted  {job.job_id}")
    threading.Thread(target=keep_runpod_awake, daemon=True).start()

    begun = time.monotonic()
    while not all(job.is_over for job in jobs):
        if time.monotonic() - begun > LONGEST_SECONDS:
            sys.exit(f"not done after {LONGEST_SECONDS:.0f} s")
        for job in jobs:
            look(client, job, time.monotonic() - begun)
        time.sleep(LOOK_SECONDS)

    places = sum((job.places for job in jobs), Counter[str]())
    print("slices seen:", ", ".join(f"{place} {count}" for place, count in places.most_common()))
    wrong = [job for job in jobs if client.result(job.job_id)["prime"] != JOBS[job.position]]
    missing = {"worker", "lambda", "runpod"} - set(places)
    if wrong or missing:
        sys.exit(f"wrong: {[job.job_id for job in wrong]}, no part taken by: {sorted(missing)}")
    print("all results are right, and every kind of worker had a part in them")


def look(client: Client, job: Watched, seconds: float) -> None:
    """Print what is new about the job."""
    if job.is_over:
        return
    record = client.status(job.job_id)
    if record.lease and record.slice_number != job.slice:
        job.slice = record.slice_number
        place = place_of(record.lease.worker)
        job.places[place] += 1
        print(
            f"{seconds:5.1f} s  position {job.position:>13,}  slice {job.slice:>3}"
            f"  {record.progress:6.1%}  {place}",
            flush=True,
        )
    if record.status.is_final:
        job.is_over = True
        print(
            f"{seconds:5.1f} s  position {job.position:>13,}  {record.status}: {record.result}"
            f"  ({record.usage.slices_begun} slices, {record.usage.compute_seconds:.1f} s of work)",
            flush=True,
        )


def place_of(worker: str) -> str:
    """Return the kind of worker; docker-compose.yml gives host names to all but the plain ones."""
    host = worker.partition(":")[0]
    return host if host in {"lambda", "runpod"} else "worker"


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
