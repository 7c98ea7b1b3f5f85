"""Where one part of a job ends and the next begins."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from outlast.checkpoint.fleet import OPEN_PER_WORKER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outlast.checkpoint.fleet import Fleet
    from outlast.kernel.parts import AnyDivisible

# A part of so many seconds costs little beside its work, and little is lost with it.
PART_SECONDS = 60.0
LEAST_PARTS_PER_WORKER = 10
MOST_PARTS = 10_000
# The last parts are shorter, so that no worker is left with much when the others are done.
SHORTEST = 1 / 8
BILLION = 10**9


def lengths_of(
    kernel: AnyDivisible, plan: Any, fleet: Fleet, seconds: float | None
) -> tuple[int, ...]:
    """Return how many pieces each part has, in order.

    `seconds` is what the job takes on one worker; None: that is not known.

    Raises:
        ValueError: the kernel says that there are no pieces.
    """
    pieces = kernel.pieces(plan)
    if pieces < 1:
        raise ValueError(f"its plan has {pieces} pieces: there must be one at least")
    edges = [0]
    for share in shares_of(fleet, seconds):
        if edges[-1] + 1 >= pieces:
            break
        found = bisect_left(range(pieces), share, key=lambda piece: kernel.share(plan, piece))
        edges.append(min(max(found, edges[-1] + 1), pieces))
    if edges[-1] < pieces:
        edges.append(pieces)
    return tuple(last - first for first, last in pairwise(edges))


def weights_of(kernel: AnyDivisible, plan: Any, lengths: tuple[int, ...]) -> tuple[int, ...]:
    """Return the share of the work that each part has, in billionths."""
    edges = accumulate(lengths, initial=0)
    before = [round(kernel.share(plan, first) * BILLION) for first in edges]
    return tuple(max(last - first, 0) for first, last in pairwise(before))


def shares_of(fleet: Fleet, seconds: float | None) -> Iterator[float]:
    """Yield up to which share of the work each part but the last one goes.

    `seconds` is as in `lengths_of`. There are fewer parts where there are fewer pieces.
    """
    longest = _longest_share(fleet, seconds)
    twice_open = 2 * OPEN_PER_WORKER * fleet.parallel
    done = 0.0
    while True:
        part = max(min(longest, (1 - done) / twice_open), longest * SHORTEST)
        done += part
        if done + part / 2 >= 1:
            return
        yield done


def _longest_share(fleet: Fleet, seconds: float | None) -> float:
    """Return which share of the work a part has at most."""
    share = 1 / (LEAST_PARTS_PER_WORKER * fleet.parallel)
    if fleet.part_seconds is not None and seconds:
        share = fleet.part_seconds / seconds
    elif seconds:
        share = min(share, PART_SECONDS / seconds)
    most = max(MOST_PARTS, LEAST_PARTS_PER_WORKER * fleet.parallel)
    return min(max(share, 1 / most), 1.0)
