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
        condition: the state of the job; one line.
        advice: what to do; one line.
    """

    job_id: str | None
    slice: int | None
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
        return Diagnosis(None, None, "not a message of Outlast", advice)
    return Diagnosis(message.job_id, message.slice, *_of_message(jobs, kernels, message))


def _of_message(jobs: JobStore, kernels: Collection[str], message: Message) -> tuple[str, str]:
    job_id = message.job_id
    try:
        record = jobs.load(job_id).record
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
    return _of_record(record, kernels, message.slice, jobs.clock())


def _of_record(
    record: Record, kernels: Collection[str], number: int | None, now: float
) -> tuple[str, str]:
    job_id = record.job_id
    if record.status is Status.FAILED:
        return f"the job failed: {record.error}", f"drop it; outlast retry {job_id} sends a new one"
    if record.status is Status.PAUSED:
        return "the job is paused", f"drop it; outlast resume {job_id} sends a new one"
    is_late = number is not None and number < record.slice_number and record.announced
    if record.status.is_final or is_late or record.is_held(now):
        where = "" if record.status.is_final else f" at slice {record.slice_number}"
        return f"the job {record.status.phrase}{where}", "nothing to do: drop it"
    if record.kernel not in kernels:
        return (
            f"the job waits; its kernel {record.kernel!r} is not installed here",
            "see that the workers have the kernel, then redrive",
        )
    return (
        "the job waits for a message",
        "find out from the workers' log why they gave up, then redrive",
    )
