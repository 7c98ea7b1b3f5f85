"""Outages of store and queue. The log has a line when one begins, one a minute, one at its end.

Where a service comes and goes, three beginnings a minute are told.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from threading import Lock
from typing import TYPE_CHECKING

from outlast.checkpoint.errors import StoreUnavailable
from outlast.worker.telemetry.events import (
    QUEUE_ANSWERS,
    QUEUE_UNAVAILABLE,
    STORE_ANSWERS,
    STORE_UNAVAILABLE,
    tell,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.worker.queues.contract import QueueUnavailable
    from outlast.worker.telemetry.events import Event

log = logging.getLogger("outlast.outage")

# Between two lines on the same outage. So many of them may begin in that time with a line each.
TELL_SECONDS, MOST_BEGINNINGS = 60.0, 3


class Outages:
    """Knows whether store and queue answer, and tells of it, for any number of threads."""

    def __init__(self, clock: Callable[[], float], *, are_one: bool) -> None:
        """Go by `clock`, in monotonic seconds; `are_one`: store and queue are one database."""
        self._store = _Service(STORE_UNAVAILABLE, STORE_ANSWERS, clock)
        self._queue = self._store
        if not are_one:
            self._queue = _Service(QUEUE_UNAVAILABLE, QUEUE_ANSWERS, clock)

    @property
    def is_store_away(self) -> bool:
        """Whether the last call to the store failed."""
        return self._store.is_away

    def failed(self, error: StoreUnavailable | QueueUnavailable, effect: str) -> None:
        """Note that a call failed; `effect` is what comes of that, for a person to read."""
        service = self._store if isinstance(error, StoreUnavailable) else self._queue
        service.failed(error, effect)

    def store_answered(self) -> None:
        """Note that a call to the store did not fail."""
        self._store.answered()

    def queue_answered(self) -> None:
        """Note that a call to the queue did not fail."""
        self._queue.answered()


class _Service:
    """The store, the queue, or the database that is both."""

    def __init__(self, unavailable: Event, answers: Event, clock: Callable[[], float]) -> None:
        self._unavailable, self._answers = unavailable, answers
        self._clock = clock
        self._lock = Lock()
        self._since: float | None = None  # None: it answers
        self._is_told = False
        self._told_at = -math.inf
        self._begun = deque([-math.inf] * MOST_BEGINNINGS, maxlen=MOST_BEGINNINGS)
        self._failures = 0  # that no line has counted yet

    @property
    def is_away(self) -> bool:
        return self._since is not None

    def failed(self, error: Exception, effect: str) -> None:
        with self._lock:
            now = self._clock()
            begins = self._since is None and now - self._begun[0] >= TELL_SECONDS
            if begins:
                self._begun.append(now)
            self._since = now if self._since is None else self._since
            self._failures += 1
            if not begins and now - self._told_at < TELL_SECONDS:
                return
            self._is_told, self._told_at = True, now
            seconds, failures, self._failures = now - self._since, self._failures, 0
        so_far = f" (away for {seconds:.0f} s, {failures} more calls failed)"
        tell(
            log,
            self._unavailable,
            effect=effect,
            error=str(error),
            seconds=seconds,
            failures=failures,
            words={"so_far": so_far if failures > 1 else ""},
        )

    def answered(self) -> None:
        if self._since is None:
            return
        with self._lock:
            if self._since is None:
                return
            seconds, self._since = self._clock() - self._since, None
            if not self._is_told:
                return  # The next line counts what failed.
            self._is_told, failures, self._failures = False, self._failures, 0
        tell(log, self._answers, seconds=seconds, failures=failures)
