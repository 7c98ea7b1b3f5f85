"""Chunks read into one row of memory, several at a time."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from outlast.checkpoint.blobs.contract import BlobStore, Chunk

THREADS = 4


def fetch(
    blobs: BlobStore,
    chunks: Sequence[Chunk],
    row: memoryview,
    on_chunk: Callable[[], object] = lambda: None,
) -> None:
    """Fill `row` with the bytes of the chunks; `on_chunk` is called after each, on any thread.

    What it raises ends the reading, and is raised here.

    Raises:
        DamagedChunk: one is missing, or is not what was written.
        StoreUnavailable: the place does not answer.
    """
    from concurrent.futures import ThreadPoolExecutor  # here, as most jobs have no arrays

    ends = accumulate(chunk.size for chunk in chunks)
    is_over = False

    def read(chunk: Chunk, end: int) -> None:
        nonlocal is_over
        if is_over:
            return  # `map` cancels what is not begun, but only once it gets to the error.
        try:
            blobs.read_into(chunk, row[end - chunk.size : end])
            on_chunk()
        except BaseException:
            is_over = True
            raise

    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(read, chunks, ends):
            pass
