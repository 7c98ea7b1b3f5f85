"""How well one job is shared by ten to thousands of workers: the real protocol, simulated time.

Nothing of Outlast is imitated: consumers and Lambda's handler deliver messages, claim parts, add
them up. Simulated are the time, the store, the queue, the platform and the computation; see
`bench/fleet`. Each scene is one process; as many run at once as there are processors.
"""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

from bench.fleet.simulation import QUEUE, Outcome, Scene, simulate
from bench.table import print_table

# Workers, and CPU-hours of work. What has more than two hours for each worker is left out, as it
# is like the scenes before, and what has seven seconds.
JOBS = ((10, 2), (10, 20), (100, 2), (100, 20), (100, 200), (1000, 20), (1000, 200))
GOAL_JOB, GOAL = (1000, 200), 0.9
PLACES = (("S3", False), ("Redis", False), ("S3", True), ("Redis", True))
STORE = ("GET", "PUT", "LIST", "DELETE")


def main() -> None:
    """Print efficiencies, then what a part costs."""
    scenes = [Scene(*job, *place) for job in JOBS for place in PLACES]
    # The longest first.
    order = sorted(scenes, key=lambda scene: scene.workers * scene.hours, reverse=True)
    with ProcessPoolExecutor(
        os.cpu_count(),
        mp_context=multiprocessing.get_context("spawn"),
        max_tasks_per_child=1,
    ) as pool:
        outcomes = dict(zip(order, pool.map(simulate, order), strict=True))
    print(f"goal: an efficiency of at least {GOAL} with {GOAL_JOB[0]:,} workers that are there")
    _print_efficiencies(outcomes)
    _print_costs(outcomes)


def _print_efficiencies(outcomes: dict[Scene, Outcome]) -> None:
    head = ("workers, CPU-hours", *map(_name, PLACES), "parts", "messages sent in", "sent twice")
    rows = []
    for job in JOBS:
        found = [outcomes[Scene(*job, *place)] for place in PLACES]
        first = found[0]
        rows.append(
            (
                f"{job[0]:,}, {job[1]}",
                *(f"{outcome.efficiency:.2f}" for outcome in found),
                f"{first.parts:,}",
                f"{first.calling_seconds:.1f} s",
                f"{first.twice:.1%}",
            )
        )
    print_table("Work over workers times the time to the end; the last three on S3", head, rows)


def _print_costs(outcomes: dict[Scene, Outcome]) -> None:
    found = [outcomes[Scene(*GOAL_JOB, *place)] for place in PLACES]
    rows = [
        (kind, *(f"{outcome.requests.get(kind, 0):.2f}" for outcome in found))
        for kind in (*STORE, *QUEUE, "invocation")
    ]
    rows += [
        ("sent twice", *(f"{outcome.twice:.1%}" for outcome in found)),
        ("delivered again", *(f"{outcome.again:.1%}" for outcome in found)),
        ("dollars", *(f"{outcome.dollars:.7f}" for outcome in found)),
    ]
    title = f"Requests a part, {GOAL_JOB[0]:,} workers and {GOAL_JOB[1]} CPU-hours"
    print_table(title, ("", *map(_name, PLACES)), rows)


def _name(place: tuple[str, bool]) -> str:
    store, on_lambda = place
    return f"Lambda, {store}" if on_lambda else store


if __name__ == "__main__":
    main()
