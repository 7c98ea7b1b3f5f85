"""Where the bytes of arrays are kept: in chunks, each written once under a name of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated, NamedTuple

from pydantic import Field

from outlast.checkpoint.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# The longest chunk. A larger one would be cheaper to list, and dearer to send again.
CHUNK_BYTES = 16 << 20

# No part of it can lead out of a folder.
PART = r"[A-Za-z0-9][A-Za-z0-9._-]*"
Name = Annotated[str, Field(max_length=300, pattern=rf"\A{PART}(/{PART})*\z")]
Digest = Annotated[str, Field(pattern=r"\A[0-9a-f]{64}\z")]


class DamagedChunk(CheckpointError):
    """A chunk is missing, or is not what was written. The checkpoint that needs it is lost."""


class Chunk(NamedTuple):
    """Some bytes as a record lists them.

    Attributes:
        name: `<job id>/<claim>/<number>`, which nobody else has ever given.
        size: how many bytes there are, up to `CHUNK_BYTES`.
        digest: their SHA-256 in hexadecimal digits.
    """

    name: Name
    size: Annotated[int, Field(ge=0, le=CHUNK_BYTES)]
    digest: Digest


class Found(NamedTuple):
    """A chunk in the store: its name, and when it was written, in seconds since the epoch."""

    name: str
    written_at: float


class BlobStore(ABC):
    """Chunks in a place, for any number of workers, also from several threads at a time.

    All methods raise StoreUnavailable where the place does not answer or refuses, which may be
    over soon.
    """

    @abstractmethod
    def put(self, chunk: Chunk, data: memoryview) -> None:
        """Write a chunk; when this returns, it is as durable as the place makes it.

        Raises:
            StoreFull: there is no room.
        """

    @abstractmethod
    def read_into(self, chunk: Chunk, memory: memoryview) -> None:
        """Fill `memory`, which is as long as the chunk, with its bytes, and compare their digest.

        Raises:
            DamagedChunk: it is missing, has another length or another digest.
        """

    @abstractmethod
    def delete(self, names: Iterable[str]) -> None:
        """Remove chunks; one that is missing is no error."""

    @abstractmethod
    def names(self, prefix: str = "") -> Iterator[Found]:
        """Yield the chunks whose names begin with `prefix`, which is empty or ends with a slash."""

    @abstractmethod
    def link(self, chunk: Chunk, seconds: float) -> str:
        """Return a URL from which anyone can read the chunk for so long."""

    def copy(self, chunk: Chunk, name: str, source: BlobStore) -> Chunk:
        """Copy a chunk of `source` to this place under another name; return it.

        Raises:
            DamagedChunk, StoreFull: as the others do.
        """
        memory = memoryview(bytearray(chunk.size))
        source.read_into(chunk, memory)
        copy = chunk._replace(name=name)
        self.put(copy, memory)
        return copy

    @abstractmethod
    def close(self) -> None:
        """Close what is open; the place cannot be used again."""
