"""Submit jobs and follow them from a Python program; the `outlast` command is made of this."""

from __future__ import annotations

import json
import secrets
import time
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from checkpoint.jobs import JobStore, checked_id
from checkpoint.record import Limits, Record, Status
from checkpoint.registers import open_register
from kernel import InvalidParams
from kernel.registry import load
from worker.message import Message
from worker.queues import open_queue
from worker.queues.contract import QueueUnavailable
from worker.settings import Settings, read_settings
from worker.sweep import sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from worker.queues.contract import Queue

FIRST_POLL_SECONDS = 0.02
LONGEST_POLL_SECONDS = 1.0


class JobNotFinished(Exception):
    """The job has no result yet. Wait, or look at its status."""


class JobFailed(Exception):
    """The job failed or was cancelled; the message says why."""


class Client:
    """A store and a queue, as the settings name them.

    All methods raise the errors of `checkpoint.errors`; those that send also QueueUnavailable.
    """

    def __init__(
        self,
        store: str | None = None,
        queue: str | None = None,
        *,
        settings: Settings | None = None,
    ) -> None:
        """Use `store` and `queue`, URLs as in OUTLAST_STORE and OUTLAST_QUEUE; None: the settings.

        Neither is contacted before it is needed.
        """
        self.settings = settings or read_settings()
        self.jobs = JobStore(open_register(store or self.settings.store))
        self._queue_url = queue or self.settings.queue
        self._queue: Queue | None = None

    @property
    def queue(self) -> Queue:
        """The queue that wakes jobs."""
        if self._queue is None:
            self._queue = open_queue(self._queue_url)
        return self._queue

    def submit(self, kernel: str, *, job_id: str | None = None, **params: Any) -> str:
        """Store a job, wake it and return its id.

        With `job_id` this is idempotent: the same id with the same parameters is the same job.

        Raises:
            UnknownKernel, InvalidParams: nothing was stored.
            JobExists: the id belongs to a job with other parameters.
            QueueUnavailable: the job is stored, but asleep; submit it again, or sweep.
        """
        queue = self.queue  # A queue that cannot be is found out before anything is stored.
        record, created = self.create(kernel, params, job_id=job_id)
        # A job that never ran may be one whose first submission died before the send.
        if created or record.slices == 0:
            message = Message(job_id=record.job_id, slice=record.slice)
            try:
                queue.send(message, again=not created)
            except QueueUnavailable as error:
                raise QueueUnavailable(
                    f"job {record.job_id} is stored but was not woken, submit it again with this "
                    f"id: {error}"
                ) from error
        return record.job_id

    def create(
        self, kernel: str, params: Mapping[str, Any], *, job_id: str | None = None
    ) -> tuple[Record, bool]:
        """Store a job without waking it; return it, and whether it is new."""
        record = new_record(
            kernel, params, job_id=job_id, limits=self.settings.limits, now=self.jobs.clock()
        )
        held, created = self.jobs.submit(record)
        return held.record, created

    def status(self, job_id: str) -> Record:
        """Return the job as it is stored."""
        return self.jobs.load(job_id).record

    def result(self, job_id: str) -> Any:
        """Return the result as a JSON value.

        Raises:
            JobNotFinished: there is none yet.
            JobFailed: there will be none.
        """
        record = self.status(job_id)
        if record.status is Status.SUCCEEDED:
            return record.result
        if record.status.is_final:
            raise JobFailed(f"job {job_id} {record.status}: {record.error or 'by request'}")
        raise JobNotFinished(f"job {job_id} is {record.status}, {record.progress:.1%} done")

    def wait(
        self,
        job_id: str,
        *,
        timeout_seconds: float | None = None,
        watch: Callable[[Record], None] = lambda _: None,
    ) -> Any:
        """Wait until the job is over and return its result; `watch` sees it at every look.

        Raises:
            JobFailed: it is over and has no result.
            JobNotFinished: `timeout_seconds` passed first.
        """
        end = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        pause = FIRST_POLL_SECONDS
        while True:
            record = self.status(job_id)
            watch(record)
            if record.status.is_final or (end is not None and time.monotonic() >= end):
                return self.result(job_id)
            left = pause if end is None else min(pause, max(end - time.monotonic(), 0.0))
            time.sleep(left)
            pause = min(pause * 1.5, LONGEST_POLL_SECONDS)

    def cancel(self, job_id: str) -> Record:
        """Stop the job for good; a slice that runs finds out at its next save."""
        return self.jobs.change(job_id, Record.cancelled).record

    def records(self, *, after: str = "") -> Iterator[Record]:
        """Yield all jobs whose id sorts after `after`, by id."""
        for job_id in self.jobs.ids(after=after):
            yield self.status(job_id)

    def sweep(self, *, after_seconds: float | None = None) -> list[str]:
        """Wake the jobs whose message was lost; return their ids. See `worker.sweep.sweep`."""
        after = self.settings.sweep_seconds if after_seconds is None else after_seconds
        return sweep(self.jobs, self.queue, after_seconds=after)


def new_record(
    kernel: str,
    params: Mapping[str, Any],
    *,
    job_id: str | None,
    limits: Limits,
    now: float,
) -> Record:
    """Return a new job's record; `job_id` None makes one up.

    Raises:
        UnknownKernel: no such kernel is installed.
        InvalidParams: the kernel does not take these parameters; one line that names the first.
        InvalidJobId: the id cannot be stored.
    """
    model = load(kernel).Params
    try:
        valid = model.model_validate(dict(params))
    except ValidationError as error:
        known = ", ".join(model.model_fields) or "none"
        raise InvalidParams(f"{kernel}: {_complaint(error)}; its parameters: {known}") from None
    try:
        stored = valid.model_dump_json()
        survives = model.model_validate_json(stored) == valid
    except ValueError:  # which all that pydantic raises is
        survives = False
    if not survives:
        raise InvalidParams(f"{kernel}: these parameters do not survive being stored as JSON")
    return Record(
        job_id=checked_id(f"{kernel}-{secrets.token_hex(5)}" if job_id is None else job_id),
        kernel=kernel,
        params=json.loads(stored),
        limits=limits,
        created_at=now,
        updated_at=now,
    )


def _complaint(error: ValidationError) -> str:
    """Return one thing that pydantic has against the parameters: a wrong name before a gap."""
    errors = error.errors()
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    name = ".".join(map(str, first["loc"]))
    match first["type"]:
        case "missing":
            return f"parameter {name!r} is missing"
        case "extra_forbidden":
            return f"there is no parameter {name!r}"
        case _:
            return f"{name}={str(first['input'])[:60]!r}: {first['msg']}"
