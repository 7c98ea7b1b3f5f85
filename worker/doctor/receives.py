"""What doctor says of a queue that gives messages up by itself, after so many receives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outlast.worker.doctor.finding import DEAD_LETTERS, ok, warning
from outlast.worker.queues.receives import MAX_RECEIVES, RECEIVES_A_STALL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outlast.worker.doctor.finding import Finding
    from outlast.worker.settings import Settings


def receives_findings(settings: Settings) -> Iterator[Finding]:
    """Check that a job fails before a queue with a limit of its own gives up the job's message."""
    stalls, limit = settings.limits.max_stalls, MAX_RECEIVES // RECEIVES_A_STALL
    if stalls <= limit:
        yield ok("queue.receives", f"a message is given up after {MAX_RECEIVES} receives")
        return
    yield warning(
        "queue.receives",
        f"OUTLAST_MAX_STALLS is {stalls}, and this queue gives a message up after "
        f"{MAX_RECEIVES} receives",
        breaks="a job that does not advance may lose its message before it fails",
        mend=f"set OUTLAST_MAX_STALLS to {limit} at most, or use SQS",
    )


def dead_findings(dead: int) -> Iterator[Finding]:
    """Say how many dead letters such a queue has."""
    if not dead:
        yield ok("queue.dead-letters", "there are none")
        return
    yield warning(
        "queue.dead-letters",
        f"{dead} messages were given up, each received {MAX_RECEIVES} times",
        breaks="if their jobs are not over, only a sweep wakes them",
        mend=DEAD_LETTERS,
    )
