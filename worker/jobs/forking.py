"""A new job that goes on from what another one has stored."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from outlast.checkpoint.blobs.sending import moved
from outlast.checkpoint.errors import CorruptCheckpoint, UnknownCheckpoint
from outlast.checkpoint.fleet import Fleet
from outlast.checkpoint.record import Record
from outlast.checkpoint.status import Status
from outlast.checkpoint.survey import Survey
from outlast.worker.jobs.arrays import require_blobs
from outlast.worker.jobs.new_job import NewJob, id_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outlast.checkpoint.blobs.contract import BlobStore, Chunk
    from outlast.checkpoint.job_store import JobStore
    from outlast.checkpoint.record_parts import Checkpoint, Limits


class _Copies:
    """The chunks of a fork, each a copy of one that another job has.

    Attributes:
        originals: which one it is a copy of.
    """

    def __init__(self, fork_id: str) -> None:
        self._folder = f"{fork_id}/fork-{secrets.token_hex(8)}"
        self.originals: dict[Chunk, Chunk] = {}

    def of(self, chunks: Sequence[Chunk]) -> tuple[Chunk, ...]:
        """Return the fork's chunks for these of the other job."""
        own = moved(chunks, self._folder, first=len(self.originals) + 1)
        self.originals |= zip(own, chunks, strict=True)
        return own


def forked(  # noqa: PLR0913 - each is a field of its own, given by name
    record: Record,
    *,
    generation: int | None,
    job_id: str | None,
    limits: Limits,
    now: float,
    blobs: BlobStore | None = None,
    parts: Sequence[Record] = (),
) -> NewJob:
    """Return a new job that goes on from a checkpoint of the job `record`, or from its `parts`.

    `generation` is the number of the checkpoint; None takes the newest that is intact, and begins
    anew if there is none at all. `job_id` None makes one up. `blobs` is where the job's arrays are,
    of which it is to have copies. `parts` are those of `with_done_parts`.

    Raises:
        UnknownCheckpoint: the job does not have a checkpoint of that number, or not any more.
        CorruptCheckpoint: it does not match its checksum; without a number, none does.
        InvalidJobId: the id cannot be stored.
    """
    fork_id = id_of(record.kernel, job_id)
    copies = _Copies(fork_id)
    fork = Record(
        job_id=fork_id,
        kernel=record.kernel,
        params=record.params,
        params_chunks=copies.of(record.params_chunks),
        tags=record.tags,
        limits=limits,
        created_at=now,
        updated_at=now,
        fleet=_shared_anew(record),
    )
    if parts:
        fork = fork.cut(
            secrets.token_hex(8),
            record.plan,
            record.lengths,
            record.weights,
            version=record.plan_version,
        )
    if intact := _intact(record, generation):
        own = copies.of(intact.chunks)
        fork = fork.saved(intact.with_chunks(own) if own else intact)

    def put(place: BlobStore, chunk: Chunk) -> None:
        original = copies.originals[chunk]
        place.copy(original, chunk.name, require_blobs(blobs, record.job_id))

    return NewJob(fork, put, tuple(_part_of(fork, part, copies) for part in parts))


def _intact(record: Record, generation: int | None) -> Checkpoint | None:
    """Return the checkpoint to go on from; None: the job has none at all."""
    checkpoints = checkpoints_of(record, generation)
    intact = next((checkpoint for checkpoint in checkpoints if checkpoint.is_intact), None)
    if checkpoints and intact is None:
        raise CorruptCheckpoint(
            f"job {record.job_id}: damaged, as its checksum does not fit: checkpoint "
            f"{_numbers(checkpoints)}"
        )
    return intact


def _shared_anew(record: Record) -> Fleet | None:
    """Return how a fork is shared: as the job was, unless its parts are added up."""
    fleet = record.fleet
    if fleet is None or not record.is_divided:
        return None
    return Fleet.of(fleet.parallel, fleet.part_seconds)


def _part_of(fork: Record, part: Record, copies: _Copies) -> Record:
    """Return what a part or group has come to, as one of the fork, which it cost nothing."""
    if fork.fleet is None or part.node is None:
        raise ValueError("the record of a job without parts, or not of a part")
    return Record(
        job_id=fork.job_id,
        kernel=fork.kernel,
        params={},
        created_at=fork.created_at,
        updated_at=fork.updated_at,
        status=Status.SUCCEEDED,
        result=part.result,
        result_chunks=copies.of(part.result_chunks),
        node=fork.fleet.node(part.node.place),
    )


def with_done_parts(jobs: JobStore, record: Record) -> tuple[Record, list[Record]]:
    """Return the job as it stands, and what its parts that are done have come to.

    Of those that are added up this is the highest group alone. There are none if the job is not
    worked on part by part, or is over.
    """
    while record.fleet and record.needs_parts_of(record.fleet.birth):
        fleet = record.fleet
        tops = Survey(jobs.nodes, record.job_id, fleet).tops
        done = [place for place, head in tops.items() if head.status is Status.SUCCEEDED]
        found = jobs.nodes.records(record.job_id, [fleet.node(place) for place in done])
        record = jobs.load(record.job_id).record
        # At the job's end they are removed, perhaps while they were read.
        if record.needs_parts_of(fleet.birth):
            return record, [part for part in found if part is not None]
    return record, []


def checkpoints_of(record: Record, generation: int | None = None) -> list[Checkpoint]:
    """Return the checkpoints of a number, or all: newest first, those in quarantine last.

    Raises:
        UnknownCheckpoint: the job does not have one of that number, or not any more.
    """
    every = [*record.checkpoints, *record.quarantine]
    if generation is None:
        return every
    checkpoints = [checkpoint for checkpoint in every if checkpoint.sequence == generation]
    if not checkpoints:
        known = f"it has: {_numbers(every) or 'none'}"
        if record.is_divided:
            known = "each of its parts has its own, and a fork has all parts that are done"
        raise UnknownCheckpoint(f"job {record.job_id} has no checkpoint {generation}; {known}")
    return checkpoints


def _numbers(checkpoints: list[Checkpoint]) -> str:
    return ", ".join(str(checkpoint.sequence) for checkpoint in checkpoints)
