"""Which slices are so brief that their claim need not be stored before they run."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record
    from outlast.worker.queues.contract import Delivery

# To store a claim takes about as long, over a network.
BRIEF_SECONDS = 0.05
# How many slices of a kernel must have been brief.
RECENT = 10


class Brevity:
    """What this process has seen of how long the slices of each kernel take.

    A claim that is not stored holds nobody off, and a crash before the first write is not counted.
    So it may wait only where little is at stake: two workers may do the work of a moment twice, and
    the compare-and-set lets one of them write. A claim under which arrays are sent never waits: it
    tells whoever looks for arrays that nobody needs.
    """

    def __init__(self) -> None:
        """Start from nothing: the first claims of each kernel are stored."""
        self._seen: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=RECENT))

    def saw(self, kernel: str, seconds: float) -> None:
        """Learn from a slice: from its claim to its last write."""
        self._seen[kernel].append(seconds)

    def may_wait(self, before: Record, claimed: Record, delivery: Delivery) -> bool:
        """Whether `claimed`, which a claim made of `before`, may be stored with its first write.

        Not where the message was delivered before, or the job has not advanced in a slice: it may
        be what takes the process down, which is to be counted. Nor where the claim tells more than
        that a slice begins.
        """
        if not delivery.is_first or before.guards.stalls or before.lease is not None:
            return False
        if claimed.lease is None or claimed.quarantine != before.quarantine:
            return False
        is_whole = claimed.node is None and not claimed.is_divided
        return is_whole and self.is_brief(claimed.kernel)

    def is_brief(self, kernel: str) -> bool:
        """Whether the last slices of the kernel were brief."""
        seen = self._seen.get(kernel, ())
        return len(seen) == RECENT and max(seen) <= BRIEF_SECONDS
