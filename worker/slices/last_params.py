"""The parameters of the job that ran last, with their arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outlast.kernel.bulk import Bulk, Stored

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from outlast.checkpoint.blobs.contract import Chunk
    from outlast.checkpoint.record import Record


class LastParams:
    """Remembers the arrays of one job's parameters: the next slice is most likely of that job.

    Nobody can change their arrays.
    """

    def __init__(self) -> None:
        self._chunks: tuple[Chunk, ...] = ()
        self._bulk = Bulk()

    def of(self, record: Record, read: Callable[[Sequence[Chunk]], memoryview]) -> Stored:
        """Return the parameters of a job; `read` gets the bytes of chunks."""
        if record.params_chunks != self._chunks:
            self._chunks, self._bulk = (), Bulk()  # One of them at a time.
            self._bulk = Bulk.of(read(record.params_chunks).toreadonly())
            self._chunks = record.params_chunks
        return Stored(record.params_json.encode(), self._bulk)
