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
    """

    job_id: str | None
    slice: int | None
    part: int | None
    condition: str
    advice: str


def diagnose(jobs: JobStore, kernels: Collection[str], body: str) -> Diagnosis:
    """Return the diagnosis of a dead letter with this `body`.

    `kernels` are the names of the kernels installed here.

    Raises:
        StoreUnavailable: the store did not answer.
    """
    try:
        message = Message.parse(body)
    except ForeignMessage:
        advice = "find out who sends such messages, then drop it"
        return Diagnosis(None, None, None, "not a message of Outlast", advice)
    findings = _of_message(jobs, kernels, message)
    return Diagnosis(message.job_id, message.slice, message.part, *findings)


def _of_message(jobs: JobStore, kernels: Collection[str], message: Message) -> tuple[str, str]:
    job_id = message.job_id
    try:
        record = jobs.load(job_id).record
        part = jobs.load_node(job_id, message.node) if message.node else None
    except DeletedJob:
        return "the job was deleted", "nothing to do: drop it"
    except UnknownJob:
        return (
            "the store has no such job",
            "if the workers use this store, too (OUTLAST_STORE), drop it and submit again",
        )
    except NewerRecord as error:
        return str(error), "upgrade the workers that are older, then redrive"
    except CorruptRecord as error:
        return str(error), f"mend the record and redrive, or outlast delete --force {job_id}"
    return _of_job(record, message, jobs.clock(), kernels, part and part.record)


def _of_job(
    record: Record, message: Message, now: float, kernels: Collection[str], part: Record | None
) -> tuple[str, str]:
    job_id = record.job_id
    if record.status is Status.FAILED:
        return f"the job failed: {record.error}", f"drop it; outlast retry {job_id} sends a new one"
    if record.status is Status.PAUSED:
        return "the job is paused", f"drop it; outlast resume {job_id} sends a new one"
    if condition := _moved_on(record, part, message, now):
        return condition, "nothing to do: drop it"
    if record.kernel not in kernels:
        return (
            f"the job waits; its kernel {record.kernel!r} is not installed here",
            "see that the workers have the kernel, then redrive",
        )
    return (
        f"{'the job' if message.part is None else f'part {message.part}'} waits for a message",
        "find out from the workers' log why they gave up, then redrive",
    )


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
