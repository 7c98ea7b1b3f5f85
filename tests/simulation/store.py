"""The simulated register: one for all, seen by each process through its own faults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from outlast.checkpoint.codec import decode
from outlast.checkpoint.errors import StoreUnavailable, VersionConflict
from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.register import Register
from outlast.checkpoint.store_clock import StoreClock
from tests.fakes import MemoryRegister
from tests.simulation.timing import judge_sweep_share

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import NoReturn

    from outlast.checkpoint.job_store import StoredJob
    from outlast.checkpoint.record import Record
    from outlast.checkpoint.register import Stored
    from tests.simulation.process import Process
    from tests.simulation.world import World

JOBS = "jobs/"
LATE_SECONDS = (0.1, 30.0)
AWAY_SECONDS = (0.5, 30.0)


class Store(MemoryRegister):
    """What is stored, and what was stored before it, by key.

    Attributes:
        back_at: when it answers again, by the world's time; in the past: it does.
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[Stored]] = {}
        self.back_at = 0.0

    def put(self, key: str, value: bytes, *, expected: str | None) -> str:
        """Replace the value."""
        version = super().put(key, value, expected=expected)
        self.history.setdefault(key, []).append(self.values[key])
        return version

    def delete(self, key: str, *, expected: str) -> None:
        """Remove the value; what is stored under its key next is something else."""
        super().delete(key, expected=expected)
        del self.history[key]


def jobs_of(world: World, process: Process) -> JobStore:
    """Return the store of jobs as one process has it."""
    return SimulatedJobStore(SimulatedRegister(world, process), process)


class SimulatedJobStore(JobStore):
    """The store of jobs, which tells for what claim it writes: that may not be stored yet."""

    def __init__(self, register: SimulatedRegister, process: Process) -> None:
        super().__init__(register, clock=process.wall_clock)
        self._process = process

    def advance(
        self,
        job: StoredJob,
        token: str,
        move: Callable[[Record], Record],
        *,
        claim: Callable[[Record], Record | None] = lambda _: None,
        **how: Any,
    ) -> StoredJob:
        """Apply `move` for the worker whose lease has this token."""

        def claim_again(record: Record) -> Record | None:
            self._process.writes_for = claim(record)
            return self._process.writes_for

        with self._process.writing_for(job.record):
            return super().advance(job, token, move, claim=claim_again, **how)


class SimulatedRegister(Register):
    """The store as one process has it."""

    def __init__(self, world: World, process: Process) -> None:
        self._world = world
        self._process = process
        self._back_at = 0.0
        self.clock = StoreClock(process.wall_clock)

    def read(self, key: str) -> Stored | None:
        """Return the current value and its version."""
        with self._process.effect("read", StoreUnavailable):
            self._require_answer()
            self.look_at_clock()
            return self._world.store.read(key)

    def look_at_clock(self) -> None:
        """Learn what the store's clock shows, if it is time to."""
        if self.clock.is_due:
            self.clock.saw(self._process.true_time())

    def put(self, key: str, value: bytes, *, expected: str | None) -> str:
        """Replace the value."""
        return self.put_with(lambda: None, key, value, expected=expected)

    def put_with(
        self, also: Callable[[], None], key: str, value: bytes, *, expected: str | None
    ) -> str:
        """Replace the value; `also` happens in the same step."""
        began_at, claimed = self._process.clock(), self._process.writes_for

        def land() -> str:
            version = self._world.store.put(key, value, expected=expected)
            self._process.write_began_at = began_at
            if key.startswith(JOBS):
                self._landed(decode(value), claimed, also)
            return version

        if self._world.save_seconds and key.startswith(JOBS):
            self._process.sleep(self._world.save_seconds)
            self._process.is_excused = True
        with self._process.effect("put", StoreUnavailable) as fault:
            if fault == "go away":
                self._back_at = self._process.clock() + self._process.rng.uniform(*AWAY_SECONDS)
                if self._world.place is not None and self._process.rng.random() < 0.5:
                    land()
            if fault == "land late":
                self._land_late("put", land)
            self._require_answer()
            return land()

    def delete(self, key: str, *, expected: str) -> None:
        """Remove the value."""
        with self._process.effect("delete", StoreUnavailable) as fault:
            self._require_answer()
            if fault == "land late":
                self._land_late("delete", lambda: self._remove(key, expected))
            self._remove(key, expected)

    def keys(self, prefix: str, *, after: str = "", since: float = 0.0) -> Iterator[str]:
        """Yield the keys in order."""
        if self._world.listing_seconds and self._process.slice_seconds is not None:
            judge_sweep_share(self._process)
            self._process.sleep(self._world.listing_seconds)
        with self._process.effect("keys", StoreUnavailable):
            self._require_answer()
            return self._world.store.keys(prefix, after=after, since=since)

    def _require_answer(self) -> None:
        """Raise StoreUnavailable where the store is away, for this process or for all."""
        if self._process.clock() < max(self._back_at, self._world.store.back_at):
            self._process.suffer()
            raise StoreUnavailable("simulated")

    def _landed(self, new: Record, claimed: Record | None, also: Callable[[], None]) -> None:
        with self._world.rules.one_step(new.job_id):
            self._world.rules.wrote(self._process, new, claimed)
            also()

    def _remove(self, key: str, expected: str) -> None:
        self._world.store.delete(key, expected=expected)
        if key.startswith(JOBS):
            self._world.rules.deleted(self._process, key.removeprefix(JOBS))

    def _land_late(self, what: str, act: Callable[[], object]) -> NoReturn:
        """Let it happen after its time-out, and raise StoreUnavailable as if it did not."""

        def land() -> None:
            is_hindered = self._process.is_hindered
            try:
                act()
            except VersionConflict:
                return
            # Whoever sent it does not know: what goes wrong with it meanwhile is not over.
            self._process.is_hindered = is_hindered
            self._world.note(self._process, f"{what} landed late")

        self._world.clockwork.call(land, after=self._process.rng.uniform(*LATE_SECONDS))
        raise StoreUnavailable("simulated")
