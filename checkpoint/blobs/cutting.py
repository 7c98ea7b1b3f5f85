"""Where a row of arrays is cut into chunks."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from outlast.checkpoint.blobs.contract import CHUNK_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Smaller arrays share a chunk, of no more than four times this size.
SMALL_BYTES = 256 << 10


class Span(NamedTuple):
    """A part of the row, from one byte to the one before another."""

    begin: int
    end: int


def cut(pieces: Iterable[Span], size: int) -> list[Span]:
    """Return the parts that a row of so many bytes is stored in; together they are the whole row.

    `pieces` are its arrays. Every large one begins a chunk, and so do those after it: an array that
    grows does not change the chunks of the others.
    """
    begins = [*_begins(pieces), size]
    return [Span(begin, end) for begin, end in pairwise(begins)]


def _begins(pieces: Iterable[Span]) -> Iterator[int]:
    shared: int | None = None  # where a chunk of small arrays begins, which may take one more
    for begin, end in pieces:
        if end - begin >= SMALL_BYTES:
            yield from range(begin, end, CHUNK_BYTES)
            shared = None
        elif shared is None or end - shared > 4 * SMALL_BYTES:
            yield begin
            shared = begin
