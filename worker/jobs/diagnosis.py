"""Why a message was given up, and what to do with it: from its text and what is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from outlast.checkpoint.errors import CorruptRecord, DeletedJob, NewerRecord, UnknownJob
from outlast.checkpoint.status import Status
from outlast.worker.queues.message import ForeignMessage, Message

if TYPE_CHECKING:
    from collections.abc import Collection

    from outlast.checkpoint.job_store import JobStore
    from outlast.checkpoint.record import Record


class Diagnosis(NamedTuple):
    """What became of a dead letter's job, and what to do with the letter.

    Attributes:
        job_id: the job that the message names; None if the message is not one of Outlast's.
        slice: the slice that the message names; None if it names none.
        part: the part of the job that the message is for; None: it is for the job itself.
        condition: the state of the job; one line.
        advice: what to do; one line.
        error: what last went wrong with the part or the job, as its record tells; one line. None:
            nothing, or the record cannot be read.
    """

    job_id: str | None
    slice: int | None
    part: int | None
    condition: str
    advice: str
    error: str | None = None


def diagnose(jobs: JobStore | None, kernels: Collection[str], body: str) -> Diagnosis:
    """Return the diagnosis of a dead letter with this `body`.

    `jobs` None: the store is known not to answer. `kernels` are the names of the kernels installed
    here.

    Raises:
        StoreUnavailable: the store did not answer.
    """
    try:
        message = Message.parse(body)
    except ForeignMessage:
        advice = "find out who sends such messages, then drop it"
        return Diagnosis(None, None, None, "not a message of Outlast", advice)
    finding = _of_message(jobs, kernels, message)
    return Diagnosis(message.job_id, message.slice, message.part, *finding)


class _Finding(NamedTuple):
    """What a `Diagnosis` says of the job."""

    condition: str
    advice: str
    error: str | None = None


def _of_message(jobs: JobStore | None, kernels: Collection[str], message: Message) -> _Finding:
    if jobs is None:
        return _Finding("the store does not answer", "look again when it does")
    job_id = message.job_id
    try:
        record = jobs.load(job_id).record
        part = jobs.load_node(job_id, message.node) if message.node else None
    except DeletedJob:
        return _Finding("the job was deleted", "nothing to do: drop it")
    except UnknownJob:
        return _Finding(
            "the store has no such job",
            "if the workers use this store, too (OUTLAST_STORE), drop it and submit again",
        )
    except NewerRecord as error:
        return _Finding(str(error), "upgrade the workers that are older, then redrive")
    except CorruptRecord as error:
        advice = f"mend the record and redrive, or outlast delete --force {job_id}"
        return _Finding(str(error), advice)
    return _of_job(record, message, jobs.clock(), kernels, part and part.record)


def _of_job(
    record: Record, message: Message, now: float, kernels: Collection[str], part: Record | None
) -> _Finding:
    job_id, error = record.job_id, (part.error if part else None) or record.error
    if record.status is Status.FAILED:
        return _Finding("the job failed", f"drop it; outlast retry {job_id} sends a new one", error)
    if record.status is Status.PAUSED:
        advice = f"drop it; outlast resume {job_id} sends a new one"
        return _Finding("the job is paused", advice, error)
    if condition := _moved_on(record, part, message, now):
        return _Finding(condition, "nothing to do: drop it", error)
    waits = f"{'the job' if message.part is None else f'part {message.part}'} waits for a message"
    if error:  # It tells more than what is installed here.
        return _Finding(waits, "see its error and the workers' log, mend that, then redrive", error)
    if record.kernel not in kernels:
        return _Finding(
            f"the job waits; its kernel {record.kernel!r} is not installed here",
            "see that the workers have the kernel, then redrive",
        )
    return _Finding(waits, "find out from the workers' log why they gave up, then redrive")


def _moved_on(record: Record, part: Record | None, message: Message, now: float) -> str | None:
    """Return how the job or its part is further than the message; None: it is not."""
    number = message.part
    if number is None:
        if not (record.status.is_final or _is_taken(record, message, now)):
            return None
        where = "" if record.status.is_final else f" at slice {record.slice_number}"
        return f"the job {record.status.phrase}{where}"
    if not record.needs_parts_of(message.birth):
        return f"the job does not need its part {number} any more"
    if part and _is_taken(part, message, now):
        return f"part {number} {part.status.phrase} at slice {part.slice_number}"
    return None


def _is_taken(record: Record, message: Message, now: float) -> bool:
    """Whether a worker has the slice that the message starts, or has had it.

    That of a part that is done may be needed: whoever was to add it up may have died.
    """
    number = message.slice
    is_late = number is not None and number < record.slice_number and record.announced
    return not record.status.is_final and (is_late or record.is_held(now))
