"""This machine's clock beside the store's, so that a wrong one harms nobody's leases."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.checkpoint.register import Register

LOOK_SECONDS = 60.0
# S3 tells whole seconds, and an answer takes a while: up to here the clocks agree.
AGREEMENT_SECONDS = 2.0


class StoreClock:
    """By how much this machine's clock is ahead of the store's.

    Attributes:
        ahead_seconds: that; 0 where they agree, or where the store has told no time.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._looked_at = float("-inf")
        self.ahead_seconds = 0.0

    @property
    def is_due(self) -> bool:
        """Whether it is time to look at the store's clock, also after ours has jumped."""
        return abs(self._clock() - self._looked_at) > LOOK_SECONDS

    def saw(self, store_time: float | None) -> None:
        """Learn what the store's clock shows, in seconds since the epoch; None: it is hidden."""
        self._looked_at = now = self._clock()
        ahead = now - store_time if store_time is not None else 0.0
        self.ahead_seconds = ahead if abs(ahead) > AGREEMENT_SECONDS else 0.0


def set_right(clock: Callable[[], float], register: Register) -> Callable[[], float]:
    """Return `clock` with what it is ahead of the register's store taken off."""
    return lambda: clock() - register.clock.ahead_seconds
