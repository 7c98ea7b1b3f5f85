"""The simulated place of arrays: one for all, seen by each process through its own faults."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from outlast.checkpoint.blobs.contract import BlobStore, Chunk, Found
from outlast.checkpoint.errors import StoreFull, StoreUnavailable
from tests.blobs import MemoryBlobs
from tests.simulation.process import EPOCH
from tests.simulation.store import AWAY_SECONDS, LATE_SECONDS
from tests.simulation.violation import Violation, require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import NoReturn

    from tests.simulation.process import Process
    from tests.simulation.world import World


class Place(MemoryBlobs):
    """What is there.

    Attributes:
        back_at: when it answers again.
        digests: of what was written and not deleted, by name, whatever has become of the bytes.
    """

    def __init__(self, world: World) -> None:
        super().__init__(lambda: EPOCH + world.clockwork.now)
        self.back_at = 0.0
        self.digests: dict[str, str] = {}
        self._world = world
        self._names = set[str]()

    def put(self, chunk: Chunk, data: memoryview) -> None:
        """Write a chunk, once and for all time."""
        require(chunk.name not in self._names, f"{brief(chunk.name)} was written twice")
        self._names.add(chunk.name)
        require(
            len(data) == chunk.size and _digest(data) == chunk.digest,
            f"{brief(chunk.name)} has changed while it was sent",
        )
        super().put(chunk, data)
        self.digests[chunk.name] = chunk.digest

    def delete(self, names: Iterable[str]) -> None:
        """Remove chunks."""
        names = list(names)
        for name in names:
            if self.digests.pop(name, None):
                self._world.rules.chunks.deleted(name)
        super().delete(names)

    def damage(self, name: str) -> None:
        """Turn a bit of a chunk."""
        data = self.chunks[name]
        self.chunks[name] = bytes([data[0] ^ 1]) + data[1:]

    def is_sound(self, chunk: Chunk) -> bool:
        """Whether the chunk is what was written."""
        return _digest(self.chunks.get(chunk.name, b"")) == chunk.digest


class SimulatedBlobs(BlobStore):
    """The place as one process has it, on any of its threads."""

    def __init__(self, world: World, process: Process, place: Place) -> None:
        self._world, self._process, self._place = world, process, place

    def put(self, chunk: Chunk, data: memoryview) -> None:
        """Write a chunk."""
        with self._effect("put chunk") as fault:
            if fault == "full":
                raise StoreFull("simulated")
            if fault == "land late":
                kept = memoryview(bytes(data))
                self._land_late(lambda: self._place.put(chunk, kept))
            self._place.put(chunk, data)
            self._world.note(self._process, "puts {}", brief(chunk.name))

    def read_into(self, chunk: Chunk, memory: memoryview) -> None:
        """Read a chunk, and compare its digest."""
        with self._effect("read chunk"):
            self._place.read_into(chunk, memory)

    def delete(self, names: Iterable[str]) -> None:
        """Remove chunks, or some of them."""
        names = list(names)
        with self._effect("delete chunks") as fault:
            if fault == "land late":
                self._land_late(lambda: self._place.delete(names))
            self._place.delete(names[::2] if fault == "lose answer" else names)
            self._world.note(self._process, "deletes {}", ", ".join(map(brief, names)))

    def names(self, prefix: str = "") -> Iterator[Found]:
        """Yield the chunks below a prefix."""
        with self._effect("list chunks"):
            found = list(self._place.names(prefix))
        return iter(found)

    def link(self, chunk: Chunk, seconds: float) -> str:
        """Return its name."""
        return f"simulated:{brief(chunk.name)}?{seconds:g}"

    def close(self) -> None:
        """Do nothing."""

    @contextmanager
    def _effect(self, operation: str) -> Iterator[str | None]:
        try:
            with self._process.effect(operation, StoreUnavailable) as fault:
                now = self._process.clock()
                if fault == "go away":
                    self._place.back_at = now + self._process.rng.uniform(*AWAY_SECONDS)
                if now < self._place.back_at:
                    self._process.suffer()
                    raise StoreUnavailable("simulated")
                yield fault
        except Violation as violation:  # A thread that sends catches whatever is raised.
            self._world.clockwork.fail(violation)
            raise

    def _land_late(self, act: Callable[[], None]) -> NoReturn:
        after = self._process.rng.uniform(*LATE_SECONDS)
        self._world.clockwork.call(act, after=after)
        raise StoreUnavailable("simulated")


def brief(name: str) -> str:
    """Return the name of a chunk without the token of its claim."""
    job_id, claim, number = name.split("/")
    return f"{job_id}/{claim.partition('-')[0] if '-' in claim else '…'}/{number}"


def _digest(data: bytes | memoryview) -> str:
    return hashlib.sha256(data).hexdigest()
