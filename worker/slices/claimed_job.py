"""A job that this worker has claimed, and what was done on it: the one owner of its lease."""

from __future__ import annotations

import logging
import math
import secrets
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Self

from outlast.checkpoint.errors import LeaseLost, StoreUnavailable
from outlast.checkpoint.record_parts import Checkpoint, Lease, digest_of
from outlast.worker.queues.contract import QueueUnavailable
from outlast.worker.slices.backoff import backoff
from outlast.worker.slices.kernel_errors import line
from outlast.worker.slices.kernel_output import Unusable, stored_state
from outlast.worker.slices.protocol import ended
from outlast.worker.telemetry.events import QUEUE_UNAVAILABLE, STORE_UNAVAILABLE, tell
from outlast.worker.telemetry.job_events import tell_claim

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

    from outlast.checkpoint.job_store import StoredJob
    from outlast.checkpoint.record import Record
    from outlast.worker.queues.contract import Delivery
    from outlast.worker.slices.protocol import Ending
    from outlast.worker.slices.worker_process import AnyKernel, WorkerProcess

log = logging.getLogger("outlast.slice")

# A lease that has lost no more than this is not worth a write.
BRIEF_SECONDS = 1.0
# A lease is doubled eight times at most.
MAX_STRETCHES = 16
# Waits between the attempts at the last save of a slice, whose loss would cost the most.
LAST_SAVE_WAITS_SECONDS = (0.1, 0.4, 1.5)


class JobMoved(Exception):
    """The job is not as it was read. Look again."""


