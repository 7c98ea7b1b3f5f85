"""How well one job is shared by ten to thousands of workers: the real protocol, simulated time.

Nothing of Outlast is imitated: consumers and Lambda's handler deliver messages, claim parts, add
them up. Simulated are the time, the store, the queue, the platform and the computation; see
`bench/fleet`. Each scene is one process; as many run at once as there are processors.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

from bench.fleet.simulation import QUEUE, Outcome, Scene, simulate
from bench.table import print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    Job = tuple[int, int]

# Workers, and CPU-hours of work.
JOBS = ((10, 2), (10, 20), (100, 2), (100, 20), (1000, 200))
GOAL = "goal: 0.90 at least for 1,000 workers that are there and 200 CPU-hours"
PLACES = (("S3", False), ("Redis", False), ("S3", True), ("Redis", True))
STORE = ("GET", "PUT", "LIST", "DELETE")


def main(jobs: Sequence[Job] = JOBS) -> None:
    """Print efficiencies, then what a part of the last job costs."""
    scenes = [Scene(*job, *place) for job in jobs for place in PLACES]
    # Those that take longest first.
    order = sorted(scenes, key=lambda scene: scene.workers, reverse=True)
    with ProcessPoolExecutor(
        os.cpu_count(),
        mp_context=multiprocessing.get_context("spawn"),
        max_tasks_per_child=1,
    ) as pool:
        outcomes = dict(zip(order, pool.map(simulate, order), strict=True))
    print(GOAL)
    _print_efficiencies(jobs, outcomes)
    _print_costs(jobs[-1], outcomes)


def _print_efficiencies(jobs: Sequence[Job], outcomes: dict[Scene, Outcome]) -> None:
    rows = []
    for job in jobs:
        found = [outcomes[Scene(*job, *place)] for place in PLACES]
        shares = (f"{outcome.efficiency:.3f}" for outcome in found)
        seconds = f"{found[0].calling_seconds:.1f}"
        rows.append((f"{job[0]:,}, {job[1]:,}", f"{found[0].parts:,}", seconds, *shares))
    head = ("workers, CPU-hours", "parts", "s to send the first messages", *map(_name, PLACES))
    print_table("Work, of what all workers could have done until its end", head, rows)


def _print_costs(job: Job, outcomes: dict[Scene, Outcome]) -> None:
    found = [outcomes[Scene(*job, *place)] for place in PLACES]
    rows = [
        (kind, *(f"{outcome.requests.get(kind, 0):.2f}" for outcome in found))
        for kind in (*STORE, *QUEUE, "invocation")
    ]
    rows += [
        ("messages sent twice", *(f"{outcome.twice:.1%}" for outcome in found)),
        ("messages delivered again", *(f"{outcome.again:.1%}" for outcome in found)),
        ("dollars for a thousand parts", *(f"{1000 * outcome.dollars:.4f}" for outcome in found)),
    ]
    title = f"Requests for a part: {job[0]:,} workers, {job[1]:,} CPU-hours"
    print_table(title, ("", *map(_name, PLACES)), rows)


def _name(place: tuple[str, bool]) -> str:
    store, on_lambda = place
    return f"Lambda, {store}" if on_lambda else store


def _job(text: str) -> Job:
    workers, hours = text.split(":")
    return int(workers), int(hours)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--jobs", nargs="+", type=_job, default=JOBS, metavar="WORKERS:HOURS")
    main(**vars(arguments.parse_args()))
