"""Chunks read into one row of memory, several at a time."""

from __future__ import annotations

import mmap
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from outlast.checkpoint.blobs.contract import BlobStore, Chunk

THREADS = 4


def new_row(size: int) -> memoryview:
    """Return memory for so many bytes, which the system has back once nothing refers to it.

    It begins at a page, so that arrays in it lie as they do elsewhere.
    """
    if not size:
        return memoryview(bytearray())
    return memoryview(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))


def fetch(
    blobs: BlobStore, chunks: Sequence[Chunk], on_chunk: Callable[[], object] = lambda: None
) -> memoryview:
    """Return the bytes of the chunks in a row; `on_chunk` is called after each, on any thread.

    Raises:
        DamagedChunk: one is missing, or is not what was written.
        StoreUnavailable: the place does not answer.
    """
    from concurrent.futures import ThreadPoolExecutor  # here, as most jobs have no arrays

    ends = list(accumulate(chunk.size for chunk in chunks))
    row = new_row(ends[-1] if ends else 0)

    def read(chunk: Chunk, end: int) -> None:
        blobs.read_into(chunk, row[end - chunk.size : end])
        on_chunk()

    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(read, chunks, ends):
            pass
    return row
