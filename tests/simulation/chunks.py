"""What must hold of the chunks of arrays, in the place and in the records that list them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from outlast.checkpoint.blobs.orphans import orphans
from outlast.checkpoint.job_store import JobStore
from tests.simulation.ledger import is_whole, position
from tests.simulation.place import brief
from tests.simulation.process import EPOCH
from tests.simulation.violation import require

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from outlast.checkpoint.blobs.contract import Chunk
    from outlast.checkpoint.record import Record
    from outlast.checkpoint.record_parts import Checkpoint
    from tests.simulation.ledger import Job
    from tests.simulation.place import Place
    from tests.simulation.process import Process
    from tests.simulation.world import World

# By so much a store may go back that loses its newest writes. Clocks agree to 2 s.
PROMISED_SECONDS = 30.0
TOLERANCE_SECONDS = 4.0


class Need(NamedTuple):
    """The chunks that a stored record needs.

    Attributes:
        since: when its write began.
        lists: what lists them.
    """

    since: float
    names: frozenset[str]
    lists: tuple[object, ...]


class Chunks:
    """Looks at every record with arrays, and at every chunk that is deleted."""

    def __init__(self, world: World) -> None:
        self._world = world

    def wrote(self, process: Process, job: Job, new: Record) -> None:
        """Judge what a record lists that has just been stored."""
        kept = tuple(checkpoint.digest for checkpoint in new.checkpoints + new.quarantine)
        lists = (kept, new.params_chunks, new.result_chunks)
        if job.needs and job.needs[-1].lists == lists:
            job.needs.append(job.needs[-1]._replace(since=process.write_began_at))
            return
        names = frozenset(chunk.name for chunk in _needed(new))
        job.needs.append(Need(process.write_began_at, names, lists))
        self.require_there(job, new)
        picture = job.picture
        self._require_right(job, "parameters", new.params_chunks, picture.params)
        if new.checkpoints and is_whole(new.checkpoints[0]):
            at, _ = position(new.checkpoints[0])
            chunks = new.checkpoints[0].chunks
            self._require_right(job, f"state after {at} steps", chunks, picture.states[at])
        if new.result is not None:
            self._require_right(job, "result", new.result_chunks, picture.result)

    def require_there(self, job: Job, record: Record) -> None:
        """Judge whether all is there that the record needs."""
        digests = self._place.digests
        for chunk in _needed(record):
            require(
                digests.get(chunk.name) == chunk.digest,
                f"{job} needs {brief(chunk.name)}, which is not there",
            )

    def deleted(self, name: str) -> None:
        """Judge a deletion: of what no record needs, nor one to which the store may go back."""
        job = self._world.jobs.get(name.partition("/")[0])
        if job is None or job.is_deleted:
            return
        until, now = float("inf"), self._world.clockwork.now
        for since, names, _ in reversed(job.needs):
            require(
                name not in names, f"{brief(name)} is deleted, which {job} {_tense(until, now)}"
            )
            if since < now - PROMISED_SECONDS + TOLERANCE_SECONDS:
                break
            until = since

    def quarantined(self, job: Job, checkpoint: Checkpoint) -> None:
        """Judge a checkpoint that is put aside."""
        require(
            not all(map(self._place.is_sound, checkpoint.chunks)),
            f"a checkpoint of {job} was put aside that can be read",
        )

    def clean_up(self) -> None:
        """Delete what no job needs, as `outlast prune` does; judge that, and what is left."""
        jobs = JobStore(self._world.store, clock=lambda: EPOCH + self._world.clockwork.now)
        self._place.delete(list(orphans(self._place, jobs, grace_seconds=0.0)))
        left = set(self._place.digests)
        for job in self._world.jobs.values():
            if job.record is not None and job.paint is not None:
                left -= self._spared(job.record, left)
        require(
            not left, f"nobody needs, and nobody deletes: {', '.join(sorted(map(brief, left)))}"
        )

    def _spared(self, record: Record, names: Iterable[str]) -> set[str]:
        """Return what is rightly left of a job's chunks."""
        if not all(map(is_whole, record.checkpoints + record.quarantine)):
            return {name for name in names if name.startswith(f"{record.job_id}/")}
        held = f"{record.job_id}/{record.lease.token}/" if record.lease else "/"
        needed = {name for name in names if name.startswith(held)}
        needed.update(chunk.name for chunk in _needed(record))
        return needed | {dropped.name for dropped in record.dropped}

    def _require_right(
        self, job: Job, what: str, chunks: Iterable[Chunk], digests: tuple[str, ...]
    ) -> None:
        there = tuple(chunk.digest for chunk in chunks)
        require(there == digests, f"the {what} of {job} has wrong arrays")

    @property
    def _place(self) -> Place:
        assert self._world.place is not None
        return self._world.place


def _needed(record: Record) -> Iterator[Chunk]:
    """Yield all chunks that a record needs; its own look at that may be broken."""
    for checkpoint in record.checkpoints + record.quarantine:
        yield from checkpoint.chunks
    yield from record.params_chunks
    yield from record.result_chunks


def _tense(until: float, now: float) -> str:
    return "needs" if until > now else f"needed until {now - until:.1f} s ago"
