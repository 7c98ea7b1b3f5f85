"""A place of chunks behind a line of limited speed."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from outlast.checkpoint.blobs.contract import BlobStore, Chunk, Found

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Line(BlobStore):
    """A place behind a line of so many bytes a second for all threads together; 0: no limit.

    Attributes:
        sent_bytes: how many were written.
    """

    def __init__(self, place: BlobStore, bytes_a_second: float) -> None:
        self.sent_bytes = 0
        self._place = place
        self._seconds_per_byte = 1 / bytes_a_second if bytes_a_second else 0.0
        self._lock = threading.Lock()
        self._free_at = 0.0

    def put(self, chunk: Chunk, data: memoryview) -> None:
        """Write a chunk."""
        with self._carried(chunk):
            self._place.put(chunk, data)
        with self._lock:
            self.sent_bytes += chunk.size

    def read_into(self, chunk: Chunk, memory: memoryview) -> None:
        """Read a chunk."""
        with self._carried(chunk):
            self._place.read_into(chunk, memory)

    @contextmanager
    def _carried(self, chunk: Chunk) -> Iterator[None]:
        """Let the block take at least as long as the line needs for the chunk."""
        with self._lock:
            begin = max(self._free_at, time.perf_counter())
            end = self._free_at = begin + chunk.size * self._seconds_per_byte
        yield
        time.sleep(max(end - time.perf_counter(), 0.0))

    def delete(self, names: Iterable[str]) -> None:
        """Remove chunks."""
        self._place.delete(names)

    def names(self, prefix: str = "") -> Iterator[Found]:
        """Yield the chunks."""
        return self._place.names(prefix)

    def link(self, chunk: Chunk, seconds: float) -> str:
        """Return a URL."""
        return self._place.link(chunk, seconds)

    def close(self) -> None:
        """Close the place."""
        self._place.close()
