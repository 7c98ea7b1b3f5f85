"""What the queues without a server have in common: they poll, and have a limit of receives."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from outlast.worker.queues.contract import Delivery, Queue

if TYPE_CHECKING:
    from collections.abc import Callable

POLL_SECONDS = 0.05  # a look costs some 10 µs, and a person does not notice 50 ms


class PolledQueue(Queue):
    """A queue without a server; a subclass implements `look`, and `receive` polls with it.

    Visibility is counted in the seconds of `clock`; `sleep` waits between two looks.
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
        """Return the next visible message, hidden for `visibility_seconds`; None: no message."""

    def receive(self, *, visibility_seconds: float, wait_seconds: float) -> Delivery | None:
        """Look until there is a message or the sleeps add up to `wait_seconds`.

        A signal does not end a sleep (PEP 475): a caller that has a flag to check passes a short
        wait. The sleeps are added up, not measured, as a clock that is set back would prolong the
        wait.
        """
        waited = 0.0
        while True:
            delivery = self.look(visibility_seconds)
            if delivery is not None or waited >= wait_seconds:
                return delivery
            pause = min(POLL_SECONDS, wait_seconds - waited)
            self._sleep(pause)
            waited += pause
