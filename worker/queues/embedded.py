"""What the queues without a server share: they wait by looking, and give up on a message."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from outlast.checkpoint.parts import Limits
from outlast.worker.queues.contract import Delivery, Queue

if TYPE_CHECKING:
    from collections.abc import Callable

# A queue must not give a message up before its job fails. Each stall costs the slice's receive, and
# one or more that come too early, by the clock of a worker that is slow.
RECEIVES_A_STALL = 3
MAX_RECEIVES = RECEIVES_A_STALL * Limits().max_stalls
POLL_SECONDS = 0.05  # a look costs some 10 µs, and a person does not notice 50 ms


class EmbeddedQueue(Queue):
    """A queue that nobody else runs; a subclass provides `look` in place of `receive`.

    `clock` gives the time in seconds that visibility is counted by, `sleep` waits between looks.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        max_receives: int,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._max_receives = max_receives
        self._dead_reason = f"received {max_receives} times and never acknowledged"

    @abstractmethod
    def look(self, visibility_seconds: float) -> Delivery | None:
        """Return the next visible message, now hidden for `visibility_seconds`, or None."""

    def receive(self, *, visibility_seconds: float, wait_seconds: float) -> Delivery | None:
        """Look until there is a message or `wait_seconds` were slept.

        A signal does not cut a sleep short (PEP 475), so a caller that wants to see its flag soon
        passes a short wait. The sleeps are added up rather than measured, so that a clock set back
        cannot prolong the wait.
        """
        waited = 0.0
        while True:
            delivery = self.look(visibility_seconds)
            if delivery is not None or waited >= wait_seconds:
                return delivery
            pause = min(POLL_SECONDS, wait_seconds - waited)
            self._sleep(pause)
            waited += pause
