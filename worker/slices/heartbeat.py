"""Something done once a second while a thread is busy with what may not return for long."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

log = logging.getLogger("outlast.heartbeat")

BEAT_SECONDS = 1.0


class Repeat(Protocol):
    """What `Heartbeat.repeat` is."""

    def __call__(self, act: Callable[[], object]) -> AbstractContextManager[None]:
        """Do `act` about once a second for as long as the block lasts."""


class Heartbeat:
    """One thread that beats for all blocks of a process: one each would cost a short slice a tenth.

    Code that does not release the interpreter's lock keeps it from beating.
    """

    def __init__(self, *, sleep: Callable[[float], object] = time.sleep) -> None:
        """Start with the first block; `sleep` waits from beat to beat."""
        self._sleep = sleep
        self._acts: list[Callable[[], object]] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextmanager
    def repeat(self, act: Callable[[], object]) -> Iterator[None]:
        """Do `act` about once a second for as long as the block lasts.

        It ends with the block, or with the first exception of `act`, which is logged. When the
        block ends no `act` is under way.
        """
        with self._lock:
            self._acts.append(act)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="outlast-heartbeat", daemon=True
                )
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                if act in self._acts:
                    self._acts.remove(act)

    def _run(self) -> None:
        """Beat until there is nothing to do."""
        while True:
            self._sleep(BEAT_SECONDS)
            with self._lock:
                if not self._acts:
                    self._thread = None
                    return
                self._acts = [act for act in self._acts if self._beat(act)]

    def _beat(self, act: Callable[[], object]) -> bool:
        try:
            act()
        except Exception as error:  # noqa: BLE001 - the block's own thread will find out
            log.warning("%s", error)
            return False
        return True


repeat = Heartbeat().repeat
# On a thread of its own: a reader of the log who has stopped to read is to cost nobody a lease.
observe = Heartbeat().repeat
