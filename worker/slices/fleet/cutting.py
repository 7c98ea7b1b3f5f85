"""Where one part of a job ends and the next begins."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from outlast.checkpoint.fleet import OPEN_PER_WORKER
from outlast.kernel import NonRetryable

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
TOLERANCE = 1e-6  # of a share, as it is a sum of floats


def lengths_of(
    kernel: AnyDivisible, plan: Any, fleet: Fleet, seconds: float | None
) -> tuple[int, ...]:
    """Return how many pieces each part has, in order.

    `seconds` is what the job takes on one worker; None: that is not known.

    Raises:
        NonRetryable: the kernel does not say how many pieces there are, or how to share them out.
    """
    pieces = kernel.pieces(plan)
    if not isinstance(pieces, int) or pieces < 1:
        raise NonRetryable(f"pieces returned {pieces!r}: a whole number from 1 on is asked for")
    edges = [0]
    for share in shares_of(fleet, seconds):
        if edges[-1] + 1 >= pieces:
            break
        found = bisect_left(range(pieces), share, key=lambda piece: _share_of(kernel, plan, piece))
        edges.append(min(max(found, edges[-1] + 1), pieces))
    if edges[-1] < pieces:
        edges.append(pieces)
    return tuple(last - first for first, last in pairwise(edges))


def weights_of(kernel: AnyDivisible, plan: Any, lengths: tuple[int, ...]) -> tuple[int, ...]:
    """Return the share of the work that each part has, in billionths."""
    edges = accumulate(lengths, initial=0)
    before = [round(_share_of(kernel, plan, first) * BILLION) for first in edges]
    return tuple(max(last - first, 0) for first, last in pairwise(before))


def _share_of(kernel: AnyDivisible, plan: Any, first: int) -> float:
    share = kernel.share(plan, first)
    if not -TOLERANCE <= share <= 1 + TOLERANCE:
        raise NonRetryable(f"share returned {share} for piece {first}: 0 to 1 is asked for")
    return share


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
