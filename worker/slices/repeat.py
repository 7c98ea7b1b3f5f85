"""Something done again and again while this thread is busy with what does not return for long."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

log = logging.getLogger("outlast.heartbeat")

# What has not returned by then may never do so: others are to have a chance.
LONGEST_SECONDS = 600.0


class Repeat(Protocol):
    """What `repeated` is."""

    def __call__(
        self, act: Callable[[], object], *, every_seconds: float
    ) -> AbstractContextManager[None]:
        """Do `act` every so many seconds for as long as the block lasts."""


@contextmanager
def repeated(act: Callable[[], object], *, every_seconds: float) -> Iterator[None]:
    """Do `act` every so many seconds, in a thread, for as long as the block lasts.

    It ends with the block, after 10 minutes, or with the first exception of `act`, which is logged.
    The block itself must not touch what `act` does.
    """
    over = threading.Event()

    def beat() -> None:
        for _ in range(int(LONGEST_SECONDS / every_seconds)):
            if over.wait(every_seconds):
                return
            try:
                act()
            except Exception as error:  # noqa: BLE001 - the block's own thread will find out
                log.warning("%s", error)
                return

    thread = threading.Thread(target=beat, name="outlast-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
