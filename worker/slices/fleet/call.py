"""The messages of a job's open parts, sent by whoever has the job's own message.

    claim -> cut the job, if it is not -> send the message of each open part that has not succeeded
    -> for each group that is not added up although it could be, that of its last part -> release

A crash anywhere leaves the job's message, and all is done again: a part that is told of twice finds
a lease or a result.
"""

from __future__ import annotations

import json
import secrets
from itertools import islice
from typing import TYPE_CHECKING, Any

from outlast.checkpoint.errors import StateTooLarge
from outlast.checkpoint.fleet import Place, Tree
from outlast.checkpoint.status import Status
from outlast.checkpoint.survey import Survey
from outlast.kernel import NonRetryable
from outlast.kernel.bulk import dumped, reads_back
from outlast.worker.queues.message import Message
from outlast.worker.slices.failure import failure
from outlast.worker.slices.fleet.cutting import lengths_of, weights_of
from outlast.worker.slices.fleet.part_kernel import divisible
from outlast.worker.slices.leased_job import Stopped
from outlast.worker.slices.loading import load_kernel
from outlast.worker.slices.protocol import Failed, Interrupted
from outlast.worker.slices.reading import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

    from outlast.checkpoint.fleet import Fleet
    from outlast.checkpoint.record import Record
    from outlast.kernel.parts import AnyDivisible
    from outlast.worker.slices.claimed_job import ClaimedJob

# So many are sent between two looks at the time.
MESSAGES_AT_ONCE = 50

# How the history tells of the slice that did this.
PARTS_CALLED = "sent the messages of"


def call_parts(job: ClaimedJob) -> Record | None:
    """Send the messages of all open parts; return the job after that.

    None: a stop signal came before anything was done.

    Raises:
        LeaseLost: another worker has the job, or it was cancelled.
        BrokenWorker: it cannot be cut here, through no fault of its own.
        StoreUnavailable, QueueUnavailable: some messages were sent.
    """
    fleet = _fleet_of(job.record)
    if fleet.is_cut:
        job.begin()
        return _call(job, fleet.calls, _due(job))
    try:
        # What it takes to compute, others need at the same time: to plan comes first.
        load_kernel(job, prepare=False)
        kernel = divisible(job.kernel)
    except Stopped:
        return None
    except Unreadable as error:
        return job.end(Failed(str(error)))
    job.begin()
    try:
        plan, lengths, weights = _planned(kernel, job.params, fleet, job.process.max_state_bytes)
    except BaseException as error:  # noqa: BLE001 - a foreign kernel may raise anything
        return job.end(failure(job, error, has_begun=False))
    birth = secrets.token_hex(8)
    job.write(lambda record: record.cut(birth, plan, lengths, weights, version=kernel.version))
    return _call(job, fleet.calls, _first(_fleet_of(job.record)))


def _planned(
    kernel: AnyDivisible, params: BaseModel, fleet: Fleet, max_bytes: int
) -> tuple[Any, tuple[int, ...], tuple[int, ...]]:
    """Return the kernel's plan as a JSON value, and the lengths and weights of its parts."""
    plan = kernel.plan(params)
    if not isinstance(plan, kernel.Plan):
        raise NonRetryable(f"plan returned {type(plan).__name__} instead of its Plan")
    stored = dumped(plan)
    if stored.bulk.size:
        raise NonRetryable("its plan has arrays: they belong in the parameters or in the parts")
    if len(stored.text) > max_bytes:
        raise StateTooLarge(
            f"its plan of {len(stored.text):,} bytes is over the limit of {max_bytes:,}: keep what "
            "is large in an Array of the parameters, or raise OUTLAST_MAX_STATE_BYTES on all "
            "workers, and retry the job"
        )
    if not reads_back(plan, *stored):
        raise NonRetryable("its plan does not survive being stored as JSON")
    estimate = kernel.estimate(params)
    lengths = lengths_of(kernel, plan, fleet, estimate.seconds if estimate else None)
    return json.loads(stored.text), lengths, weights_of(kernel, plan, lengths)


def _first(fleet: Fleet) -> Iterator[tuple[Place, int]]:
    """Yield the parts that are open in the beginning, each with its first slice."""
    tree = Tree(fleet.parts)
    for group in tree.groups[: fleet.window]:
        for part in tree.below(group):
            yield part, 1


def _due(job: ClaimedJob) -> Iterator[tuple[Place, int]]:
    """Yield the parts that are to be told of, each with its next slice."""
    record = job.record
    survey = Survey(job.process.jobs.nodes, record.job_id, _fleet_of(record))
    for group in survey.open:
        for place, part in zip(survey.tree.below(group.place), group.parts, strict=True):
            if part is None:
                yield place, 1
            elif part.status is not Status.SUCCEEDED:
                yield place, part.slice_number
    for place in survey.unsummed:
        yield Place(0, survey.tree.last_part(place)), 1


def _call(job: ClaimedJob, calls: int, parts: Iterator[tuple[Place, int]]) -> Record:
    """Send a message for each of these parts, and release the job."""
    process, birth, count = job.process, _fleet_of(job.record).birth, 0
    reserve = process.timing.budget(job.seconds_left()).reserve
    messages = (
        Message(job_id=job.record.job_id, slice=slice_number, birth=birth, part=part.number)
        for part, slice_number in parts
    )
    while some := list(islice(messages, MESSAGES_AT_ONCE)):
        if job.is_stopped() or job.seconds_left() <= reserve:
            return job.end(Interrupted("deadline"))
        process.queue.send_all(some)
        job.note_life()
        count += len(some)
    now = process.jobs.clock()
    what = f"{PARTS_CALLED} {count} part{'' if count == 1 else 's'}"
    return job.write(lambda record: record.answered(calls).after_slice(record, what, now))


def _fleet_of(record: Record) -> Fleet:
    if record.fleet is None:
        raise ValueError(f"job {record.job_id} is not shared by several workers")
    return record.fleet
