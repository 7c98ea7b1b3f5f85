"""The simulated register: one for all, seen by each process through its own faults."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outlast.checkpoint.codec import decode
from outlast.checkpoint.errors import StoreUnavailable, VersionConflict
from outlast.checkpoint.register import Register, Stored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.simulation.process import Process
    from tests.simulation.world import World

JOBS = "jobs/"
LATE_SECONDS = (0.1, 30.0)
AWAY_SECONDS = (0.5, 30.0)


class Store:
    """What is stored, and what was stored before it."""

    def __init__(self) -> None:
        self.values: dict[str, Stored] = {}
        self.history: dict[str, list[Stored]] = {}
        self._versions = 0

    def put(self, key: str, value: bytes, expected: str | None) -> str:
        """Replace the value, or raise VersionConflict."""
        self._require(key, expected)
        self._versions += 1
        stored = Stored(value, str(self._versions))
        self.values[key] = stored
        self.history.setdefault(key, []).append(stored)
        return stored.version

    def delete(self, key: str, expected: str) -> None:
        """Remove the value, or raise VersionConflict."""
        self._require(key, expected)
        del self.values[key]

    def _require(self, key: str, expected: str | None) -> None:
        current = self.values.get(key)
        if (current and current.version) != expected:
            raise VersionConflict(f"{key} was written by someone else")


class SimulatedRegister(Register):
    """The store as one process has it."""

    def __init__(self, world: World, process: Process) -> None:
        self._world = world
        self._process = process
        self._back_at = 0.0

    @property
    def _is_away(self) -> bool:
        """Whether this process cannot reach the store for a while."""
        return self._process.clock() < self._back_at

    def read(self, key: str) -> Stored | None:
        """Return the current value and its version."""
        if self._process.effect("read") == "refuse" or self._is_away:
            raise StoreUnavailable("simulated")
        return self._world.store.values.get(key)

    def put(self, key: str, value: bytes, *, expected: str | None) -> str:
        """Replace the value."""
        fault = self._process.effect("put")
        if fault == "go away":
            self._back_at = self._process.clock() + self._process.rng.uniform(*AWAY_SECONDS)
        if fault == "land late":
            self._land_late("put", lambda: self._land(key, value, expected))
        if fault in {"refuse", "land late"} or self._is_away:
            raise StoreUnavailable("simulated")
        version = self._land(key, value, expected)
        if fault == "crash after":
            self._process.crash("after put")
        if fault == "lose answer":
            raise StoreUnavailable("simulated")
        return version

    def delete(self, key: str, *, expected: str) -> None:
        """Remove the value."""
        fault = self._process.effect("delete")
        if fault == "land late":
            self._land_late("delete", lambda: self._remove(key, expected))
        if fault in {"refuse", "land late"}:
            raise StoreUnavailable("simulated")
        self._remove(key, expected)
        if fault == "lose answer":
            raise StoreUnavailable("simulated")

    def keys(self, prefix: str, *, after: str = "") -> Iterator[str]:
        """Yield the keys in order."""
        if self._process.effect("keys") == "refuse":
            raise StoreUnavailable("simulated")
        yield from sorted(k for k in self._world.store.values if k.startswith(prefix) and k > after)

    def _land(self, key: str, value: bytes, expected: str | None) -> str:
        version = self._world.store.put(key, value, expected)
        if key.startswith(JOBS):
            self._world.rules.wrote(self._process, decode(value))
        return version

    def _remove(self, key: str, expected: str) -> None:
        self._world.store.delete(key, expected)
        if key.startswith(JOBS):
            self._world.rules.deleted(self._process, key.removeprefix(JOBS))

    def _land_late(self, what: str, act: Callable[[], object]) -> None:
        """Let it happen after its time-out, when its author believes that it did not."""

        def land() -> None:
            try:
                act()
            except VersionConflict:
                return
            self._world.note(self._process, f"{what} landed late")

        self._world.clockwork.call(land, after=self._process.rng.uniform(*LATE_SECONDS))
