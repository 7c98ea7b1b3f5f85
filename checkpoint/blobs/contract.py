"""Where the bytes of arrays are kept: in chunks, each written once under a name of its own."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated, NamedTuple, Protocol

from pydantic import Field

from outlast.checkpoint.errors import CheckpointError
from outlast.checkpoint.fields import JOB_ID

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CHOOSE_PLACE = "set OUTLAST_BLOBS to s3://bucket/prefix, or to a folder that all workers see"

# The longest chunk. A larger one would be cheaper to list, and dearer to send again.
CHUNK_BYTES = 16 << 20
PIECE_BYTES = 1 << 20  # read and hashed at a time, while it is in the processor's cache

# No part of it is empty or begins with a dot: a name cannot leave its folder.
Name = Annotated[str, Field(max_length=300, pattern=rf"\A{JOB_ID}(/{JOB_ID})*\z")]
Digest = Annotated[str, Field(pattern=r"\A[0-9a-f]{64}\z")]


class DamagedChunk(CheckpointError):
    """A chunk is missing, or is not what was written. The checkpoint that needs it is lost."""


class Stream(Protocol):
    """An open file, or the body of an answer."""

    def readinto(self, memory: memoryview, /) -> int | None:
        """Read some bytes into the beginning of `memory`; return how many, 0 at the end."""


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

    def fills(self, memory: memoryview, stream: Stream) -> bool:
        """Read a stream into `memory`, which is as long as the chunk; return whether it is it."""
        digest = hashlib.sha256()
        while memory and (count := stream.readinto(memory[:PIECE_BYTES])):
            digest.update(memory[:count])
            memory = memory[count:]
        is_longer = stream.readinto(memoryview(bytearray(1)))
        return not is_longer and digest.hexdigest() == self.digest


class Found(NamedTuple):
    """A chunk in the store, or what a killed writer has left of it.

    Attributes:
        name: the chunk's.
        written_at: when it came by this name, by the clock of the place, in seconds since the
            epoch.
    """

    name: str
    written_at: float


class BlobStore(ABC):
    """Chunks in a place, for any number of workers, also from several threads at a time.

    A place is created by the first `put`; before that it is empty. All methods raise
    StoreUnavailable where the place does not answer or refuses, which may be over soon.
    """

    @abstractmethod
    def put(self, chunk: Chunk, data: memoryview) -> None:
        """Write a chunk; when this returns, it is as durable as the place makes it.

        `data` has the chunk's bytes, and does not change meanwhile.

        Raises:
            StoreFull: there is no room.
            StateTooLarge: the place takes no chunk of this size.
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
        """Yield the chunks whose names begin with `prefix`, which is empty or ends with a slash.

        Also what is left of chunks whose writer was killed: `delete` removes it by that name.
        """

    @abstractmethod
    def link(self, chunk: Chunk, seconds: float) -> str:
        """Return a URL from which the chunk can be read, without a look at whether it is there.

        A bucket's works for everyone, for `seconds`, a week at most, and no longer than the
        credentials it was made with. A folder's works where the folder is, as long as the chunk is.
        """

    def copy(self, chunk: Chunk, name: str, source: BlobStore) -> Chunk:
        """Copy a chunk of `source` to this place under another name; return it.

        Nothing can be removed from either place by deleting from the other.

        Raises:
            DamagedChunk: it is missing, or it was read and is damaged.
            StoreFull, StateTooLarge: as of `put`.
        """
        memory = memoryview(bytearray(chunk.size))
        source.read_into(chunk, memory)
        copy = chunk._replace(name=name)
        self.put(copy, memory)
        return copy

    @abstractmethod
    def close(self) -> None:
        """Close what is open; the place cannot be used again."""
