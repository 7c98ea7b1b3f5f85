"""A place of chunks that a test controls."""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING

from outlast.checkpoint.blobs.contract import BlobStore, Chunk, DamagedChunk, Found

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class MemoryBlobs(BlobStore):
    """Chunks in this process.

    Attributes:
        chunks: what is stored, by name; a test may damage it.
        before: called with the name of each operation before it takes effect.
        sent: the sizes of all chunks that were ever written, in order.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.chunks: dict[str, bytes] = {}
        self.before: Callable[[str], None] = lambda _: None
        self.sent: list[int] = []
        self._written: dict[str, float] = {}
        self._clock = clock

    def put(self, chunk: Chunk, data: memoryview) -> None:
        """Write a chunk, once."""
        self.before("put")
        assert chunk.name not in self.chunks
        assert hashlib.sha256(data).hexdigest() == chunk.digest
        self.chunks[chunk.name] = bytes(data)
        self._written[chunk.name] = self._clock()
        self.sent.append(chunk.size)

    def read_into(self, chunk: Chunk, memory: memoryview) -> None:
        """Read a chunk, and compare its digest."""
        self.before("read_into")
        data = self.chunks.get(chunk.name, b"")
        if len(data) != chunk.size or hashlib.sha256(data).hexdigest() != chunk.digest:
            raise DamagedChunk(f"{chunk.name} is damaged")
        memory[:] = data

    def listed_at(self, moment: float) -> None:
        """Let the chunks that a test has put there have been written then."""
        self._written |= dict.fromkeys(self.chunks, moment)

    def delete(self, names: Iterable[str]) -> None:
        """Remove chunks."""
        self.before("delete")
        for name in names:
            self.chunks.pop(name, None)

    def names(self, prefix: str = "") -> Iterator[Found]:
        """Yield the chunks below a prefix."""
        self.before("names")
        names = [name for name in sorted(self.chunks) if name.startswith(prefix)]
        yield from (Found(name, self._written[name]) for name in names)

    def link(self, chunk: Chunk, seconds: float) -> str:
        """Return a name for it."""
        return f"memory:{chunk.name}?{seconds:g}"

    def close(self) -> None:
        """Do nothing."""


def settle() -> None:
    """Wait until all that is being sent or deleted is there, or gone."""
    for thread in threading.enumerate():
        if thread.name in {"outlast-sending", "outlast-deleting"}:
            thread.join()
