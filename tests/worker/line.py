"""A place of chunks behind a slow line, on the clock of a test."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from outlast.checkpoint.blobs.sending import Sending
from tests.blobs import MemoryBlobs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    import pytest

    from outlast.checkpoint.blobs.contract import Chunk
    from tests.fakes import FakeClock

LOOK_SECONDS = 0.001  # by the real clock: a thread that ends tells nobody
PATIENCE_SECONDS = 30.0


class Line(MemoryBlobs):
    """Chunks behind a line of so many bytes a second, which all threads share.

    While a kernel computes, its steps move the clock (`passes`), and what is sent arrives
    meanwhile. While the worker does nothing but wait, each chunk that arrives moves it.
    """

    def __init__(self, clock: FakeClock, bytes_a_second: float) -> None:
        super().__init__(clock)
        self.bytes_a_second = bytes_a_second
        self._now = clock
        self._free_at = 0.0
        self._changed = threading.Condition()
        self._due: dict[threading.Thread, float] = {}  # of those that send a chunk
        self._waiters = 0

    def put(self, chunk: Chunk, data: memoryview) -> None:
        """Write a chunk once it has arrived."""
        me = threading.current_thread()
        with self._changed:
            self._due[me] = due = self._reserve(chunk)
            self._changed.notify_all()
            while self._now() < due:
                if self._waiters and due == min(self._due.values()):
                    self._now.now = due
                else:
                    assert self._changed.wait(PATIENCE_SECONDS), "nobody moves the clock"
            del self._due[me]
            self._changed.notify_all()
        super().put(chunk, data)

    def read_into(self, chunk: Chunk, memory: memoryview) -> None:
        """Read a chunk: the worker waits for it."""
        with self._changed:
            self._now.now = self._reserve(chunk)
        super().read_into(chunk, memory)

    def _reserve(self, chunk: Chunk) -> float:
        begin = max(self._free_at, self._now())
        self._free_at = begin + chunk.size / self.bytes_a_second
        return self._free_at

    def passes(self, seconds: float) -> None:
        """Let a step of the kernel take its time, in which what is sent arrives."""
        with self._changed:
            end = self._now() + seconds
            while (next_due := self._next_due()) <= end:
                self._now.now = max(self._now(), next_due)
                self._changed.notify_all()
                self._changed.wait_for(lambda due=next_due: due not in self._due.values())
            self._now.now = end

    def _next_due(self) -> float:
        """Return when the next chunk arrives, once each thread that sends is at one."""
        while sending := {t for t in threading.enumerate() if t.name == "outlast-sending"}:
            if sending <= self._due.keys():
                return min(self._due.values())
            self._changed.wait(LOOK_SECONDS)
        return float("inf")

    @contextmanager
    def waited_for(self) -> Iterator[None]:
        """Let each chunk that arrives move the clock, as the block does nothing but wait."""
        with self._changed:
            self._waiters += 1
            self._changed.notify_all()
        yield
        with self._changed:
            self._waiters -= 1


def wait_within(
    block: Callable[[], AbstractContextManager[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let all workers be in such a block wherever they wait for what they send."""
    wait = Sending.wait

    def waits(sending: Sending) -> None:
        with block():
            wait(sending)

    monkeypatch.setattr(Sending, "wait", waits)