class ClaimedJob:
    """The job, its lease, and how far it has come beyond what is stored.

    It alone takes the lease, renews it, writes under it and gives it up, and hides the message
    meanwhile. Every write is fenced by the lease: a worker that has lost it finds out at its next
    write, and writes nothing. As a context it undoes a claim that was not used.

    Attributes:
        delivery: the message for which the job was claimed.
        stored: the job as last stored, with its version.
        kernel: what runs; there once it is loaded.
        lease_seconds: how long the lease is when it is taken, and until the kernel is ready.
        state: the newest state; None until the kernel has yielded one.
        steps, seconds: the job's totals as of now. What is not in the record yet follows from them,
            also where a write happened whose answer was lost.
        is_used: whether the slice has begun, so that its claim counts.
    """

    kernel: AnyKernel

    def __init__(self, process: WorkerProcess, delivery: Delivery, before: StoredJob) -> None:
        """Prepare to claim the job, as it was read in `before`; see `take`."""
        self.process = process
        self.delivery = delivery
        self.state: BaseModel | None = None
        self.steps = before.record.usage.steps
        self.seconds = before.record.usage.compute_seconds
        self.is_used = False
        self._before = before
        self.lease_seconds = self.stretched(process.timing.lease_seconds)
        self.stored = before
        self._token = secrets.token_hex(8)

    @classmethod
    def take(
        cls, process: WorkerProcess, before: StoredJob, delivery: Delivery, *, announced: bool
    ) -> Self:
        """Take the lease; `announced`: as in `Record.claimed`.

        The claim comes before anything of the kernel is imported or runs: that may take the process
        down, and then the slice has been counted.

        Raises:
            VersionConflict: someone else was faster.
            JobMoved: no further slice may begin, so the job was given up instead.
        """
        job = cls(process, delivery, before)
        # A worker that dies must not cost a queue's whole visibility timeout, which on Lambda is
        # many times that of a slice. A consumer asked for the right one at the receipt.
        if delivery.hidden_seconds < job.lease_seconds:
            job.keep_hidden(job.lease_seconds)
        begun = process.clock()
        claimed = before.record.claimed(job._new_lease(), announced=announced)
        job.stored = process.jobs.replace(before, claimed)
        process.timing.saw_save(process.clock() - begun)
        tell_claim(before.record, job.record, process.platform)
        if job.record.lease is None:
            raise JobMoved
        return job

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # Anything but an Exception ends the process: then the claim must count.
        if not self.is_used and (kind is None or issubclass(kind, Exception)):
            self.give_back()

    @property
    def record(self) -> Record:
        """The job as last stored."""
        return self.stored.record

    @cached_property
    def params(self) -> BaseModel:
        """The parameters as the kernel's model reads them.

        Raises:
            ValidationError: they do not fit it.
        """
        params: BaseModel = self.kernel.Params.model_validate_json(self.record.params_json)
        return params

    @property
    def progress(self) -> float:
        """The share of the work that is done, stored or not, 0 to 1.

        Raises:
            Unusable: the kernel cannot tell.
        """
        if self.state is None:
            return self.record.progress
        try:
            share = float(self.kernel.progress(self.params, self.state))
        except BaseException as error:
            raise Unusable(f"cannot tell its progress: {line(error)}") from error
        return min(max(0.0, share), 1.0)  # in this order not a number is 0

    def stretched(self, seconds: float) -> float:
        """Return a time that doubles with every two slices in a row that did not advance the job.

        If a lease were too short for the first step, one worker after another would lose the job,
        and none would advance it. But a job whose workers happened to be killed waits for longer.
        """
        stalls = min(self._before.record.guards.stalls, MAX_STRETCHES)
        return backoff(stalls, first=seconds, longest=math.inf, factor=math.sqrt(2))

    def advanced(self, state: BaseModel) -> None:
        """Take over the state that a step has led to."""
        self.state = state
        self.steps += 1

    def drop_state(self) -> None:
        """Forget a state that cannot be stored: the checkpoint before it stands."""
        self.state, self.steps = None, self.record.usage.steps

    def overspent(self) -> str | None:
        """Return that the ceiling on compute time is reached, or None if it is not."""
        if self.record.limits.max_compute_seconds is None:
            return None
        return self.record.spent(steps=self.steps, seconds=self.seconds).overspent()

    # Writes. All raise LeaseLost where another worker has the job or a person stopped it.

    def renew(self) -> None:
        """Renew the lease for its full length, unless it is brand-new."""
        now = self.process.jobs.clock()
        lease = self.record.lease
        if lease is None or now - lease.claimed_at < BRIEF_SECONDS:
            return
        renewed = self._renewal(now + self.lease_seconds)
        try:
            self._write(renewed)
        except StoreUnavailable as error:
            self.tell_unsaved("goes on with the lease that it has", error)
            return
        self.keep_hidden(self.lease_seconds)

    def save(self) -> None:
        """Store what was done since the last save, and extend lease and visibility.

        Raises:
            Unusable, StateTooLarge: the state cannot be stored.
            StoreUnavailable: nothing may have been written.
        """
        timing = self.process.timing
        work = self._unsaved_work()
        renewed = self._renewal(self.process.jobs.clock() + timing.lease_seconds)
        self._write(lambda record: renewed(work.added_to(record)))
        self.keep_hidden(timing.lease_seconds)

    def end(self, ending: Ending) -> Record:
        """Store the last state and the end of the slice in one write; return the job after it.

        Raises:
            Unusable, StateTooLarge: the state cannot be stored.
            StoreUnavailable: it was tried more than once; the checkpoint before stands.
        """
        self.is_used = True
        work, now = self._unsaved_work(), self.process.jobs.clock()

        def move(record: Record) -> Record:
            return ended(work.added_to(record), ending, now)

        for seconds in LAST_SAVE_WAITS_SECONDS:
            try:
                return self._write(move)
            except StoreUnavailable as error:
                self.tell_unsaved("tries its last save again", error)
                self.process.sleep(seconds)
        return self._write(move)

    def give_back(self) -> None:
        """Undo the claim, as no part of the job was run; if that fails, a stall stays counted."""
        if self.record.lease is None:
            return
        before = self._before.record
        try:
            self._write(lambda record: record.unclaimed(before))
        except LeaseLost:
            return
        except StoreUnavailable as error:
            self.tell_unsaved("was not given back and waits for the end of its lease", error)

    def keep_hidden(self, seconds: float) -> None:
        """Hide the message for `seconds` from now; where that fails it costs others a look."""
        try:
            self.process.hide(self.delivery, seconds)
        except QueueUnavailable as error:
            effect = "a message may come again too soon"
            tell(log, QUEUE_UNAVAILABLE, effect=effect, error=str(error))

    def tell_unsaved(self, effect: str, error: Exception) -> None:
        """Log that a write failed, and what becomes of the job."""
        effect = f"job {self.record.job_id} {effect}"
        tell(log, STORE_UNAVAILABLE, effect=effect, error=str(error))

    def _write(self, move: Callable[[Record], Record]) -> Record:
        self.stored = self.process.jobs.advance(self.stored, self._token, move)
        return self.stored.record

    def _new_lease(self) -> Lease:
        process, now = self.process, self.process.jobs.clock()
        return Lease(
            worker=process.worker,
            platform=process.platform,
            token=self._token,
            claimed_at=now,
            expires_at=now + self.lease_seconds,
            at_risk_seconds=process.timing.at_risk_seconds,
        )

    def _renewal(self, expires_at: float) -> Callable[[Record], Record]:
        at_risk = self.process.timing.at_risk_seconds
        return lambda record: record.renewed(expires_at=expires_at, at_risk_seconds=at_risk)

    def _unsaved_work(self) -> _Work:
        if self.state is None or self.steps == self.record.usage.steps:
            return _Work(self.steps, self.seconds, None)
        data = stored_state(self.kernel, self.state, max_bytes=self.process.max_state_bytes)
        checkpoint = Checkpoint(
            state=data,
            digest=digest_of(data),
            version=self.kernel.version,
            slice=self.record.slice_number,
            progress=self.progress,
            saved_at=self.process.jobs.clock(),
        )
        return _Work(self.steps, self.seconds, checkpoint)


class _Work(NamedTuple):
    """The job's totals, and the checkpoint to store; None: there is no new state."""

    steps: int
    seconds: float
    checkpoint: Checkpoint | None

    def added_to(self, record: Record) -> Record:
        spent = record.spent(steps=self.steps, seconds=self.seconds)
        return spent if self.checkpoint is None else spent.saved(self.checkpoint)
