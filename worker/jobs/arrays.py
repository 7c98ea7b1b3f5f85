"""The arrays of jobs, as those who submit jobs and read results deal with them."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from outlast.checkpoint.blobs.contract import CHOOSE_PLACE, DamagedChunk
from outlast.checkpoint.blobs.fetching import fetch
from outlast.checkpoint.blobs.sending import THREADS_ALONE
from outlast.checkpoint.errors import (
    CheckpointError,
    NoBlobStore,
    StoreFull,
    StoreUnavailable,
    UnknownJob,
)
from outlast.kernel.bulk import new_row
from outlast.kernel.references import filled
from outlast.worker.jobs.outcome import JobFailed, result_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from outlast.checkpoint.blobs.contract import BlobStore
    from outlast.checkpoint.job_store import JobStore
    from outlast.checkpoint.record import Record
    from outlast.worker.jobs.new_job import NewJob

    Place = Callable[[], BlobStore | None]

log = logging.getLogger("outlast.client")


def require_blobs(blobs: BlobStore | None, job_id: str) -> BlobStore:
    """Return where the arrays of jobs are.

    Raises:
        NoBlobStore: nowhere.
    """
    if blobs is None:
        raise NoBlobStore(
            f"job {job_id} has arrays, and there is no place for them: {CHOOSE_PLACE}"
        )
    return blobs


def store_with_arrays(jobs: JobStore, new: NewJob, blobs: BlobStore) -> tuple[Record, bool]:
    """Store a new job after its arrays; return it as it is stored, and whether it is new.

    Where it exists nothing is sent, and where it cannot be stored what was sent is deleted.

    Raises:
        JobExists: its id belongs to a job with other parameters.
    """
    with suppress(UnknownJob):
        return jobs.same(new.record).record, False
    _put(new, blobs)
    names = new.chunks
    try:
        stored, is_new = new.store(jobs)
    except CheckpointError as error:
        # Without an answer it may be stored all the same: then it needs them.
        if isinstance(error, StoreFull) or not isinstance(error, StoreUnavailable):
            _delete(blobs, names)
        raise
    if not is_new:
        _delete(blobs, names.keys() - stored.record.chunks.keys())
    return stored.record, is_new


def _put(new: NewJob, blobs: BlobStore) -> None:
    """Put all chunks of a new job in their place, or none."""
    from concurrent.futures import ThreadPoolExecutor  # here, as most jobs have no arrays

    chunks = new.chunks
    try:
        with ThreadPoolExecutor(THREADS_ALONE) as pool:
            for _ in pool.map(lambda chunk: new.put(blobs, chunk), chunks.values()):
                pass
    except BaseException:
        _delete(blobs, chunks)
        raise


def _delete(blobs: BlobStore, names: Iterable[str]) -> None:
    """Delete chunks that nobody needs; what fails is left to `outlast prune`."""
    try:
        blobs.delete(names)
    except StoreUnavailable as error:
        log.debug("chunks are left to prune: %s", error)


def delete_with_arrays(blobs: BlobStore | None, job_id: str, delete: Callable[[], object]) -> None:
    """Let `delete` remove a job's record, then delete its arrays.

    Raises:
        StoreUnavailable: the place of arrays does not answer, and nothing was removed.
        Exception: those of `delete`; nothing was removed.
    """
    # Listed before: a new job of this id may have arrays as soon as the record is gone.
    names = [found.name for found in blobs.names(f"{job_id}/")] if blobs else []
    delete()
    if blobs and names:
        try:
            blobs.delete(names)
        except StoreUnavailable as error:
            log.warning(
                "job %s is deleted, but its arrays are not: outlast prune removes them later; %s",
                job_id,
                error,
            )


def outcome_of(record: Record, place: Place, *, return_exceptions: bool) -> Any:
    """Return a job's result with its arrays; a JobFailed is returned with `return_exceptions`.

    Raises:
        JobFailed: without that.
        Exception: those of `result_with_arrays`.
    """
    try:
        return result_with_arrays(record, place)
    except JobFailed as error:
        if return_exceptions:
            return error
        raise


def result_with_arrays(record: Record, place: Place) -> Any:
    """Return a job's result as a JSON value, with arrays of numpy and bytes in it.

    `place` returns where arrays are, and is asked only if there are some.

    Raises:
        JobNotFinished, JobFailed: as `result_of`.
        DamagedChunk: its arrays are not as they were stored, or they are gone.
        StoreUnavailable: their place does not answer.
        NoBlobStore: there is none.
    """
    value, chunks = result_of(record), record.result_chunks
    try:
        row = new_row(sum(chunk.size for chunk in chunks))
        if chunks:
            fetch(require_blobs(place(), record.job_id), chunks, row)
        return filled(value, row)
    except (DamagedChunk, ValueError, TypeError) as error:
        if not chunks:
            return value  # What looks like a reference is the kernel's own.
        raise DamagedChunk(
            f"job {record.job_id}: the arrays of its result cannot be read: {error}"
        ) from error
