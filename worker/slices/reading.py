"""What a slice begins with, read with its arrays: the parameters, and the newest state."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from outlast.checkpoint.blobs.contract import DamagedChunk
from outlast.checkpoint.blobs.fetching import fetch
from outlast.checkpoint.errors import CorruptCheckpoint, StoreUnavailable
from outlast.kernel.bulk import Bulk, Stored, new_row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from outlast.checkpoint.blobs.contract import BlobStore, Chunk
    from outlast.checkpoint.record_parts import Checkpoint
    from outlast.worker.slices.claimed_job import ClaimedJob
    from outlast.worker.slices.worker_process import WorkerProcess


class Restored(NamedTuple):
    """A state as it was stored, and the version of the kernel that it is of."""

    stored: Stored
    version: int


class Unreadable(Exception):
    """What the job needs cannot be read, wherever it runs. Fail it; it keeps what it has."""


def read_params(job: ClaimedJob) -> Stored:
    """Return the job's parameters.

    Raises:
        Unreadable: their arrays are lost.
        StoreUnavailable: the place of the arrays does not answer, or is not known here.
    """
    try:
        return job.process.last_params.of(job.record, lambda chunks: _read(job, chunks))
    except DamagedChunk as error:
        raise Unreadable(f"the arrays of its parameters cannot be read: {error}") from error


def read_state(job: ClaimedJob) -> Restored | None:
    """Return the state of the newest checkpoint that can be read; None: there is no checkpoint.

    Those that cannot go to quarantine, if there is one that can.

    Raises:
        Unreadable: there is none.
        LeaseLost: another worker has the job.
        StoreUnavailable: the place of the arrays does not answer, or is not known here.
    """
    damaged: list[Checkpoint] = []
    reason = ""
    for checkpoint in job.record.checkpoints:
        try:
            restored = _restored(job, checkpoint)
        except (CorruptCheckpoint, DamagedChunk) as error:
            damaged.append(checkpoint)
            reason = reason or str(error)
        else:
            for lost in damaged:
                job.quarantine(lost)
            return restored
    if damaged:
        raise Unreadable(f"none of its checkpoints can be read: {reason}")
    return None


def _restored(job: ClaimedJob, checkpoint: Checkpoint) -> Restored:
    # They were verified at the claim, and may have been read again since.
    if not checkpoint.is_intact:
        raise CorruptCheckpoint("it does not have its checksum")
    bulk = Bulk.of(_read(job, checkpoint.chunks))
    return Restored(Stored(checkpoint.state, bulk), checkpoint.version)


def _read(job: ClaimedJob, chunks: Sequence[Chunk]) -> memoryview:
    return read_chunks(job.process, job.record.job_id, chunks, job.go_on_reading)


def read_chunks(
    process: WorkerProcess,
    job_id: str,
    chunks: Sequence[Chunk],
    on_chunk: Callable[[], object] = lambda: None,
) -> memoryview:
    """Return the bytes of chunks of a job; `on_chunk` as in `fetch`.

    Raises:
        DamagedChunk: one is missing, or is not what was written.
        StoreUnavailable: the place does not answer, or is not known here.
    """
    if not chunks:
        return memoryview(b"")
    begun, blobs = process.clock(), require_blobs(process, job_id)
    try:
        row = new_row(sum(chunk.size for chunk in chunks))
        fetch(blobs, chunks, row, on_chunk)
    except DamagedChunk as error:
        if next(blobs.names(f"{job_id}/"), None) is None:
            raise StoreUnavailable(
                f"job {job_id} has no arrays in this place: set OUTLAST_BLOBS as the other workers "
                f"have it ({error})"
            ) from error
        raise
    except OSError as error:
        raise StoreUnavailable(f"there is no memory for the arrays: {error}") from error
    process.timing.saw_reading(process.clock() - begun, len(row))
    return row


def require_blobs(process: WorkerProcess, job_id: str) -> BlobStore:
    """Return where the arrays of a job are.

    Raises:
        StoreUnavailable: this worker does not know.
    """
    if process.blobs is None:
        raise StoreUnavailable(
            f"job {job_id} has arrays, and this worker has no place for them: set OUTLAST_BLOBS as "
            "the other workers have it"
        )
    return process.blobs
