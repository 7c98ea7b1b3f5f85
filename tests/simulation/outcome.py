"""What became of a seed, and the shortest schedule of faults with which it still fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from outlast.checkpoint.record import Record
from tests.simulation.violation import Violation
from tests.simulation.world import World

if TYPE_CHECKING:
    from collections import Counter

# The time, the process, a text, and what to put into it.
Event = tuple[float, str, str, object]

# Each is a run of some milliseconds.
MOST_ATTEMPTS = 300


class Outcome(NamedTuple):
    """One run of a seed.

    Attributes:
        complaint: what was broken; empty if nothing was.
        faults: those that happened: their names and kinds, in order.
        figures: how often each thing happened.
        trace: what happened, one line each.
    """

    seed: int
    complaint: str
    faults: list[tuple[str, str]]
    figures: Counter[str]
    trace: list[str]


def run(seed: int, *, left_out: frozenset[str] = frozenset(), traced: bool = False) -> Outcome:
    """Run a seed without the faults that are left out."""
    world = World(seed, left_out=left_out)
    complaint = ""
    try:
        world.run()
    except Violation as violation:
        complaint = str(violation)
    trace = list(map(_line, world.trace)) if traced else []
    return Outcome(seed, complaint, world.faults.log, world.figures(), trace)


def shrink(seed: int) -> Outcome:
    """Return a failing run of the seed with as few faults as could be found.

    Leaves out ever smaller parts of the faults, and keeps what still fails, in whatever way.
    """
    left_out: frozenset[str] = frozenset()
    best = run(seed)
    size, attempts = len(best.faults), 0
    while size >= 1 and attempts < MOST_ATTEMPTS:
        names = [name for name, _ in best.faults]
        for at in range(0, len(names), size):
            attempts += 1
            fewer = left_out.union(names[at : at + size])
            outcome = run(seed, left_out=fewer)
            # Without one fault others may come that there was no occasion for before.
            if outcome.complaint and len(outcome.faults) < len(best.faults):
                left_out, best = fewer, outcome
                break
        else:
            size //= 2
    return run(seed, left_out=left_out, traced=True)


def report(seed: int) -> str:
    """Return what a person needs in order to understand why a seed fails."""
    outcome = shrink(seed)
    faults = ", ".join(f"{name} {kind}" for name, kind in outcome.faults) or "none"
    return "\n".join(
        [
            *outcome.trace,
            f"seed {seed}: {outcome.complaint}",
            f"with as few faults as could be found: {faults}",
            f"run it again: python -m tests.simulation {seed}",
        ]
    )


def _line(event: Event) -> str:
    at, name, text, detail = event
    return f"{at:10.3f}  {name:<12} {text.format(_brief(detail))}"


def _brief(detail: object) -> object:
    if not isinstance(detail, Record):
        return detail
    lease = detail.lease.token[:4] if detail.lease else "none"
    return (
        f"{detail.job_id} slice={detail.slice_number} {detail.status} lease={lease} "
        f"steps={detail.usage.steps} saves={detail.usage.saves} announced={detail.announced} "
        f"stalls={detail.guards.stalls} failures={detail.guards.failures} error={detail.error}"
    )
