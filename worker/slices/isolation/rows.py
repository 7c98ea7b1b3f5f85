"""Arrays on their way through a pipe: raw bytes, which nobody pickles."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

from outlast.kernel.bulk import Bulk, Stored, new_row

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

# No more than fits into the caches of a processor.
BLOCK_BYTES = 1 << 20


def send_stored(pipe: Connection, stored: Stored, kind: str | None = None) -> None:
    """Send a model; under a word that says what it is, if there is one."""
    text, bulk = stored
    value = text, bulk.spans, bulk.size
    pipe.send_bytes(pickle.dumps(value if kind is None else (kind, value)))
    for begin in range(0, bulk.size, BLOCK_BYTES):
        pipe.send_bytes(bulk.read(begin, min(begin + BLOCK_BYTES, bulk.size)))


def receive_arrays(
    pipe: Connection,
    value: Any,
    row: Callable[[int], memoryview | None] = new_row,
) -> Stored:
    """Receive the arrays of a model whose first message had this value.

    They come into what `row` returns for their size, or else into memory of their own.
    """
    text, spans, size = value
    memory = row(size)
    if memory is None:
        memory = new_row(size)
    at = 0
    while at < size:
        at += pipe.recv_bytes_into(memory, at)
    return Stored(text, Bulk.of(memory, spans))
