"""Chunks on their way to where they are kept, on threads of their own."""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING, Protocol

from outlast.checkpoint.blobs.contract import Chunk
from outlast.checkpoint.blobs.cutting import Span, cut
from outlast.checkpoint.errors import CheckpointError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from outlast.checkpoint.blobs.contract import BlobStore

# While a kernel computes, more would take the interpreter from it; alone they are quicker.
THREADS_ALONE = 4


class Row(Protocol):
    """Bytes in a row, of which some are an array's each."""

    @property
    def size(self) -> int:
        """How many there are."""

    @property
    def spans(self) -> Iterable[tuple[int, int]]:
        """Where each array begins and ends."""

    def read(self, begin: int, end: int) -> memoryview:
        """Return a part of them."""


def listed(row: Row) -> tuple[Chunk, ...]:
    """Return the chunks that a row is stored in, each with its number for a name; see `moved`."""
    parts = (row.read(begin, end) for begin, end in spans_of(row))
    return tuple(
        Chunk(str(number), part.nbytes, hashlib.sha256(part).hexdigest())
        for number, part in enumerate(parts, 1)
    )


def moved(chunks: Iterable[Chunk], folder: str, first: int = 1) -> tuple[Chunk, ...]:
    """Return these chunks with names in a folder, which is one that nobody else has."""
    return tuple(
        chunk._replace(name=f"{folder}/{number}") for number, chunk in enumerate(chunks, first)
    )


def spans_of(row: Row) -> list[Span]:
    """Return the parts of a row that are a chunk each."""
    return cut((Span(*span) for span in row.spans), row.size)


class Sending:
    """The chunks of a row, of which those are written that are not there yet.

    Attributes:
        sent: those that were written, by their digest.
    """

    def __init__(
        self,
        blobs: BlobStore,
        row: Row,
        known: Mapping[str, Chunk],
        new_name: Callable[[], str],
    ) -> None:
        """Prepare to send `row`, which must not change until this has ended.

        `known` are chunks that are there, by their digest. `new_name` returns one that is free, on
        any thread, before each chunk that is sent.
        """
        self.sent: dict[str, Chunk] = {}
        self._blobs, self._row = blobs, row
        self._known, self._new_name = known, new_name
        spans = spans_of(row)
        self._chunks: list[Chunk | None] = [None] * len(spans)
        self._left = iter(list(enumerate(spans)))
        self._lock = threading.Lock()
        self._stopped = False
        self._error: BaseException | None = None
        self._threads: list[threading.Thread] = []
        self._running = 0
        self._on_end: Callable[[], object] = lambda: None

    def start(self, threads: int = 1, *, on_end: Callable[[], object] = lambda: None) -> None:
        """Begin to send on so many threads; the last of them calls `on_end`.

        Raises:
            StoreUnavailable: the system has no thread to give.
        """
        self._running, self._on_end = min(threads, len(self._chunks)), on_end
        self._threads = [
            threading.Thread(target=self._run, name="outlast-sending", daemon=True)
            for _ in range(self._running)
        ]
        try:
            for thread in self._threads:
                thread.start()
        except RuntimeError as error:
            self._threads = [thread for thread in self._threads if thread.ident]
            self.stop()
            raise StoreUnavailable(f"arrays cannot be sent: {error}") from error

    @property
    def sent_bytes(self) -> int:
        """How many bytes were written so far."""
        return sum(chunk.size for chunk in list(self.sent.values()))

    @property
    def is_done(self) -> bool:
        """Whether all is there, or an error has come."""
        return not any(thread.is_alive() for thread in self._threads)

    def wait(self) -> None:
        """Wait until all is there, or an error has come."""
        for thread in self._threads:
            thread.join()

    def stop(self) -> None:
        """Send no further chunk, and wait for those under way."""
        self._stopped = True
        self.wait()

    def chunks(self) -> tuple[Chunk, ...]:
        """Wait until all is there, and return it in order.

        Raises:
            StoreUnavailable: a chunk could not be written; those in `sent` were.
        """
        self.wait()
        if isinstance(self._error, CheckpointError):
            raise self._error
        if self._error is not None:
            raise StoreUnavailable(f"arrays cannot be sent: {self._error!r}") from self._error
        return tuple(chunk for chunk in self._chunks if chunk is not None)

    def _run(self) -> None:
        try:
            while not self._stopped and (item := self._next()):
                number, span = item
                self._chunks[number] = self._send(self._row.read(span.begin, span.end))
        except BaseException as error:  # noqa: BLE001 - it is raised where the chunks are asked for
            self._error, self._stopped = error, True
        with self._lock:
            self._running -= 1
            if not self._running:
                self._on_end()

    def _next(self) -> tuple[int, Span] | None:
        with self._lock:
            return next(self._left, None)

    def _send(self, data: memoryview) -> Chunk:
        digest = hashlib.sha256(data).hexdigest()
        there = self._known.get(digest) or self.sent.get(digest)
        if there is not None and there.size == data.nbytes:
            return there
        chunk = Chunk(self._new_name(), data.nbytes, digest)
        self._blobs.put(chunk, data)
        self.sent[digest] = chunk
        return chunk
