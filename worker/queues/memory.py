"""The queue of a process that works its own job: it ends with the process."""

from __future__ import annotations

import sys
import time
from collections import deque
from dataclasses import dataclass
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING

from outlast.worker.queues.contract import Delivery
from outlast.worker.queues.polled import PolledQueue
from outlast.worker.queues.receives import MAX_RECEIVES

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.worker.queues.message import Message


@dataclass(slots=True)
class _Entry:
    body: str
    receives: int = 0
    visible_at: float = 0.0


class MemoryQueue(PolledQueue):
    """Holds messages in this process, for any number of its threads.

    With `max_receives` None there is no limit to the deliveries of a message.

    A message is lost with the process. That is harmless: the job's progress is in the store, and
    the next start sends a new message.

    Attributes:
        dead: each dead letter's body, with the reason.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        max_receives: int | None = MAX_RECEIVES,
    ) -> None:
        super().__init__(clock=clock, sleep=sleep, max_receives=max_receives or sys.maxsize)
        self.gives_up = max_receives is not None
        self.dead: list[tuple[str, str]] = []
        self._visible: deque[_Entry] = deque()
        self._hidden: dict[str, _Entry] = {}
        self._receipts = map(str, count(1))
        self._lock = Lock()

    def send(
        self,
        message: Message,
        *,
        deduplication_id: str | None = None,  # noqa: ARG002 - drops none
    ) -> None:
        """Put `message` behind the visible ones."""
        self._visible.append(_Entry(message.body()))

    def look(self, visibility_seconds: float) -> Delivery | None:
        """Return the message that has been visible longest, or None."""
        with self._lock:
            now = self._clock()
            self._show(now)
            if not self._visible:
                return None
            entry = self._visible.popleft()
            entry.receives += 1
            entry.visible_at = now + visibility_seconds
            receipt = next(self._receipts)
            self._hidden[receipt] = entry
            is_first = entry.receives == 1
            return Delivery(entry.body, receipt, visibility_seconds, is_first=is_first)

    def is_empty(self) -> bool:
        """Return whether no message is visible."""
        with self._lock:
            self._show(self._clock())
            return not self._visible

    def hide(self, delivery: Delivery, seconds: float) -> None:
        """Hide the message for `seconds` from now."""
        with self._lock:
            if entry := self._hidden.get(delivery.receipt):
                entry.visible_at = self._clock() + seconds

    def ack(self, delivery: Delivery) -> None:
        """Forget the message."""
        with self._lock:
            self._hidden.pop(delivery.receipt, None)

    def _show(self, now: float) -> None:
        due = [r for r, entry in self._hidden.items() if entry.visible_at <= now]
        for receipt in sorted(due, key=lambda r: self._hidden[r].visible_at):
            entry = self._hidden.pop(receipt)
            if entry.receives < self._max_receives:
                self._visible.append(entry)
            else:
                self.dead.append((entry.body, self._dead_reason))
